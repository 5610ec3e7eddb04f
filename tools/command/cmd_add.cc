// SPDX-License-Identifier: Apache-2.0
//
// cairn add: vectors from a file into an index file that is there already.
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include <cairn/cairn.h>

#include "tools/command/command.h"
#include "tools/command/progress.h"
#include "tools/command/stored_rows.h"
#include "tools/files/text_file.h"
#include "tools/files/vector_file.h"

namespace cairn::tools {
namespace {

struct AddCommand {
  std::string file;
  std::string vectors;
  std::string keys;
  bool replace = false;
  OutputFlags flags;
};

Error in_row(const Error& error, const std::string& vectors, std::size_t row) {
  return error.with_context(vectors + ": row " + std::to_string(row));
}

Result<void> check_keys(const AddCommand& command, const Index& index,
                        const std::vector<Key>& keys) {
  if (index.params().several_per_key) return {};
  if (const auto repeated = find_repeated(keys)) {
    const Error twice(ErrorCode::key_exists, "key " + std::to_string(keys[repeated->place]) +
                                                 " is already that of row " +
                                                 std::to_string(repeated->earlier));
    return in_row(twice, command.vectors, repeated->place);
  }
  for (std::size_t i = 0; i < keys.size() && !command.replace; ++i) {
    if (!index.contains(keys[i])) continue;
    const Error exists(ErrorCode::key_exists, "key " + std::to_string(keys[i]) + " is in " +
                                                  command.file + " already; --replace replaces it");
    return in_row(exists, command.vectors, i);
  }
  return {};
}

// Nothing is added unless all rows can be.
Result<std::size_t> add_rows(const AddCommand& command) {
  const auto file = read_vectors(command.vectors);
  if (!file) return file.error();
  const auto keys = keys_of_rows(command.keys, command.vectors, file->rows);
  if (!keys) return keys.error();
  OpenOptions options;
  options.mode = Mode::read_write;
  options.durability = Durability::none;  // one sync at the end
  auto index = Index::open(command.file, options);
  if (!index) return index.error();
  if (file->dims != index->params().dimensions) {
    return Error(ErrorCode::dimension_mismatch,
                 command.vectors + " has " + std::to_string(file->dims) + " dimensions, " +
                     command.file + " has " + std::to_string(index->params().dimensions));
  }
  const auto rows = StoredRows::of(*file, command.vectors, index->params());
  if (!rows) return rows.error();
  if (auto ok = check_keys(command, *index, *keys); !ok) return ok.error();
  Progress progress("add", "vectors", progress_style(!command.flags.json && !command.flags.quiet));
  std::unordered_set<Key> replaced;  // the first row of a key replaces, others are added to it
  for (std::size_t i = 0; i < file->rows; ++i) {
    const bool replaces = command.replace && replaced.insert((*keys)[i]).second;
    const auto added =
        replaces ? index->upsert((*keys)[i], rows->row(i)) : index->add((*keys)[i], rows->row(i));
    if (!added) {
      (void)index->sync();
      const char* operation = replaces ? "upsert" : "add";
      return in_row(without_operation(added.error(), operation), command.vectors, i);
    }
    progress.update(i + 1, file->rows);
  }
  progress.clear();
  if (auto ok = index->checkpoint(); !ok) return ok.error();
  return index->size();
}

}  // namespace

Run add_add(CLI::App& app) {
  auto command = std::make_shared<AddCommand>();
  CLI::App* sub = app.add_subcommand("add", "Add the vectors of a file to an index file");
  add_index_file(*sub, command->file);
  sub->add_option("VECTORS", command->vectors, std::string("Vectors: ") + kVectorFiles)
      ->required()
      ->type_name("")
      ->check(vector_file_name());
  sub->add_option(
         "--keys", command->keys,
         "Text file, line i is the key (u64) of row i, or - for standard input, or .npy; default: "
         "the row number")
      ->type_name("KEYS");
  sub->add_flag("--replace", command->replace, "Replace the vectors of keys that are there");
  add_output_flags(*sub, command->flags);
  sub->footer(
      "Examples:\n"
      "  cairn add words.cairn new.fbin --keys new-keys.txt\n"
      "  cairn add words.cairn changed.fbin --keys changed-keys.txt --replace");
  sub->callback([command] { check_standard_input(command->vectors, command->keys); });
  return
      [command] { return report_size("add", command->file, add_rows(*command), command->flags); };
}

}  // namespace cairn::tools
