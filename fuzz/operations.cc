// SPDX-License-Identifier: Apache-2.0
//
// Sequences of calls on an index that lives in a file, on a disk on which calls fail and whose
// power fails, compared with maps: one for every state that the index has had. What was
// acknowledged is there after every crash; what was not is there wholly or not at all.
#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <cairn/cairn.h>

#include "engine/api/index_parts.h"
#include "fuzz/input.h"
#include "tests/support/failing_disk.h"

namespace cairn::fuzz {
namespace {

using test::FailingDisk;
using test::Fault;
using Vector = std::vector<float>;

const std::filesystem::path kPath = "/a";
const std::filesystem::path kSaved = "/saved";
constexpr Key kKeys = 48;

struct State {
  std::map<Key, Vector> vectors;
  std::uint64_t applied_up_to = 0;
  bool operator==(const State&) const = default;
};

template <class T>
std::string text(const Result<T>& result) {
  return result ? "" : result.error().message();
}

class Session {
 public:
  explicit Session(Input& input) : input_(input) {
    params_.dimensions = 1 + input.below(6);
    params_.metric = static_cast<Metric>(1 + input.below(3));
    params_.m = static_cast<std::uint32_t>(2 + input.below(5));
    params_.ef_construction = static_cast<std::uint32_t>(1 + input.below(30));
    params_.seed = input.u8();
    const unsigned choice = input.u8();
    params_.traversal = choice % 2 == 0 ? Traversal::code : Traversal::exact;
    durability_ = choice % 4 < 2 ? Durability::sync : Durability::none;
    create();
  }

  void run() {
    int reads = 8;  // what takes long is done a few times at most
    for (int calls = 0; calls < 200 && !input_.empty(); ++calls) {
      switch (input_.u8() % 24) {
        case 0:
          if (--reads > 0) save();
          break;
        case 1: checkpoint(); break;
        case 2:
          if (--reads > 0) compact();
          break;
        case 3:
          if (--reads > 0) reopen();
          break;
        case 4:
          if (--reads > 0) crash();
          break;
        case 5: fail_once(); break;
        case 6: fail_for_ever(); break;
        case 7: read_elsewhere(); break;
        case 8: sync(); break;
        case 9: set_applied_up_to(); break;
        case 10: build(); break;
        case 11: search(); break;
        case 12:
        case 13: remove(); break;
        case 14:
        case 15:
        case 16: upsert(); break;
        default: add(); break;
      }
    }
    disk_.heal();
    if (is_poisoned_) recover(input_.u8());
    check(*index_, now());
    close();
  }

 private:
  // --- states

  State& now() { return history_.back(); }

  // A change that has been acknowledged.
  void acknowledged(State state) {
    history_.push_back(std::move(state));
    if (durability_ == Durability::sync) all_is_durable();
  }
  void all_is_durable() { durable_ = history_.size() - 1; }

  // The number of the first state from `oldest` on that is `found`: there must be one.
  std::size_t number_of(const State& found, std::size_t oldest, const char* what) {
    for (std::size_t i = oldest; i < history_.size(); ++i) {
      if (history_[i] == found) return i;
    }
    require(false, what, std::to_string(found.vectors.size()) + " keys");
    return 0;
  }

  State state_of(const Index& index) {
    State state;
    Vector out(params_.dimensions);
    for (Key key = 0; key < kKeys; ++key) {
      const auto got = index.get(key, out);
      require(got.has_value() == index.contains(key), "contains() agrees with get()");
      if (got) state.vectors[key] = out;
    }
    require(index.size() == state.vectors.size(), "size() is the number of keys");
    state.applied_up_to = index.applied_up_to().value();
    return state;
  }

  // --- reading

  static double exact_distance(Metric metric, const Vector& a, const Vector& b) {
    double dot = 0;
    double a_squares = 0;
    double b_squares = 0;
    double difference = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
      const double x = double{a[i]};
      const double y = double{b[i]};
      dot += x * y;
      a_squares += x * x;
      b_squares += y * y;
      difference += (x - y) * (x - y);
    }
    if (metric == Metric::l2sq) return difference;
    if (metric == Metric::inner_product) return 1 - dot;
    if (a_squares == 0 || b_squares == 0) return 1;
    return 1 - dot / std::sqrt(a_squares * b_squares);
  }

  static bool agree(double got, double exact) {
    return std::fabs(got - exact) <= 1e-5 * (1 + std::fabs(exact));
  }

  // Matches are keys of `state` with the distances of their vectors, nearest first.
  void check_search(const Index& index, const State& state, const Vector& query,
                    const SearchParams& wanted) {
    const auto found = index.search(query, wanted);
    require(found.has_value(), "search", text(found));
    std::vector<double> exact;
    for (const auto& [key, vector] : state.vectors) {
      exact.push_back(exact_distance(params_.metric, query, vector));
    }
    std::sort(exact.begin(), exact.end());
    for (std::size_t i = 0; i < found->size(); ++i) {
      const Match match = (*found)[i];
      const auto known = state.vectors.find(match.key);
      require(known != state.vectors.end(), "search finds what is there");
      const double distance = exact_distance(params_.metric, query, known->second);
      require(agree(double{match.distance}, distance), "the distance is that of the vector:",
              std::to_string(match.distance) + " for " + std::to_string(distance));
      for (std::size_t j = 0; j < i; ++j) {
        require((*found)[j].key != match.key, "a key is found once");
      }
      require(i == 0 || (*found)[i - 1].distance <= match.distance, "nearest first");
    }
    if (wanted.ef < kKeys) return;
    const std::size_t all = std::min(wanted.k, state.vectors.size());
    require(found->size() == all, "what is looked at is found");
    // Everything has been looked at, but codes misplace some.
    if (params_.traversal == Traversal::code && wanted.k < state.vectors.size()) return;
    for (std::size_t i = 0; i < found->size(); ++i) {
      require(agree(double{(*found)[i].distance}, exact[i]), "in the order of a scan");
    }
  }

  void verify(const Index& index) {
    BuildOptions options;
    options.threads = 1;
    const auto report = index.verify(options);
    if (!report && disk_.has_failed()) return;
    require(report.has_value(), "verify", text(report));
    if (!report->ok() && disk_.has_failed()) return;
    require(report->ok(), "verify finds nothing:", report->ok() ? "" : report->findings.front());
    require(report->unreachable == 0, "every vector can be reached");
  }

  void check(const Index& index, const State& state) {
    require(state_of(index) == state, "the index is what the map says:",
            std::to_string(index.size()) + " and " + std::to_string(state.vectors.size()));
    verify(index);
    for (const auto& [key, vector] : state.vectors) {
      check_search(index, state, vector, {kKeys, 4 * kKeys});
      break;
    }
  }

  void search() {
    const std::size_t k = 1 + input_.below(kKeys);
    const std::size_t ef = 1 + input_.below(2 * kKeys);
    const Vector query = vector();
    if (!is_poisoned_) check_search(*index_, now(), query, {k, ef});
  }

  // --- changing

  Key key() { return input_.u8() % kKeys; }

  // Few different ones: there are equal vectors, and zero.
  Vector vector() {
    std::uint32_t seed = input_.u8();
    Vector values(params_.dimensions);
    for (float& value : values) {
      value = static_cast<float>(static_cast<int>(seed % 17)) / 4.0f - 2.0f;
      seed = seed * 1664525u + 1013904223u;
      seed ^= seed >> 16;
    }
    if (values.size() > 1 && seed % 31 == 0) std::fill(values.begin(), values.end(), 0.0f);
    return values;
  }

  void add() {
    const Key added = key();
    State next = now();
    const bool is_new = next.vectors.emplace(added, vector()).second;
    const auto done = index_->add(added, next.vectors[added]);
    if (is_new) return settle(done, std::move(next));
    refused(done, ErrorCode::key_exists);
  }

  void upsert() {
    const Key changed = key();
    State next = now();
    next.vectors[changed] = vector();
    const auto done = index_->upsert(changed, next.vectors[changed]);
    settle(done, std::move(next));
  }

  void remove() {
    const Key removed = key();
    State next = now();
    const bool is_there = next.vectors.erase(removed) == 1;
    const auto done = index_->remove(removed);
    if (is_there) return settle(done, std::move(next));
    refused(done, ErrorCode::key_not_found);
  }

  void set_applied_up_to() {
    State next = now();
    next.applied_up_to = input_.u16();
    const auto done = index_->set_applied_up_to(next.applied_up_to);
    settle(done, std::move(next));
  }

  void build() {
    State next = now();
    std::vector<Key> keys;
    Vector rows;
    const Key first = key();
    const std::size_t count = input_.below(20);
    for (std::size_t i = 0; i < count; ++i) {
      keys.push_back((first + i) % kKeys);
      const Vector row = vector();
      rows.insert(rows.end(), row.begin(), row.end());
      if (now().vectors.empty()) next.vectors[keys.back()] = row;
    }
    BuildOptions options;
    options.threads = 1;
    const auto done =
        index_->build(keys, MatrixView::f32(rows.data(), count, params_.dimensions), options);
    if (now().vectors.empty()) {
      settle(done, std::move(next));
      if (done && !is_poisoned_) all_is_durable();
      return;
    }
    refused(done, ErrorCode::not_empty);
  }

  void checkpoint() {
    const auto done = index_->checkpoint();
    settle(done, now());
    if (done) all_is_durable();
  }

  void sync() {
    const auto done = index_->sync();
    settle(done, now());
    if (done) all_is_durable();
  }

  void compact() {
    const auto done = index_->compact();
    settle(done, now());
    if (!done) return;
    all_is_durable();
    check(*index_, now());
  }

  // What the map does not allow either, unless a call of the disk has failed before that is found.
  void refused(const Result<void>& done, ErrorCode code) {
    require(!done, "a wrong call is refused");
    if (is_poisoned_ || disk_.has_failed()) return;
    require(done.error().code() == code, "a wrong call is refused as such:", text(done));
  }

  // After a change to `next`, done or not.
  void settle(const Result<void>& done, State next) {
    if (is_poisoned_) return require(!done, "poisoned is for good");
    if (done) {
      acknowledged(std::move(next));
      return calm();
    }
    require(disk_.has_failed(), "fails only when a call does:", text(done));
    require(done.error().code() != ErrorCode::internal, "a failure has a code", text(done));
    is_poisoned_ = done.error().code() == ErrorCode::poisoned;
    if (is_poisoned_ || is_for_ever_) {
      history_.push_back(std::move(next));  // it may be on the disk or not
      if (is_for_ever_) recover(input_.u8());
      return;
    }
    require(state_of(*index_) == now(), "what fails has changed nothing:", text(done));
    calm();
  }

  // A call that failed once has been dealt with.
  void calm() {
    if (disk_.has_failed() && !is_for_ever_) disk_.heal();
  }

  // --- the file

  CreateOptions create_options() const {
    CreateOptions options;
    options.durability = durability_;
    return options;
  }
  OpenOptions open_options() const {
    OpenOptions options;
    options.mode = Mode::read_write;
    options.durability = durability_;
    return options;
  }

  // A file that could not be created is not there, or nobody has promised anything about it.
  void create() {
    disk_.fail({input_.below(40), error(), Fault::Lasts::once});
    auto created = IndexParts::create(kPath, params_, create_options(), FailingDisk::small_files());
    if (!created) {
      require(disk_.has_failed(), "create", text(created));
      require(!disk_.exists(kPath), "what could not be created is not there");
      disk_.heal();
      created = IndexParts::create(kPath, params_, create_options(), FailingDisk::small_files());
      require(created.has_value(), "create", text(created));
    }
    disk_.heal();
    index_.emplace(std::move(*created));
    history_.push_back({});
    all_is_durable();
  }

  int error() {
    constexpr int kErrors[] = {EIO, ENOSPC, EINTR, ENOMEM, 0};
    return kErrors[input_.u8() % 5];
  }

  void fail_once() {
    const Fault fault{input_.below(60), error(), Fault::Lasts::once};
    if (!is_poisoned_) disk_.fail(fault);
  }

  // The next crash but for its name: nothing that is written from that call on arrives.
  void fail_for_ever() {
    const Fault fault{input_.below(120), EIO, Fault::Lasts::forever};
    if (is_poisoned_) return;
    disk_.fail(fault);
    is_for_ever_ = true;
  }

  void crash() { recover(input_.u8()); }

  void close() {
    index_.reset();  // closes
    reader_.reset();
    const auto reader = Index::open(kPath);
    require(reader.has_value(), "open what was closed", text(reader));
    check(*reader, now());
    require(reader->stats().log_bytes == 0, "what was closed has no log");
  }

  void reopen() {
    if (is_poisoned_ || is_for_ever_ || disk_.has_failed()) return recover(0);
    disk_.heal();
    index_.reset();
    all_is_durable();
    recover(input_.u8());
  }

  // Ends the process and perhaps the system, and opens the file again; that may fail, too.
  void recover(std::uint64_t seed) {
    if (!disk_.has_failed()) disk_.fail({0, EIO, Fault::Lasts::forever});  // closing writes nothing
    reader_.reset();
    index_.reset();
    disk_.crash(seed);
    const Fault fault{input_.below(80), error(), Fault::Lasts::once};
    if (input_.u8() % 2 == 0) {
      disk_.fail(fault);
      auto opened = IndexParts::open(kPath, open_options(), FailingDisk::small_files());
      require(opened || disk_.has_failed(), "fails only when a call does:", text(opened));
      if (opened) {
        index_.emplace(std::move(*opened));
      } else {
        disk_.crash(input_.u8());
      }
    }
    disk_.heal();
    is_poisoned_ = is_for_ever_ = false;
    if (!index_) {
      auto opened = IndexParts::open(kPath, open_options(), FailingDisk::small_files());
      require(opened.has_value(), "open after a crash", text(opened));
      index_.emplace(std::move(*opened));
    }
    const State found = state_of(*index_);
    (void)number_of(found, durable_,
                    "a crash leaves a state that was acknowledged, or a later one:");
    history_.assign(1, found);
    all_is_durable();
    check(*index_, now());
    check_saved();
  }

  // Another handle that only reads. It sees what is on the disk, and never less than before.
  void read_elsewhere() {
    if (is_poisoned_ || disk_.has_failed()) return;
    disk_.heal();
    is_for_ever_ = false;
    const bool is_new = !reader_;
    if (is_new) {
      auto opened = Index::open(kPath);
      require(opened.has_value(), "open beside a writer", text(opened));
      reader_.emplace(std::move(*opened));
    } else {
      const auto refreshed = reader_->refresh();
      require(refreshed.has_value(), "refresh", text(refreshed));
    }
    const std::size_t oldest = std::max(durable_, is_new ? 0 : read_);
    read_ = number_of(state_of(*reader_), oldest, "a reader sees a state that there was:");
    verify(*reader_);
  }

  // --- copies

  void save() {
    const auto saved = input_.u8() % 2 == 0 ? index_->save(kSaved) : index_->backup(kSaved);
    if (saved) {
      require(!is_poisoned_, "what is poisoned is not saved");
      saved_.assign(1, now());
    } else {
      require(is_poisoned_ || disk_.has_failed(), "save", text(saved));
      if (saved_.empty()) saved_.emplace_back();  // none
      if (!is_poisoned_) saved_.emplace_back(now());
    }
    if (!disk_.has_failed()) check_saved();
    calm();
  }

  // One of those that may be there.
  void check_saved() {
    if (saved_.empty()) return;
    if (!disk_.exists(kSaved)) {
      require(std::find(saved_.begin(), saved_.end(), std::nullopt) != saved_.end(),
              "what was saved is there");
      return;
    }
    const auto opened = Index::open(kSaved);
    if (!opened && disk_.has_failed()) return;
    require(opened.has_value(), "open what was saved", text(opened));
    const State found = state_of(*opened);
    require(std::find(saved_.begin(), saved_.end(), found) != saved_.end(),
            "the copy is what was saved");
    check(*opened, found);
  }

  Input& input_;
  FailingDisk disk_;
  IndexParams params_;
  Durability durability_ = Durability::sync;
  std::vector<State> history_;
  std::size_t durable_ = 0;   // this state or a later one survives a crash
  bool is_poisoned_ = false;  // until it is opened again
  bool is_for_ever_ = false;  // the fault
  std::vector<std::optional<State>> saved_;
  std::optional<Index> index_;
  std::optional<Index> reader_;
  std::size_t read_ = 0;  // the state that the reader has seen
};

}  // namespace
}  // namespace cairn::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  cairn::fuzz::Input input(data, size);
  cairn::fuzz::Session(input).run();
  return 0;
}
