// SPDX-License-Identifier: Apache-2.0
//
// A whole file, changed as for the target `file`, is opened for writing and changed: add, upsert,
// remove, checkpoint, compact, verify, backup. Whatever the file says, each call gives an error or
// a result; and an undamaged file stays one.
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include <cairn/cairn.h>

#include "fuzz/file_patch.h"
#include "fuzz/input.h"
#include "fuzz/temporary.h"

namespace cairn::fuzz {
namespace {

// Bits of the options that the target `file` has no use for, or another one.
constexpr std::uint8_t kCompact = kSaveAgain;
constexpr std::uint8_t kClose = 64;  // and open it again, to go on

constexpr Key kNewKeys = 1000000;

void write_file(const std::filesystem::path& path, const std::vector<std::byte>& bytes) {
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  stream.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  require(stream.good(), "the file can be written");
}

class Session {
 public:
  Session(const Script& script, const std::filesystem::path& path)
      : intact_(script.image == script.seed->bytes), path_(path), random_(script.queries + 1u) {}

  bool open(std::uint8_t wanted) {
    OpenOptions options;
    options.mode = Mode::read_write;
    options.durability = Durability::none;
    options.residency = (wanted & kLoad) != 0 ? Residency::load : Residency::map;
    options.verify = (wanted & kFull) != 0 ? Verify::full : Verify::metadata;
    auto opened = Index::open(path_, options);
    expect(opened.has_value(), "open", opened ? "" : opened.error().message());
    if (opened) index_.emplace(std::move(*opened));
    return opened.has_value();
  }
  void close() { index_.reset(); }

  void change(int calls) {
    for (int i = 0; i < calls; ++i) {
      const Key key = random_() % 310;
      switch (random_() % 4) {
        case 0: report("add", index_->add(kNewKeys + added_++, vector())); break;
        case 1: report("upsert", index_->upsert(key, vector())); break;
        case 2: (void)index_->remove(key); break;
        default: search(); break;
      }
    }
  }
  void checkpoint() { report("checkpoint", index_->checkpoint()); }
  void compact() { report("compact", index_->compact({.threads = 1})); }
  void backup() { report("backup", index_->backup(temporary_folder() / "backup.cairn")); }
  void verify() {
    const auto found = index_->verify({.threads = 1});
    expect(found.has_value(), "verify", found ? "" : found.error().message());
    if (found) expect(found->ok(), "no findings", found->ok() ? "" : found->findings.front());
  }

 private:
  VectorView vector() {
    row_.resize(index_->params().dimensions);
    for (float& value : row_) value = static_cast<float>(random_() % 2001) / 1000.0f - 0.9995f;
    return VectorView(row_);
  }
  void search() {
    std::vector<Match> matches(10);
    const auto found = index_->search(vector(), {.k = 10, .ef = 30}, matches);
    require(found.has_value(), "search", found ? "" : found.error().message());
  }
  // Of a file that is not intact, any error will do.
  void expect(bool holds, const char* what, const std::string& details) const {
    require(holds || !intact_, what, details);
  }
  void report(const char* what, const Result<void>& done) const {
    expect(done.has_value(), what, done ? "" : done.error().message());
  }

  bool intact_;
  std::filesystem::path path_;
  std::minstd_rand random_;
  std::optional<Index> index_;
  std::vector<float> row_;
  Key added_ = 0;
};

void run(const Script& script) {
  const std::filesystem::path path = temporary_folder() / "writers.cairn";
  write_file(path, script.image);
  Session session(script, path);
  if (!session.open(script.options)) return;
  session.change(20);
  session.checkpoint();
  session.change(20);
  if ((script.options & kClose) != 0) {
    session.close();
    if (!session.open(script.options)) return;
  }
  session.verify();
  session.backup();
  if ((script.options & kCompact) != 0) session.compact();
  session.change(10);
  session.verify();
}

}  // namespace
}  // namespace cairn::fuzz

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  cairn::fuzz::seed_files();
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size <= 4096) cairn::fuzz::run(cairn::fuzz::run_script(data, size));
  return 0;
}
