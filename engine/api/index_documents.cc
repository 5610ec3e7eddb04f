// SPDX-License-Identifier: Apache-2.0
//
// Searches with several query vectors at once. Candidates are what ordinary searches find.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "engine/api/arguments.h"
#include "engine/api/index_impl.h"
#include "engine/base/guarded.h"
#include "engine/search/documents.h"

namespace cairn {

namespace {

constexpr const char* kDocuments = "search_documents";

}  // namespace

// One call: its candidates, and what they are worth.
class Index::Impl::DocumentSearch {
 public:
  DocumentSearch(const Index& index, Impl& impl, const MatrixView& rows, const SearchParams& params)
      : index_(index), impl_(impl), rows_(rows), params_(params) {}

  Result<std::vector<Match>> run() {
    const bool is_exact = params_.plan == Plan::exact;
    report_.plan = is_exact ? Plan::exact : Plan::automatic;
    if (!is_exact) {
      if (auto ok = find_candidates(); !ok) return ok.error();
    }
    const auto ranked = is_exact ? rank_all() : rank_candidates();
    if (!ranked) return ranked.error();
    if (ranked_.empty() && is_late()) return limit_error();
    const std::size_t n = std::min(params_.k, ranked_.size());
    std::partial_sort(ranked_.begin(), ranked_.begin() + static_cast<std::ptrdiff_t>(n),
                      ranked_.end(), is_nearer);
    std::vector<Match> matches(n);
    for (std::size_t i = 0; i < n; ++i) {
      matches[i] = {ranked_[i].key,
                    reported_sum(impl_.params.metric, ranked_[i].distance, rows_.rows)};
    }
    if (params_.report != nullptr) *params_.report = report_;
    return matches;
  }

 private:
  bool has_limit(ErrorCode code) const {
    return code == ErrorCode::deadline_exceeded || code == ErrorCode::cancelled;
  }
  bool is_late() const {
    if (report_.complete) return false;
    if (params_.stop != nullptr && params_.stop->load(std::memory_order_relaxed)) return true;
    return params_.deadline != Effort::Clock::time_point() &&
           Effort::Clock::now() >= params_.deadline;
  }
  Error limit_error() const {
    const bool is_stopped = params_.stop != nullptr && params_.stop->load();
    return Error(is_stopped ? ErrorCode::cancelled : ErrorCode::deadline_exceeded,
                 is_stopped ? "stopped before anything was found"
                            : "the deadline has passed before anything was found");
  }

  // The nearest keys of each row, together.
  Result<void> find_candidates() {
    SearchParams of_row = impl_.with_ef(params_);
    of_row.k = std::max(of_row.k, of_row.ef);
    SearchReport report;
    of_row.report = &report;
    for (std::size_t i = 0; i < rows_.rows && report_.complete; ++i) {
      if (params_.max_distances != 0) {
        if (report_.distances >= params_.max_distances) {
          report_.complete = false;
          break;
        }
        of_row.max_distances = params_.max_distances - report_.distances;
      }
      const auto found = index_.search(rows_.row(i), of_row);
      if (!found && has_limit(found.error().code())) {
        report_.complete = false;
        break;
      }
      if (!found) return found.error().with_context("row " + std::to_string(i));
      for (const Match& match : *found) candidates_.push_back(match.key);
      add(report);
    }
    std::sort(candidates_.begin(), candidates_.end());
    candidates_.erase(std::unique(candidates_.begin(), candidates_.end()), candidates_.end());
    return {};
  }
  void add(const SearchReport& report) {
    const bool is_first = report_.lists == 0 && report_.distances == 0;
    report_.plan = is_first || report_.plan == report.plan ? report.plan : Plan::automatic;
    report_.complete &= report.complete;
    report_.distances += report.distances;
    report_.lists += report.lists;
  }

  // Of one layout of the index: a candidate's nodes are those that it has when it is looked at.
  Result<void> rank_candidates() {
    bool is_readable = true;
    PageUse use;
    const auto looked = impl_.look_at_one_moment([&] {
      for (;;) {
        const Space space = impl_.space(use);
        if (rank_candidates(space, use, is_readable) || !is_readable) return space.view();
      }
    });
    return outcome(looked, is_readable, use);
  }
  // False: nodes have other numbers by now.
  bool rank_candidates(const Space& space, PageUse& use, bool& is_readable) {
    ranked_.clear();
    DocumentQuery query(space, rows_);
    Effort::Limits limits = limits_of(params_);
    limits.distances = Effort::kNoLimit;
    Effort effort;
    effort.begin(limits);
    for (const Key key : candidates_) {
      if (effort.is_late()) {
        report_.complete = false;
        return true;
      }
      GraphView now{};
      PageUse looking;
      const auto nodes = impl_.all_nodes_of(key, &now, &looking);
      is_readable = nodes.has_value();
      if (!is_readable) return false;
      use.note(looking.bad());
      if (nodes->empty()) continue;  // removed meanwhile
      if (now.slots.layout != query.view().slots.layout) return false;
      if (*std::max_element(nodes->begin(), nodes->end()) >= query.view().count) {
        // It has got one since. What has been ranked stays: else this might never end.
        query.look_at(Space(impl_.store.parameters(), now));
      }
      is_readable = impl_.survives(query.view(), [&] {
        ranked_.push_back({key, query.distance(*nodes), nodes->front()});
      });
      if (!is_readable) return false;
    }
    return true;
  }

  Result<void> rank_all() {
    SlotFilter* filter = nullptr;
    if (params_.filter != nullptr) {
      const auto known = FilterParts::of(kDocuments, *params_.filter, impl_);
      if (!known) return known.error();
      filter = *known;
    }
    bool is_readable = true;
    PageUse use;
    Effort effort;
    const auto looked = impl_.look_at_one_moment([&] {
      const FilteredView view = filtered_view(impl_, filter, &use);
      ranked_.clear();
      effort.begin(limits_of(params_));
      const GraphView& graph = view.space.view();
      DocumentQuery query(view.space, rows_);
      is_readable = view.outcome == SlotFilter::Outcome::followed && impl_.survives(graph, [&] {
        if (graph.count != 0 && !effort.is_over()) query.rank_all(view.slots, effort, ranked_);
      });
      return graph;
    });
    report_.complete = !effort.is_over();
    report_.distances = effort.distances();
    return outcome(looked, is_readable, use);
  }

  Result<void> outcome(const Result<void>& looked, bool is_readable, const PageUse& use) const {
    if (!looked) return looked.error();
    if (!is_readable) return impl_.unreadable();
    if (use.bad()) return *use.bad();
    return {};
  }

  const Index& index_;
  Impl& impl_;
  const MatrixView& rows_;
  const SearchParams& params_;
  SearchReport report_;
  std::vector<Key> candidates_;
  std::vector<Ranked> ranked_;
};

Result<std::vector<Match>> Index::search_documents(MatrixView query_vectors,
                                                   const SearchParams& params) const {
  return guarded(kDocuments, [&]() -> Result<std::vector<Match>> {
    if (auto ok = impl_->check_mapped(kDocuments); !ok) return ok.error();
    if (auto ok = check_search(kDocuments, params); !ok) return ok.error();
    if (params.rerank != nullptr) {
      return Error(ErrorCode::unsupported,
                   "search_documents: the sum is not one of a metric of the caller");
    }
    if (auto ok = check_matrix(kDocuments, query_vectors, impl_->params, Purpose::query); !ok) {
      return ok.error();
    }
    if (query_vectors.rows == 0) {
      return Error(ErrorCode::invalid_argument, "search_documents: no query vector");
    }
    for (std::size_t i = 0; i < query_vectors.rows; ++i) {
      if (check_vector("", query_vectors.row(i), impl_->params, Purpose::query)) continue;
      const std::string where = std::string(kDocuments) + ": row " + std::to_string(i);
      return check_vector(where.c_str(), query_vectors.row(i), impl_->params, Purpose::query)
          .error();
    }
    auto found = Impl::DocumentSearch(*this, *impl_, query_vectors, params).run();
    return found ? found : found.error().with_context(kDocuments);
  });
}

}  // namespace cairn
