// SPDX-License-Identifier: Apache-2.0
//
// Texts of manifests: those that are right, and whatever else.
#include <gtest/gtest.h>

#include <array>
#include <span>
#include <string>
#include <vector>

#include <cairn/shard_manifest.h>

#include "format/bytes/checksum.h"

namespace cairn {
namespace {

ShardManifest clustered() {
  ShardManifest manifest;
  manifest.generation = 7;
  manifest.params.dimensions = 100;
  manifest.params.seed = 0xFFFFFFFFFFFFFFFFu;
  manifest.partition = Partition::clusters;
  manifest.gaps = {0.1f, 0.0f};
  const std::string hash(32, 'a');
  manifest.shards = {{"a.cairn", 10, 4096, true, hash}, {"live-7-1.cairn", 5, 0, false}};
  manifest.router = ShardFile{"r.cairn", 128, 9999, true, hash};
  manifest.fresh = ShardFile{"live-7-fresh.cairn", 0, 0, false};
  return manifest;
}

// The text with the right checksum, whatever it says: all before its last comma, and a new end.
std::string sealed(std::string text) {
  text.resize(text.rfind(",\n  \"checksum\""));
  std::array<char, 19> buffer;
  const auto hash = format::hash64(std::as_bytes(std::span(text)));
  return text + ",\n  \"checksum\": \"" + (format::hex(hash, buffer) + 2) + "\"\n}\n";
}

// The text of clustered() with `from` replaced.
std::string changed(const std::string& from, const std::string& to) {
  std::string text = shard_manifest_text(clustered()).value();
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return sealed(text.replace(at, from.size(), to));
}

TEST(ShardManifest, IsReadAsItWasWritten) {
  const ShardManifest manifest = clustered();
  const std::string text = shard_manifest_text(manifest).value();
  const auto read = parse_shard_manifest(text);
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(shard_manifest_text(*read).value(), text);
  EXPECT_EQ(read->generation, 7u);
  EXPECT_EQ(read->params.seed, manifest.params.seed);
  EXPECT_EQ(read->gaps, manifest.gaps);
  EXPECT_EQ(read->shards[1].file, "live-7-1.cairn");
  EXPECT_FALSE(read->shards[1].sealed);
  EXPECT_EQ(read->router->vectors, 128u);
}

// docs/shards.md has this text, too.
TEST(ShardManifest, HasTheTextThatTheDocumentShows) {
  ShardManifest manifest;
  manifest.generation = 1;
  manifest.params.dimensions = 2;
  manifest.shards = {{"6a.cairn", 3, 4096, true, "00112233445566778899aabbccddeeff"}};
  EXPECT_EQ(shard_manifest_text(manifest).value(), R"({
  "format": "cairn-shards",
  "version": 1,
  "generation": 1,
  "parameters": {
    "dimensions": 2,
    "metric": "cosine",
    "scalar": "f32",
    "traversal": "automatic",
    "m": 16,
    "ef_construction": 200,
    "seed": 42
  },
  "partition": {
    "kind": "hash",
    "seed": 0
  },
  "shards": [
    {
      "file": "6a.cairn",
      "vectors": 3,
      "bytes": 4096,
      "sealed": true,
      "xxh3": "00112233445566778899aabbccddeeff"
    }
  ],
  "checksum": "fe1669332f2bb3ff"
}
)");
}

TEST(ShardManifest, UnknownMembersAreIgnored) {
  EXPECT_TRUE(parse_shard_manifest(changed(
      "\"generation\"",
      "\"later\": {\"shards\": [null, true, -1, 0.5, \"x\", {\"file\": 7}]}, \"generation\"")));
  EXPECT_TRUE(parse_shard_manifest(changed("\"vectors\"", "\"later\": [1], \"vectors\"")));
  EXPECT_TRUE(parse_shard_manifest(changed("\"generation\"", "\"needs\": [], \"generation\"")));
}

TEST(ShardManifest, WhatBreaksARuleIsRefusedWithItsName) {
  struct Case {
    const char* from;
    const char* to;
    ErrorCode code;
    const char* says;
  };
  using enum ErrorCode;
  const Case cases[] = {
      {"cairn-shards", "cairn-files", not_a_cairn_file, "no manifest"},
      {"\"version\": 1", "\"version\": 2", version_unsupported, "version 2"},
      {"\"generation\": 7", "\"needs\": [\"moons\"], \"generation\": 7", feature_unsupported,
       "moons"},
      {"\"generation\": 7", "\"generation\": 0", corrupt, "generation is 0"},
      {"\"generation\": 7", "\"generation\": -7", corrupt, "generation is a negative number"},
      {"\"generation\": 7", "\"generation\": 7.5", corrupt, "generation is a fraction"},
      {"\"generation\": 7", "\"generation\": \"7\"", corrupt, "generation is a string"},
      {"\"generation\": 7", "\"generation\": 18446744073709551616", corrupt, "fraction"},
      {"\"generation\": 7,", "", corrupt, "no generation"},
      {"\"generation\": 7,", "\"generation\": 7, \"generation\": 8,", corrupt, "twice"},
      {"\"dimensions\": 100", "\"dimensions\": 0", corrupt, "dimensions"},
      {"\"dimensions\": 100", "\"dimensions\": 65536", corrupt, "dimensions"},
      {"\"m\": 16", "\"m\": 4294967312", corrupt, "m is '4294967312'"},
      {"\"cosine\"", "\"cosinus\"", corrupt, "metric is 'cosinus'"},
      {"\"cosine\"", "\"hamming\"", corrupt, "hamming"},
      {"\"f32\"", "\"b1\"", corrupt, "b1"},
      {"\"clusters\"", "\"hash\"", corrupt, "seed"},
      {"\"clusters\"", "\"rows\"", corrupt, "router"},
      {"\"clusters\"", "\"moons\"", corrupt, "kind is 'moons'"},
      {"      0.0\n", "      -0.5\n", corrupt, "gap"},
      {"      0.0\n", "      1e60\n", corrupt, "gap"},
      {"      0.0\n", "      0.0, 0.0\n", corrupt, "3 gaps for 2 shards"},
      {"      0.0\n", "      []\n", corrupt, "an element is a list"},
      {"\"a.cairn\"", "\"../a.cairn\"", corrupt, "'../a.cairn' is no name"},
      {"\"a.cairn\"", "\"/etc/a.cairn\"", corrupt, "no name"},
      {"\"a.cairn\"", "\"b/a.cairn\"", corrupt, "no name"},
      {"\"a.cairn\"", "\".a.cairn\"", corrupt, "no name"},
      {"\"a.cairn\"", "\"a.txt\"", corrupt, "no name"},
      {"\"a.cairn\"", "\".cairn\"", corrupt, "no name"},
      {"\"a.cairn\"", "\"a\\u0000.cairn\"", corrupt, "no name"},
      {"\"a.cairn\"", "\"live-7-1.cairn\"", corrupt, "twice"},
      {"\"a.cairn\"", "\"r.cairn\"", corrupt, "twice"},
      {"\"bytes\": 4096", "\"bytes\": true", corrupt, "bytes is a boolean"},
      {"\"bytes\": 4096", "\"size\": 4096", corrupt, "no bytes"},
      {"aaaaaaaa", "AAAAAAAA", corrupt, "xxh3"},
      {"\"sealed\": true", "\"sealed\": 1", corrupt, "sealed is a number"},
      {"\"fresh\": {", "\"fresh\": null, \"later\": {", corrupt, "fresh is null"},
      {"\"router\": {", "\"later\": {", corrupt, "there is no router"},
  };
  for (const Case& one : cases) {
    const auto read = parse_shard_manifest(changed(one.from, one.to), "M");
    ASSERT_FALSE(read) << one.to;
    EXPECT_EQ(read.error().code(), one.code) << read.error().message();
    EXPECT_TRUE(read.error().message().starts_with("M: "));
    EXPECT_NE(read.error().message().find(one.says), std::string::npos)
        << one.to << ": " << read.error().message();
  }
}

TEST(ShardManifest, EveryOtherByteIsNoticed) {
  const std::string text = shard_manifest_text(clustered()).value();
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string other = text;
    other[i] = static_cast<char>(other[i] ^ 1);
    EXPECT_FALSE(parse_shard_manifest(other)) << i;
    EXPECT_FALSE(parse_shard_manifest(text.substr(0, i))) << i;
  }
}

TEST(ShardManifest, NeitherDepthNorLengthCostsMuch) {
  const std::string whole = shard_manifest_text(clustered()).value();
  for (const std::string& part :
       {std::string(1'000'000, '['), std::string("\"later\": ") + std::string(1'000'000, '{')}) {
    std::string text = "{\n" + part + whole.substr(whole.rfind(",\n  \"checksum\""));
    EXPECT_EQ(parse_shard_manifest(sealed(text)).error().code(), ErrorCode::corrupt);
  }
  std::string many = "{\"shards\": [";
  for (int i = 0; i < 70'000; ++i)
    many += "{\"file\": \"a.cairn\", \"vectors\": 1, \"bytes\": 1, \"sealed\": false},";
  many.back() = ']';
  many += whole.substr(whole.rfind(",\n  \"checksum\""));
  const auto read = parse_shard_manifest(sealed(many));
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message().find("more than 65,536 shards"), std::string::npos);
  EXPECT_EQ(parse_shard_manifest(std::string(17 << 20, ' ')).error().code(), ErrorCode::corrupt);
}

TEST(ShardManifest, WhatCouldNotBeReadIsNotWritten) {
  ShardManifest manifest = clustered();
  manifest.shards.clear();
  EXPECT_EQ(shard_manifest_text(manifest).error().code(), ErrorCode::invalid_argument);
  manifest = clustered();
  manifest.shards[0].file = "a/b.cairn";
  EXPECT_EQ(shard_manifest_text(manifest).error().code(), ErrorCode::invalid_argument);
  manifest = clustered();
  manifest.router.reset();
  EXPECT_EQ(shard_manifest_text(manifest).error().code(), ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace cairn
