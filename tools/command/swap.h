// SPDX-License-Identifier: Apache-2.0
//
// A new index file takes the place of an old one so that either one or the other is there at every
// instant, whatever ends the process or the machine; and the way back.
//
//   FILE           what is served
//   FILE.new       what is to take its place; after a way back, what had it
//   FILE.before    what had been FILE
//   FILE.migrated  JSON: the source of the new file, whether there was a FILE, how far the swap is
//
// Going in: an earlier FILE.before is removed; the record is written (swapping); FILE gets
// FILE.before as a second name; FILE.new is renamed to FILE; the record is written (done). Going
// back: the record is written (rolling back); FILE gets FILE.new as a second name; FILE.before is
// renamed to FILE; the record is removed. Each step is on disk before the next one. An interrupted
// way is finished, or found not to have begun, by roll_back().
#pragma once

#include <filesystem>
#include <string>

#include <cairn/error.h>

namespace cairn::tools {

// What the steps do to a directory; each is on disk when it returns. A seam for tests.
class FileSteps {
 public:
  FileSteps() = default;
  virtual ~FileSteps() = default;
  FileSteps(const FileSteps&) = delete;
  FileSteps& operator=(const FileSteps&) = delete;

  // A second name. path_exists: `to` is there; unsupported: the file system has no second names.
  virtual Result<void> link(const std::filesystem::path& from, const std::filesystem::path& to);
  // Takes the place of what stands at `to`.
  virtual Result<void> rename(const std::filesystem::path& from, const std::filesystem::path& to);
  // No error if it is not there.
  virtual Result<void> remove(const std::filesystem::path& path);
  // The whole contents, in one step.
  virtual Result<void> write(const std::filesystem::path& path, const std::string& text);
};

struct SwapNames {
  explicit SwapNames(const std::filesystem::path& file);
  std::filesystem::path file, fresh, before, record;
};

enum class Earlier { keep, replace };  // a FILE.before that is there

// What put_in_place() would refuse, so that it is known before hours of work: path_exists (a
// FILE.before, with Earlier::keep; FILE is no regular file), path_in_use.
Result<void> check_place(const std::filesystem::path& file, Earlier earlier);

// FILE.new, which is on disk, becomes FILE, and a FILE that was there FILE.before. `source` is what
// the way back will name.
Result<void> put_in_place(FileSteps& steps, const std::filesystem::path& file,
                          const std::string& source, Earlier earlier);

struct WayBack {
  std::string source;     // to return to; "" if it is not known
  bool swapped = false;   // false: FILE had never been replaced, and is as it was
  bool restored = false;  // there is a FILE again; else there was none, and there is none
};

// path_not_found: nothing has been put in place, or FILE.before is gone.
Result<WayBack> roll_back(FileSteps& steps, const std::filesystem::path& file);

}  // namespace cairn::tools
