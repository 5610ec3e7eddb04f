// SPDX-License-Identifier: Apache-2.0
//
// What hosts expose of an index: times of searches, and metrics as text.
#include "engine/api/prometheus.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <cairn/c.h>
#include <cairn/cairn.h>

#include "tests/support/temporary_directory.h"
#include "tests/support/vectors.h"

namespace cairn {
namespace {

constexpr std::size_t kDims = 8;

IndexParams some_params() {
  IndexParams params;
  params.dimensions = kDims;
  params.metric = Metric::l2sq;
  return params;
}

// The samples by name with labels; each follows the help and the type of its metric.
std::map<std::string, double> samples_of(const std::string& text) {
  std::map<std::string, double> samples;
  std::set<std::string> metrics;
  std::string metric;
  std::string type;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash;
    std::string kind;
    if (line.starts_with("# HELP ")) {
      words >> hash >> kind >> metric;
      EXPECT_TRUE(metrics.insert(metric).second) << line;
      EXPECT_TRUE(metric.starts_with("cairn_")) << line;
      type.clear();
      continue;
    }
    if (line.starts_with("# TYPE ")) {
      std::string again;
      words >> hash >> kind >> again >> type;
      EXPECT_EQ(again, metric);
      continue;
    }
    const std::size_t space = line.rfind(' ');
    const std::string name = line.substr(0, space);
    std::string bare = name.substr(0, name.find('{'));
    EXPECT_FALSE(type.empty()) << line;
    EXPECT_EQ(type == "counter", bare.ends_with("_total")) << line;
    if (type == "histogram") {
      for (const char* end : {"_bucket", "_sum", "_count"}) {
        if (bare.ends_with(end)) bare.resize(bare.size() - std::string(end).size());
      }
    }
    EXPECT_EQ(bare, metric) << line;
    EXPECT_TRUE(samples.emplace(name, std::stod(line.substr(space + 1))).second) << line;
  }
  return samples;
}

TEST(Latency, IsOffAtFirst) {
  const Index index = test::built(some_params(), test::random_vectors(100, kDims, 1));
  ASSERT_TRUE(index.search(test::random_vectors(1, kDims, 2).vector(0)));
  EXPECT_EQ(index.latency().count, 0u);
  EXPECT_EQ(index.stats().timed_searches, 0u);
  EXPECT_EQ(index.stats().p99_ns, 0u);
}

TEST(Latency, CountsSearchesAndRowsOfBatchesThatSucceed) {
  Index index = test::built(some_params(), test::random_vectors(100, kDims, 1));
  index.record_latency(true);
  const auto queries = test::random_vectors(7, kDims, 2);
  ASSERT_TRUE(index.search(queries.vector(0)));
  std::vector<Match> out(7 * 10);
  std::vector<std::size_t> counts(7);
  ASSERT_TRUE(index.search_batch(queries.matrix(), {}, out, counts, 2));
  EXPECT_FALSE(index.search(std::vector<float>(kDims + 1)));
  EXPECT_EQ(index.latency().count, 8u);
  EXPECT_GT(index.latency().sum_ns, 0u);
  const Stats stats = index.stats();
  EXPECT_EQ(stats.timed_searches, 8u);
  EXPECT_GT(stats.p50_ns, 0u);
  EXPECT_LE(stats.p50_ns, stats.p90_ns);
  EXPECT_LE(stats.p90_ns, stats.p99_ns);
  EXPECT_LE(stats.p99_ns, stats.p999_ns);
  index.record_latency(false);
  ASSERT_TRUE(index.search(queries.vector(0)));
  EXPECT_EQ(index.latency().count, 8u);
}

TEST(Latency, HasACInterface) {
  cairn_params params;
  cairn_params_init(&params, sizeof params, 2);
  cairn_index* index = nullptr;
  ASSERT_EQ(cairn_create(&params, &index), 0);
  const float vector[2] = {1, 2};
  ASSERT_EQ(cairn_add(index, 5, vector, 2), 0);
  ASSERT_EQ(cairn_record_latency(index, 1), 0);
  cairn_match match;
  std::size_t found = 0;
  ASSERT_EQ(cairn_search(index, vector, 2, 1, 0, &match, &found), 0);
  const double quantiles[2] = {0.5, 0.99};
  double us[2] = {};
  std::uint64_t count = 0;
  ASSERT_EQ(cairn_latency(index, quantiles, 2, us, &count), 0);
  EXPECT_EQ(count, 1u);
  EXPECT_GT(us[0], 0);
  EXPECT_EQ(us[0], us[1]);
  EXPECT_EQ(cairn_latency(index, nullptr, 1, us, &count), 1);
  EXPECT_EQ(cairn_latency(index, quantiles, 1, nullptr, &count), 1);
  ASSERT_EQ(cairn_set_advised_ef(index, 99), 0);
  EXPECT_EQ(cairn_set_advised_ef(index, 70000), 1);
  cairn_statistics stats{};
  stats.size = sizeof stats;
  ASSERT_EQ(cairn_stats(index, &stats), 0);
  EXPECT_EQ(stats.timed_searches, 1u);
  EXPECT_GT(stats.p999_ns, 0u);
  EXPECT_EQ(stats.advised_ef, 99u);
  std::size_t needed = 0;
  ASSERT_EQ(cairn_prometheus_text(index, nullptr, 0, &needed), 0);
  std::vector<char> text(needed);
  EXPECT_EQ(cairn_prometheus_text(index, nullptr, 1, &needed), 1);
  EXPECT_EQ(cairn_prometheus_text(index, text.data(), text.size(), nullptr), 1);
  ASSERT_EQ(cairn_prometheus_text(index, text.data(), text.size(), &needed), 0);
  EXPECT_EQ(std::string(text.data()).size() + 1, needed);
  EXPECT_EQ(samples_of(text.data()).at("cairn_advised_ef"), 99);
  cairn_close(index);
}

TEST(Prometheus, TellsWhatStatsTell) {
  const test::TemporaryDirectory directory;
  const auto vectors = test::random_vectors(40, kDims, 1);
  ASSERT_TRUE(test::built(some_params(), vectors).save(directory / "index.cairn"));
  OpenOptions options;
  options.mode = Mode::read_write;
  Index index = Index::open(directory / "index.cairn", options).value();
  ASSERT_TRUE(index.remove(1000));
  ASSERT_TRUE(index.upsert(1007, vectors.vector(0)));
  ASSERT_TRUE(index.search(vectors.vector(3)));
  const auto samples = samples_of(prometheus_text(index));
  EXPECT_EQ(samples.at("cairn_vectors"), 39);
  EXPECT_EQ(samples.at("cairn_dimensions"), 8);
  EXPECT_EQ(samples.at("cairn_removes_total"), 1);
  EXPECT_EQ(samples.at("cairn_upserts_total"), 1);
  EXPECT_EQ(samples.at("cairn_searches_total"), 1);
  EXPECT_GE(samples.at("cairn_log_frames"), 2);  // and those that lead from segment to segment
  EXPECT_EQ(samples.at("cairn_log_frames"), static_cast<double>(index.stats().log_frames));
  EXPECT_EQ(samples.at("cairn_poisoned"), 0);
  EXPECT_GT(samples.at("cairn_open_seconds"), 0);
  EXPECT_EQ(samples.at("cairn_info{metric=\"l2sq\",scalar=\"f32\",traversal=\"code\"}"), 1);
  EXPECT_EQ(samples.count("cairn_search_seconds_count"), 0u);
}

TEST(Prometheus, TimesOfSearchesAreAHistogram) {
  Index index = test::built(some_params(), test::random_vectors(100, kDims, 1));
  index.record_latency(true);
  const auto queries = test::random_vectors(20, kDims, 2);
  for (std::size_t i = 0; i < 20; ++i) ASSERT_TRUE(index.search(queries.vector(i)));
  const auto samples = samples_of(prometheus_text(index));
  EXPECT_EQ(samples.at("cairn_search_seconds_count"), 20);
  EXPECT_GT(samples.at("cairn_search_seconds_sum"), 0);
  EXPECT_EQ(samples.at("cairn_search_seconds_bucket{le=\"+Inf\"}"), 20);
  EXPECT_EQ(samples.at("cairn_search_seconds_bucket{le=\"34.359738368\"}"), 20);
}

TEST(Prometheus, BucketsCountWhatIsBelowThem) {
  LatencyHistogram times;
  times.buckets.resize(LatencyHistogram::kBuckets);
  for (const std::uint64_t ns : {1000u, 1023u, 1024u, 5000u}) {
    ++times.buckets[LatencyHistogram::bucket_of(ns)];
    ++times.count;
  }
  PrometheusText text("cairn_", {});
  text.histogram("t_seconds", "Some.", times);
  const auto samples = samples_of(text.text());
  EXPECT_EQ(samples.at("cairn_t_seconds_bucket{le=\"1.024e-06\"}"), 2);
  EXPECT_EQ(samples.at("cairn_t_seconds_bucket{le=\"2.048e-06\"}"), 3);
  EXPECT_EQ(samples.at("cairn_t_seconds_bucket{le=\"4.096e-06\"}"), 3);
  EXPECT_EQ(samples.at("cairn_t_seconds_bucket{le=\"8.192e-06\"}"), 4);
}

TEST(Prometheus, LabelsStandOnEverySampleAndAreEscaped) {
  Index index = test::built(some_params(), test::random_vectors(10, kDims, 1));
  index.record_latency(true);
  const std::vector<std::pair<std::string, std::string>> labels = {{"shard", "3"},
                                                                   {"name", "a\"b"}};
  const std::string text = prometheus_text(index, labels);
  for (const auto& [name, value] : samples_of(text)) {
    EXPECT_NE(name.find("{shard=\"3\",name=\"a\\\"b\""), std::string::npos) << name;
  }
  EXPECT_EQ(escaped_label("\\ \" \n z"), "\\\\ \\\" \\n z");
  EXPECT_EQ(escaped_label("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"),
            "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80");
  // Alone, cut off, too long, a surrogate, beyond what Unicode has.
  for (const char* wrong : {"\xFF", "\x80", "\xC0\x80", "\xE2\x82", "\xE0\x80\x80", "\xED\xA0\x80",
                            "\xF4\x90\x80\x80", "\xF0\x80\x80\x80"}) {
    const std::string escaped = escaped_label(wrong);
    EXPECT_EQ(escaped.substr(0, 3), "\xEF\xBF\xBD") << escaped;
    EXPECT_EQ(escaped.size() % 3, 0u);
  }
}

}  // namespace
}  // namespace cairn
