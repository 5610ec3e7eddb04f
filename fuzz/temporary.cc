// SPDX-License-Identifier: Apache-2.0
#include "fuzz/temporary.h"

#include <cstdlib>
#include <string>
#include <system_error>

#include "fuzz/input.h"

namespace cairn::fuzz {
namespace {

struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "cairn-fuzz-XXXXXX").string();
    require(mkdtemp(name.data()) != nullptr, "a temporary folder can be made", name);
    path = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::filesystem::path path;
};

}  // namespace

const std::filesystem::path& temporary_folder() {
  static const Folder folder;
  return folder.path;
}

}  // namespace cairn::fuzz
