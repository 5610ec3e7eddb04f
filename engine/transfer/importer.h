// SPDX-License-Identifier: Apache-2.0
//
// A file of another library becomes an index: what is taken over, what is skipped, and whether its
// graph can be kept.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <cairn/import.h>
#include <cairn/params.h>

#include "engine/store/key_table.h"
#include "engine/store/node_store.h"
#include "engine/transfer/graph_source.h"

namespace cairn {

// A file that is being imported.
class Importer {
 public:
  Importer(GraphSource source, const ImportOptions& options)
      : source_(std::move(source)), options_(options), report_{} {
    report_.notes = source_.notes;
    build_.threads = options.threads;
    build_.progress = options.progress;
    build_.stop = options.stop;
  }

  // The parameters of the index to be. Errors of a file or of options that do not fit.
  Result<IndexParams> prepare();
  // Into an empty store and its table, of these parameters.
  Result<void> fill(NodeStore& store, KeyTable& table);
  ImportReport& report() { return report_; }

 private:
  const std::string& name() const { return source_.files.front().name(); }
  Error fail(ErrorCode code, const std::string& what) const {
    return Error(code, name() + ": " + what);
  }
  void note(std::string text) { report_.notes.push_back(std::move(text)); }
  void rebuild(std::string why) {
    if (rebuild_.empty()) rebuild_ = std::move(why);
  }

  Result<void> choose_dimensions();
  Result<void> choose_metric();
  Result<void> change_metric(Metric to);
  // Of those that are imported. Zero vectors, which cosine has at distance 1 from all, as the inner
  // product has, count only where `zeros` allows them.
  enum class Zeros { allowed, refused };
  bool all_of_norm_1(Zeros zeros) const;
  Result<void> choose_keys();
  void note_encoding();
  void choose_rows();
  void note_rows();
  std::size_t skip_taken_keys(std::vector<bool>& skipped) const;
  void choose_lists();
  Result<VectorView> row(NodeId node, std::vector<std::byte>& buffer) const;

  GraphSource source_;
  const ImportOptions& options_;
  ImportReport report_;
  BuildOptions build_;
  IndexParams params_;
  std::string rebuild_;  // why; empty: the graph is kept
  std::vector<Key> keys_;
  std::vector<std::uint32_t> row_of_node_;
  std::vector<NodeId> node_of_row_;
  std::size_t removed_ = 0;  // rows that are skipped, since they were removed
  std::size_t taken_ = 0;    // since one before them has their key
};

}  // namespace cairn
