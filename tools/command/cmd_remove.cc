// SPDX-License-Identifier: Apache-2.0
//
// cairn remove: vectors out of an index file.
#include <memory>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "tools/command/command.h"
#include "tools/files/text_file.h"

namespace cairn::tools {
namespace {

struct RemoveCommand {
  std::string file;
  std::vector<Key> keys;
  OutputFlags flags;
};

// Nothing is removed if one of the keys is missing, or given twice.
Result<std::size_t> remove_keys(const RemoveCommand& command) {
  if (const auto repeated = find_repeated(command.keys)) {
    const Key key = command.keys[repeated->place];
    return Error(ErrorCode::invalid_argument, "key " + std::to_string(key) + " is given twice");
  }
  OpenOptions options;
  options.mode = Mode::read_write;
  options.durability = Durability::none;  // one sync at the end
  auto index = Index::open(command.file, options);
  if (!index) return index.error();
  for (const Key key : command.keys) {
    if (index->contains(key)) continue;
    return Error(ErrorCode::key_not_found, command.file + " has no key " + std::to_string(key));
  }
  for (const Key key : command.keys) {
    if (auto removed = index->remove(key); !removed) {
      (void)index->sync();
      return removed.error();
    }
  }
  if (auto ok = index->checkpoint(); !ok) return ok.error();
  return index->size();
}

}  // namespace

Run add_remove(CLI::App& app) {
  auto command = std::make_shared<RemoveCommand>();
  CLI::App* sub = app.add_subcommand("remove", "Remove the vectors of keys from an index file");
  add_index_file(*sub, command->file);
  add_keys(*sub, command->keys);
  add_output_flags(*sub, command->flags);
  sub->footer("Example:\n  cairn remove words.cairn 17 4 1968");
  return [command] {
    return report_size("remove", command->file, remove_keys(*command), command->flags);
  };
}

}  // namespace cairn::tools
