// SPDX-License-Identifier: Apache-2.0
// Made of engine/include/cairn/c.h by tools/packaging/rust-bindings.
pub const CAIRN_ORDER_RELAXED: u32 = 0;
pub const CAIRN_ORDER_STRICT: u32 = 1;
pub const CAIRN_NO_SHARD: u32 = 4294967295;
pub const CAIRN_OK: u32 = 0;
pub const CAIRN_ERROR_INVALID_ARGUMENT: u32 = 1;
pub const CAIRN_ERROR_DIMENSION_MISMATCH: u32 = 2;
pub const CAIRN_ERROR_NOT_FINITE: u32 = 3;
pub const CAIRN_ERROR_KEY_EXISTS: u32 = 4;
pub const CAIRN_ERROR_KEY_NOT_FOUND: u32 = 5;
pub const CAIRN_ERROR_UNSUPPORTED: u32 = 6;
pub const CAIRN_ERROR_READ_ONLY: u32 = 7;
pub const CAIRN_ERROR_NOT_EMPTY: u32 = 8;
pub const CAIRN_ERROR_IO_ERROR: u32 = 20;
pub const CAIRN_ERROR_NO_SPACE: u32 = 21;
pub const CAIRN_ERROR_PATH_EXISTS: u32 = 22;
pub const CAIRN_ERROR_PATH_NOT_FOUND: u32 = 23;
pub const CAIRN_ERROR_PATH_IN_USE: u32 = 24;
pub const CAIRN_ERROR_PERMISSION_DENIED: u32 = 25;
pub const CAIRN_ERROR_OUT_OF_MEMORY: u32 = 26;
pub const CAIRN_ERROR_NOT_A_CAIRN_FILE: u32 = 40;
pub const CAIRN_ERROR_VERSION_UNSUPPORTED: u32 = 41;
pub const CAIRN_ERROR_FEATURE_UNSUPPORTED: u32 = 42;
pub const CAIRN_ERROR_CORRUPT: u32 = 43;
pub const CAIRN_ERROR_TRUNCATED: u32 = 44;
pub const CAIRN_ERROR_DATA_LOSS: u32 = 45;
pub const CAIRN_ERROR_CANCELLED: u32 = 60;
pub const CAIRN_ERROR_DEADLINE_EXCEEDED: u32 = 61;
pub const CAIRN_ERROR_POISONED: u32 = 62;
pub const CAIRN_ERROR_BUSY: u32 = 63;
pub const CAIRN_ERROR_INTERNAL: u32 = 90;
pub const CAIRN_METRIC_COSINE: u32 = 1;
pub const CAIRN_METRIC_L2SQ: u32 = 2;
pub const CAIRN_METRIC_INNER_PRODUCT: u32 = 3;
pub const CAIRN_METRIC_HAMMING: u32 = 4;
pub const CAIRN_SCALAR_F32: u32 = 1;
pub const CAIRN_SCALAR_F16: u32 = 2;
pub const CAIRN_SCALAR_BF16: u32 = 3;
pub const CAIRN_SCALAR_I8: u32 = 4;
pub const CAIRN_SCALAR_B1: u32 = 5;
pub const CAIRN_TRAVERSAL_AUTOMATIC: u32 = 0;
pub const CAIRN_TRAVERSAL_CODE: u32 = 1;
pub const CAIRN_TRAVERSAL_EXACT: u32 = 2;
pub const CAIRN_READ_ONLY: u32 = 0;
pub const CAIRN_READ_WRITE: u32 = 1;
pub const CAIRN_RESIDENCY_MAP: u32 = 0;
pub const CAIRN_RESIDENCY_LOAD: u32 = 1;
pub const CAIRN_VERIFY_METADATA: u32 = 0;
pub const CAIRN_VERIFY_FULL: u32 = 1;
pub const CAIRN_CHECK_NONE: u32 = 0;
pub const CAIRN_CHECK_ON_FIRST_USE: u32 = 1;
pub const CAIRN_DURABILITY_SYNC: u32 = 0;
pub const CAIRN_DURABILITY_GROUP: u32 = 1;
pub const CAIRN_DURABILITY_NONE: u32 = 2;
pub const CAIRN_EXISTING_REPLACE: u32 = 0;
pub const CAIRN_EXISTING_REFUSE: u32 = 1;
pub const CAIRN_SOURCE_AUTOMATIC: u32 = 0;
pub const CAIRN_SOURCE_HNSW_RS: u32 = 1;
pub const CAIRN_SOURCE_HNSWLIB: u32 = 2;
pub const CAIRN_SOURCE_USEARCH: u32 = 3;
pub const CAIRN_SOURCE_FAISS: u32 = 4;
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_index {
    _unused: [u8; 0],
}
/// A result of a search.
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct cairn_match {
    /// of the vector
    pub key: u64,
    /// as in cairn::Match: cosine 1 - cos (1 if a vector is zero), 1 - ip, squared,
    ///bits
    pub distance: f32,
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_stop {
    _unused: [u8; 0],
}
extern "C" {
    /// A flag that is not set. *out is NULL after an error.
    pub fn cairn_stop_create(out: *mut *mut cairn_stop) -> ::std::os::raw::c_int;
}
extern "C" {
    /// From any thread and from signal handlers; NULL is allowed.
    pub fn cairn_stop_set(stop: *mut cairn_stop);
}
extern "C" {
    /// The flag is as new.
    pub fn cairn_stop_clear(stop: *mut cairn_stop);
}
extern "C" {
    /// 1 if it is set, 0 if not.
    pub fn cairn_stop_is_set(stop: *const cairn_stop) -> ::std::os::raw::c_int;
}
extern "C" {
    /// NULL is allowed.
    pub fn cairn_stop_close(stop: *mut cairn_stop);
}
/// How far a call is, in units that its documentation names. Called from one thread at a time, which
/// need not be that of the call; it must return (no exception, no longjmp), and may set a stop
/// flag.
pub type cairn_progress =
    ::core::option::Option<unsafe extern "C" fn(context: *mut ::core::ffi::c_void, done: u64, total: u64)>;
/// -- Making and opening ---------------------------------------------------------------------------
/// What an index is made with: cairn::IndexParams (cairn/params.h).
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct cairn_params {
    /// set by cairn_params_init
    pub size: usize,
    /// 1 ... 65,535
    pub dimensions: usize,
    /// of levels and insertion order: 42
    pub seed: u64,
    /// links per node, 2 ... 256: 16
    pub m: u32,
    /// candidates per inserted node, 1 ... 65,536: 200
    pub ef_construction: u32,
    /// CAIRN_METRIC_
    pub metric: u8,
    /// CAIRN_SCALAR_
    pub scalar: u8,
    /// CAIRN_TRAVERSAL_
    pub traversal: u8,
    /// 1: a key may have several vectors; 0
    pub several_per_key: u8,
    /// 0
    pub reserved: [u8; 4usize],
}
extern "C" {
    /// Cosine over f32 with the defaults of cairn::IndexParams. Fills struct_size bytes, those that this
    /// library does not know with 0. Nothing if `params` is NULL or not even `size` fits.
    pub fn cairn_params_init(params: *mut cairn_params, struct_size: usize, dimensions: usize);
}
/// As cairn::CreateOptions.
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct cairn_create_options {
    /// set it to sizeof(cairn_create_options)
    pub size: usize,
    /// addresses reserved at once, 0 ... 2^31; 0: as it grows
    pub max_vectors: u64,
    /// with CAIRN_DURABILITY_GROUP: milliseconds to the disk at most; 0: 5
    pub group_ms: u32,
    /// CAIRN_DURABILITY_
    pub durability: u8,
    /// 0
    pub reserved: [u8; 3usize],
}
/// As cairn::OpenOptions.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_open_options {
    /// set it to sizeof(cairn_open_options)
    pub size: usize,
    /// with CAIRN_READ_WRITE: as in cairn_create_options
    pub max_vectors: u64,
    /// NULL: none
    pub stop: *const cairn_stop,
    /// changes of an unclosed writer that have been recovered; NULL: none
    pub progress: cairn_progress,
    /// for progress
    pub progress_context: *mut ::core::ffi::c_void,
    /// as in cairn_create_options
    pub group_ms: u32,
    /// CAIRN_READ_ONLY, CAIRN_READ_WRITE
    pub mode: u8,
    /// CAIRN_RESIDENCY_
    pub residency: u8,
    /// CAIRN_VERIFY_
    pub verify: u8,
    /// CAIRN_DURABILITY_
    pub durability: u8,
    /// 1: open what is before a loss in the log, instead of data_loss
    pub salvage: u8,
    /// 1: pages that cannot be read are io_error, not SIGBUS
    pub guard: u8,
    /// CAIRN_CHECK_
    pub check: u8,
    /// 0
    pub reserved: [u8; 5usize],
}
impl Default for cairn_open_options {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
extern "C" {
    /// An empty index in memory. *out is NULL after an error.
    pub fn cairn_create(params: *const cairn_params, out: *mut *mut cairn_index) -> ::std::os::raw::c_int;
}
extern "C" {
    /// An empty index in a new file, path_exists (22) if there is one. Each change is on disk when its
    /// call returns.
    pub fn cairn_create_file(
        path: *const ::std::os::raw::c_char,
        params: *const cairn_params,
        out: *mut *mut cairn_index,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// The same with options; `path` NULL: in memory.
    pub fn cairn_create_with(
        path: *const ::std::os::raw::c_char,
        params: *const cairn_params,
        options: *const cairn_create_options,
        out: *mut *mut cairn_index,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// A file, searched from the map. read_write other than 0: to change it, too, path_in_use (24) if
    /// somebody else does; each change is on disk when its call returns.
    pub fn cairn_open(
        path: *const ::std::os::raw::c_char,
        read_write: ::std::os::raw::c_int,
        out: *mut *mut cairn_index,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// A file, as the options say; errors as cairn::Index::open. *out is NULL after an error.
    pub fn cairn_open_with(
        path: *const ::std::os::raw::c_char,
        options: *const cairn_open_options,
        out: *mut *mut cairn_index,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// NULL is allowed.
    pub fn cairn_close(index: *mut cairn_index);
}
extern "C" {
    /// -- Changing -------------------------------------------------------------------------------------
    /// Vectors and queries are floats here, whatever kind the index stores. What is added to an index of
    /// another kind than f32 is converted as by cairn::convert (cairn/convert.h): f16 and bf16 round to
    /// nearest, i8 rounds to the nearest integer and takes components in [-127, 127], b1 is 1 where a
    /// component is greater than 0. A component that does not fit is not_finite (3) or invalid_argument
    /// (1). Queries of i8 and b1 indexes are converted likewise, those of f16 and bf16 are used as they
    /// are. cairn_get gives what is stored as floats.
    ///
    /// `vector` has `dims` floats; dims other than the index's is dimension_mismatch (2).
    pub fn cairn_add(index: *mut cairn_index, key: u64, vector: *const f32, dims: usize) -> ::std::os::raw::c_int;
}
extern "C" {
    /// Adds, or replaces the vector that the key has.
    pub fn cairn_upsert(index: *mut cairn_index, key: u64, vector: *const f32, dims: usize) -> ::std::os::raw::c_int;
}
extern "C" {
    /// key_not_found (5) if there is none.
    pub fn cairn_remove(index: *mut cairn_index, key: u64) -> ::std::os::raw::c_int;
}
/// A vector of any kind: f32, or the kind of the index, which is used as it is; else
/// invalid_argument (1). f16 and bf16 are bit patterns of 16 bits, i8 signed bytes; b1 has
/// (dims + 7) / 8 bytes, lowest bit first, bits behind the last one 0. f32 is converted as above.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_vector {
    /// components, as the kind has them
    pub data: *const ::core::ffi::c_void,
    /// components
    pub dims: usize,
    /// CAIRN_SCALAR_
    pub scalar: u8,
}
impl Default for cairn_vector {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
/// Rows of one kind.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_matrix {
    /// the first row
    pub data: *const ::core::ffi::c_void,
    /// vectors
    pub rows: usize,
    /// components of one
    pub dims: usize,
    /// bytes from row to row; 0: a row's bytes, without gaps. Of f32 a multiple of 4
    pub stride: usize,
    /// CAIRN_SCALAR_
    pub scalar: u8,
}
impl Default for cairn_matrix {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
extern "C" {
    /// As cairn_add and cairn_upsert.
    pub fn cairn_add_vector(index: *mut cairn_index, key: u64, vector: *const cairn_vector) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_upsert_vector(index: *mut cairn_index, key: u64, vector: *const cairn_vector)
        -> ::std::os::raw::c_int;
}
/// As cairn::BuildOptions, of cairn_build_with, cairn_compact_with and cairn_verify_with.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_build_options {
    /// set it to sizeof(cairn_build_options)
    pub size: usize,
    /// NULL: none
    pub stop: *const cairn_stop,
    /// vectors, and pages of verify; it may search and ask for keys and
    ///numbers, but not change, save or verify. NULL: none
    pub progress: cairn_progress,
    /// for progress
    pub progress_context: *mut ::core::ffi::c_void,
    /// 0: all cores
    pub threads: u32,
    /// 1, of compact on a file: the old one is overwritten with zeros
    pub erase: u8,
    /// 0
    pub reserved: [u8; 3usize],
}
impl Default for cairn_build_options {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
extern "C" {
    /// `rows` is row-major, n x dims; threads 0: all cores.
    pub fn cairn_build(
        index: *mut cairn_index,
        keys: *const u64,
        rows: *const f32,
        n: usize,
        dims: usize,
        threads: ::std::os::raw::c_uint,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// The same of rows of any kind: `keys` has rows->rows elements.
    pub fn cairn_build_with(
        index: *mut cairn_index,
        keys: *const u64,
        rows: *const cairn_matrix,
        options: *const cairn_build_options,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// Renumbers the vectors without gaps and gives memory back; searches go on meanwhile.
    pub fn cairn_compact(index: *mut cairn_index) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_compact_with(index: *mut cairn_index, options: *const cairn_build_options) -> ::std::os::raw::c_int;
}
extern "C" {
    /// As cairn::Index::sync, checkpoint, refresh and backup. Nothing to do in memory but for backup.
    pub fn cairn_sync(index: *mut cairn_index) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_checkpoint(index: *mut cairn_index) -> ::std::os::raw::c_int;
}
extern "C" {
    /// `stop` may be NULL.
    pub fn cairn_checkpoint_with(index: *mut cairn_index, stop: *const cairn_stop) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_refresh(index: *mut cairn_index) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_backup(index: *const cairn_index, path: *const ::std::os::raw::c_char) -> ::std::os::raw::c_int;
}
extern "C" {
    /// The host's log position, kept and logged like any change; 0 at first. Set it to lsn when all
    /// operations up to lsn have returned: replaying from there gives the same index.
    pub fn cairn_applied_up_to(index: *const cairn_index, lsn: *mut u64) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_set_applied_up_to(index: *mut cairn_index, lsn: u64) -> ::std::os::raw::c_int;
}
extern "C" {
    /// The size of the candidate list that searches with ef 0 take, 1 to 65536; 0: none is advised, and
    /// they take 64. Kept in the file and logged like any change.
    pub fn cairn_set_advised_ef(index: *mut cairn_index, ef: usize) -> ::std::os::raw::c_int;
}
extern "C" {
    /// -- Searching ------------------------------------------------------------------------------------
    /// `out` has room for k matches; *count tells how many were written.
    pub fn cairn_search(
        index: *const cairn_index,
        query: *const f32,
        dims: usize,
        k: usize,
        ef: usize,
        out: *mut cairn_match,
        count: *mut usize,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// Searches n queries, row-major in `queries`, n x dims; threads 0: all cores. `out` has room for n
    /// * k matches, `counts` for n: those of query i stand at out[i * k], counts[i] of them. All queries
    /// are checked before anything is searched or written.
    pub fn cairn_search_batch(
        index: *const cairn_index,
        queries: *const f32,
        n: usize,
        dims: usize,
        k: usize,
        ef: usize,
        threads: ::std::os::raw::c_uint,
        out: *mut cairn_match,
        counts: *mut usize,
    ) -> ::std::os::raw::c_int;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_filter {
    _unused: [u8; 0],
}
extern "C" {
    /// These keys. *out is NULL after an error, here and below.
    pub fn cairn_filter_only(
        index: *const cairn_index,
        keys: *const u64,
        n: usize,
        out: *mut *mut cairn_filter,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// All others.
    pub fn cairn_filter_except(
        index: *const cairn_index,
        keys: *const u64,
        n: usize,
        out: *mut *mut cairn_filter,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// Bit i, counted from the lowest of words[0], is key first + i; those beyond do not pass.
    pub fn cairn_filter_bits(
        index: *const cairn_index,
        words: *const u64,
        n: usize,
        first: u64,
        out: *mut *mut cairn_filter,
    ) -> ::std::os::raw::c_int;
}
/// Those for which it returns another number than 0. It is asked by the threads that search, perhaps
/// by several at once, of each key at least once; it must return, and not call the index.
pub type cairn_wanted =
    ::core::option::Option<unsafe extern "C" fn(context: *mut ::core::ffi::c_void, key: u64) -> ::std::os::raw::c_int>;
extern "C" {
    pub fn cairn_filter_where(
        index: *const cairn_index,
        wanted: cairn_wanted,
        context: *mut ::core::ffi::c_void,
        out: *mut *mut cairn_filter,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// How many vectors of the index pass now; 0 for NULL and once the index is closed.
    pub fn cairn_filter_count(filter: *const cairn_filter) -> usize;
}
extern "C" {
    /// NULL is allowed. No search may use it any more.
    pub fn cairn_filter_close(filter: *mut cairn_filter);
}
pub const CAIRN_PLAN_AUTOMATIC: u32 = 0;
pub const CAIRN_PLAN_WALK: u32 = 1;
pub const CAIRN_PLAN_EXACT: u32 = 2;
/// What a search has done, as cairn::SearchReport. Filled as cairn_stats fills its struct.
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct cairn_search_report {
    /// set it to sizeof(cairn_search_report)
    pub size: usize,
    /// computed while candidates were looked for
    pub distances: u64,
    /// neighbor lists that were read for that
    pub lists: u64,
    /// CAIRN_PLAN_; AUTOMATIC of a batch whose rows differ
    pub plan: u8,
    /// 0: a limit has ended it, and the matches are those found by then
    pub complete: u8,
    /// 0
    pub reserved: [u8; 6usize],
}
/// The caller's own metric, as cairn::SearchParams::rerank: the distance of a candidate, whose
/// vector is in the index's scalar kind and good for the call alone.
pub type cairn_rerank = ::core::option::Option<
    unsafe extern "C" fn(context: *mut ::core::ffi::c_void, key: u64, vector: *const cairn_vector) -> f32,
>;
/// As cairn::SearchParams.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_search_options {
    /// set it to sizeof(cairn_search_options)
    pub size: usize,
    /// results wanted; 0: 10
    pub k: usize,
    /// candidate list's size, below 64 as it is; 0: advised, else 64
    pub ef: usize,
    /// of a batch; 0: all cores
    pub threads: u32,
    /// CAIRN_PLAN_
    pub plan: u8,
    /// 0
    pub reserved: [u8; 3usize],
    /// which keys may be results; NULL: all
    pub filter: *const cairn_filter,
    /// Of a batch: another filter for each row, NULL where there is none. NULL: `filter` for all.
    pub filters: *const *const cairn_filter,
    /// that may be computed; 0: no limit
    pub max_distances: u64,
    /// microseconds that the call may take; 0: no limit
    pub deadline_us: u64,
    /// ends the search when it is set; NULL: none
    pub stop: *const cairn_stop,
    /// NULL: none
    pub rerank: cairn_rerank,
    /// for rerank
    pub rerank_context: *mut ::core::ffi::c_void,
    /// NULL: none
    pub report: *mut cairn_search_report,
}
impl Default for cairn_search_options {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
extern "C" {
    /// The k nearest, nearest first, at most `capacity` of them; *count tells how many. The query is
    /// f32 or of the index's kind. Allocates nothing once warm if it need not be converted.
    ///
    ///   cairn_search_options options = {.size = sizeof options};
    ///   options.k = 5;
    ///   cairn_vector query = {bits, 128, CAIRN_SCALAR_B1};
    ///   cairn_match matches[5];
    ///   size_t count;
    ///   int code = cairn_search_with(index, &query, &options, matches, 5, &count);
    pub fn cairn_search_with(
        index: *const cairn_index,
        query: *const cairn_vector,
        options: *const cairn_search_options,
        out: *mut cairn_match,
        capacity: usize,
        count: *mut usize,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// As cairn::Index::search_documents: the keys whose vectors match several query vectors best.
    pub fn cairn_search_documents(
        index: *const cairn_index,
        query_vectors: *const cairn_matrix,
        options: *const cairn_search_options,
        out: *mut cairn_match,
        capacity: usize,
        count: *mut usize,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// As cairn_search_batch: `out` has room for `capacity` matches, at least rows * k, else
    /// invalid_argument (1); `counts` for one number a row.
    pub fn cairn_search_batch_with(
        index: *const cairn_index,
        queries: *const cairn_matrix,
        options: *const cairn_search_options,
        out: *mut cairn_match,
        capacity: usize,
        counts: *mut usize,
    ) -> ::std::os::raw::c_int;
}
/// Told of a match; returns 0 to have no more.
pub type cairn_take = ::core::option::Option<
    unsafe extern "C" fn(context: *mut ::core::ffi::c_void, match_: *const cairn_match) -> ::std::os::raw::c_int,
>;
extern "C" {
    /// As cairn::Index::search_range: vectors that are not farther than `radius`, nearest first, at most
    /// `capacity` of them, and at most k of the options if that is not 0; *count tells how many.
    pub fn cairn_search_range(
        index: *const cairn_index,
        query: *const cairn_vector,
        radius: f32,
        options: *const cairn_search_options,
        out: *mut cairn_match,
        capacity: usize,
        count: *mut usize,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// The same, each handed to `take` in any order. *is_all, which may be NULL: 0 if that has ended it.
    pub fn cairn_search_range_each(
        index: *const cairn_index,
        query: *const cairn_vector,
        radius: f32,
        options: *const cairn_search_options,
        take: cairn_take,
        context: *mut ::core::ffi::c_void,
        is_all: *mut ::std::os::raw::c_int,
    ) -> ::std::os::raw::c_int;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_cursor {
    _unused: [u8; 0],
}
extern "C" {
    /// As cairn::Index::open_cursor: the query is copied; filter and stop must outlive the cursor. Of
    /// the options k, threads and report are not used. deadline_us is what each page may take: it counts
    /// from the call of cairn_cursor_next. `rerank` orders each page by itself, and is called by that,
    /// too. *out is NULL after an error.
    ///
    ///   cairn_cursor* cursor;
    ///   if (cairn_cursor_open(index, &query, NULL, CAIRN_ORDER_RELAXED, &cursor) != 0) return 1;
    ///   cairn_match page[10];
    ///   size_t count;
    ///   while (cairn_cursor_next(cursor, page, 10, &count) == 0 && count != 0) show(page, count);
    ///   cairn_cursor_close(cursor);
    pub fn cairn_cursor_open(
        index: *const cairn_index,
        query: *const cairn_vector,
        options: *const cairn_search_options,
        order: u8,
        out: *mut *mut cairn_cursor,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// The next results, at most `capacity`; none at the end. invalid_argument (1) once the index is
    /// closed; deadline_exceeded (61) where nothing was found in time: the next call goes on.
    pub fn cairn_cursor_next(
        cursor: *mut cairn_cursor,
        out: *mut cairn_match,
        capacity: usize,
        count: *mut usize,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// NULL is allowed. Before or after its index.
    pub fn cairn_cursor_close(cursor: *mut cairn_cursor);
}
/// How much of the true answers searches find.
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct cairn_recall_report {
    /// set it to sizeof(cairn_recall_report); afterwards: how many bytes were filled
    pub size: usize,
    /// 0 to 1
    pub recall: f64,
    /// of the interval in which it lies with 95 % certainty
    pub lower: f64,
    /// its end
    pub upper: f64,
    /// that were searched
    pub queries: u64,
}
extern "C" {
    /// As cairn::Index::measure_recall and ef_for: each query is searched and looked up exactly.
    /// `options`: threads, progress and stop count; those of the search have none. Both may be NULL.
    pub fn cairn_measure_recall(
        index: *const cairn_index,
        queries: *const cairn_matrix,
        search: *const cairn_search_options,
        options: *const cairn_build_options,
        report: *mut cairn_recall_report,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_ef_for(
        index: *const cairn_index,
        recall: f64,
        queries: *const cairn_matrix,
        k: usize,
        options: *const cairn_build_options,
        ef: *mut usize,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// 1 yes, 0 no
    pub fn cairn_contains(index: *const cairn_index, key: u64) -> ::std::os::raw::c_int;
}
extern "C" {
    /// `out` has room for `dims` floats, at least the index's dimensions.
    pub fn cairn_get(index: *const cairn_index, key: u64, out: *mut f32, dims: usize) -> ::std::os::raw::c_int;
}
extern "C" {
    /// The vector as f32 or in the kind of the index, else invalid_argument (1). `out` has room for
    /// `bytes` bytes and is aligned for a component; too few are dimension_mismatch (2).
    pub fn cairn_get_vector(
        index: *const cairn_index,
        key: u64,
        scalar: u8,
        out: *mut ::core::ffi::c_void,
        bytes: usize,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// How many vectors the key has: more than 1 only with cairn_params.several_per_key.
    pub fn cairn_count(index: *const cairn_index, key: u64) -> usize;
}
extern "C" {
    /// As cairn_get_vector, vector `i` of the key in the order in which they were added, from 0.
    pub fn cairn_get_vector_at(
        index: *const cairn_index,
        key: u64,
        i: usize,
        scalar: u8,
        out: *mut ::core::ffi::c_void,
        bytes: usize,
    ) -> ::std::os::raw::c_int;
}
/// Where a listing of keys has come to.
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct cairn_key_scan {
    /// set it to sizeof(cairn_key_scan)
    pub size: usize,
    /// 0 at first; then as the last call has left it
    pub position: u64,
    /// 1: there are no more
    pub done: u8,
    /// 0
    pub reserved: [u8; 7usize],
}
extern "C" {
    /// As cairn::Index::keys: the next keys, at most `capacity`, which is not 0; *count tells how many.
    /// Every key that is there throughout comes exactly once, in any order.
    ///
    ///   cairn_key_scan scan = {.size = sizeof scan};
    ///   uint64_t keys[1024];
    ///   size_t count;
    ///   while (!scan.done) {
    ///     if (cairn_keys(index, &scan, keys, 1024, &count) != 0) return 1;
    ///     for (size_t i = 0; i < count; ++i) use(keys[i]);
    ///   }
    pub fn cairn_keys(
        index: *const cairn_index,
        scan: *mut cairn_key_scan,
        out: *mut u64,
        capacity: usize,
        count: *mut usize,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// warm reads all pages of a mapped file into memory; release takes them out of this process again.
    /// Both change no answer.
    pub fn cairn_warm(index: *const cairn_index) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_release(index: *const cairn_index) -> ::std::os::raw::c_int;
}
/// -- Files ----------------------------------------------------------------------------------------
/// As cairn::SaveOptions.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_save_options {
    /// set it to sizeof(cairn_save_options)
    pub size: usize,
    /// NULL: none
    pub stop: *const cairn_stop,
    /// CAIRN_EXISTING_
    pub existing: u8,
    /// 0
    pub reserved: [u8; 7usize],
}
impl Default for cairn_save_options {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
extern "C" {
    /// The whole index, written beside `path` and renamed over it; also of a file that is open.
    pub fn cairn_save(index: *const cairn_index, path: *const ::std::os::raw::c_char) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_save_with(
        index: *const cairn_index,
        path: *const ::std::os::raw::c_char,
        options: *const cairn_save_options,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// What a save to `path` would refuse before it writes anything.
    pub fn cairn_check_save(
        path: *const ::std::os::raw::c_char,
        options: *const cairn_save_options,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// As cairn::build_file: the file of cairn_create, cairn_build_with and cairn_save_with, of more
    /// rows than fit into memory, too. `options` and `save` may be NULL.
    pub fn cairn_build_file(
        path: *const ::std::os::raw::c_char,
        params: *const cairn_params,
        keys: *const u64,
        rows: *const cairn_matrix,
        options: *const cairn_build_options,
        save: *const cairn_save_options,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// *findings: the number of defects; corrupt (43) if there are any, the first in cairn_last_error().
    pub fn cairn_verify(index: *const cairn_index, findings: *mut u64) -> ::std::os::raw::c_int;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_verify_report {
    _unused: [u8; 0],
}
/// Its numbers.
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct cairn_verify_numbers {
    /// set it to sizeof(cairn_verify_numbers); afterwards: how many bytes were filled
    pub size: usize,
    /// defects
    pub findings: u64,
    /// of 4 KiB
    pub pages_checked: u64,
    /// 0: not all pages could be read
    pub nodes_checked: u64,
    /// live nodes that no path from the entry point reaches
    pub unreachable: u64,
}
extern "C" {
    /// As cairn::Index::verify: defects are findings, not an error. *out is NULL after an error.
    ///
    ///   cairn_verify_report* report;
    ///   if (cairn_verify_with(index, NULL, &report) != 0) return 1;
    ///   const char* finding;
    ///   for (size_t i = 0; (finding = cairn_verify_finding(report, i)) != NULL; ++i) puts(finding);
    ///   cairn_verify_close(report);
    pub fn cairn_verify_with(
        index: *const cairn_index,
        options: *const cairn_build_options,
        out: *mut *mut cairn_verify_report,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// Finding i, a line with its place; NULL behind the last. Valid until the report is closed.
    pub fn cairn_verify_finding(report: *const cairn_verify_report, i: usize) -> *const ::std::os::raw::c_char;
}
extern "C" {
    /// Fills the first out->size bytes, or all there is if that is less.
    pub fn cairn_verify_count(
        report: *const cairn_verify_report,
        out: *mut cairn_verify_numbers,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// NULL is allowed.
    pub fn cairn_verify_close(report: *mut cairn_verify_report);
}
/// -- Asking ---------------------------------------------------------------------------------------
/// What cairn::Stats (cairn/params.h) tells, for whoever exports it; 0 where there is no file. Later
/// versions append to it: `size` is how much of it the caller knows.
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct cairn_statistics {
    /// set it to sizeof(cairn_statistics); afterwards: how many bytes were filled
    pub size: usize,
    /// vectors
    pub live: u64,
    /// removed vectors whose memory cannot be used again yet
    pub deleted: u64,
    /// vectors that the memory in use has room for
    pub slots: u64,
    /// components of a vector
    pub dimensions: u64,
    /// the highest level
    pub max_level: u64,
    /// of the superblock
    pub generation: u64,
    /// size of the file
    pub file_bytes: u64,
    /// all that graph traversal touches
    pub hot_bytes: u64,
    /// the vectors as given
    pub exact_bytes: u64,
    /// memory that the kernel cannot reclaim by dropping file pages
    pub private_bytes: u64,
    /// of the file that the log takes
    pub log_bytes: u64,
    /// since the last checkpoint
    pub log_frames: u64,
    /// number of the last frame
    pub last_lsn: u64,
    /// number of the last frame that is on disk
    pub durable_lsn: u64,
    /// of 4 KiB, that the next checkpoint writes
    pub dirty_pages: u64,
    /// since it was opened
    pub checkpoints: u64,
    /// since it was opened
    pub failed_checkpoints: u64,
    /// 1: a write or sync has failed, nothing more is acknowledged
    pub poisoned: u64,
    /// successful calls since it was made or opened
    pub adds: u64,
    /// the same
    pub upserts: u64,
    /// the same
    pub removes: u64,
    /// queries; each of a batch counts
    pub searches: u64,
    /// successful calls
    pub compactions: u64,
    /// time that opening took
    pub open_ns: u64,
    /// the part of it that went into log and journal
    pub recovery_ns: u64,
    /// of the log, by opening
    pub recovered_frames: u64,
    /// that a salvaging open gave up
    pub lost_frames: u64,
    /// their first number
    pub first_lost_lsn: u64,
    /// their last number
    pub last_lost_lsn: u64,
    /// vectors that the lost frames had led to
    pub live_before_loss: u64,
    /// of cairn_set_advised_ef; 0: none
    pub advised_ef: u64,
    /// while cairn_record_latency was on
    pub timed_searches: u64,
    /// of their times, within 1 %
    pub p50_ns: u64,
    /// the same
    pub p90_ns: u64,
    /// the same
    pub p99_ns: u64,
    /// the same
    pub p999_ns: u64,
    /// of the vectors; fewer only with cairn_params.several_per_key
    pub keys: u64,
}
extern "C" {
    /// Fills the first out->size bytes, or all there is if that is less. invalid_argument (1) if not
    /// even `size` itself fits.
    pub fn cairn_stats(index: *const cairn_index, out: *mut cairn_statistics) -> ::std::os::raw::c_int;
}
extern "C" {
    /// Times searches from now on (1), or no longer (0). Off at first, and costs nothing then.
    pub fn cairn_record_latency(index: *mut cairn_index, on: ::std::os::raw::c_int) -> ::std::os::raw::c_int;
}
extern "C" {
    /// Quantiles, 0 to 1, of the times of all searches that were timed, in microseconds within 1 %: n of
    /// them to `us`. *count, which may be NULL, is how many searches; 0 and zeros if there are none.
    pub fn cairn_latency(
        index: *const cairn_index,
        quantiles: *const f64,
        n: usize,
        us: *mut f64,
        count: *mut u64,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// As cairn::prometheus_text without labels, into `out`, with a 0 at its end; *needed is how many
    /// bytes that takes. Nothing is written if `capacity` is less: ask with 0 first, out may be NULL
    /// then.
    pub fn cairn_prometheus_text(
        index: *const cairn_index,
        out: *mut ::std::os::raw::c_char,
        capacity: usize,
        needed: *mut usize,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// What the index was made with; fills as cairn_stats does.
    pub fn cairn_get_params(index: *const cairn_index, out: *mut cairn_params) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_size(index: *const cairn_index) -> usize;
}
extern "C" {
    pub fn cairn_dimensions(index: *const cairn_index) -> usize;
}
pub const CAIRN_PARTITION_HASH: u32 = 0;
pub const CAIRN_PARTITION_CLUSTERS: u32 = 1;
pub const CAIRN_PARTITION_ROWS: u32 = 2;
/// A file of a set, as its manifest names it.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_shard_file {
    /// set it to sizeof(cairn_shard_file)
    pub size: usize,
    /// that it holds
    pub vectors: u64,
    /// its size
    pub bytes: u64,
    /// its name in the folder, with a 0 at its end
    pub file: [::std::os::raw::c_char; 136usize],
    /// XXH3-128 of its bytes, 32 hexadecimal digits and a 0
    pub xxh3: [::std::os::raw::c_char; 40usize],
}
impl Default for cairn_shard_file {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
/// What is published.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_shards_manifest {
    /// set it to sizeof(cairn_shards_manifest)
    pub size: usize,
    /// that is replaced; 0: there is none. Afterwards: its own
    pub generation: u64,
    /// what shards are built with
    pub params: *const cairn_params,
    /// shard_count of them
    pub shards: *const cairn_shard_file,
    /// of shards
    pub shard_count: usize,
    /// of clusters; else NULL
    pub router: *const cairn_shard_file,
    /// of clusters, one a shard; else NULL
    pub gaps: *const f32,
    /// of hash
    pub seed: u64,
    /// CAIRN_PARTITION_
    pub partition: u8,
    /// 0
    pub reserved: [u8; 7usize],
}
impl Default for cairn_shards_manifest {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
extern "C" {
    /// The shard of each of n keys, of `shards` by hash, to `out`.
    pub fn cairn_shards_of_keys(
        keys: *const u64,
        n: usize,
        seed: u64,
        shards: usize,
        out: *mut u32,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// Saves an index in the folder, named by its contents. `stop` may be NULL.
    pub fn cairn_shards_add_file(
        folder: *const ::std::os::raw::c_char,
        index: *const cairn_index,
        stop: *const cairn_stop,
        out: *mut cairn_shard_file,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// What a file that is there already is to be called.
    pub fn cairn_shards_describe(
        path: *const ::std::os::raw::c_char,
        stop: *const cairn_stop,
        out: *mut cairn_shard_file,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// Makes it the manifest that holds; path_in_use (24) if somebody else has published meanwhile.
    pub fn cairn_shards_publish(
        folder: *const ::std::os::raw::c_char,
        manifest: *mut cairn_shards_manifest,
    ) -> ::std::os::raw::c_int;
}
/// As cairn::ClusterOptions.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_cluster_options {
    /// set it to sizeof(cairn_cluster_options)
    pub size: usize,
    /// of where clustering begins; 0: 42
    pub seed: u64,
    /// 1 to 65,536
    pub shards: usize,
    /// for each shard; 0: 128
    pub centroids: usize,
    /// NULL: none
    pub stop: *const cairn_stop,
    /// rounds; NULL: none
    pub progress: cairn_progress,
    /// for progress
    pub progress_context: *mut ::core::ffi::c_void,
    /// thousandths of the vectors that a second shard has, too
    pub copies: u32,
    /// the largest shard over the mean, in thousandths; 0: 1,050
    pub largest: u32,
    /// 0: all cores
    pub threads: u32,
    /// 0
    pub reserved: [u8; 4usize],
}
impl Default for cairn_cluster_options {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
extern "C" {
    /// *router is an index, and `gaps` has room for as many numbers as there are shards.
    pub fn cairn_shards_cluster(
        metric: u8,
        sample: *const cairn_matrix,
        options: *const cairn_cluster_options,
        router: *mut *mut cairn_index,
        gaps: *mut f32,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// The shard of each row, and that of its copy, or CAIRN_NO_SHARD.
    pub fn cairn_shards_assign(
        router: *const cairn_index,
        gaps: *const f32,
        shards: usize,
        rows: *const cairn_matrix,
        threads: u32,
        first: *mut u32,
        second: *mut u32,
    ) -> ::std::os::raw::c_int;
}
/// -- Moving in and out ----------------------------------------------------------------------------
/// As cairn::ImportOptions and cairn::ImportReport (cairn/import.h).
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_import_options {
    /// set it to sizeof(cairn_import_options)
    pub size: usize,
    /// CAIRN_SOURCE_; 0: what the file looks like
    pub source: u8,
    /// CAIRN_METRIC_; 0: what the file says
    pub metric: u8,
    /// 1: a new graph in any case
    pub rebuild: u8,
    /// 1: the index has all vectors of a key; 0: the first
    pub several_per_key: u8,
    /// 0: all cores
    pub threads: u32,
    /// 0: what the file says
    pub dimensions: usize,
    /// 0: as the source needs
    pub m: u32,
    /// 0: as the source needs
    pub ef_construction: u32,
    /// instead of the file's, in file order; NULL: the file's
    pub keys: *const u64,
    /// of keys
    pub key_count: usize,
    /// NULL: none
    pub stop: *const cairn_stop,
    /// of the part that is under way; NULL: none
    pub progress: cairn_progress,
    /// for progress
    pub progress_context: *mut ::core::ffi::c_void,
}
impl Default for cairn_import_options {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
/// What an import has done.
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct cairn_import_report {
    /// set it to sizeof(cairn_import_report); afterwards: how many bytes were filled
    pub size: usize,
    /// that the index has now
    pub vectors: u64,
    /// of level 0
    pub links_kept: u64,
    /// of level 0
    pub links_dropped: u64,
    /// vectors: removed, or of a key that was there
    pub skipped: u64,
    /// 0 or 1
    pub graph_kept: u64,
}
extern "C" {
    /// An index in memory of a file of hnsw_rs, hnswlib, USearch or faiss. `options` and `report` may be
    /// NULL. *out is NULL after an error.
    pub fn cairn_import(
        path: *const ::std::os::raw::c_char,
        options: *const cairn_import_options,
        out: *mut *mut cairn_index,
        report: *mut cairn_import_report,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// What of this thread's last successful import is not as it was, a line each; "" if nothing. Valid
    /// until the thread's next import.
    pub fn cairn_import_notes() -> *const ::std::os::raw::c_char;
}
extern "C" {
    /// As cairn::export_index: CAIRN_SOURCE_HNSWLIB or CAIRN_SOURCE_USEARCH.
    pub fn cairn_export(
        index: *const cairn_index,
        path: *const ::std::os::raw::c_char,
        kind: u8,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// -- Errors and the library -----------------------------------------------------------------------
    /// Code, what and where of this thread's last failed call, e.g. "key_exists (4): add: key 7 is
    /// already there"; "" if none. Valid until the thread's next failing call.
    pub fn cairn_last_error() -> *const ::std::os::raw::c_char;
}
extern "C" {
    /// "key_exists" of 4; "ok" of 0; "unknown" of a number that is none.
    pub fn cairn_error_name(code: ::std::os::raw::c_int) -> *const ::std::os::raw::c_char;
}
extern "C" {
    pub fn cairn_version() -> *const ::std::os::raw::c_char;
}
extern "C" {
    /// As cairn::simd_info: the instruction set that runs, those that this processor has, and those that
    /// are compiled in, apart by spaces. Valid for ever.
    pub fn cairn_simd_active() -> *const ::std::os::raw::c_char;
}
extern "C" {
    pub fn cairn_simd_available() -> *const ::std::os::raw::c_char;
}
extern "C" {
    pub fn cairn_simd_compiled() -> *const ::std::os::raw::c_char;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_shards {
    _unused: [u8; 0],
}
/// Calls body(body_context, i) once for each i below n, perhaps several at once, and returns when
/// all have returned: as cairn::ShardExecutor::run.
pub type cairn_run_parts = ::core::option::Option<
    unsafe extern "C" fn(
        context: *mut ::core::ffi::c_void,
        n: usize,
        body: ::core::option::Option<unsafe extern "C" fn(body_context: *mut ::core::ffi::c_void, i: usize)>,
        body_context: *mut ::core::ffi::c_void,
    ),
>;
/// As cairn::ShardOptions.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_shards_options {
    /// set it to sizeof(cairn_shards_options)
    pub size: usize,
    /// of each shard; NULL: as they are read by default
    pub open: *const cairn_open_options,
    /// of threads of the host; NULL: threads of the set's own
    pub run: cairn_run_parts,
    /// for run
    pub run_context: *mut ::core::ffi::c_void,
    /// how many parts `run` runs at once; 0: 1
    pub run_width: u32,
    /// of the set; 0: all cores
    pub threads: u32,
    /// 1: what is missing is told, and the others answer
    pub allow_partial: u8,
    /// 0
    pub reserved: [u8; 7usize],
    /// of a folder: numbers of the shards that are wanted; NULL: all
    pub only: *const u32,
    /// how many; 0: all
    pub only_count: usize,
}
impl Default for cairn_shards_options {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
extern "C" {
    /// n files, in this order. *out is NULL after an error, here and below.
    pub fn cairn_shards_open(
        paths: *const *const ::std::os::raw::c_char,
        n: usize,
        options: *const cairn_shards_options,
        out: *mut *mut cairn_shards,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// A folder with a manifest; with CAIRN_READ_WRITE to change it, too.
    pub fn cairn_shards_open_folder(
        folder: *const ::std::os::raw::c_char,
        options: *const cairn_shards_options,
        out: *mut *mut cairn_shards,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// NULL is allowed. Filters and cursors of it are closed before.
    pub fn cairn_shards_close(set: *mut cairn_shards);
}
extern "C" {
    /// "NAME: why" of the i-th shard that is missing, with allow_partial; NULL behind the last. Valid as
    /// long as the set.
    pub fn cairn_shards_problem(set: *const cairn_shards, i: usize) -> *const ::std::os::raw::c_char;
}
extern "C" {
    /// How many shards; vectors, each copy counted; components of a vector. 0 for NULL.
    pub fn cairn_shards_count(set: *const cairn_shards) -> usize;
}
extern "C" {
    pub fn cairn_shards_size(set: *const cairn_shards) -> usize;
}
extern "C" {
    pub fn cairn_shards_dimensions(set: *const cairn_shards) -> usize;
}
extern "C" {
    /// As cairn_get_params and cairn_stats; sums over the shards.
    pub fn cairn_shards_get_params(set: *const cairn_shards, out: *mut cairn_params) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_shards_stats(set: *const cairn_shards, out: *mut cairn_statistics) -> ::std::os::raw::c_int;
}
/// What cairn_shards_prune has done.
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct cairn_shards_pruned {
    /// set it to sizeof(cairn_shards_pruned); afterwards: how many bytes were filled
    pub size: usize,
    /// generations that are gone
    pub removed: u64,
    /// that stay because a set is open that has them
    pub in_use: u64,
    /// shards and routers that are gone
    pub files: u64,
    /// of them
    pub bytes: u64,
}
extern "C" {
    /// Removes older generations of a set, as cairn::prune_shards: `keep` stay, 1 or more, and the n in
    /// `also`. `out` may be NULL.
    pub fn cairn_shards_prune(
        folder: *const ::std::os::raw::c_char,
        keep: usize,
        also: *const u64,
        n: usize,
        out: *mut cairn_shards_pruned,
    ) -> ::std::os::raw::c_int;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_shards_filter {
    _unused: [u8; 0],
}
extern "C" {
    pub fn cairn_shards_filter_only(
        set: *const cairn_shards,
        keys: *const u64,
        n: usize,
        out: *mut *mut cairn_shards_filter,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_shards_filter_except(
        set: *const cairn_shards,
        keys: *const u64,
        n: usize,
        out: *mut *mut cairn_shards_filter,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_shards_filter_bits(
        set: *const cairn_shards,
        words: *const u64,
        n: usize,
        first: u64,
        out: *mut *mut cairn_shards_filter,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_shards_filter_where(
        set: *const cairn_shards,
        wanted: cairn_wanted,
        context: *mut ::core::ffi::c_void,
        out: *mut *mut cairn_shards_filter,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// How many vectors pass, each copy counted; 0 for NULL.
    pub fn cairn_shards_filter_count(filter: *const cairn_shards_filter) -> usize;
}
extern "C" {
    /// NULL is allowed.
    pub fn cairn_shards_filter_close(filter: *mut cairn_shards_filter);
}
/// How many shards were asked and have answered; of a batch the sums of its rows.
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct cairn_shards_report {
    /// set it to sizeof(cairn_shards_report); afterwards: how many bytes were filled
    pub size: usize,
    /// those that are missing, too
    pub shards_asked: u64,
    /// as many if none is missing
    pub shards_answered: u64,
}
/// What a search of a set is asked for.
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_shards_search_options {
    /// set it to sizeof(cairn_shards_search_options)
    pub size: usize,
    /// NULL: defaults; without filters, threads do not count
    pub search: *const cairn_search_options,
    /// which keys may be results; NULL: all
    pub filter: *const cairn_shards_filter,
    /// Of a batch: another filter for each row, NULL where there is none. NULL: `filter` for all.
    pub filters: *const *const cairn_shards_filter,
    /// of clusters: how many shards at most; 0: all
    pub probe: usize,
    /// NULL: none
    pub report: *mut cairn_shards_report,
    /// of clusters: until thousandths of the votes; 0: `probe` shards always
    pub coverage: u32,
    /// 0
    pub reserved: [u8; 4usize],
}
impl Default for cairn_shards_search_options {
    fn default() -> Self {
        let mut s = ::core::mem::MaybeUninit::<Self>::uninit();
        unsafe {
            ::core::ptr::write_bytes(s.as_mut_ptr(), 0, 1);
            s.assume_init()
        }
    }
}
extern "C" {
    /// As cairn_search_with, cairn_search_batch_with, cairn_search_range and cairn_search_range_each.
    pub fn cairn_shards_search(
        set: *const cairn_shards,
        query: *const cairn_vector,
        options: *const cairn_shards_search_options,
        out: *mut cairn_match,
        capacity: usize,
        count: *mut usize,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_shards_search_batch(
        set: *const cairn_shards,
        queries: *const cairn_matrix,
        options: *const cairn_shards_search_options,
        out: *mut cairn_match,
        capacity: usize,
        counts: *mut usize,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_shards_search_range(
        set: *const cairn_shards,
        query: *const cairn_vector,
        radius: f32,
        options: *const cairn_shards_search_options,
        out: *mut cairn_match,
        capacity: usize,
        count: *mut usize,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_shards_search_range_each(
        set: *const cairn_shards,
        query: *const cairn_vector,
        radius: f32,
        options: *const cairn_shards_search_options,
        take: cairn_take,
        context: *mut ::core::ffi::c_void,
        is_all: *mut ::std::os::raw::c_int,
    ) -> ::std::os::raw::c_int;
}
#[repr(C)]
#[derive(Debug, Copy, Clone)]
pub struct cairn_shards_cursor {
    _unused: [u8; 0],
}
extern "C" {
    pub fn cairn_shards_cursor_open(
        set: *const cairn_shards,
        query: *const cairn_vector,
        options: *const cairn_shards_search_options,
        order: u8,
        out: *mut *mut cairn_shards_cursor,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_shards_cursor_next(
        cursor: *mut cairn_shards_cursor,
        out: *mut cairn_match,
        capacity: usize,
        count: *mut usize,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// NULL is allowed.
    pub fn cairn_shards_cursor_close(cursor: *mut cairn_shards_cursor);
}
extern "C" {
    /// 1 yes, 0 no
    pub fn cairn_shards_contains(set: *const cairn_shards, key: u64) -> ::std::os::raw::c_int;
}
extern "C" {
    /// As cairn_get.
    pub fn cairn_shards_get(set: *const cairn_shards, key: u64, out: *mut f32, dims: usize) -> ::std::os::raw::c_int;
}
/// Where a listing of keys has come to.
#[repr(C)]
#[derive(Debug, Default, Copy, Clone)]
pub struct cairn_shards_key_scan {
    /// set it to sizeof(cairn_shards_key_scan)
    pub size: usize,
    /// 0 at first; then as the last call has left it
    pub shard: u64,
    /// the same
    pub position: u64,
    /// 1: there are no more
    pub done: u8,
    /// 0
    pub reserved: [u8; 7usize],
}
extern "C" {
    /// As cairn_keys.
    pub fn cairn_shards_keys(
        set: *const cairn_shards,
        scan: *mut cairn_shards_key_scan,
        out: *mut u64,
        capacity: usize,
        count: *mut usize,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    /// As cairn_verify_with, cairn_warm, cairn_release and cairn_refresh, of all shards.
    pub fn cairn_shards_verify(
        set: *const cairn_shards,
        options: *const cairn_build_options,
        out: *mut *mut cairn_verify_report,
    ) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_shards_warm(set: *const cairn_shards) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_shards_release(set: *const cairn_shards) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_shards_refresh(set: *mut cairn_shards) -> ::std::os::raw::c_int;
}
extern "C" {
    /// Of a set that is open for writing, else read_only (7).
    pub fn cairn_shards_upsert(set: *mut cairn_shards, key: u64, vector: *const cairn_vector) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_shards_remove(set: *mut cairn_shards, key: u64) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_shards_sync(set: *mut cairn_shards) -> ::std::os::raw::c_int;
}
extern "C" {
    pub fn cairn_shards_checkpoint(set: *mut cairn_shards, stop: *const cairn_stop) -> ::std::os::raw::c_int;
}
