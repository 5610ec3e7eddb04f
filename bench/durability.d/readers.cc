// SPDX-License-Identifier: Apache-2.0
//
// One writer adds, checkpoints are made on request, one reader searches: in the same process or in
// another. What happened while a checkpoint ran is told apart by time stamps of one clock.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <exception>
#include <thread>

#include "compare.d/process.h"
#include "durability.d/common.h"

namespace bench {
namespace {

using Span = std::pair<Clock::time_point, Clock::time_point>;

// Calls of one thread, in memory that a child process shares with its parent.
struct Calls {
  static constexpr std::size_t kCapacity = std::size_t{4} << 20;
  std::atomic<bool> ready;
  std::atomic<bool> stop;
  std::atomic<std::size_t> failed;
  std::atomic<std::size_t> count;
  Span spans[kCapacity];

  static Calls* make() {
    void* at = ::mmap(nullptr, sizeof(Calls), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) throw std::runtime_error("no shared memory");
    return new (at) Calls{};
  }
  void note(Clock::time_point start, Clock::time_point end) {
    const std::size_t i = count.load(std::memory_order_relaxed);
    if (i == kCapacity) return;
    spans[i] = {start, end};
    count.store(i + 1, std::memory_order_release);
  }
};

void search_until_stopped(const cairn::Index& index, const FloatMatrix& queries, std::size_t ef,
                          Calls& calls) {
  std::vector<cairn::Match> found(10);
  calls.ready = true;
  for (std::size_t i = 0; !calls.stop; ++i) {
    const cairn::VectorView query(queries.row(i % queries.rows), queries.dims);
    const auto start = Clock::now();
    const auto answer = index.search(query, {.k = 10, .ef = ef}, found);
    calls.note(start, Clock::now());
    if (!answer) ++calls.failed;
  }
}

pid_t search_in_child(const std::string& path, const FloatMatrix& queries, std::size_t ef,
                      Calls& calls) {
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child > 0) return child;
  const auto index = cairn::Index::open(path);
  if (!index) {
    std::fprintf(stderr, "durability: %s\n", index.error().message().c_str());
    calls.ready = true;
    ::_exit(1);
  }
  (void)index->warm();
  search_until_stopped(*index, queries, ef, calls);
  ::_exit(0);
}

// Microseconds of the calls that touch a checkpoint, and of the others that begin in [from, to].
Json beside_checkpoints(const Calls& calls, const std::vector<Span>& checkpoints,
                        Clock::time_point from, Clock::time_point to) {
  std::vector<double> during, without;
  std::size_t at = 0;
  const std::size_t count = calls.count.load(std::memory_order_acquire);
  for (std::size_t i = 0; i < count; ++i) {
    const auto [start, end] = calls.spans[i];
    if (start < from || start > to) continue;
    while (at < checkpoints.size() && checkpoints[at].second < start) ++at;
    const bool touches = at < checkpoints.size() && checkpoints[at].first < end;
    (touches ? during : without)
        .push_back(std::chrono::duration<double, std::micro>(end - start).count());
  }
  const auto longer = [](const std::vector<double>& micros, double than) {
    return std::count_if(micros.begin(), micros.end(), [&](double m) { return m > than; });
  };
  Json out = {{"during", tail_of(during)}, {"without", tail_of(without)}};
  out["during"]["over_1ms"] = longer(during, 1e3);
  out["during"]["over_5ms"] = longer(during, 5e3);
  out["without"]["over_1ms"] = longer(without, 1e3);
  out["without"]["over_5ms"] = longer(without, 5e3);
  return out;
}

}  // namespace

Json readers_command(const Json& config) {
  const auto base = read_matrix<float>(config.at("base").get<std::string>(),
                                       config.at("rows").get<std::size_t>());
  const auto queries = read_matrix<float>(config.at("queries").get<std::string>());
  const auto ef = config.at("ef").get<std::size_t>();
  const auto rounds = config.at("rounds").get<std::size_t>();
  const auto count = config.at("count").get<std::size_t>();  // between two checkpoints
  const FloatMatrix rows = fresh_vectors(base, std::min(base.rows, (rounds + 1) * count * 4));
  const bool other = config.at("process").get<std::string>() == "other";
  const std::string path = working_copy(config);
  Calls* const reads = Calls::make();
  Calls* const writes = Calls::make();
  // The child comes first: a process with threads should not fork.
  const pid_t child = other ? search_in_child(path, queries, ef, *reads) : 0;
  while (other && !reads->ready) std::this_thread::yield();

  cairn::Index index = open_for_writing(path, "none");
  std::exception_ptr failure;
  std::thread writer([&] {
    try {
      for (std::size_t i = 0; i < rows.rows && !writes->stop; ++i) {
        const auto start = Clock::now();
        checked(index.add(base.rows + i, cairn::VectorView(rows.row(i), rows.dims)), "add");
        writes->note(start, Clock::now());
      }
    } catch (...) {
      failure = std::current_exception();
    }
    writes->ready = true;  // at the end of the rows
  });
  std::thread reader;
  if (!other) reader = std::thread([&] { search_until_stopped(index, queries, ef, *reads); });

  std::vector<Span> checkpoints;
  const auto from = Clock::now();
  Clock::time_point to = from;
  for (std::size_t done = 0; checkpoints.size() < rounds && !writes->ready;) {
    while (writes->count < done + count && !writes->ready) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const auto start = Clock::now();
    if (auto made = index.checkpoint(); !made) break;
    to = Clock::now();
    checkpoints.emplace_back(start, to);
    done = writes->count;
  }
  writes->stop = reads->stop = true;
  writer.join();
  if (reader.joinable()) reader.join();
  int status = 0;
  if (child > 0 && (::waitpid(child, &status, 0) != child || status != 0)) {
    throw std::runtime_error("the reading process failed");
  }
  if (failure) std::rethrow_exception(failure);

  std::vector<double> millis;
  for (const auto& [start, end] : checkpoints) {
    millis.push_back(std::chrono::duration<double, std::milli>(end - start).count());
  }
  return {{"searches", beside_checkpoints(*reads, checkpoints, from, to)},
          {"adds", beside_checkpoints(*writes, checkpoints, from, to)},
          {"failed_searches", reads->failed.load()},
          {"checkpoint_ms", tail_of(millis)},
          {"automatic_checkpoints", index.stats().checkpoints - checkpoints.size()}};
}

}  // namespace bench
