// SPDX-License-Identifier: Apache-2.0
//
// How fast a handle that writes is searched, beside one that only reads: both have the same graph,
// the writer after it has inserted into it. They take turns in one process, and what counts is the
// median of the ratios of neighboring slices, in processor time of the one thread. bench/README.md
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "bench/common/vector_file.h"

namespace {

using bench::FloatMatrix;
using cairn::Index;

constexpr std::size_t kQueriesPerSlice = 100;
constexpr std::size_t kWarmUp = 10;

struct Options {
  std::filesystem::path vectors;
  std::filesystem::path queries;
  std::filesystem::path folder;
  std::size_t inserts = 10000;
  std::size_t ef = 96;
  std::size_t rounds = 200;
};

template <class T>
T need(cairn::Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return std::move(*result);
}
void need(const cairn::Result<void>& result) {
  if (!result) throw std::runtime_error(result.error().message());
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// All rows but the last `inserts` in bulk, those one by one through the log. The file stays open.
Index fill_writer(const Options& options, const FloatMatrix& rows,
                  const std::filesystem::path& path, cairn::Residency residency) {
  const std::size_t first = rows.rows - options.inserts;
  cairn::IndexParams params;
  params.dimensions = rows.dims;
  std::vector<cairn::Key> keys(first);
  std::iota(keys.begin(), keys.end(), cairn::Key{0});
  {
    Index built = need(Index::create(params));
    need(built.build(keys, cairn::MatrixView::f32(rows.values.data(), first, rows.dims)));
    need(built.save(path));
  }
  cairn::OpenOptions to_write;
  to_write.mode = cairn::Mode::read_write;
  to_write.residency = residency;
  to_write.durability = cairn::Durability::group;
  Index writer = need(Index::open(path, to_write));
  const auto begin = std::chrono::steady_clock::now();
  for (std::size_t i = first; i < rows.rows; ++i) {
    need(writer.add(i, cairn::VectorView(rows.row(i), rows.dims)));
  }
  const double seconds = seconds_since(begin);
  const cairn::Stats stats = writer.stats();
  std::printf(
      "%s: %zu rows, then %zu inserts in %.1f s; %llu checkpoints meanwhile, %llu pages of %llu"
      " differ from the file\n",
      residency == cairn::Residency::map ? "a writer that maps" : "a writer that loads", first,
      options.inserts, seconds, static_cast<unsigned long long>(stats.checkpoints),
      static_cast<unsigned long long>(stats.dirty_pages),
      static_cast<unsigned long long>(stats.file_bytes / 4096));
  return writer;
}

// Of this thread: what others run meanwhile does not count, but for the caches.
double processor_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

class Contest {
 public:
  Contest(const Options& options, const FloatMatrix& queries)
      : options_(options), queries_(queries), out_(10) {}

  // Queries per second of processor time of `index` and of `reader` in turns, as the ratio of the
  // two.
  void run(const char* name, const Index& index, const Index& reader) {
    std::vector<double> ratios;
    std::vector<double> of_reader;
    for (std::size_t round = 0; round < options_.rounds; ++round) {
      const bool swapped = round % 2 != 0;
      const double one = slice(swapped ? reader : index);
      const double other = slice(swapped ? index : reader);
      ratios.push_back(swapped ? other / one : one / other);
      of_reader.push_back(swapped ? one : other);
    }
    std::printf("%-34s %.3f (%.3f ... %.3f)   reader %.0f queries/s\n", name, at(ratios, 0.5),
                at(ratios, 0.1), at(ratios, 0.9), at(of_reader, 0.5));
    std::fflush(stdout);
  }

 private:
  static double at(std::vector<double>& values, double part) {
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
  }

  double slice(const Index& index) {
    for (std::size_t i = 0; i < kWarmUp; ++i) search(index);
    const double begin = processor_seconds();
    for (std::size_t i = 0; i < kQueriesPerSlice; ++i) search(index);
    return static_cast<double>(kQueriesPerSlice) / (processor_seconds() - begin);
  }

  // The next query: no two slices of a round have the same.
  void search(const Index& index) {
    const float* const query = queries_.row(next_++ % queries_.rows);
    need(index.search(cairn::VectorView(query, queries_.dims), {.k = 10, .ef = options_.ef},
                      std::span<cairn::Match>(out_)));
  }

  const Options& options_;
  const FloatMatrix& queries_;
  std::vector<cairn::Match> out_;
  std::size_t next_ = 0;
};

void measure(const Options& options, cairn::Residency residency) {
  const auto rows = bench::read_matrix<float>(options.vectors);
  const auto queries = bench::read_matrix<float>(options.queries);
  if (rows.rows <= options.inserts) throw std::runtime_error("fewer rows than inserts");
  const auto written = options.folder / "writer.cairn";
  const auto copied = options.folder / "reader.cairn";
  std::filesystem::remove(written);
  {
    Index writer = fill_writer(options, rows, written, residency);
    need(writer.backup(copied));
    const Index reader = need(Index::open(copied));
    need(reader.warm());
    cairn::OpenOptions to_load;
    to_load.residency = cairn::Residency::load;
    const Index loaded = need(Index::open(copied, to_load));
    Contest contest(options, queries);
    contest.run("reader / reader (noise)", reader, reader);
    contest.run("writer after inserts / reader", writer, reader);
    need(writer.checkpoint());
    contest.run("writer after a checkpoint / reader", writer, reader);
    contest.run("loaded reader / reader", loaded, reader);
  }
  std::filesystem::remove(written);
  std::filesystem::remove(copied);
}

Options parse(int argc, char** argv) {
  if (argc < 4 || argc > 7) {
    throw std::runtime_error(
        "usage: writer_bench VECTORS.fbin QUERIES.fbin FOLDER [INSERTS [EF [ROUNDS]]]");
  }
  Options options;
  options.vectors = argv[1];
  options.queries = argv[2];
  options.folder = argv[3];
  if (argc > 4) options.inserts = std::stoul(argv[4]);
  if (argc > 5) options.ef = std::stoul(argv[5]);
  if (argc > 6) options.rounds = std::stoul(argv[6]);
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse(argc, argv);
    measure(options, cairn::Residency::map);
    measure(options, cairn::Residency::load);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "writer_bench: %s\n", error.what());
    return 1;
  }
  return 0;
}
