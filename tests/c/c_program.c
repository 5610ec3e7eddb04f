/* SPDX-License-Identifier: Apache-2.0
 *
 * What cairn/c.h has without options, from plain C11: c_program FILE (which is written, read and
 * removed).
 */
#include <cairn/c.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/c/check.h"

enum { kDims = 8, kRows = 500 };

static float rows[kRows][kDims];
static uint64_t keys[kRows];

/* Components in [-1, 1) from a linear congruential generator. */
static void make_rows(void) {
  uint32_t state = 1;
  for (int i = 0; i < kRows; ++i) {
    keys[i] = 1000u + (uint64_t)i;
    for (int j = 0; j < kDims; ++j) {
      state = state * 1664525u + 1013904223u;
      rows[i][j] = (float)(state >> 8) / 8388608.0f - 1.0f;
    }
  }
}

static void finds_every_row(const cairn_index* index) {
  for (int i = 0; i < kRows; ++i) {
    cairn_match matches[3];
    size_t count = 0;
    CHECK(cairn_search(index, rows[i], kDims, 3, 64, matches, &count) == 0);
    CHECK(count == 3);
    CHECK(matches[0].key == keys[i]);
    CHECK(fabsf(matches[0].distance) < 1e-5f);
    CHECK(matches[0].distance <= matches[1].distance);
    CHECK(matches[1].distance <= matches[2].distance);
    float row[kDims];
    CHECK(cairn_get(index, keys[i], row, kDims) == 0);
    CHECK(memcmp(row, rows[i], sizeof row) == 0);
    CHECK(cairn_contains(index, keys[i]) == 1);
  }
  CHECK(cairn_contains(index, 1) == 0);
  CHECK(cairn_size(index) == kRows);
  CHECK(cairn_dimensions(index) == kDims);
}

/* With a listing that is laid down and taken up again. */
static void lists_every_key_once(const cairn_index* index) {
  static int times[kRows];
  memset(times, 0, sizeof times);
  cairn_key_scan scan = {.size = sizeof scan};
  int calls = 0;
  while (!scan.done) {
    uint64_t some[64];
    size_t count = 0;
    cairn_key_scan again = {.size = sizeof again, .position = scan.position};
    CHECK(cairn_keys(index, &again, some, 64, &count) == 0);
    CHECK(again.size == sizeof again && again.reserved[6] == 0);
    CHECK(count == 64 || again.done);
    for (size_t i = 0; i < count; ++i) {
      CHECK(some[i] >= 1000 && some[i] < 1000 + kRows);
      ++times[some[i] - 1000];
    }
    scan = again;
    ++calls;
  }
  CHECK(calls == (kRows + 63) / 64);
  for (int i = 0; i < kRows; ++i) CHECK(times[i] == 1);
  size_t count = 7;
  uint64_t none[1];
  CHECK(cairn_keys(index, &scan, none, 1, &count) == 0 && count == 0);
  CHECK(cairn_keys(index, NULL, none, 1, &count) == 1);
  CHECK(cairn_keys(index, &scan, NULL, 1, &count) == 1);
  CHECK(cairn_keys(index, &scan, none, 1, NULL) == 1);
  cairn_key_scan wrong = {.size = sizeof wrong};
  CHECK(cairn_keys(index, &wrong, none, 0, &count) == 1);
  wrong.done = 2;
  CHECK(cairn_keys(index, &wrong, none, 1, &count) == 1);
}

static void batch_answers_like_single_searches(const cairn_index* index) {
  enum { kNear = 3 };
  static cairn_match matches[kRows * kNear];
  static size_t counts[kRows];
  CHECK(cairn_search_batch(index, &rows[0][0], kRows, kDims, kNear, 64, 2, matches, counts) == 0);
  for (int i = 0; i < kRows; ++i) {
    cairn_match single[kNear];
    size_t count = 0;
    CHECK(cairn_search(index, rows[i], kDims, kNear, 64, single, &count) == 0);
    CHECK(counts[i] == count);
    for (size_t j = 0; j < count; ++j) {
      CHECK(matches[(size_t)i * kNear + j].key == single[j].key);
      CHECK(matches[(size_t)i * kNear + j].distance == single[j].distance);
    }
  }
}

static void verify_is_clean(const cairn_index* index) {
  uint64_t findings = 99;
  CHECK(cairn_verify(index, &findings) == 0);
  CHECK(findings == 0);
}

static void counts_what_was_done(const cairn_index* index) {
  cairn_statistics stats;
  stats.size = sizeof stats;
  CHECK(cairn_stats(index, &stats) == 0);
  CHECK(stats.size == sizeof stats);
  CHECK(stats.live == kRows);
  CHECK(stats.dimensions == kDims);
  CHECK(stats.adds == 1 && stats.upserts == 1 && stats.removes == 1);
  CHECK(stats.compactions == 1);
  CHECK(stats.checkpoints >= 1);
  CHECK(stats.poisoned == 0);
  CHECK(stats.open_ns > 0);

  /* A caller that knows less gets less, one that knows more is told. */
  cairn_statistics some;
  memset(&some, 0x55, sizeof some);
  some.size = offsetof(cairn_statistics, slots);
  CHECK(cairn_stats(index, &some) == 0);
  CHECK(some.size == offsetof(cairn_statistics, slots));
  CHECK(some.live == kRows);
  CHECK(some.slots == 0x5555555555555555u);
  struct {
    cairn_statistics known;
    uint64_t later;
  } more;
  more.known.size = sizeof more;
  more.later = 7;
  CHECK(cairn_stats(index, &more.known) == 0);
  CHECK(more.known.size == sizeof(cairn_statistics));
  CHECK(more.later == 7);
  some.size = sizeof some.size - 1;
  CHECK(cairn_stats(index, &some) == 1);
}

int main(int argc, char** argv) {
  CHECK(argc == 2);
  const char* path = argv[1];
  make_rows();
  CHECK(strlen(cairn_version()) >= 5);
  CHECK(strcmp(cairn_last_error(), "") == 0);

  cairn_params params = cairn_params_default(kDims);
  CHECK(params.dimensions == kDims);
  CHECK(params.metric == 1);
  CHECK(params.scalar == 1);
  CHECK(params.m == 16);
  CHECK(params.ef_construction == 200);
  CHECK(params.seed == 42);
  CHECK(params.traversal == 0);

  /* One by one. */
  cairn_index* index = NULL;
  CHECK(cairn_create(&params, &index) == 0);
  CHECK(cairn_size(index) == 0);
  for (int i = 0; i < kRows; ++i) CHECK(cairn_add(index, keys[i], rows[i], kDims) == 0);
  CHECK(cairn_add(index, keys[0], rows[0], kDims) == 4);
  CHECK(strncmp(cairn_last_error(), "key_exists (4): ", 16) == 0);
  CHECK(cairn_add(index, 5, rows[0], kDims - 1) == 2);
  finds_every_row(index);
  verify_is_clean(index);

  /* Kept in a file and searched from there. */
  CHECK(cairn_save(index, path) == 0);
  cairn_close(index);
  CHECK(cairn_open(path, 1, &index) == 0);
  CHECK(cairn_add(index, 5, rows[0], kDims) == 0);
  CHECK(cairn_upsert(index, 5, rows[1], kDims) == 0);
  CHECK(cairn_sync(index) == 0);
  cairn_index* second = NULL;
  CHECK(cairn_open(path, 1, &second) == 24);
  CHECK(second == NULL);
  CHECK(cairn_create_file(path, &params, &second) == 22);
  CHECK(cairn_remove(index, 5) == 0);
  CHECK(cairn_checkpoint(index) == 0);
  CHECK(cairn_compact(index) == 0);
  CHECK(cairn_backup(index, path) == 24);
  CHECK(cairn_refresh(index) == 0);
  counts_what_was_done(index);
  verify_is_clean(index);
  cairn_close(index);
  CHECK(cairn_open(path, 0, &index) == 0);
  finds_every_row(index);
  batch_answers_like_single_searches(index);
  lists_every_key_once(index);
  verify_is_clean(index);
  CHECK(cairn_add(index, 5, rows[0], kDims) == 7);
  cairn_close(index);
  CHECK(remove(path) == 0);
  CHECK(cairn_open(path, 0, &index) == 23);
  CHECK(index == NULL);

  /* All at once, by another metric. */
  params.metric = 2;
  CHECK(cairn_create(&params, &index) == 0);
  CHECK(cairn_build(index, keys, &rows[0][0], kRows, kDims, 2) == 0);
  finds_every_row(index);
  CHECK(cairn_build(index, keys, &rows[0][0], kRows, kDims, 2) == 8);
  cairn_close(index);
  cairn_close(NULL);
  return 0;
}
