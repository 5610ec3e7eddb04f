// SPDX-License-Identifier: Apache-2.0
//
// Where a whole file is written to: what stands there, the temporary file beside it, and how that
// one takes its place. docs/format.md, "Writing a file".
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <vector>

#include <cairn/error.h>
#include <cairn/params.h>

#include "format/io/file.h"

namespace cairn::format {

struct Target {
  std::filesystem::path path;     // that the new file is going to have
  std::optional<FileInfo> there;  // what is replaced, if anything is
  std::vector<Attribute> attributes = {};
  std::optional<File> locked = {};  // so that nobody begins to write it until it is replaced
};

// What a save to `path` replaces. Existing::replace follows symbolic links, also one that leads to
// nothing: what it leads to is created. Existing::refuse follows none. path_exists: something
// stands there that is not to be replaced; path_in_use: a writer has it open; invalid_argument:
// it is no regular file, or the path names none.
Result<Target> find_target(FileSystem& fs, const std::filesystem::path& path, Existing existing);

// The same for who has locked the file already, and has it open as `path`.
Result<Target> target_of_writer(FileSystem& fs, const std::filesystem::path& path);

// A new file beside the target, under the name of `made`, for as long as it is open locked against
// remove_stale(), which is done first.
Result<File> create_temporary(FileSystem& fs, const Target& target,
                              std::optional<Unfinished>& made);

// Gives a new file owner, group, permissions and attributes of what it replaces, as far as this
// user may: without the group, the permissions of a group and lists of access are left out.
Result<void> keep_access(const Target& target, File& file);

// Gives the new file the target's name. path_exists: nothing stood there, and now something does.
Result<void> put_in_place(FileSystem& fs, const Target& target, Unfinished& made);

// Removes the temporary files that saves to `path` have left behind which were killed: those that
// nobody has locked. What cannot be looked at or removed stays.
void remove_stale(FileSystem& fs, const std::filesystem::path& path);

// The same of one file that is there for good once it is done, and has a name of its own until
// then: removes it if it is one of ours, nobody has locked it, and it was left alone for so long.
// Whether it is gone.
bool remove_if_left(FileSystem& fs, const std::filesystem::path& path,
                    std::chrono::nanoseconds left_alone);

// Whether a save to `path` can begin: the errors of find_target(), and those of creating a file
// there, which is removed again.
Result<void> check_target(FileSystem& fs, const std::filesystem::path& path, Existing existing);

}  // namespace cairn::format
