// SPDX-License-Identifier: Apache-2.0
//
// The files of tests/data/foreign and what is in them.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include <cairn/cairn.h>

namespace cairn::test {

using Bytes = std::vector<char>;

inline std::filesystem::path foreign_folder() { return CAIRN_FOREIGN_DIR; }

inline Bytes read_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

inline void write_bytes(const std::filesystem::path& path, const Bytes& bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// A line of files.txt.
struct ForeignFile {
  std::string name;
  std::string metric_given;
  std::string metric;  // or "refused"
  std::string scalar;  // or the code
  std::string word;    // of the error
  std::size_t vectors = 0;
  std::size_t skipped = 0;
  std::string graph;

  bool refused() const { return metric == "refused"; }
  friend std::ostream& operator<<(std::ostream& out, const ForeignFile& f) { return out << f.name; }
};

inline std::vector<ForeignFile> foreign_files() {
  std::ifstream in(foreign_folder() / "files.txt");
  std::vector<ForeignFile> files;
  for (std::string text; std::getline(in, text);) {
    std::istringstream line(text);
    ForeignFile f;
    line >> f.name >> f.metric_given >> f.metric >> f.scalar;
    if (f.refused()) {
      line >> f.word;
    } else {
      line >> f.vectors >> f.skipped >> f.graph;
    }
    files.push_back(f);
  }
  return files;
}

struct ForeignContent {
  std::uint32_t rows = 0;
  std::uint32_t dims = 0;
  std::vector<Key> keys;
  std::vector<float> values;
};

inline ForeignContent foreign_content(const std::string& file) {
  const std::string name = file.substr(0, file.find('.'));
  const Bytes bytes = read_bytes(foreign_folder() / (name + ".expect"));
  ForeignContent content;
  std::memcpy(&content.rows, bytes.data(), 4);
  std::memcpy(&content.dims, bytes.data() + 4, 4);
  content.keys.resize(content.rows);
  content.values.resize(std::size_t{content.rows} * content.dims);
  if (content.rows == 0) return content;
  std::memcpy(content.keys.data(), bytes.data() + 8, content.keys.size() * 8);
  std::memcpy(content.values.data(), bytes.data() + 8 + content.keys.size() * 8,
              content.values.size() * 4);
  return content;
}

inline Metric metric_named(const std::string& name) {
  if (name == "cosine") return Metric::cosine;
  if (name == "inner_product") return Metric::inner_product;
  if (name == "hamming") return Metric::hamming;
  return Metric::l2sq;
}

}  // namespace cairn::test
