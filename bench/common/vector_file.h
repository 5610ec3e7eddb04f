// SPDX-License-Identifier: Apache-2.0
//
// The two file kinds of the benchmarks, little-endian: .fbin is u32 rows, u32 dims, then rows *
// dims f32; .ibin is the same with u32 elements (neighbor ids, nearest first). Programs here, not
// the library: errors are exceptions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace bench {

template <class T>
struct Matrix {
  std::size_t rows = 0;
  std::size_t dims = 0;
  std::vector<T> values;

  const T* row(std::size_t i) const { return values.data() + i * dims; }
  T* row(std::size_t i) { return values.data() + i * dims; }
};

using FloatMatrix = Matrix<float>;
using IdMatrix = Matrix<std::uint32_t>;

struct CloseFile {
  void operator()(std::FILE* f) const { std::fclose(f); }
};
using FilePtr = std::unique_ptr<std::FILE, CloseFile>;

inline FilePtr open_file(const std::filesystem::path& path, const char* mode) {
  FilePtr file(std::fopen(path.c_str(), mode));
  if (!file) throw std::runtime_error("cannot open " + path.string());
  return file;
}

// Reads at most `max_rows` rows (0: all).
template <class T>
Matrix<T> read_matrix(const std::filesystem::path& path, std::size_t max_rows = 0) {
  FilePtr file = open_file(path, "rb");
  std::uint32_t head[2];
  if (std::fread(head, sizeof head, 1, file.get()) != 1)
    throw std::runtime_error("no header: " + path.string());
  Matrix<T> m;
  m.rows = max_rows != 0 && max_rows < head[0] ? max_rows : head[0];
  m.dims = head[1];
  m.values.resize(m.rows * m.dims);
  if (std::fread(m.values.data(), sizeof(T), m.values.size(), file.get()) != m.values.size()) {
    throw std::runtime_error("too short: " + path.string());
  }
  return m;
}

// Writes beside `path` and renames, so that an interrupted run leaves no half file under the final
// name.
template <class T>
void write_matrix(const std::filesystem::path& path, const Matrix<T>& m) {
  const std::filesystem::path part = path.string() + ".part";
  {
    FilePtr file = open_file(part, "wb");
    const std::uint32_t head[2] = {static_cast<std::uint32_t>(m.rows),
                                   static_cast<std::uint32_t>(m.dims)};
    if (std::fwrite(head, sizeof head, 1, file.get()) != 1 ||
        std::fwrite(m.values.data(), sizeof(T), m.values.size(), file.get()) != m.values.size() ||
        std::fflush(file.get()) != 0) {
      throw std::runtime_error("cannot write " + part.string());
    }
  }
  std::filesystem::rename(part, path);
}

}  // namespace bench
