/* SPDX-License-Identifier: Apache-2.0
 *
 * The C interface. Handles are opaque; every call that can fail returns 0 or the number of a
 * cairn::ErrorCode (cairn/error.h), and cairn_last_error() then tells the story. No exception
 * crosses it. Threads and processes as in cairn/index.h; cairn_close must not run beside another
 * call on the same handle. In a child of the process that opened a file for writing, calls return
 * unsupported (6), and cairn_close only unmaps and closes.
 *
 * Whatever bytes a file holds, and whatever another process writes to it meanwhile, every call
 * gives an answer, an error or a finding, and none ends the process; only a file that is cut off
 * from outside, or a disk that fails, does so by SIGBUS where a mapping is read. The answers of a
 * damaged file may be wrong: cairn_verify() it.
 */
#ifndef CAIRN_C_H
#define CAIRN_C_H

#include <stddef.h>
#include <stdint.h>

#include <cairn/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cairn_index cairn_index;
typedef struct {
  uint64_t key;
  float distance; /* as in cairn::Match: cosine 1 - cos (1 if a vector is zero), 1 - ip, squared,
                     bits */
} cairn_match;
typedef struct {
  size_t dimensions;
  uint8_t metric, scalar; /* numbers of cairn::Metric and cairn::Scalar, see below */
  uint32_t m, ef_construction;
  uint64_t seed;
  uint8_t traversal; /* number of cairn::Traversal */
} cairn_params;

/* Cosine over f32 with the defaults of cairn::IndexParams. */
CAIRN_EXPORT cairn_params cairn_params_default(size_t dimensions);

/* An empty index in memory. *out is NULL after an error. */
CAIRN_EXPORT int cairn_create(const cairn_params* params, cairn_index** out);
/* An empty index in a new file, path_exists (22) if there is one. Each change is on disk when its
 * call returns. */
CAIRN_EXPORT int cairn_create_file(const char* path, const cairn_params* params, cairn_index** out);
/* A file, searched from the map. read_write other than 0: to change it, too, path_in_use (24) if
 * somebody else does; each change is on disk when its call returns. */
CAIRN_EXPORT int cairn_open(const char* path, int read_write, cairn_index** out);
/* NULL is allowed. */
CAIRN_EXPORT void cairn_close(cairn_index* index);

/* Vectors and queries are floats here, whatever kind the index stores. What is added to an index of
 * another kind than f32 is converted as by cairn::convert (cairn/convert.h): f16 and bf16 round to
 * nearest, i8 rounds to the nearest integer and takes components in [-127, 127], b1 is 1 where a
 * component is greater than 0. A component that does not fit is not_finite (3) or invalid_argument
 * (1). Queries of i8 and b1 indexes are converted likewise, those of f16 and bf16 are used as they
 * are. cairn_get gives what is stored as floats.
 *
 * `vector` has `dims` floats; dims other than the index's is dimension_mismatch (2). */
CAIRN_EXPORT int cairn_add(cairn_index* index, uint64_t key, const float* vector, size_t dims);
/* Adds, or replaces the vector that the key has. */
CAIRN_EXPORT int cairn_upsert(cairn_index* index, uint64_t key, const float* vector, size_t dims);
/* key_not_found (5) if there is none. */
CAIRN_EXPORT int cairn_remove(cairn_index* index, uint64_t key);
/* Renumbers the vectors without gaps and gives memory back; searches go on meanwhile. */
CAIRN_EXPORT int cairn_compact(cairn_index* index);
/* As cairn::Index::sync, checkpoint, refresh and backup. Nothing to do in memory but for backup. */
CAIRN_EXPORT int cairn_sync(cairn_index* index);
CAIRN_EXPORT int cairn_checkpoint(cairn_index* index);
CAIRN_EXPORT int cairn_refresh(cairn_index* index);
CAIRN_EXPORT int cairn_backup(const cairn_index* index, const char* path);
/* `rows` is row-major, n x dims; threads 0: all cores. */
CAIRN_EXPORT int cairn_build(cairn_index* index, const uint64_t* keys, const float* rows, size_t n,
                             size_t dims, unsigned threads);
/* `out` has room for k matches; *count tells how many were written. */
CAIRN_EXPORT int cairn_search(const cairn_index* index, const float* query, size_t dims, size_t k,
                              size_t ef, cairn_match* out, size_t* count);
/* Searches n queries, row-major in `queries`, n x dims; threads 0: all cores. `out` has room for n
 * * k matches, `counts` for n: those of query i stand at out[i * k], counts[i] of them. All queries
 * are checked before anything is searched or written. */
CAIRN_EXPORT int cairn_search_batch(const cairn_index* index, const float* queries, size_t n,
                                    size_t dims, size_t k, size_t ef, unsigned threads,
                                    cairn_match* out, size_t* counts);
/* 1 yes, 0 no */
CAIRN_EXPORT int cairn_contains(const cairn_index* index, uint64_t key);
/* `out` has room for `dims` floats, at least the index's dimensions. */
CAIRN_EXPORT int cairn_get(const cairn_index* index, uint64_t key, float* out, size_t dims);
CAIRN_EXPORT int cairn_save(const cairn_index* index, const char* path);
/* *findings: the number of defects; corrupt (43) if there are any, the first in cairn_last_error().
 */
CAIRN_EXPORT int cairn_verify(const cairn_index* index, uint64_t* findings);
/* What cairn::Stats (cairn/params.h) tells, for whoever exports it; 0 where there is no file. Later
 * versions append to it: `size` is how much of it the caller knows. */
typedef struct {
  size_t size; /* set it to sizeof(cairn_statistics); afterwards: how many bytes were filled */
  uint64_t live, deleted, slots, dimensions, max_level;
  uint64_t generation, file_bytes, hot_bytes, exact_bytes, private_bytes;
  uint64_t log_bytes, log_frames, last_lsn, durable_lsn, dirty_pages;
  uint64_t checkpoints, failed_checkpoints, poisoned;
  uint64_t adds, upserts, removes, searches, compactions;
  uint64_t open_ns, recovery_ns, recovered_frames;
  uint64_t lost_frames, first_lost_lsn, last_lost_lsn, live_before_loss;
} cairn_statistics;
/* Fills the first out->size bytes, or all there is if that is less. invalid_argument (1) if not
 * even `size` itself fits. */
CAIRN_EXPORT int cairn_stats(const cairn_index* index, cairn_statistics* out);
/* As cairn::ImportOptions and cairn::ImportReport (cairn/import.h). Later versions append to them:
 * `size` is how much of them the caller knows; what it does not is 0. */
typedef struct {
  size_t size;                      /* set it to sizeof(cairn_import_options) */
  uint8_t source;                   /* number of cairn::Source; 0: what the file looks like */
  uint8_t metric;                   /* number of cairn::Metric; 0: what the file says */
  uint8_t rebuild, several_per_key; /* 0 or 1 */
  uint32_t threads;                 /* 0: all cores */
  size_t dimensions;                /* 0: what the file says */
  uint32_t m, ef_construction;      /* 0: as the source needs */
} cairn_import_options;
typedef struct {
  size_t size; /* set it to sizeof(cairn_import_report); afterwards: how many bytes were filled */
  uint64_t vectors, links_kept, links_dropped, skipped, graph_kept;
} cairn_import_report;
/* An index in memory of a file of hnsw_rs, hnswlib, USearch or faiss. `options` and `report` may be
 * NULL. *out is NULL after an error. */
CAIRN_EXPORT int cairn_import(const char* path, const cairn_import_options* options,
                              cairn_index** out, cairn_import_report* report);
CAIRN_EXPORT size_t cairn_size(const cairn_index* index);
CAIRN_EXPORT size_t cairn_dimensions(const cairn_index* index);

/* Code, what and where of this thread's last failed call, e.g. "key_exists (4): add: key 7 is
 * already there"; "" if none. Valid until the thread's next failing call. */
CAIRN_EXPORT const char* cairn_last_error(void);
CAIRN_EXPORT const char* cairn_version(void);

#ifdef __cplusplus
}
#endif
#endif
