// SPDX-License-Identifier: Apache-2.0
//
// cairn get: the stored vectors of some keys, all that each has.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "tools/command/command.h"

namespace cairn::tools {
namespace {

struct GetCommand {
  std::string file;
  std::vector<Key> keys;
  OutputFlags flags;
};

// The shortest decimal form that reads back as the same f32.
void append_number(std::string& line, float value) {
  std::array<char, 32> text;
  const auto [end, error] = std::to_chars(text.data(), text.data() + text.size(), value);
  line.append(text.data(), error == std::errc() ? end : text.data());
}

Json vector_json(Key key, const std::vector<float>& vector) {
  Json values = Json::array();
  for (const float value : vector) values.push_back(readable(value));
  return {{"key", key}, {"vector", std::move(values)}};
}

void print_vector(Key key, const std::vector<float>& vector) {
  std::string line = std::to_string(key) + ":";
  for (const float value : vector) append_number(line += ' ', value);
  std::printf("%s\n", line.c_str());
}

Exit run_get(const GetCommand& command) {
  OpenOptions options;
  options.check = Check::on_first_use;
  const auto index = Index::open(command.file, options);
  if (!index) return report("get", index.error());
  std::vector<float> vector(index->params().dimensions);
  // All keys are looked up before anything is printed.
  for (const Key key : command.keys) {
    if (!index->contains(key)) {
      // Unless it is not there because a page is damaged.
      const auto got = index->get(key, vector);
      if (!got && got.error().code() != ErrorCode::key_not_found) return report("get", got.error());
      return report("get", Error(ErrorCode::key_not_found,
                                 command.file + " has no key " + std::to_string(key)));
    }
  }
  Json vectors = Json::array();
  for (const Key key : command.keys) {
    const std::size_t count = std::max<std::size_t>(1, index->count(key));
    for (std::size_t i = 0; i < count; ++i) {
      if (auto got = index->get(key, i, vector); !got) return report("get", got.error());
      if (command.flags.json) {
        vectors.push_back(vector_json(key, vector));
      } else {
        print_vector(key, vector);
      }
    }
  }
  if (command.flags.json) {
    print_json({{"dimensions", vector.size()}, {"vectors", std::move(vectors)}});
  }
  return Exit::ok;
}

}  // namespace

Run add_get(CLI::App& app) {
  auto command = std::make_shared<GetCommand>();
  CLI::App* sub = app.add_subcommand("get", "Print the vectors of keys, one a line");
  add_index_file(*sub, command->file);
  add_keys(*sub, command->keys);
  add_output_flags(*sub, command->flags);
  sub->footer(
      "Examples:\n"
      "  cairn get words.cairn 17\n"
      "  cairn get words.cairn 17 4 1968 --json");
  return [command] { return run_get(*command); };
}

}  // namespace cairn::tools
