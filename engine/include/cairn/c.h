/* SPDX-License-Identifier: Apache-2.0
 *
 * The C interface, which bindings of other languages stand on. Handles are opaque; every call that
 * can fail returns 0 or one of the CAIRN_ERROR_ numbers, and cairn_last_error() then tells the
 * story. No exception crosses it. Threads and processes as in cairn/index.h; cairn_close must not
 * run beside another call on the same handle. In a child of the process that opened a file for
 * writing, calls return unsupported (6), and cairn_close only unmaps and closes.
 *
 * Whatever bytes a file holds, and whatever another process writes to it meanwhile, every call
 * gives an answer, an error or a finding, and none ends the process; only a file that is cut off
 * from outside, or a disk that fails, does so by SIGBUS where a mapping is read without `guard`.
 * The answers of a damaged file may be wrong: cairn_verify() it.
 *
 * Options are structs that later versions append to. `size`, which stands first, is how much of it
 * the caller knows; what it does not know has its default:
 *
 *   cairn_params params;
 *   cairn_params_init(&params, sizeof params, 384);
 *   cairn_open_options options = {.size = sizeof options};
 *   options.mode = CAIRN_READ_WRITE;
 *
 * Of all options but cairn_params, 0 is the default of each field, and NULL in the place of the
 * struct stands for all defaults. A size that is less than that of `size` itself or more than 4096
 * is invalid_argument (1), and so is a byte other than 0 in what this library does not know of a
 * later version's struct, in `reserved` too: nothing that a caller asks for is left out silently.
 */
#ifndef CAIRN_C_H
#define CAIRN_C_H

#include <stddef.h>
#include <stdint.h>

#include <cairn/export.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers of cairn::ErrorCode (cairn/error.h), which never change. */
enum {
  CAIRN_OK = 0,
  CAIRN_ERROR_INVALID_ARGUMENT = 1,
  CAIRN_ERROR_DIMENSION_MISMATCH = 2,
  CAIRN_ERROR_NOT_FINITE = 3,
  CAIRN_ERROR_KEY_EXISTS = 4,
  CAIRN_ERROR_KEY_NOT_FOUND = 5,
  CAIRN_ERROR_UNSUPPORTED = 6,
  CAIRN_ERROR_READ_ONLY = 7,
  CAIRN_ERROR_NOT_EMPTY = 8,
  CAIRN_ERROR_IO_ERROR = 20,
  CAIRN_ERROR_NO_SPACE = 21,
  CAIRN_ERROR_PATH_EXISTS = 22,
  CAIRN_ERROR_PATH_NOT_FOUND = 23,
  CAIRN_ERROR_PATH_IN_USE = 24,
  CAIRN_ERROR_PERMISSION_DENIED = 25,
  CAIRN_ERROR_OUT_OF_MEMORY = 26,
  CAIRN_ERROR_NOT_A_CAIRN_FILE = 40,
  CAIRN_ERROR_VERSION_UNSUPPORTED = 41,
  CAIRN_ERROR_FEATURE_UNSUPPORTED = 42,
  CAIRN_ERROR_CORRUPT = 43,
  CAIRN_ERROR_TRUNCATED = 44,
  CAIRN_ERROR_DATA_LOSS = 45,
  CAIRN_ERROR_CANCELLED = 60,
  CAIRN_ERROR_DEADLINE_EXCEEDED = 61,
  CAIRN_ERROR_POISONED = 62,
  CAIRN_ERROR_BUSY = 63,
  CAIRN_ERROR_INTERNAL = 90
};

/* Numbers of cairn::Metric, cairn::Scalar and cairn::Traversal (cairn/types.h). */
enum {
  CAIRN_METRIC_COSINE = 1,
  CAIRN_METRIC_L2SQ = 2,
  CAIRN_METRIC_INNER_PRODUCT = 3,
  CAIRN_METRIC_HAMMING = 4
};
enum {
  CAIRN_SCALAR_F32 = 1,
  CAIRN_SCALAR_F16 = 2,
  CAIRN_SCALAR_BF16 = 3,
  CAIRN_SCALAR_I8 = 4,
  CAIRN_SCALAR_B1 = 5
};
enum { CAIRN_TRAVERSAL_AUTOMATIC = 0, CAIRN_TRAVERSAL_CODE = 1, CAIRN_TRAVERSAL_EXACT = 2 };

/* Numbers of cairn::Mode, cairn::Residency, cairn::Verify, cairn::Durability and cairn::Existing
 * (cairn/params.h), and of cairn::Source (cairn/import.h). */
enum { CAIRN_READ_ONLY = 0, CAIRN_READ_WRITE = 1 };
enum { CAIRN_RESIDENCY_MAP = 0, CAIRN_RESIDENCY_LOAD = 1 };
enum { CAIRN_VERIFY_METADATA = 0, CAIRN_VERIFY_FULL = 1 };
/* Numbers of cairn::Check. */
enum { CAIRN_CHECK_NONE = 0, CAIRN_CHECK_ON_FIRST_USE = 1 };
enum { CAIRN_DURABILITY_SYNC = 0, CAIRN_DURABILITY_GROUP = 1, CAIRN_DURABILITY_NONE = 2 };
enum { CAIRN_EXISTING_REPLACE = 0, CAIRN_EXISTING_REFUSE = 1 };
enum {
  CAIRN_SOURCE_AUTOMATIC = 0,
  CAIRN_SOURCE_HNSW_RS = 1,
  CAIRN_SOURCE_HNSWLIB = 2,
  CAIRN_SOURCE_USEARCH = 3,
  CAIRN_SOURCE_FAISS = 4
};

/* An index, in memory or in a file. */
typedef struct cairn_index cairn_index;
/* A result of a search. */
typedef struct {
  uint64_t key;   /* of the vector */
  float distance; /* as in cairn::Match: cosine 1 - cos (1 if a vector is zero), 1 - ip, squared,
                     bits */
} cairn_match;

/* -- Stopping and progress ------------------------------------------------------------------------
 * A flag that ends long calls with cancelled (60). One flag may serve several calls at once; it
 * must outlive them.
 *
 *   cairn_stop* stop;
 *   if (cairn_stop_create(&stop) != 0) return 1;
 *   cairn_build_options options = {.size = sizeof options};
 *   options.stop = stop;                  // another thread, or a signal handler: cairn_stop_set()
 *   int code = cairn_build_with(index, keys, &rows, &options);
 *   cairn_stop_close(stop);
 */
typedef struct cairn_stop cairn_stop;
/* A flag that is not set. *out is NULL after an error. */
CAIRN_EXPORT int cairn_stop_create(cairn_stop** out);
/* From any thread and from signal handlers; NULL is allowed. */
CAIRN_EXPORT void cairn_stop_set(cairn_stop* stop);
/* The flag is as new. */
CAIRN_EXPORT void cairn_stop_clear(cairn_stop* stop);
/* 1 if it is set, 0 if not. */
CAIRN_EXPORT int cairn_stop_is_set(const cairn_stop* stop);
/* NULL is allowed. */
CAIRN_EXPORT void cairn_stop_close(cairn_stop* stop);

/* How far a call is, in units that its documentation names. Called from one thread at a time, which
 * need not be that of the call; it must return (no exception, no longjmp), and may set a stop
 * flag. */
typedef void (*cairn_progress)(void* context, uint64_t done, uint64_t total);

/* -- Making and opening ---------------------------------------------------------------------------
 * What an index is made with: cairn::IndexParams (cairn/params.h). */
typedef struct {
  size_t size;              /* set by cairn_params_init */
  size_t dimensions;        /* 1 ... 65,535 */
  uint64_t seed;            /* of levels and insertion order: 42 */
  uint32_t m;               /* links per node, 2 ... 256: 16 */
  uint32_t ef_construction; /* candidates per inserted node, 1 ... 65,536: 200 */
  uint8_t metric;           /* CAIRN_METRIC_ */
  uint8_t scalar;           /* CAIRN_SCALAR_ */
  uint8_t traversal;        /* CAIRN_TRAVERSAL_ */
  uint8_t several_per_key;  /* 1: a key may have several vectors; 0 */
  uint8_t reserved[4];      /* 0 */
} cairn_params;
/* Cosine over f32 with the defaults of cairn::IndexParams. Fills struct_size bytes, those that this
 * library does not know with 0. Nothing if `params` is NULL or not even `size` fits. */
CAIRN_EXPORT void cairn_params_init(cairn_params* params, size_t struct_size, size_t dimensions);
/* Of version 0.1, and gone in the one after this: use cairn_params_init. */
static inline cairn_params cairn_params_default(size_t dimensions) {
  cairn_params params;
  cairn_params_init(&params, sizeof params, dimensions);
  return params;
}

/* As cairn::CreateOptions. */
typedef struct {
  size_t size;          /* set it to sizeof(cairn_create_options) */
  uint64_t max_vectors; /* addresses reserved at once, 0 ... 2^31; 0: as it grows */
  uint32_t group_ms;    /* with CAIRN_DURABILITY_GROUP: milliseconds to the disk at most; 0: 5 */
  uint8_t durability;   /* CAIRN_DURABILITY_ */
  uint8_t reserved[3];  /* 0 */
} cairn_create_options;
/* As cairn::OpenOptions. */
typedef struct {
  size_t size;             /* set it to sizeof(cairn_open_options) */
  uint64_t max_vectors;    /* with CAIRN_READ_WRITE: as in cairn_create_options */
  const cairn_stop* stop;  /* NULL: none */
  cairn_progress progress; /* changes of an unclosed writer that have been recovered; NULL: none */
  void* progress_context;  /* for progress */
  uint32_t group_ms;       /* as in cairn_create_options */
  uint8_t mode;            /* CAIRN_READ_ONLY, CAIRN_READ_WRITE */
  uint8_t residency;       /* CAIRN_RESIDENCY_ */
  uint8_t verify;          /* CAIRN_VERIFY_ */
  uint8_t durability;      /* CAIRN_DURABILITY_ */
  uint8_t salvage;         /* 1: open what is before a loss in the log, instead of data_loss */
  uint8_t guard;           /* 1: pages that cannot be read are io_error, not SIGBUS */
  uint8_t check;           /* CAIRN_CHECK_ */
  uint8_t reserved[5];     /* 0 */
} cairn_open_options;

/* An empty index in memory. *out is NULL after an error. */
CAIRN_EXPORT int cairn_create(const cairn_params* params, cairn_index** out);
/* An empty index in a new file, path_exists (22) if there is one. Each change is on disk when its
 * call returns. */
CAIRN_EXPORT int cairn_create_file(const char* path, const cairn_params* params, cairn_index** out);
/* The same with options; `path` NULL: in memory. */
CAIRN_EXPORT int cairn_create_with(const char* path, const cairn_params* params,
                                   const cairn_create_options* options, cairn_index** out);
/* A file, searched from the map. read_write other than 0: to change it, too, path_in_use (24) if
 * somebody else does; each change is on disk when its call returns. */
CAIRN_EXPORT int cairn_open(const char* path, int read_write, cairn_index** out);
/* A file, as the options say; errors as cairn::Index::open. *out is NULL after an error. */
CAIRN_EXPORT int cairn_open_with(const char* path, const cairn_open_options* options,
                                 cairn_index** out);
/* NULL is allowed. */
CAIRN_EXPORT void cairn_close(cairn_index* index);

/* -- Changing -------------------------------------------------------------------------------------
 * Vectors and queries are floats here, whatever kind the index stores. What is added to an index of
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

/* A vector of any kind: f32, or the kind of the index, which is used as it is; else
 * invalid_argument (1). f16 and bf16 are bit patterns of 16 bits, i8 signed bytes; b1 has
 * (dims + 7) / 8 bytes, lowest bit first, bits behind the last one 0. f32 is converted as above. */
typedef struct {
  const void* data; /* components, as the kind has them */
  size_t dims;      /* components */
  uint8_t scalar;   /* CAIRN_SCALAR_ */
} cairn_vector;
/* Rows of one kind. */
typedef struct {
  const void* data; /* the first row */
  size_t rows;      /* vectors */
  size_t dims;      /* components of one */
  size_t stride; /* bytes from row to row; 0: a row's bytes, without gaps. Of f32 a multiple of 4 */
  uint8_t scalar; /* CAIRN_SCALAR_ */
} cairn_matrix;
/* As cairn_add and cairn_upsert. */
CAIRN_EXPORT int cairn_add_vector(cairn_index* index, uint64_t key, const cairn_vector* vector);
CAIRN_EXPORT int cairn_upsert_vector(cairn_index* index, uint64_t key, const cairn_vector* vector);

/* As cairn::BuildOptions, of cairn_build_with, cairn_compact_with and cairn_verify_with. */
typedef struct {
  size_t size;             /* set it to sizeof(cairn_build_options) */
  const cairn_stop* stop;  /* NULL: none */
  cairn_progress progress; /* vectors, and pages of verify; it may search and ask for keys and
                              numbers, but not change, save or verify. NULL: none */
  void* progress_context;  /* for progress */
  uint32_t threads;        /* 0: all cores */
  uint8_t erase;           /* 1, of compact on a file: the old one is overwritten with zeros */
  uint8_t reserved[3];     /* 0 */
} cairn_build_options;
/* `rows` is row-major, n x dims; threads 0: all cores. */
CAIRN_EXPORT int cairn_build(cairn_index* index, const uint64_t* keys, const float* rows, size_t n,
                             size_t dims, unsigned threads);
/* The same of rows of any kind: `keys` has rows->rows elements. */
CAIRN_EXPORT int cairn_build_with(cairn_index* index, const uint64_t* keys,
                                  const cairn_matrix* rows, const cairn_build_options* options);
/* Renumbers the vectors without gaps and gives memory back; searches go on meanwhile. */
CAIRN_EXPORT int cairn_compact(cairn_index* index);
CAIRN_EXPORT int cairn_compact_with(cairn_index* index, const cairn_build_options* options);

/* As cairn::Index::sync, checkpoint, refresh and backup. Nothing to do in memory but for backup. */
CAIRN_EXPORT int cairn_sync(cairn_index* index);
CAIRN_EXPORT int cairn_checkpoint(cairn_index* index);
/* `stop` may be NULL. */
CAIRN_EXPORT int cairn_checkpoint_with(cairn_index* index, const cairn_stop* stop);
CAIRN_EXPORT int cairn_refresh(cairn_index* index);
CAIRN_EXPORT int cairn_backup(const cairn_index* index, const char* path);

/* The host's log position, kept and logged like any change; 0 at first. Set it to lsn when all
 * operations up to lsn have returned: replaying from there gives the same index. */
CAIRN_EXPORT int cairn_applied_up_to(const cairn_index* index, uint64_t* lsn);
CAIRN_EXPORT int cairn_set_applied_up_to(cairn_index* index, uint64_t lsn);

/* The size of the candidate list that searches with ef 0 take, 1 to 65536; 0: none is advised, and
 * they take 64. Kept in the file and logged like any change. */
CAIRN_EXPORT int cairn_set_advised_ef(cairn_index* index, size_t ef);

/* -- Searching ------------------------------------------------------------------------------------
 * `out` has room for k matches; *count tells how many were written. */
CAIRN_EXPORT int cairn_search(const cairn_index* index, const float* query, size_t dims, size_t k,
                              size_t ef, cairn_match* out, size_t* count);
/* Searches n queries, row-major in `queries`, n x dims; threads 0: all cores. `out` has room for n
 * * k matches, `counts` for n: those of query i stand at out[i * k], counts[i] of them. All queries
 * are checked before anything is searched or written. */
CAIRN_EXPORT int cairn_search_batch(const cairn_index* index, const float* queries, size_t n,
                                    size_t dims, size_t k, size_t ef, unsigned threads,
                                    cairn_match* out, size_t* counts);
/* Which keys a search may return, as cairn::Filter (cairn/filter.h): made once for an index, used
 * by any number of searches and threads. It copies what it is given, and follows the index. With
 * another index, or once its own is closed, it is invalid_argument (1).
 *
 *   cairn_filter* mine;
 *   if (cairn_filter_only(index, keys_of_tenant, n, &mine) != 0) return 1;
 *   cairn_search_options options = {.size = sizeof options};
 *   options.filter = mine;
 *   int code = cairn_search_with(index, &query, &options, matches, 10, &count);
 *   cairn_filter_close(mine);
 */
typedef struct cairn_filter cairn_filter;
/* These keys. *out is NULL after an error, here and below. */
CAIRN_EXPORT int cairn_filter_only(const cairn_index* index, const uint64_t* keys, size_t n,
                                   cairn_filter** out);
/* All others. */
CAIRN_EXPORT int cairn_filter_except(const cairn_index* index, const uint64_t* keys, size_t n,
                                     cairn_filter** out);
/* Bit i, counted from the lowest of words[0], is key first + i; those beyond do not pass. */
CAIRN_EXPORT int cairn_filter_bits(const cairn_index* index, const uint64_t* words, size_t n,
                                   uint64_t first, cairn_filter** out);
/* Those for which it returns another number than 0. It is asked by the threads that search, perhaps
 * by several at once, of each key at least once; it must return, and not call the index. */
typedef int (*cairn_wanted)(void* context, uint64_t key);
CAIRN_EXPORT int cairn_filter_where(const cairn_index* index, cairn_wanted wanted, void* context,
                                    cairn_filter** out);
/* How many vectors of the index pass now; 0 for NULL and once the index is closed. */
CAIRN_EXPORT size_t cairn_filter_count(const cairn_filter* filter);
/* NULL is allowed. No search may use it any more. */
CAIRN_EXPORT void cairn_filter_close(cairn_filter* filter);

/* Numbers of cairn::Plan (cairn/params.h). */
enum { CAIRN_PLAN_AUTOMATIC = 0, CAIRN_PLAN_WALK = 1, CAIRN_PLAN_EXACT = 2 };
/* What a search has done, as cairn::SearchReport. Filled as cairn_stats fills its struct. */
typedef struct {
  size_t size;         /* set it to sizeof(cairn_search_report) */
  uint64_t distances;  /* computed while candidates were looked for */
  uint64_t lists;      /* neighbor lists that were read for that */
  uint8_t plan;        /* CAIRN_PLAN_; AUTOMATIC of a batch whose rows differ */
  uint8_t complete;    /* 0: a limit has ended it, and the matches are those found by then */
  uint8_t reserved[6]; /* 0 */
} cairn_search_report;
/* The caller's own metric, as cairn::SearchParams::rerank: the distance of a candidate, whose
 * vector is in the index's scalar kind and good for the call alone. */
typedef float (*cairn_rerank)(void* context, uint64_t key, const cairn_vector* vector);
/* As cairn::SearchParams. */
typedef struct {
  size_t size;                /* set it to sizeof(cairn_search_options) */
  size_t k;                   /* results wanted; 0: 10 */
  size_t ef;                  /* candidate list's size, below 64 as it is; 0: advised, else 64 */
  uint32_t threads;           /* of a batch; 0: all cores */
  uint8_t plan;               /* CAIRN_PLAN_ */
  uint8_t reserved[3];        /* 0 */
  const cairn_filter* filter; /* which keys may be results; NULL: all */
  /* Of a batch: another filter for each row, NULL where there is none. NULL: `filter` for all. */
  const cairn_filter* const* filters;
  uint64_t max_distances;      /* that may be computed; 0: no limit */
  uint64_t deadline_us;        /* microseconds that the call may take; 0: no limit */
  const cairn_stop* stop;      /* ends the search when it is set; NULL: none */
  cairn_rerank rerank;         /* NULL: none */
  void* rerank_context;        /* for rerank */
  cairn_search_report* report; /* NULL: none */
} cairn_search_options;
/* The k nearest, nearest first, at most `capacity` of them; *count tells how many. The query is
 * f32 or of the index's kind. Allocates nothing once warm if it need not be converted.
 *
 *   cairn_search_options options = {.size = sizeof options};
 *   options.k = 5;
 *   cairn_vector query = {bits, 128, CAIRN_SCALAR_B1};
 *   cairn_match matches[5];
 *   size_t count;
 *   int code = cairn_search_with(index, &query, &options, matches, 5, &count);
 */
CAIRN_EXPORT int cairn_search_with(const cairn_index* index, const cairn_vector* query,
                                   const cairn_search_options* options, cairn_match* out,
                                   size_t capacity, size_t* count);
/* As cairn::Index::search_documents: the keys whose vectors match several query vectors best. */
CAIRN_EXPORT int cairn_search_documents(const cairn_index* index, const cairn_matrix* query_vectors,
                                        const cairn_search_options* options, cairn_match* out,
                                        size_t capacity, size_t* count);
/* As cairn_search_batch: `out` has room for `capacity` matches, at least rows * k, else
 * invalid_argument (1); `counts` for one number a row. */
CAIRN_EXPORT int cairn_search_batch_with(const cairn_index* index, const cairn_matrix* queries,
                                         const cairn_search_options* options, cairn_match* out,
                                         size_t capacity, size_t* counts);
/* Told of a match; returns 0 to have no more. */
typedef int (*cairn_take)(void* context, const cairn_match* match);
/* As cairn::Index::search_range: vectors that are not farther than `radius`, nearest first, at most
 * `capacity` of them, and at most k of the options if that is not 0; *count tells how many. */
CAIRN_EXPORT int cairn_search_range(const cairn_index* index, const cairn_vector* query,
                                    float radius, const cairn_search_options* options,
                                    cairn_match* out, size_t capacity, size_t* count);
/* The same, each handed to `take` in any order. *is_all, which may be NULL: 0 if that has ended it.
 */
CAIRN_EXPORT int cairn_search_range_each(const cairn_index* index, const cairn_vector* query,
                                         float radius, const cairn_search_options* options,
                                         cairn_take take, void* context, int* is_all);
/* The results of one query page by page: for one thread at a time. */
typedef struct cairn_cursor cairn_cursor;
#define CAIRN_ORDER_RELAXED 0 /* what is found late comes with a later page */
#define CAIRN_ORDER_STRICT 1  /* it is left out */
/* As cairn::Index::open_cursor: the query is copied; filter and stop must outlive the cursor. Of
 * the options k, threads and report are not used. deadline_us is what each page may take: it counts
 * from the call of cairn_cursor_next. `rerank` orders each page by itself, and is called by that,
 * too. *out is NULL after an error.
 *
 *   cairn_cursor* cursor;
 *   if (cairn_cursor_open(index, &query, NULL, CAIRN_ORDER_RELAXED, &cursor) != 0) return 1;
 *   cairn_match page[10];
 *   size_t count;
 *   while (cairn_cursor_next(cursor, page, 10, &count) == 0 && count != 0) show(page, count);
 *   cairn_cursor_close(cursor);
 */
CAIRN_EXPORT int cairn_cursor_open(const cairn_index* index, const cairn_vector* query,
                                   const cairn_search_options* options, uint8_t order,
                                   cairn_cursor** out);
/* The next results, at most `capacity`; none at the end. invalid_argument (1) once the index is
 * closed; deadline_exceeded (61) where nothing was found in time: the next call goes on. */
CAIRN_EXPORT int cairn_cursor_next(cairn_cursor* cursor, cairn_match* out, size_t capacity,
                                   size_t* count);
/* NULL is allowed. Before or after its index. */
CAIRN_EXPORT void cairn_cursor_close(cairn_cursor* cursor);
/* How much of the true answers searches find. */
typedef struct {
  size_t size;   /* set it to sizeof(cairn_recall_report); afterwards: how many bytes were filled */
  double recall; /* 0 to 1 */
  double lower;  /* of the interval in which it lies with 95 % certainty */
  double upper;  /* its end */
  uint64_t queries; /* that were searched */
} cairn_recall_report;
/* As cairn::Index::measure_recall and ef_for: each query is searched and looked up exactly.
 * `options`: threads, progress and stop count; those of the search have none. Both may be NULL. */
CAIRN_EXPORT int cairn_measure_recall(const cairn_index* index, const cairn_matrix* queries,
                                      const cairn_search_options* search,
                                      const cairn_build_options* options,
                                      cairn_recall_report* report);
CAIRN_EXPORT int cairn_ef_for(const cairn_index* index, double recall, const cairn_matrix* queries,
                              size_t k, const cairn_build_options* options, size_t* ef);
/* 1 yes, 0 no */
CAIRN_EXPORT int cairn_contains(const cairn_index* index, uint64_t key);
/* `out` has room for `dims` floats, at least the index's dimensions. */
CAIRN_EXPORT int cairn_get(const cairn_index* index, uint64_t key, float* out, size_t dims);
/* The vector as f32 or in the kind of the index, else invalid_argument (1). `out` has room for
 * `bytes` bytes and is aligned for a component; too few are dimension_mismatch (2). */
CAIRN_EXPORT int cairn_get_vector(const cairn_index* index, uint64_t key, uint8_t scalar, void* out,
                                  size_t bytes);
/* How many vectors the key has: more than 1 only with cairn_params.several_per_key. */
CAIRN_EXPORT size_t cairn_count(const cairn_index* index, uint64_t key);
/* As cairn_get_vector, vector `i` of the key in the order in which they were added, from 0. */
CAIRN_EXPORT int cairn_get_vector_at(const cairn_index* index, uint64_t key, size_t i,
                                     uint8_t scalar, void* out, size_t bytes);
/* Where a listing of keys has come to. */
typedef struct {
  size_t size;         /* set it to sizeof(cairn_key_scan) */
  uint64_t position;   /* 0 at first; then as the last call has left it */
  uint8_t done;        /* 1: there are no more */
  uint8_t reserved[7]; /* 0 */
} cairn_key_scan;
/* As cairn::Index::keys: the next keys, at most `capacity`, which is not 0; *count tells how many.
 * Every key that is there throughout comes exactly once, in any order.
 *
 *   cairn_key_scan scan = {.size = sizeof scan};
 *   uint64_t keys[1024];
 *   size_t count;
 *   while (!scan.done) {
 *     if (cairn_keys(index, &scan, keys, 1024, &count) != 0) return 1;
 *     for (size_t i = 0; i < count; ++i) use(keys[i]);
 *   }
 */
CAIRN_EXPORT int cairn_keys(const cairn_index* index, cairn_key_scan* scan, uint64_t* out,
                            size_t capacity, size_t* count);
/* warm reads all pages of a mapped file into memory; release takes them out of this process again.
 * Both change no answer. */
CAIRN_EXPORT int cairn_warm(const cairn_index* index);
CAIRN_EXPORT int cairn_release(const cairn_index* index);

/* -- Files ----------------------------------------------------------------------------------------
 * As cairn::SaveOptions. */
typedef struct {
  size_t size;            /* set it to sizeof(cairn_save_options) */
  const cairn_stop* stop; /* NULL: none */
  uint8_t existing;       /* CAIRN_EXISTING_ */
  uint8_t reserved[7];    /* 0 */
} cairn_save_options;
/* The whole index, written beside `path` and renamed over it; also of a file that is open. */
CAIRN_EXPORT int cairn_save(const cairn_index* index, const char* path);
CAIRN_EXPORT int cairn_save_with(const cairn_index* index, const char* path,
                                 const cairn_save_options* options);
/* What a save to `path` would refuse before it writes anything. */
CAIRN_EXPORT int cairn_check_save(const char* path, const cairn_save_options* options);

/* As cairn::build_file: the file of cairn_create, cairn_build_with and cairn_save_with, of more
 * rows than fit into memory, too. `options` and `save` may be NULL. */
CAIRN_EXPORT int cairn_build_file(const char* path, const cairn_params* params,
                                  const uint64_t* keys, const cairn_matrix* rows,
                                  const cairn_build_options* options,
                                  const cairn_save_options* save);

/* *findings: the number of defects; corrupt (43) if there are any, the first in cairn_last_error().
 */
CAIRN_EXPORT int cairn_verify(const cairn_index* index, uint64_t* findings);
/* What a verification has found. */
typedef struct cairn_verify_report cairn_verify_report;
/* Its numbers. */
typedef struct {
  size_t size; /* set it to sizeof(cairn_verify_numbers); afterwards: how many bytes were filled */
  uint64_t findings;      /* defects */
  uint64_t pages_checked; /* of 4 KiB */
  uint64_t nodes_checked; /* 0: not all pages could be read */
  uint64_t unreachable;   /* live nodes that no path from the entry point reaches */
} cairn_verify_numbers;
/* As cairn::Index::verify: defects are findings, not an error. *out is NULL after an error.
 *
 *   cairn_verify_report* report;
 *   if (cairn_verify_with(index, NULL, &report) != 0) return 1;
 *   const char* finding;
 *   for (size_t i = 0; (finding = cairn_verify_finding(report, i)) != NULL; ++i) puts(finding);
 *   cairn_verify_close(report);
 */
CAIRN_EXPORT int cairn_verify_with(const cairn_index* index, const cairn_build_options* options,
                                   cairn_verify_report** out);
/* Finding i, a line with its place; NULL behind the last. Valid until the report is closed. */
CAIRN_EXPORT const char* cairn_verify_finding(const cairn_verify_report* report, size_t i);
/* Fills the first out->size bytes, or all there is if that is less. */
CAIRN_EXPORT int cairn_verify_count(const cairn_verify_report* report, cairn_verify_numbers* out);
/* NULL is allowed. */
CAIRN_EXPORT void cairn_verify_close(cairn_verify_report* report);

/* -- Asking ---------------------------------------------------------------------------------------
 * What cairn::Stats (cairn/params.h) tells, for whoever exports it; 0 where there is no file. Later
 * versions append to it: `size` is how much of it the caller knows. */
typedef struct {
  size_t size;      /* set it to sizeof(cairn_statistics); afterwards: how many bytes were filled */
  uint64_t live;    /* vectors */
  uint64_t deleted; /* removed vectors whose memory cannot be used again yet */
  uint64_t slots;   /* vectors that the memory in use has room for */
  uint64_t dimensions;         /* components of a vector */
  uint64_t max_level;          /* the highest level */
  uint64_t generation;         /* of the superblock */
  uint64_t file_bytes;         /* size of the file */
  uint64_t hot_bytes;          /* all that graph traversal touches */
  uint64_t exact_bytes;        /* the vectors as given */
  uint64_t private_bytes;      /* memory that the kernel cannot reclaim by dropping file pages */
  uint64_t log_bytes;          /* of the file that the log takes */
  uint64_t log_frames;         /* since the last checkpoint */
  uint64_t last_lsn;           /* number of the last frame */
  uint64_t durable_lsn;        /* number of the last frame that is on disk */
  uint64_t dirty_pages;        /* of 4 KiB, that the next checkpoint writes */
  uint64_t checkpoints;        /* since it was opened */
  uint64_t failed_checkpoints; /* since it was opened */
  uint64_t poisoned;           /* 1: a write or sync has failed, nothing more is acknowledged */
  uint64_t adds;               /* successful calls since it was made or opened */
  uint64_t upserts;            /* the same */
  uint64_t removes;            /* the same */
  uint64_t searches;           /* queries; each of a batch counts */
  uint64_t compactions;        /* successful calls */
  uint64_t open_ns;            /* time that opening took */
  uint64_t recovery_ns;        /* the part of it that went into log and journal */
  uint64_t recovered_frames;   /* of the log, by opening */
  uint64_t lost_frames;        /* that a salvaging open gave up */
  uint64_t first_lost_lsn;     /* their first number */
  uint64_t last_lost_lsn;      /* their last number */
  uint64_t live_before_loss;   /* vectors that the lost frames had led to */
  uint64_t advised_ef;         /* of cairn_set_advised_ef; 0: none */
  uint64_t timed_searches;     /* while cairn_record_latency was on */
  uint64_t p50_ns;             /* of their times, within 1 % */
  uint64_t p90_ns;             /* the same */
  uint64_t p99_ns;             /* the same */
  uint64_t p999_ns;            /* the same */
  uint64_t keys;               /* of the vectors; fewer only with cairn_params.several_per_key */
} cairn_statistics;
/* Fills the first out->size bytes, or all there is if that is less. invalid_argument (1) if not
 * even `size` itself fits. */
CAIRN_EXPORT int cairn_stats(const cairn_index* index, cairn_statistics* out);
/* Times searches from now on (1), or no longer (0). Off at first, and costs nothing then. */
CAIRN_EXPORT int cairn_record_latency(cairn_index* index, int on);
/* Quantiles, 0 to 1, of the times of all searches that were timed, in microseconds within 1 %: n of
 * them to `us`. *count, which may be NULL, is how many searches; 0 and zeros if there are none. */
CAIRN_EXPORT int cairn_latency(const cairn_index* index, const double* quantiles, size_t n,
                               double* us, uint64_t* count);
/* As cairn::prometheus_text without labels, into `out`, with a 0 at its end; *needed is how many
 * bytes that takes. Nothing is written if `capacity` is less: ask with 0 first, out may be NULL
 * then. */
CAIRN_EXPORT int cairn_prometheus_text(const cairn_index* index, char* out, size_t capacity,
                                       size_t* needed);
/* What the index was made with; fills as cairn_stats does. */
CAIRN_EXPORT int cairn_get_params(const cairn_index* index, cairn_params* out);
CAIRN_EXPORT size_t cairn_size(const cairn_index* index);
CAIRN_EXPORT size_t cairn_dimensions(const cairn_index* index);

/* -- Building shards ------------------------------------------------------------------------------
 * As cairn/shard_manifest.h. Numbers of cairn::Partition. */
enum { CAIRN_PARTITION_HASH = 0, CAIRN_PARTITION_CLUSTERS = 1, CAIRN_PARTITION_ROWS = 2 };
#define CAIRN_NO_SHARD 0xFFFFFFFFu /* a row has no copy */
/* A file of a set, as its manifest names it. */
typedef struct {
  size_t size;      /* set it to sizeof(cairn_shard_file) */
  uint64_t vectors; /* that it holds */
  uint64_t bytes;   /* its size */
  char file[136];   /* its name in the folder, with a 0 at its end */
  char xxh3[40];    /* XXH3-128 of its bytes, 32 hexadecimal digits and a 0 */
} cairn_shard_file;
/* What is published. */
typedef struct {
  size_t size;                    /* set it to sizeof(cairn_shards_manifest) */
  uint64_t generation;            /* that is replaced; 0: there is none. Afterwards: its own */
  const cairn_params* params;     /* what shards are built with */
  const cairn_shard_file* shards; /* shard_count of them */
  size_t shard_count;             /* of shards */
  const cairn_shard_file* router; /* of clusters; else NULL */
  const float* gaps;              /* of clusters, one a shard; else NULL */
  uint64_t seed;                  /* of hash */
  uint8_t partition;              /* CAIRN_PARTITION_ */
  uint8_t reserved[7];            /* 0 */
} cairn_shards_manifest;
/* The shard of each of n keys, of `shards` by hash, to `out`. */
CAIRN_EXPORT int cairn_shards_of_keys(const uint64_t* keys, size_t n, uint64_t seed, size_t shards,
                                      uint32_t* out);
/* Saves an index in the folder, named by its contents. `stop` may be NULL. */
CAIRN_EXPORT int cairn_shards_add_file(const char* folder, const cairn_index* index,
                                       const cairn_stop* stop, cairn_shard_file* out);
/* What a file that is there already is to be called. */
CAIRN_EXPORT int cairn_shards_describe(const char* path, const cairn_stop* stop,
                                       cairn_shard_file* out);
/* Makes it the manifest that holds; path_in_use (24) if somebody else has published meanwhile. */
CAIRN_EXPORT int cairn_shards_publish(const char* folder, cairn_shards_manifest* manifest);
/* As cairn::ClusterOptions. */
typedef struct {
  size_t size;             /* set it to sizeof(cairn_cluster_options) */
  uint64_t seed;           /* of where clustering begins; 0: 42 */
  size_t shards;           /* 1 to 65,536 */
  size_t centroids;        /* for each shard; 0: 128 */
  const cairn_stop* stop;  /* NULL: none */
  cairn_progress progress; /* rounds; NULL: none */
  void* progress_context;  /* for progress */
  uint32_t copies;         /* thousandths of the vectors that a second shard has, too */
  uint32_t largest;        /* the largest shard over the mean, in thousandths; 0: 1,050 */
  uint32_t threads;        /* 0: all cores */
  uint8_t reserved[4];     /* 0 */
} cairn_cluster_options;
/* *router is an index, and `gaps` has room for as many numbers as there are shards. */
CAIRN_EXPORT int cairn_shards_cluster(uint8_t metric, const cairn_matrix* sample,
                                      const cairn_cluster_options* options, cairn_index** router,
                                      float* gaps);
/* The shard of each row, and that of its copy, or CAIRN_NO_SHARD. */
CAIRN_EXPORT int cairn_shards_assign(const cairn_index* router, const float* gaps, size_t shards,
                                     const cairn_matrix* rows, uint32_t threads, uint32_t* first,
                                     uint32_t* second);

/* -- Moving in and out ----------------------------------------------------------------------------
 * As cairn::ImportOptions and cairn::ImportReport (cairn/import.h). */
typedef struct {
  size_t size;              /* set it to sizeof(cairn_import_options) */
  uint8_t source;           /* CAIRN_SOURCE_; 0: what the file looks like */
  uint8_t metric;           /* CAIRN_METRIC_; 0: what the file says */
  uint8_t rebuild;          /* 1: a new graph in any case */
  uint8_t several_per_key;  /* 1: the index has all vectors of a key; 0: the first */
  uint32_t threads;         /* 0: all cores */
  size_t dimensions;        /* 0: what the file says */
  uint32_t m;               /* 0: as the source needs */
  uint32_t ef_construction; /* 0: as the source needs */
  const uint64_t* keys;     /* instead of the file's, in file order; NULL: the file's */
  size_t key_count;         /* of keys */
  const cairn_stop* stop;   /* NULL: none */
  cairn_progress progress;  /* of the part that is under way; NULL: none */
  void* progress_context;   /* for progress */
} cairn_import_options;
/* What an import has done. */
typedef struct {
  size_t size; /* set it to sizeof(cairn_import_report); afterwards: how many bytes were filled */
  uint64_t vectors;       /* that the index has now */
  uint64_t links_kept;    /* of level 0 */
  uint64_t links_dropped; /* of level 0 */
  uint64_t skipped;       /* vectors: removed, or of a key that was there */
  uint64_t graph_kept;    /* 0 or 1 */
} cairn_import_report;
/* An index in memory of a file of hnsw_rs, hnswlib, USearch or faiss. `options` and `report` may be
 * NULL. *out is NULL after an error. */
CAIRN_EXPORT int cairn_import(const char* path, const cairn_import_options* options,
                              cairn_index** out, cairn_import_report* report);
/* What of this thread's last successful import is not as it was, a line each; "" if nothing. Valid
 * until the thread's next import. */
CAIRN_EXPORT const char* cairn_import_notes(void);
/* As cairn::export_index: CAIRN_SOURCE_HNSWLIB or CAIRN_SOURCE_USEARCH. */
CAIRN_EXPORT int cairn_export(const cairn_index* index, const char* path, uint8_t kind);

/* -- Errors and the library -----------------------------------------------------------------------
 * Code, what and where of this thread's last failed call, e.g. "key_exists (4): add: key 7 is
 * already there"; "" if none. Valid until the thread's next failing call. */
CAIRN_EXPORT const char* cairn_last_error(void);
/* "key_exists" of 4; "ok" of 0; "unknown" of a number that is none. */
CAIRN_EXPORT const char* cairn_error_name(int code);
CAIRN_EXPORT const char* cairn_version(void);
/* As cairn::simd_info: the instruction set that runs, those that this processor has, and those that
 * are compiled in, apart by spaces. Valid for ever. */
CAIRN_EXPORT const char* cairn_simd_active(void);
CAIRN_EXPORT const char* cairn_simd_available(void);
CAIRN_EXPORT const char* cairn_simd_compiled(void);

#ifdef __cplusplus
}
#endif

#include <cairn/c_shards.h>

#endif
