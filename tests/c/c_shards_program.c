/* SPDX-License-Identifier: Apache-2.0
 *
 * Sets of shards from plain C11: c_shards_program FOLDER (which is made, and left).
 */
#include <cairn/c.h>
#include <stdio.h>
#include <string.h>

#include "tests/c/check.h"

enum { kDims = 8, kRows = 400, kShards = 4 };

static float rows[kRows][kDims];
static uint64_t keys[kRows];
static uint32_t shard_of[kRows];
static char folder[512];
static cairn_index* one; /* of all rows */

static cairn_vector vector(int row) {
  const cairn_vector given = {rows[row], kDims, CAIRN_SCALAR_F32};
  return given;
}

static void make_rows(void) {
  uint32_t state = 7;
  for (int i = 0; i < kRows; ++i) {
    keys[i] = 50u + (uint64_t)i;
    for (int j = 0; j < kDims; ++j) {
      state = state * 1664525u + 1013904223u;
      rows[i][j] = (float)(int8_t)((int)(state >> 24) - 128) / 16.0f;
    }
  }
}

static cairn_params params_of(void) {
  cairn_params params;
  cairn_params_init(&params, sizeof params, kDims);
  params.metric = CAIRN_METRIC_L2SQ;
  return params;
}

static cairn_index* index_of(uint32_t shard) {
  const cairn_params params = params_of();
  cairn_index* index;
  CHECK(cairn_create(&params, &index) == 0);
  for (int i = 0; i < kRows; ++i) {
    if (shard != kShards && shard_of[i] != shard) continue;
    CHECK(cairn_add(index, keys[i], rows[i], kDims) == 0);
  }
  return index;
}

static void a_set_is_built_and_published(void) {
  CHECK(cairn_shards_of_keys(keys, kRows, 3, kShards, shard_of) == 0);
  cairn_shard_file files[kShards];
  for (uint32_t shard = 0; shard < kShards; ++shard) {
    cairn_index* index = index_of(shard);
    files[shard].size = sizeof files[shard];
    CHECK(cairn_shards_add_file(folder, index, NULL, &files[shard]) == 0);
    CHECK(files[shard].vectors == cairn_size(index));
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, files[shard].file);
    cairn_shard_file same = {.size = sizeof same};
    CHECK(cairn_shards_describe(path, NULL, &same) == 0);
    CHECK(strcmp(same.xxh3, files[shard].xxh3) == 0 && same.bytes == files[shard].bytes);
    cairn_close(index);
  }
  const cairn_params params = params_of();
  cairn_shards_manifest manifest = {.size = sizeof manifest};
  manifest.params = &params;
  manifest.shards = files;
  manifest.shard_count = kShards;
  manifest.seed = 3;
  cairn_shards_manifest late = manifest;
  CHECK(cairn_shards_publish(folder, &manifest) == 0);
  CHECK(manifest.generation == 1);
  CHECK(cairn_shards_publish(folder, &late) == CAIRN_ERROR_PATH_IN_USE);
  manifest.partition = 9;
  CHECK(cairn_shards_publish(folder, &manifest) == CAIRN_ERROR_INVALID_ARGUMENT);
}

static int runs;
static void run_parts(void* context, size_t n, void (*body)(void* body_context, size_t i),
                      void* body_context) {
  CHECK(context == &runs);
  ++runs;
  for (size_t i = n; i-- > 0;) body(body_context, i);
}

static int is_even(void* context, uint64_t key) {
  (void)context;
  return key % 2 == 0;
}

static int count_up(void* context, const cairn_match* match) {
  (void)match;
  return ++*(int*)context < 3;
}

static void searches_answer_as_one_index(void) {
  cairn_open_options open = {.size = sizeof open};
  cairn_shards_options options = {.size = sizeof options};
  options.open = &open;
  options.run = run_parts;
  options.run_context = &runs;
  options.run_width = 2;
  cairn_shards* set;
  CHECK(cairn_shards_open_folder(folder, &options, &set) == 0);
  CHECK(cairn_shards_count(set) == kShards && cairn_shards_size(set) == kRows);
  CHECK(cairn_shards_dimensions(set) == kDims && cairn_shards_problem(set, 0) == NULL);
  cairn_params params = {.size = sizeof params};
  CHECK(cairn_shards_get_params(set, &params) == 0 && params.metric == CAIRN_METRIC_L2SQ);
  cairn_statistics stats = {.size = sizeof stats};
  CHECK(cairn_shards_stats(set, &stats) == 0 && stats.live == kRows && stats.generation == 1);

  cairn_search_report report = {.size = sizeof report};
  cairn_search_options exact = {.size = sizeof exact};
  exact.plan = CAIRN_PLAN_EXACT;
  exact.report = &report;
  cairn_shards_report shards = {.size = sizeof shards};
  cairn_shards_search_options search = {.size = sizeof search};
  search.search = &exact;
  search.report = &shards;
  cairn_shards_filter* even;
  CHECK(cairn_shards_filter_where(set, is_even, NULL, &even) == 0);
  CHECK(cairn_shards_filter_count(even) == kRows / 2);
  cairn_filter* even_of_one;
  CHECK(cairn_filter_where(one, is_even, NULL, &even_of_one) == 0);
  for (int filtered = 0; filtered < 2; ++filtered) {
    cairn_search_options wanted = {.size = sizeof wanted};
    wanted.plan = CAIRN_PLAN_EXACT;
    wanted.filter = filtered ? even_of_one : NULL;
    search.filter = filtered ? even : NULL;
    for (int i = 0; i < 20; ++i) {
      const cairn_vector query = vector(i);
      cairn_match a[10], b[10];
      size_t n, m;
      CHECK(cairn_shards_search(set, &query, &search, a, 10, &n) == 0);
      CHECK(cairn_search_with(one, &query, &wanted, b, 10, &m) == 0);
      CHECK(n == 10 && m == 10);
      for (int j = 0; j < 10; ++j) CHECK(a[j].key == b[j].key && a[j].distance == b[j].distance);
      CHECK(shards.shards_asked == kShards && shards.shards_answered == kShards);
      CHECK(report.plan == CAIRN_PLAN_EXACT && report.complete == 1);
    }
  }
  CHECK(runs >= 40);

  search.filter = NULL;
  const cairn_matrix queries = {rows, 20, kDims, 0, CAIRN_SCALAR_F32};
  const cairn_shards_filter* filters[20] = {even};
  search.filters = filters;
  cairn_match all[200];
  size_t counts[20];
  CHECK(cairn_shards_search_batch(set, &queries, &search, all, 200, counts) == 0);
  for (int i = 0; i < 10; ++i) CHECK(all[i].key % 2 == 0);
  CHECK(all[10].key == keys[1] && counts[19] == 10 && shards.shards_asked == 20 * kShards);
  const cairn_vector query = vector(0);
  size_t count;
  CHECK(cairn_shards_search(set, &query, &search, all, 10, &count) == CAIRN_ERROR_INVALID_ARGUMENT);
  search.filters = NULL;

  CHECK(cairn_shards_search_range(set, &query, 30.0f, &search, all, 200, &count) == 0);
  CHECK(count > 0 && all[0].key == keys[0] && all[count - 1].distance <= 30.0f);
  int taken = 0, is_all = 1;
  CHECK(cairn_shards_search_range_each(set, &query, 1e9f, NULL, count_up, &taken, &is_all) == 0);
  CHECK(taken == 3 && is_all == 0);

  cairn_shards_cursor* cursor;
  CHECK(cairn_shards_cursor_open(set, &query, &search, CAIRN_ORDER_STRICT, &cursor) == 0);
  size_t seen = 0;
  do {
    CHECK(cairn_shards_cursor_next(cursor, all, 37, &count) == 0);
    seen += count;
  } while (count != 0);
  CHECK(seen == kRows);
  cairn_shards_cursor_close(cursor);

  float row[kDims];
  CHECK(cairn_shards_get(set, keys[7], row, kDims) == 0 && memcmp(row, rows[7], sizeof row) == 0);
  CHECK(cairn_shards_get(set, 1, row, kDims) == CAIRN_ERROR_KEY_NOT_FOUND);
  CHECK(cairn_shards_contains(set, keys[7]) == 1 && cairn_shards_contains(set, 1) == 0);
  cairn_shards_key_scan scan = {.size = sizeof scan};
  uint64_t listed = 0, some[33];
  while (!scan.done) {
    CHECK(cairn_shards_keys(set, &scan, some, 33, &count) == 0);
    listed += count;
  }
  CHECK(listed == kRows);
  CHECK(cairn_shards_warm(set) == 0 && cairn_shards_release(set) == 0);
  CHECK(cairn_shards_refresh(set) == 0 && cairn_shards_sync(set) == 0);
  cairn_verify_report* found;
  CHECK(cairn_shards_verify(set, NULL, &found) == 0 && cairn_verify_finding(found, 0) == NULL);
  cairn_verify_close(found);
  CHECK(cairn_shards_upsert(set, 1, &query) == CAIRN_ERROR_READ_ONLY);
  cairn_filter_close(even_of_one);
  cairn_shards_filter_close(even);
  cairn_shards_close(set);
}

static void changes_go_to_their_shard(void) {
  cairn_open_options open = {.size = sizeof open};
  open.mode = CAIRN_READ_WRITE;
  open.durability = CAIRN_DURABILITY_NONE;
  cairn_shards_options options = {.size = sizeof options};
  options.open = &open;
  cairn_shards* set;
  CHECK(cairn_shards_open_folder(folder, &options, &set) == 0);
  cairn_shards* second;
  CHECK(cairn_shards_open_folder(folder, &options, &second) == CAIRN_ERROR_PATH_IN_USE);
  CHECK(second == NULL);
  const cairn_vector given = vector(9);
  CHECK(cairn_shards_upsert(set, 7, &given) == 0);
  CHECK(cairn_shards_remove(set, keys[0]) == 0);
  CHECK(cairn_shards_remove(set, keys[0]) == CAIRN_ERROR_KEY_NOT_FOUND);
  CHECK(cairn_shards_checkpoint(set, NULL) == 0);
  CHECK(cairn_shards_contains(set, 7) == 1 && cairn_shards_size(set) == kRows);
  cairn_shards_filter* filter;
  const uint64_t words[2] = {1u << 7, 0};
  CHECK(cairn_shards_filter_bits(set, words, 2, 0, &filter) == 0);
  CHECK(cairn_shards_filter_count(filter) == 1);
  cairn_shards_filter_close(filter);
  CHECK(cairn_shards_filter_only(set, keys, 5, &filter) == 0);
  CHECK(cairn_shards_filter_count(filter) == 4);
  cairn_shards_filter_close(filter);
  CHECK(cairn_shards_filter_except(set, keys, 5, &filter) == 0);
  CHECK(cairn_shards_filter_count(filter) == kRows - 4);
  cairn_shards_filter_close(filter);
  cairn_shards_close(set);
}

static void clusters_are_found_and_rows_assigned(void) {
  const cairn_matrix sample = {rows, kRows, kDims, 0, CAIRN_SCALAR_F32};
  cairn_cluster_options options = {.size = sizeof options};
  options.shards = kShards;
  options.centroids = 8;
  options.copies = 300;
  cairn_index* router;
  float gaps[kShards];
  CHECK(cairn_shards_cluster(CAIRN_METRIC_L2SQ, &sample, &options, &router, gaps) == 0);
  CHECK(cairn_size(router) == 8 * kShards);
  uint32_t first[kRows], second[kRows];
  CHECK(cairn_shards_assign(router, gaps, kShards, &sample, 1, first, second) == 0);
  int copies = 0;
  for (int i = 0; i < kRows; ++i) {
    CHECK(first[i] < kShards && first[i] != second[i]);
    copies += second[i] != CAIRN_NO_SHARD;
  }
  CHECK(copies > kRows / 5 && copies < kRows * 4 / 10);
  cairn_close(router);
  CHECK(cairn_shards_cluster(CAIRN_METRIC_HAMMING, &sample, &options, &router, gaps) ==
        CAIRN_ERROR_UNSUPPORTED);
  CHECK(router == NULL);
  options.shards = 100;
  CHECK(cairn_shards_cluster(CAIRN_METRIC_L2SQ, &sample, &options, &router, gaps) ==
        CAIRN_ERROR_INVALID_ARGUMENT);
}

static void some_shards_are_opened(void) {
  const uint32_t only[] = {1};
  cairn_shards_options options = {.size = sizeof options};
  options.only = only;
  options.only_count = 1;
  cairn_shards* set;
  CHECK(cairn_shards_open_folder(folder, &options, &set) == 0);
  CHECK(cairn_shards_count(set) == kShards && cairn_shards_size(set) < kRows);
  const cairn_vector query = vector(0);
  cairn_shards_report shards = {.size = sizeof shards};
  cairn_shards_search_options search = {.size = sizeof search};
  search.report = &shards;
  cairn_match match;
  size_t count;
  CHECK(cairn_shards_search(set, &query, &search, &match, 1, &count) == 0);
  CHECK(shards.shards_asked == 1 && shards.shards_answered == 1);
  cairn_shards_close(set);
  options.only = NULL;
  CHECK(cairn_shards_open_folder(folder, &options, &set) == CAIRN_ERROR_INVALID_ARGUMENT);
}

static void older_generations_are_removed(void) {
  cairn_shards_pruned pruned = {.size = sizeof pruned};
  CHECK(cairn_shards_prune(folder, 1, NULL, 0, &pruned) == 0);
  CHECK(pruned.removed >= 1 && pruned.in_use == 0 && pruned.files >= 1 && pruned.bytes > 0);
  const uint64_t also[] = {1};
  CHECK(cairn_shards_prune(folder, 1, also, 1, NULL) == 0);
  CHECK(cairn_shards_prune(folder, 0, NULL, 0, &pruned) == CAIRN_ERROR_INVALID_ARGUMENT);
  CHECK(cairn_shards_prune(folder, 1, NULL, 2, &pruned) == CAIRN_ERROR_INVALID_ARGUMENT);
  CHECK(cairn_shards_prune(NULL, 1, NULL, 0, &pruned) == CAIRN_ERROR_INVALID_ARGUMENT);
  cairn_shards* set;
  CHECK(cairn_shards_open_folder(folder, NULL, &set) == 0);
  cairn_shards_close(set);
}

static void null_is_an_error(void) {
  cairn_shards* set;
  CHECK(cairn_shards_open(NULL, 1, NULL, &set) == CAIRN_ERROR_INVALID_ARGUMENT && set == NULL);
  CHECK(cairn_shards_open(NULL, 0, NULL, &set) == CAIRN_ERROR_INVALID_ARGUMENT);
  CHECK(cairn_shards_open_folder(NULL, NULL, &set) == CAIRN_ERROR_INVALID_ARGUMENT);
  CHECK(cairn_shards_open_folder(folder, NULL, NULL) == CAIRN_ERROR_INVALID_ARGUMENT);
  cairn_shards_options options = {.size = sizeof options};
  options.allow_partial = 2;
  CHECK(cairn_shards_open_folder(folder, &options, &set) == CAIRN_ERROR_INVALID_ARGUMENT);
  options.allow_partial = 0;
  options.reserved[3] = 1;
  CHECK(cairn_shards_open_folder(folder, &options, &set) == CAIRN_ERROR_INVALID_ARGUMENT);
  size_t count;
  cairn_match match;
  CHECK(cairn_shards_search(NULL, NULL, NULL, &match, 1, &count) == CAIRN_ERROR_INVALID_ARGUMENT);
  CHECK(cairn_shards_count(NULL) == 0 && cairn_shards_contains(NULL, 1) == 0);
  cairn_shards_close(NULL);
  cairn_shards_filter_close(NULL);
  cairn_shards_cursor_close(NULL);
}

static void missing_files_are_named(void) {
  const char* const paths[] = {"there-is-no.cairn", "nor-this.cairn"};
  cairn_shards* set;
  CHECK(cairn_shards_open(paths, 2, NULL, &set) == CAIRN_ERROR_PATH_NOT_FOUND);
  CHECK(strstr(cairn_last_error(), "there-is-no.cairn") != NULL);
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  snprintf(folder, sizeof folder, "%s", argv[1]);
  make_rows();
  a_set_is_built_and_published();
  one = index_of(kShards);
  searches_answer_as_one_index();
  some_shards_are_opened();
  changes_go_to_their_shard();
  older_generations_are_removed();
  clusters_are_found_and_rows_assigned();
  null_is_an_error();
  missing_files_are_named();
  cairn_close(one);
  return 0;
}
