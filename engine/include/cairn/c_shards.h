/* SPDX-License-Identifier: Apache-2.0
 *
 * Many index files that are searched as one, as cairn::ShardSet (cairn/shard_set.h), from C. It is
 * a part of cairn/c.h, whose rules hold here, too. A set is const but for the calls that say
 * otherwise, and for any number of threads. */
#ifndef CAIRN_C_SHARDS_H
#define CAIRN_C_SHARDS_H

#include <stddef.h>
#include <stdint.h>

#include <cairn/c.h>
#include <cairn/export.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cairn_shards cairn_shards;
/* Calls body(body_context, i) once for each i below n, perhaps several at once, and returns when
 * all have returned: as cairn::ShardExecutor::run. */
typedef void (*cairn_run_parts)(void* context, size_t n, void (*body)(void* body_context, size_t i),
                                void* body_context);
/* As cairn::ShardOptions. */
typedef struct {
  size_t size;                    /* set it to sizeof(cairn_shards_options) */
  const cairn_open_options* open; /* of each shard; NULL: as they are read by default */
  cairn_run_parts run;            /* of threads of the host; NULL: threads of the set's own */
  void* run_context;              /* for run */
  uint32_t run_width;             /* how many parts `run` runs at once; 0: 1 */
  uint32_t threads;               /* of the set; 0: all cores */
  uint8_t allow_partial;          /* 1: what is missing is told, and the others answer */
  uint8_t reserved[7];            /* 0 */
  const uint32_t* only; /* of a folder: numbers of the shards that are wanted; NULL: all */
  size_t only_count;    /* how many; 0: all */
} cairn_shards_options;
/* n files, in this order. *out is NULL after an error, here and below. */
CAIRN_EXPORT int cairn_shards_open(const char* const* paths, size_t n,
                                   const cairn_shards_options* options, cairn_shards** out);
/* A folder with a manifest; with CAIRN_READ_WRITE to change it, too. */
CAIRN_EXPORT int cairn_shards_open_folder(const char* folder, const cairn_shards_options* options,
                                          cairn_shards** out);
/* NULL is allowed. Filters and cursors of it are closed before. */
CAIRN_EXPORT void cairn_shards_close(cairn_shards* set);
/* "NAME: why" of the i-th shard that is missing, with allow_partial; NULL behind the last. Valid as
 * long as the set. */
CAIRN_EXPORT const char* cairn_shards_problem(const cairn_shards* set, size_t i);
/* How many shards; vectors, each copy counted; components of a vector. 0 for NULL. */
CAIRN_EXPORT size_t cairn_shards_count(const cairn_shards* set);
CAIRN_EXPORT size_t cairn_shards_size(const cairn_shards* set);
CAIRN_EXPORT size_t cairn_shards_dimensions(const cairn_shards* set);
/* As cairn_get_params and cairn_stats; sums over the shards. */
CAIRN_EXPORT int cairn_shards_get_params(const cairn_shards* set, cairn_params* out);
CAIRN_EXPORT int cairn_shards_stats(const cairn_shards* set, cairn_statistics* out);

/* What cairn_shards_prune has done. */
typedef struct {
  size_t size; /* set it to sizeof(cairn_shards_pruned); afterwards: how many bytes were filled */
  uint64_t removed; /* generations that are gone */
  uint64_t in_use;  /* that stay because a set is open that has them */
  uint64_t files;   /* shards and routers that are gone */
  uint64_t bytes;   /* of them */
} cairn_shards_pruned;
/* Removes older generations of a set, as cairn::prune_shards: `keep` stay, 1 or more, and the n in
 * `also`. `out` may be NULL. */
CAIRN_EXPORT int cairn_shards_prune(const char* folder, size_t keep, const uint64_t* also, size_t n,
                                    cairn_shards_pruned* out);

/* Which keys a search of a set may return, as cairn_filter of all shards. */
typedef struct cairn_shards_filter cairn_shards_filter;
CAIRN_EXPORT int cairn_shards_filter_only(const cairn_shards* set, const uint64_t* keys, size_t n,
                                          cairn_shards_filter** out);
CAIRN_EXPORT int cairn_shards_filter_except(const cairn_shards* set, const uint64_t* keys, size_t n,
                                            cairn_shards_filter** out);
CAIRN_EXPORT int cairn_shards_filter_bits(const cairn_shards* set, const uint64_t* words, size_t n,
                                          uint64_t first, cairn_shards_filter** out);
CAIRN_EXPORT int cairn_shards_filter_where(const cairn_shards* set, cairn_wanted wanted,
                                           void* context, cairn_shards_filter** out);
/* How many vectors pass, each copy counted; 0 for NULL. */
CAIRN_EXPORT size_t cairn_shards_filter_count(const cairn_shards_filter* filter);
/* NULL is allowed. */
CAIRN_EXPORT void cairn_shards_filter_close(cairn_shards_filter* filter);

/* How many shards were asked and have answered; of a batch the sums of its rows. */
typedef struct {
  size_t size; /* set it to sizeof(cairn_shards_report); afterwards: how many bytes were filled */
  uint64_t shards_asked;    /* those that are missing, too */
  uint64_t shards_answered; /* as many if none is missing */
} cairn_shards_report;
/* What a search of a set is asked for. */
typedef struct {
  size_t size;                        /* set it to sizeof(cairn_shards_search_options) */
  const cairn_search_options* search; /* NULL: defaults; without filters, threads do not count */
  const cairn_shards_filter* filter;  /* which keys may be results; NULL: all */
  /* Of a batch: another filter for each row, NULL where there is none. NULL: `filter` for all. */
  const cairn_shards_filter* const* filters;
  size_t probe;                /* of clusters: how many shards at most; 0: all */
  cairn_shards_report* report; /* NULL: none */
  uint32_t coverage;   /* of clusters: until thousandths of the votes; 0: `probe` shards always */
  uint8_t reserved[4]; /* 0 */
} cairn_shards_search_options;
/* As cairn_search_with, cairn_search_batch_with, cairn_search_range and cairn_search_range_each. */
CAIRN_EXPORT int cairn_shards_search(const cairn_shards* set, const cairn_vector* query,
                                     const cairn_shards_search_options* options, cairn_match* out,
                                     size_t capacity, size_t* count);
CAIRN_EXPORT int cairn_shards_search_batch(const cairn_shards* set, const cairn_matrix* queries,
                                           const cairn_shards_search_options* options,
                                           cairn_match* out, size_t capacity, size_t* counts);
CAIRN_EXPORT int cairn_shards_search_range(const cairn_shards* set, const cairn_vector* query,
                                           float radius, const cairn_shards_search_options* options,
                                           cairn_match* out, size_t capacity, size_t* count);
CAIRN_EXPORT int cairn_shards_search_range_each(const cairn_shards* set, const cairn_vector* query,
                                                float radius,
                                                const cairn_shards_search_options* options,
                                                cairn_take take, void* context, int* is_all);
/* As cairn_cursor_open, _next and _close. */
typedef struct cairn_shards_cursor cairn_shards_cursor;
CAIRN_EXPORT int cairn_shards_cursor_open(const cairn_shards* set, const cairn_vector* query,
                                          const cairn_shards_search_options* options, uint8_t order,
                                          cairn_shards_cursor** out);
CAIRN_EXPORT int cairn_shards_cursor_next(cairn_shards_cursor* cursor, cairn_match* out,
                                          size_t capacity, size_t* count);
/* NULL is allowed. */
CAIRN_EXPORT void cairn_shards_cursor_close(cairn_shards_cursor* cursor);
/* 1 yes, 0 no */
CAIRN_EXPORT int cairn_shards_contains(const cairn_shards* set, uint64_t key);
/* As cairn_get. */
CAIRN_EXPORT int cairn_shards_get(const cairn_shards* set, uint64_t key, float* out, size_t dims);
/* Where a listing of keys has come to. */
typedef struct {
  size_t size;         /* set it to sizeof(cairn_shards_key_scan) */
  uint64_t shard;      /* 0 at first; then as the last call has left it */
  uint64_t position;   /* the same */
  uint8_t done;        /* 1: there are no more */
  uint8_t reserved[7]; /* 0 */
} cairn_shards_key_scan;
/* As cairn_keys. */
CAIRN_EXPORT int cairn_shards_keys(const cairn_shards* set, cairn_shards_key_scan* scan,
                                   uint64_t* out, size_t capacity, size_t* count);
/* As cairn_verify_with, cairn_warm, cairn_release and cairn_refresh, of all shards. */
CAIRN_EXPORT int cairn_shards_verify(const cairn_shards* set, const cairn_build_options* options,
                                     cairn_verify_report** out);
CAIRN_EXPORT int cairn_shards_warm(const cairn_shards* set);
CAIRN_EXPORT int cairn_shards_release(const cairn_shards* set);
CAIRN_EXPORT int cairn_shards_refresh(cairn_shards* set);
/* Of a set that is open for writing, else read_only (7). */
CAIRN_EXPORT int cairn_shards_upsert(cairn_shards* set, uint64_t key, const cairn_vector* vector);
CAIRN_EXPORT int cairn_shards_remove(cairn_shards* set, uint64_t key);
CAIRN_EXPORT int cairn_shards_sync(cairn_shards* set);
CAIRN_EXPORT int cairn_shards_checkpoint(cairn_shards* set, const cairn_stop* stop);

#ifdef __cplusplus
}
#endif
#endif
