/* SPDX-License-Identifier: Apache-2.0
 *
 * What cairn/c.h has with options, and vectors of all kinds, from plain C11: c_options_program FILE
 * (which is written, read and removed).
 */
#include <cairn/c.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/c/check.h"

enum { kDims = 8, kRows = 300 };

static float rows[kRows][kDims];
static int8_t small_rows[kRows][kDims];
static uint64_t keys[kRows];

static void make_rows(void) {
  uint32_t state = 7;
  for (int i = 0; i < kRows; ++i) {
    keys[i] = 50u + (uint64_t)i;
    for (int j = 0; j < kDims; ++j) {
      state = state * 1664525u + 1013904223u;
      small_rows[i][j] = (int8_t)((int)(state >> 24) - 128);
      rows[i][j] = (float)small_rows[i][j] / 16.0f;
    }
  }
}

static cairn_params params_for(uint8_t metric, uint8_t scalar) {
  cairn_params params;
  cairn_params_init(&params, sizeof params, kDims);
  params.metric = metric;
  params.scalar = scalar;
  return params;
}

struct calls {
  uint64_t count, last_done, last_total;
  cairn_stop* stop; /* set at the first call, if there is one */
};

static void note(void* context, uint64_t done, uint64_t total) {
  struct calls* calls = context;
  ++calls->count;
  calls->last_done = done;
  calls->last_total = total;
  cairn_stop_set(calls->stop);
}

static void parameters_are_filled_and_told(void) {
  cairn_params params;
  memset(&params, 0xff, sizeof params);
  cairn_params_init(&params, sizeof params, kDims);
  CHECK(params.size == sizeof params);
  CHECK(params.dimensions == kDims);
  CHECK(params.metric == CAIRN_METRIC_COSINE && params.scalar == CAIRN_SCALAR_F32);
  CHECK(params.m == 16 && params.ef_construction == 200 && params.seed == 42);
  params.metric = CAIRN_METRIC_L2SQ;
  params.m = 5;

  cairn_index* index = NULL;
  CHECK(cairn_create_with(NULL, &params, NULL, &index) == 0);
  cairn_params told;
  told.size = sizeof told;
  CHECK(cairn_get_params(index, &told) == 0);
  CHECK(told.size == sizeof told);
  CHECK(told.dimensions == kDims && told.m == 5 && told.metric == CAIRN_METRIC_L2SQ);
  cairn_close(index);

  /* A caller that knows only the dimensions gets defaults for the rest. */
  memset(&params, 0xff, sizeof params);
  cairn_params_init(&params, offsetof(cairn_params, seed), 3);
  CHECK(params.size == offsetof(cairn_params, seed));
  CHECK(params.m == 0xffffffffu);
  CHECK(cairn_create(&params, &index) == 0);
  CHECK(cairn_get_params(index, &told) == 0);
  CHECK(told.dimensions == 3 && told.m == 16);
  cairn_close(index);
  cairn_params_init(NULL, sizeof params, 3);
}

static void integers_go_in_and_come_out_as_they_are(void) {
  const cairn_params params = params_for(CAIRN_METRIC_L2SQ, CAIRN_SCALAR_I8);
  cairn_index* index = NULL;
  CHECK(cairn_create(&params, &index) == 0);
  const cairn_matrix matrix = {small_rows, kRows, kDims, 0, CAIRN_SCALAR_I8};
  cairn_build_options options = {.size = sizeof options, .threads = 2};
  struct calls calls = {0, 0, 0, NULL};
  options.progress = note;
  options.progress_context = &calls;
  CHECK(cairn_build_with(index, keys, &matrix, &options) == 0);
  CHECK(calls.count > 0 && calls.last_done == kRows && calls.last_total == kRows);

  cairn_search_options wanted = {.size = sizeof wanted, .k = 2, .ef = 100};
  for (int i = 0; i < kRows; ++i) {
    const cairn_vector query = {small_rows[i], kDims, CAIRN_SCALAR_I8};
    cairn_match matches[2];
    size_t count = 0;
    CHECK(cairn_search_with(index, &query, &wanted, matches, 2, &count) == 0);
    CHECK(count == 2 && matches[0].key == keys[i] && matches[0].distance == 0.0f);
    int8_t stored[kDims];
    CHECK(cairn_get_vector(index, keys[i], CAIRN_SCALAR_I8, stored, sizeof stored) == 0);
    CHECK(memcmp(stored, small_rows[i], sizeof stored) == 0);
  }
  const cairn_vector again = {small_rows[1], kDims, CAIRN_SCALAR_I8};
  CHECK(cairn_add_vector(index, 1, &again) == 0);
  CHECK(cairn_add_vector(index, 1, &again) == CAIRN_ERROR_KEY_EXISTS);
  CHECK(cairn_upsert_vector(index, 1, &again) == 0);
  const cairn_vector half = {small_rows[1], kDims, CAIRN_SCALAR_F16};
  CHECK(cairn_add_vector(index, 2, &half) == CAIRN_ERROR_INVALID_ARGUMENT);
  float floats[kDims];
  CHECK(cairn_get_vector(index, 1, CAIRN_SCALAR_F32, floats, sizeof floats) == 0);
  CHECK(floats[0] == (float)small_rows[1][0]);
  CHECK(cairn_get_vector(index, 1, CAIRN_SCALAR_B1, floats, sizeof floats) == 1);
  CHECK(cairn_get_vector(index, 1, CAIRN_SCALAR_I8, floats, kDims - 1) == 2);
  CHECK(cairn_get_vector(index, 1, CAIRN_SCALAR_F32, floats, sizeof floats - 1) == 2);
  cairn_close(index);
}

static void halves_and_bits_do_so_too(void) {
  const uint16_t halves[kDims] = {0x3c00, 0x8000, 0x0001, 0x7bff, 0xc000, 0x3555, 0, 0x83ff};
  cairn_params params = params_for(CAIRN_METRIC_L2SQ, CAIRN_SCALAR_F16);
  cairn_index* index = NULL;
  uint16_t stored[kDims];
  CHECK(cairn_create(&params, &index) == 0);
  const cairn_vector vector = {halves, kDims, CAIRN_SCALAR_F16};
  CHECK(cairn_add_vector(index, 9, &vector) == 0);
  CHECK(cairn_get_vector(index, 9, CAIRN_SCALAR_F16, stored, sizeof stored) == 0);
  CHECK(memcmp(stored, halves, sizeof stored) == 0);
  cairn_close(index);

  const uint16_t brain[kDims] = {0x3f80, 0x8000, 0x0001, 0x7f7f, 0xc000, 0x3eab, 0, 0x807f};
  params.scalar = CAIRN_SCALAR_BF16;
  CHECK(cairn_create(&params, &index) == 0);
  const cairn_vector other = {brain, kDims, CAIRN_SCALAR_BF16};
  CHECK(cairn_upsert_vector(index, 9, &other) == 0);
  CHECK(cairn_get_vector(index, 9, CAIRN_SCALAR_BF16, stored, sizeof stored) == 0);
  CHECK(memcmp(stored, brain, sizeof stored) == 0);
  cairn_close(index);

  /* Bits, rows further apart than they are long. */
  const uint8_t bits[2][4] = {{0xa5, 9, 9, 9}, {0x0f, 9, 9, 9}};
  const cairn_matrix matrix = {bits, 2, kDims, 4, CAIRN_SCALAR_B1};
  params = params_for(CAIRN_METRIC_HAMMING, CAIRN_SCALAR_B1);
  CHECK(cairn_create(&params, &index) == 0);
  CHECK(cairn_build_with(index, keys, &matrix, NULL) == 0);
  uint8_t byte = 0;
  CHECK(cairn_get_vector(index, keys[1], CAIRN_SCALAR_B1, &byte, 1) == 0);
  CHECK(byte == 0x0f);
  cairn_match matches[4];
  size_t counts[2] = {0, 0};
  cairn_search_options wanted = {.size = sizeof wanted, .k = 2, .threads = 1};
  CHECK(cairn_search_batch_with(index, &matrix, &wanted, matches, 4, counts) == 0);
  CHECK(counts[0] == 2 && counts[1] == 2);
  CHECK(matches[0].key == keys[0] && matches[2].key == keys[1] && matches[3].distance == 4.0f);
  CHECK(cairn_search_batch_with(index, &matrix, &wanted, matches, 3, counts) == 1);
  /* Floats are converted: the bits of what is greater than 0. */
  const float as_floats[kDims] = {1, 0, 1, -3, 0, 5, 0, 1};
  CHECK(cairn_search_batch(index, as_floats, 1, kDims, 1, 8, 1, matches, counts) == 0);
  CHECK(counts[0] == 1 && matches[0].key == keys[0] && matches[0].distance == 0.0f);
  cairn_close(index);
}

static void options_that_are_not_given_are_defaults(void) {
  const cairn_params params = params_for(CAIRN_METRIC_L2SQ, CAIRN_SCALAR_F32);
  cairn_index* index = NULL;
  CHECK(cairn_create(&params, &index) == 0);
  CHECK(cairn_build(index, keys, &rows[0][0], kRows, kDims, 1) == 0);
  const cairn_vector query = {rows[3], kDims, CAIRN_SCALAR_F32};
  cairn_match matches[12];
  size_t count = 0;
  CHECK(cairn_search_with(index, &query, NULL, matches, 12, &count) == 0);
  CHECK(count == 10);
  CHECK(cairn_search_with(index, &query, NULL, matches, 4, &count) == 0);
  CHECK(count == 4 && matches[0].key == keys[3]);
  CHECK(cairn_search_with(index, &query, NULL, NULL, 0, &count) == 0);
  CHECK(count == 0);
  cairn_close(index);
}

static int is_first_or_third(void* context, uint64_t key) {
  const uint64_t* wanted = context;
  return key == wanted[0] || key == wanted[2];
}
static float minus_first(void* context, uint64_t key, const cairn_vector* vector) {
  *(uint64_t*)context = key;
  return -((const float*)vector->data)[0];
}

static void filters_limits_and_the_callers_metric(void) {
  const cairn_params params = params_for(CAIRN_METRIC_L2SQ, CAIRN_SCALAR_F32);
  cairn_index* index = NULL;
  CHECK(cairn_create(&params, &index) == 0);
  CHECK(cairn_build(index, keys, &rows[0][0], kRows, kDims, 1) == 0);
  const cairn_vector query = {rows[3], kDims, CAIRN_SCALAR_F32};
  cairn_match matches[kRows];
  size_t count = 0;
  cairn_search_report report = {.size = sizeof report};
  cairn_search_options options = {.size = sizeof options, .k = kRows};
  options.report = &report;

  cairn_filter* only = NULL;
  cairn_filter* except = NULL;
  cairn_filter* bits = NULL;
  cairn_filter* where = NULL;
  const uint64_t word = 1;
  uint64_t context[3] = {keys[0], 0, keys[2]};
  CHECK(cairn_filter_only(index, keys, 2, &only) == 0);
  CHECK(cairn_filter_except(index, keys, 2, &except) == 0);
  CHECK(cairn_filter_bits(index, &word, 1, keys[1], &bits) == 0);
  CHECK(cairn_filter_where(index, is_first_or_third, context, &where) == 0);
  CHECK(cairn_filter_count(only) == 2 && cairn_filter_count(except) == kRows - 2);
  CHECK(cairn_filter_count(bits) == 1 && cairn_filter_count(where) == 2);
  options.filter = only;
  CHECK(cairn_search_with(index, &query, &options, matches, kRows, &count) == 0);
  CHECK(count == 2 && report.plan == CAIRN_PLAN_EXACT && report.complete == 1);
  CHECK(report.distances == 2 && report.lists == 0);
  options.filter = except;
  CHECK(cairn_search_with(index, &query, &options, matches, kRows, &count) == 0);
  CHECK(count == kRows - 2 && matches[0].key == keys[3]);
  const cairn_filter* one_a_row[3] = {bits, NULL, where};
  const cairn_matrix three = {rows, 3, kDims, 0, CAIRN_SCALAR_F32};
  cairn_match all[3 * kRows];
  size_t counts[3];
  options.filter = NULL;
  options.filters = one_a_row;
  CHECK(cairn_search_batch_with(index, &three, &options, all, 3 * kRows, counts) == 0);
  CHECK(counts[0] == 1 && counts[1] == kRows && counts[2] == 2 && all[0].key == keys[1]);
  CHECK(cairn_search_with(index, &query, &options, matches, kRows, &count) == 1);
  options.filters = NULL;

  options.plan = CAIRN_PLAN_EXACT;
  options.max_distances = 1;
  CHECK(cairn_search_with(index, &query, &options, matches, kRows, &count) == 0);
  CHECK(count == 1 && report.complete == 0 && report.distances == 1);
  options.max_distances = 0;
  options.deadline_us = UINT64_MAX;
  CHECK(cairn_search_with(index, &query, &options, matches, kRows, &count) == 0);
  CHECK(count == kRows && report.complete == 1);
  cairn_stop* stop = NULL;
  CHECK(cairn_stop_create(&stop) == 0);
  cairn_stop_set(stop);
  options.stop = stop;
  CHECK(cairn_search_with(index, &query, &options, matches, kRows, &count) ==
        CAIRN_ERROR_CANCELLED);
  options.stop = NULL;
  cairn_stop_close(stop);
  uint64_t last = 0;
  options.rerank = minus_first;
  options.rerank_context = &last;
  CHECK(cairn_search_with(index, &query, &options, matches, kRows, &count) == 0);
  CHECK(count == kRows && last != 0);
  for (size_t i = 1; i < count; ++i) CHECK(matches[i - 1].distance <= matches[i].distance);
  options.plan = 3;
  CHECK(cairn_search_with(index, &query, &options, matches, kRows, &count) == 1);
  cairn_filter_close(only);
  CHECK(cairn_filter_only(index, NULL, 1, &only) == 1);
  CHECK(only == NULL);
  options.plan = 0;
  options.filter = where;
  cairn_close(index);
  CHECK(cairn_filter_count(where) == 0);
  cairn_filter_close(except);
  cairn_filter_close(bits);
  cairn_filter_close(where);
  cairn_filter_close(NULL);
}

static void flags_stop_what_takes_long(const char* path) {
  const cairn_params params = params_for(CAIRN_METRIC_L2SQ, CAIRN_SCALAR_F32);
  cairn_index* index = NULL;
  cairn_stop* stop = NULL;
  CHECK(cairn_stop_create(&stop) == 0);
  CHECK(cairn_stop_is_set(stop) == 0);
  CHECK(cairn_create(&params, &index) == 0);
  const cairn_matrix matrix = {rows, kRows, kDims, 0, CAIRN_SCALAR_F32};
  struct calls calls = {0, 0, 0, stop};
  cairn_build_options options = {.size = sizeof options};
  options.stop = stop;
  options.progress = note;
  options.progress_context = &calls;
  CHECK(cairn_build_with(index, keys, &matrix, &options) == CAIRN_ERROR_CANCELLED);
  CHECK(cairn_stop_is_set(stop) == 1);
  CHECK(cairn_size(index) == 0);
  cairn_stop_clear(stop);
  calls.stop = NULL;
  CHECK(cairn_build_with(index, keys, &matrix, &options) == 0);
  cairn_stop_set(stop);
  CHECK(cairn_compact_with(index, &options) == CAIRN_ERROR_CANCELLED);
  cairn_verify_report* report = NULL;
  CHECK(cairn_verify_with(index, &options, &report) == CAIRN_ERROR_CANCELLED);
  CHECK(report == NULL);
  cairn_save_options saving = {.size = sizeof saving};
  saving.stop = stop;
  CHECK(cairn_save_with(index, path, &saving) == CAIRN_ERROR_CANCELLED);
  CHECK(cairn_checkpoint_with(index, NULL) == 0);
  cairn_close(index);
  cairn_stop_close(stop);
  cairn_stop_close(NULL);
}

static void files_are_made_and_opened_as_wanted(const char* path) {
  const cairn_params params = params_for(CAIRN_METRIC_L2SQ, CAIRN_SCALAR_F32);
  cairn_create_options making = {.size = sizeof making};
  making.durability = CAIRN_DURABILITY_GROUP;
  making.group_ms = 60000;
  making.max_vectors = 1000;
  cairn_index* index = NULL;
  uint64_t lsn = 7;
  CHECK(cairn_create_with(path, &params, &making, &index) == 0);
  for (int i = 0; i < kRows; ++i) CHECK(cairn_add(index, keys[i], rows[i], kDims) == 0);
  cairn_statistics stats = {.size = sizeof stats};
  CHECK(cairn_stats(index, &stats) == 0);
  CHECK(stats.durable_lsn < stats.last_lsn);
  CHECK(cairn_sync(index) == 0);
  CHECK(cairn_stats(index, &stats) == 0);
  CHECK(stats.durable_lsn == stats.last_lsn);
  CHECK(cairn_applied_up_to(index, &lsn) == 0);
  CHECK(lsn == 0);
  CHECK(cairn_set_applied_up_to(index, 99) == 0);
  cairn_save_options saving = {.size = sizeof saving};
  saving.existing = CAIRN_EXISTING_REFUSE;
  CHECK(cairn_save_with(index, path, &saving) == CAIRN_ERROR_PATH_EXISTS);
  CHECK(cairn_check_save(path, &saving) == CAIRN_ERROR_PATH_EXISTS);
  cairn_build_options erasing = {.size = sizeof erasing, .erase = 1};
  CHECK(cairn_compact_with(index, &erasing) == 0);
  CHECK(cairn_checkpoint_with(index, NULL) == 0);
  cairn_close(index);

  cairn_open_options opening = {.size = sizeof opening};
  opening.residency = CAIRN_RESIDENCY_LOAD;
  opening.verify = CAIRN_VERIFY_FULL;
  opening.check = CAIRN_CHECK_ON_FIRST_USE;
  opening.guard = 1;
  opening.salvage = 1;
  CHECK(cairn_open_with(path, &opening, &index) == 0);
  CHECK(cairn_size(index) == kRows);
  CHECK(cairn_applied_up_to(index, &lsn) == 0);
  CHECK(lsn == 99);
  CHECK(cairn_set_applied_up_to(index, 100) == CAIRN_ERROR_READ_ONLY);
  CHECK(cairn_warm(index) == 0);
  CHECK(cairn_release(index) == 0);
  cairn_close(index);
  opening.mode = CAIRN_READ_WRITE;
  opening.check = 0; /* which is for an index that is only read */
  CHECK(cairn_open_with(path, &opening, &index) == 0);
  CHECK(cairn_remove(index, keys[0]) == 0);
  cairn_close(index);
  CHECK(cairn_open_with(path, NULL, &index) == 0);
  CHECK(cairn_warm(index) == 0);
  CHECK(cairn_release(index) == 0);
  cairn_close(index);
}

static void findings_are_told_one_by_one(const char* path) {
  cairn_index* index = NULL;
  cairn_verify_report* report = NULL;
  cairn_verify_numbers numbers = {.size = sizeof numbers};
  CHECK(cairn_open(path, 0, &index) == 0);
  CHECK(cairn_verify_with(index, NULL, &report) == 0);
  CHECK(cairn_verify_count(report, &numbers) == 0);
  CHECK(numbers.findings == 0 && numbers.pages_checked > 0);
  CHECK(numbers.nodes_checked >= kRows - 1 && numbers.unreachable == 0);
  CHECK(cairn_verify_finding(report, 0) == NULL);
  cairn_verify_close(report);
  cairn_close(index);

  /* Every page behind the first ones, which say what the file is, is damaged. */
  FILE* file = fopen(path, "r+b");
  CHECK(file != NULL);
  CHECK(fseek(file, 0, SEEK_END) == 0);
  const long end = ftell(file);
  uint64_t damaged = 0;
  for (long at = 256 << 10; at < end; at += 4096, ++damaged) {
    CHECK(fseek(file, at + 77, SEEK_SET) == 0);
    CHECK(fputs("damage", file) >= 0);
  }
  CHECK(fclose(file) == 0);
  CHECK(damaged > 0);
  CHECK(cairn_open(path, 0, &index) == 0);
  CHECK(cairn_verify_with(index, NULL, &report) == 0);
  CHECK(cairn_verify_count(report, &numbers) == 0);
  CHECK(numbers.findings > 0);
  CHECK(cairn_verify_finding(report, 0) != NULL);
  CHECK(strlen(cairn_verify_finding(report, (size_t)numbers.findings - 1)) > 0);
  CHECK(cairn_verify_finding(report, (size_t)numbers.findings) == NULL);
  uint64_t findings = 0;
  CHECK(cairn_verify(index, &findings) == CAIRN_ERROR_CORRUPT);
  CHECK(findings == numbers.findings);
  cairn_verify_close(report);
  cairn_verify_close(NULL);
  cairn_close(index);
}

static void moves_out_and_in(const char* path) {
  const cairn_params params = params_for(CAIRN_METRIC_L2SQ, CAIRN_SCALAR_F32);
  cairn_index* index = NULL;
  cairn_index* moved = NULL;
  CHECK(cairn_create(&params, &index) == 0);
  CHECK(cairn_build(index, keys, &rows[0][0], kRows, kDims, 1) == 0);
  CHECK(cairn_export(index, path, CAIRN_SOURCE_FAISS) == CAIRN_ERROR_UNSUPPORTED);
  CHECK(cairn_export(index, path, CAIRN_SOURCE_USEARCH) == 0);
  static uint64_t others[kRows];
  for (int i = 0; i < kRows; ++i) others[i] = 7000u + (uint64_t)i;
  cairn_import_options options = {.size = sizeof options};
  struct calls calls = {0, 0, 0, NULL};
  options.keys = others;
  options.key_count = kRows;
  options.progress = note;
  options.progress_context = &calls;
  cairn_import_report report = {.size = sizeof report};
  CHECK(cairn_import(path, &options, &moved, &report) == 0);
  CHECK(report.vectors == kRows);
  CHECK(calls.count > 0);
  CHECK(cairn_contains(moved, 7000) == 1 && cairn_contains(moved, keys[0]) == 0);
  CHECK(cairn_import_notes() != NULL);
  cairn_close(moved);
  cairn_close(index);
}

static int take_three(void* context, const cairn_match* match) {
  int* taken = context;
  CHECK(match->distance >= 0);
  return ++*taken < 3;
}

static void wait_ms(long ms) {
  struct timespec begin, now;
  CHECK(timespec_get(&begin, TIME_UTC) == TIME_UTC);
  do {
    CHECK(timespec_get(&now, TIME_UTC) == TIME_UTC);
  } while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < ms);
}

/* Of one component each, which is the key; under squared distance. */
static cairn_index* numbers_below(int count) {
  cairn_params params;
  cairn_params_init(&params, sizeof params, 1);
  params.metric = CAIRN_METRIC_L2SQ;
  cairn_index* index = NULL;
  CHECK(cairn_create(&params, &index) == 0);
  for (int i = 0; i < count; ++i) {
    const float number = (float)i;
    CHECK(cairn_add(index, (uint64_t)i, &number, 1) == 0);
  }
  return index;
}

/* A page may take as long as the one before, however long ago the cursor was opened; and the
 * caller's own metric orders what is within a radius, and each page. */
static void pages_have_deadlines_and_an_order_of_their_own(void) {
  enum { kNumbers = 100, kPage = 20 };
  cairn_index* index = numbers_below(kNumbers);
  const float zero = 0;
  const cairn_vector query = {&zero, 1, CAIRN_SCALAR_F32};
  uint64_t last = 0;
  cairn_search_options options = {.size = sizeof options, .deadline_us = 400000};
  options.rerank = minus_first;
  options.rerank_context = &last;
  cairn_match page[kPage];
  size_t count = 0;
  CHECK(cairn_search_range(index, &query, 16.5f, &options, page, kPage, &count) == 0);
  CHECK(count == 5);
  for (size_t i = 0; i < count; ++i) {
    CHECK(page[i].key == 4 - i && page[i].distance == -(float)(4 - i));
  }
  cairn_cursor* cursor = NULL;
  CHECK(cairn_cursor_open(index, &query, &options, CAIRN_ORDER_RELAXED, &cursor) == 0);
  wait_ms(450);
  for (int number = 0; number < 3; ++number) {
    CHECK(cairn_cursor_next(cursor, page, kPage, &count) == 0);
    CHECK(count == kPage);
    for (size_t i = 0; i < count; ++i) {
      CHECK(page[i].key == (uint64_t)(number * kPage + kPage - 1) - i);
    }
  }
  cairn_cursor_close(cursor);
  cairn_close(index);
}

/* Everything within a radius, and the same page by page. */
static void ranges_and_pages(void) {
  enum { kNumbers = 100 };
  cairn_index* index = numbers_below(kNumbers);
  const float zero = 0;
  const cairn_vector query = {&zero, 1, CAIRN_SCALAR_F32};
  cairn_match matches[kNumbers];
  size_t count = 7;
  CHECK(cairn_search_range(index, &query, 16.5f, NULL, matches, kNumbers, &count) == 0);
  CHECK(count == 5);
  for (size_t i = 0; i < count; ++i) CHECK(matches[i].key == i);
  cairn_search_options options = {.size = sizeof options, .k = 2};
  CHECK(cairn_search_range(index, &query, 16.5f, &options, matches, kNumbers, &count) == 0);
  CHECK(count == 2);
  CHECK(cairn_search_range(index, &query, 16.5f, NULL, matches, 3, &count) == 0 && count == 3);
  CHECK(cairn_search_range(index, &query, -1, NULL, matches, 3, &count) == 1 && count == 0);
  CHECK(cairn_search_range(index, &query, NAN, NULL, matches, 3, &count) == 1);
  CHECK(cairn_search_range(index, &query, 1, NULL, matches, 0, &count) == 1);
  CHECK(cairn_search_range(index, &query, 1, NULL, NULL, 1, &count) == 1);
  CHECK(cairn_search_range(index, NULL, 1, NULL, matches, 1, &count) == 1);
  int taken = 0;
  int is_all = 7;
  CHECK(cairn_search_range_each(index, &query, 1e9f, NULL, take_three, &taken, &is_all) == 0);
  CHECK(taken == 3 && is_all == 0);
  taken = -kNumbers;
  CHECK(cairn_search_range_each(index, &query, 1e9f, NULL, take_three, &taken, &is_all) == 0);
  CHECK(taken == 0 && is_all == 1);
  CHECK(cairn_search_range_each(index, &query, 1, NULL, NULL, NULL, NULL) == 1);

  cairn_cursor* cursor = NULL;
  CHECK(cairn_cursor_open(index, &query, NULL, 2, &cursor) == 1 && cursor == NULL);
  CHECK(cairn_cursor_open(NULL, &query, NULL, CAIRN_ORDER_RELAXED, &cursor) == 1);
  CHECK(cairn_cursor_open(index, &query, NULL, CAIRN_ORDER_STRICT, &cursor) == 0);
  uint64_t next = 0;
  for (;;) {
    cairn_match page[9];
    CHECK(cairn_cursor_next(cursor, page, 9, &count) == 0);
    if (count == 0) break;
    for (size_t i = 0; i < count; ++i) CHECK(page[i].key == next++);
  }
  CHECK(next == kNumbers);
  CHECK(cairn_cursor_next(cursor, NULL, 1, &count) == 1);
  CHECK(cairn_cursor_next(cursor, matches, 1, NULL) == 1);
  CHECK(cairn_cursor_next(NULL, matches, 1, &count) == 1);
  cairn_close(index);
  CHECK(cairn_cursor_next(cursor, matches, 1, &count) == 1 && count == 0);
  cairn_cursor_close(cursor);
  cairn_cursor_close(NULL);
}

/* Keys with several vectors: all come back, results name a key once, documents are summed up. */
static void keys_have_several_vectors(void) {
  cairn_params params;
  cairn_params_init(&params, sizeof params, 1);
  CHECK(params.several_per_key == 0);
  params.metric = CAIRN_METRIC_L2SQ;
  params.several_per_key = 2;
  cairn_index* index = NULL;
  CHECK(cairn_create(&params, &index) == CAIRN_ERROR_INVALID_ARGUMENT);
  params.several_per_key = 1;
  CHECK(cairn_create(&params, &index) == 0);
  cairn_params told = {.size = sizeof told};
  CHECK(cairn_get_params(index, &told) == 0 && told.several_per_key == 1);
  const uint64_t of_row[] = {5, 6, 5, 7};
  const float values[] = {0, 1, 4, 9};
  CHECK(cairn_build(index, of_row, values, 4, 1, 1) == 0);
  CHECK(cairn_count(index, 5) == 2 && cairn_count(index, 6) == 1 && cairn_count(index, 8) == 0);
  float got = -1;
  CHECK(cairn_get_vector_at(index, 5, 1, CAIRN_SCALAR_F32, &got, sizeof got) == 0 && got == 4);
  CHECK(cairn_get_vector_at(index, 5, 2, CAIRN_SCALAR_F32, &got, sizeof got) ==
        CAIRN_ERROR_KEY_NOT_FOUND);
  cairn_statistics numbers = {.size = sizeof numbers};
  CHECK(cairn_stats(index, &numbers) == 0 && numbers.live == 4 && numbers.keys == 3);
  cairn_match matches[5];
  size_t count = 0;
  const float query = 3;
  CHECK(cairn_search(index, &query, 1, 5, 10, matches, &count) == 0);
  CHECK(count == 3 && matches[0].key == 5 && matches[0].distance == 1 && matches[1].key == 6);
  const float tokens[] = {0, 9};
  const cairn_matrix both = {tokens, 2, 1, 0, CAIRN_SCALAR_F32};
  cairn_search_options options = {.size = sizeof options};
  cairn_search_report report = {.size = sizeof report};
  options.k = 2;
  options.report = &report;
  CHECK(cairn_search_documents(index, &both, &options, matches, 5, &count) == 0);
  CHECK(count == 2 && matches[0].key == 5 && matches[0].distance == 25);
  CHECK(matches[1].key == 6 && matches[1].distance == 65 && report.complete == 1);
  CHECK(cairn_search_documents(index, NULL, &options, matches, 5, &count) ==
        CAIRN_ERROR_INVALID_ARGUMENT);
  CHECK(cairn_upsert(index, 5, &query, 1) == 0 && cairn_count(index, 5) == 1);
  cairn_close(index);
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  const char* path = argv[1];
  (void)remove(path);
  make_rows();
  parameters_are_filled_and_told();
  keys_have_several_vectors();
  integers_go_in_and_come_out_as_they_are();
  halves_and_bits_do_so_too();
  options_that_are_not_given_are_defaults();
  filters_limits_and_the_callers_metric();
  flags_stop_what_takes_long(path);
  files_are_made_and_opened_as_wanted(path);
  findings_are_told_one_by_one(path);
  pages_have_deadlines_and_an_order_of_their_own();
  ranges_and_pages();
  moves_out_and_in(path);
  CHECK(remove(path) == 0);

  CHECK(strcmp(cairn_error_name(4), "key_exists") == 0);
  CHECK(strcmp(cairn_error_name(0), "ok") == 0);
  CHECK(strcmp(cairn_error_name(-4), "unknown") == 0);
  CHECK(strcmp(cairn_error_name(65540), "unknown") == 0);
  CHECK(strlen(cairn_simd_active()) > 0);
  CHECK(strstr(cairn_simd_available(), cairn_simd_active()) != NULL);
  CHECK(strstr(cairn_simd_compiled(), "scalar") != NULL);
  return 0;
}
