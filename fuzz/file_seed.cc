// SPDX-License-Identifier: Apache-2.0
#include "fuzz/file_seed.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>

#include <cairn/cairn.h>

#include "fuzz/input.h"
#include "fuzz/temporary.h"

namespace cairn::fuzz {
namespace {

struct Recipe {
  std::size_t dimensions;
  Metric metric;
  Traversal traversal;
  std::uint32_t m;
  std::size_t vectors;
};

// Small m gives many levels; 300 keys have overflow buckets.
constexpr Recipe kRecipes[] = {
    {8, Metric::cosine, Traversal::code, 4, 300},
    {3, Metric::l2sq, Traversal::exact, 2, 200},
    {20, Metric::inner_product, Traversal::code, 3, 100},
    {2, Metric::l2sq, Traversal::code, 2, 1},
    {5, Metric::cosine, Traversal::exact, 2, 0},
};

std::vector<std::byte> read_all(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  const std::vector<char> text{std::istreambuf_iterator<char>(stream), {}};
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

SeedFile cook(const Recipe& recipe) {
  IndexParams params;
  params.dimensions = recipe.dimensions;
  params.metric = recipe.metric;
  params.traversal = recipe.traversal;
  params.m = recipe.m;
  params.ef_construction = 20;
  auto index = Index::create(params);
  require(index.has_value(), "create", index ? "" : index.error().message());
  std::minstd_rand random(1);
  for (Key key = 0; key < recipe.vectors; ++key) {
    std::vector<float> vector(recipe.dimensions);
    for (float& value : vector) value = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
    require(index->add(key, vector).has_value(), "add");
  }
  const std::filesystem::path path = temporary_folder() / "seed.cairn";
  const auto saved = index->save(path);
  require(saved.has_value(), "save", saved ? "" : saved.error().message());

  SeedFile seed;
  seed.bytes = read_all(path);
  std::filesystem::remove(path);
  using format::StaticHeader;
  using format::Superblock;
  require(seed.bytes.size() >= format::kFirstRunOffset, "a whole file");
  const std::span<const std::byte> bytes(seed.bytes);
  auto header = StaticHeader::decode(bytes.first<StaticHeader::kEncodedSize>());
  require(header.has_value(), "the header of a saved file is valid");
  seed.header = *header;
  auto superblock = Superblock::decode(
      bytes.subspan(format::kSuperblockOffsets[0]).first<Superblock::kEncodedSize>(), header->uuid);
  require(superblock.has_value(), "the superblock of a saved file is valid");
  seed.superblock = *superblock;
  return seed;
}

}  // namespace

const format::Extent* SeedFile::run(format::SectionId id) const {
  for (const format::Extent& extent : superblock.extents) {
    if (extent.section == static_cast<std::uint16_t>(id)) return &extent;
  }
  return nullptr;
}

const std::vector<SeedFile>& seed_files() {
  static const std::vector<SeedFile> files = [] {
    std::vector<SeedFile> made;
    for (const Recipe& recipe : kRecipes) made.push_back(cook(recipe));
    return made;
  }();
  return files;
}

}  // namespace cairn::fuzz
