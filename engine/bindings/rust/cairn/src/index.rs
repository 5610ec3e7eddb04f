// SPDX-License-Identifier: Apache-2.0
use std::fmt;
use std::mem::size_of;
use std::os::raw::{c_int, c_void};
use std::path::Path;
use std::ptr::{self, NonNull};

use cairn_sys as sys;

use crate::call::{self, check};
use crate::matches::room;
use crate::scalar::{elements, matrix_of, vector_of};
use crate::{
    Batch, BuildOptions, CreateOptions, Error, ErrorCode, Match, Mode, OpenOptions, Params, RecallReport, Result,
    SaveOptions, Scalar, SearchOptions, SearchReport, Source, Stats, Stop, VerifyReport,
};

/// An index, in memory or in a file: keys (any `u64`) and their vectors, searched for the nearest. Dropping it closes
/// it; all acknowledged changes are on disk then.
///
/// A file may be open for writing once, and for reading as often as wanted, in any number of processes. In a child of
/// the process that opened a file for writing, calls return [`ErrorCode::Unsupported`].
pub struct Index {
    raw: NonNull<sys::cairn_index>,
}

// SAFETY: cairn/index.h: every method may be called from any number of threads at once. Closing beside a call cannot
// happen, since calls borrow.
unsafe impl Send for Index {}
unsafe impl Sync for Index {}

/// Making and opening.
impl Index {
    pub(crate) fn from_raw(raw: *mut sys::cairn_index) -> Index {
        Index { raw: NonNull::new(raw).expect("a call that succeeds gives an index") }
    }

    pub(crate) fn raw(&self) -> *mut sys::cairn_index {
        self.raw.as_ptr()
    }

    /// An empty index in memory.
    pub fn create(params: &Params) -> Result<Index> {
        CreateOptions::new().create(params)
    }

    /// An empty index in a new file: when a call returns, its change is on disk. `path_exists` if there is one,
    /// `path_not_found` without its folder.
    pub fn create_file(path: impl AsRef<Path>, params: &Params) -> Result<Index> {
        CreateOptions::new().create_file(path, params)
    }

    /// Opens a file to search it, from the memory map: nothing is read ahead of use. `path_not_found`,
    /// `permission_denied`, `not_a_cairn_file`, `version_unsupported`, `feature_unsupported`, `corrupt`,
    /// `truncated`, `io_error`.
    pub fn open(path: impl AsRef<Path>) -> Result<Index> {
        OpenOptions::new().open(path)
    }

    /// Opens a file to change it, too: `path_in_use` if somebody else does. What a writer that was killed had
    /// acknowledged is recovered; `data_loss` if it cannot be.
    pub fn open_writable(path: impl AsRef<Path>) -> Result<Index> {
        OpenOptions::new().mode(Mode::ReadWrite).open(path)
    }
}

/// Changing.
impl Index {
    /// Adds a vector: `key_exists` if the key has one, `dimension_mismatch`, `not_finite`.
    pub fn add<S: Scalar>(&self, key: u64, vector: &[S]) -> Result<()> {
        // SAFETY: the vector is what it is said to be.
        check(unsafe { sys::cairn_add_vector(self.raw(), key, &self.vector(vector)) })
    }

    /// Adds a vector, or replaces the one that the key has.
    pub fn upsert<S: Scalar>(&self, key: u64, vector: &[S]) -> Result<()> {
        // SAFETY: as above.
        check(unsafe { sys::cairn_upsert_vector(self.raw(), key, &self.vector(vector)) })
    }

    /// Removes a vector: `key_not_found` if there is none.
    pub fn remove(&self, key: u64) -> Result<()> {
        // SAFETY: the index is open.
        check(unsafe { sys::cairn_remove(self.raw(), key) })
    }

    /// Adds many vectors to an empty index, on all cores: `rows` has those of all keys, one after the other.
    /// `not_empty`, `key_exists` if a key stands twice, `dimension_mismatch`, `not_finite`; then the index is
    /// empty still.
    pub fn build<S: Scalar>(&self, keys: &[u64], rows: &[S]) -> Result<()> {
        self.build_with(keys, rows, &BuildOptions::new())
    }

    /// The same, as the options say.
    pub fn build_with<S: Scalar>(&self, keys: &[u64], rows: &[S], options: &BuildOptions<'_>) -> Result<()> {
        let matrix = self.matrix(rows)?;
        if matrix.rows != keys.len() {
            let what = format!("{} keys and {} rows", keys.len(), matrix.rows);
            return Err(Error::new(ErrorCode::InvalidArgument, &what));
        }
        options.with(|raw| {
            // SAFETY: as many keys as rows, each of the index's dimensions.
            check(unsafe { sys::cairn_build_with(self.raw(), keys.as_ptr(), &matrix, raw) })
        })
    }

    /// Renumbers the vectors without gaps and gives memory back; searches go on meanwhile.
    pub fn compact(&self) -> Result<()> {
        self.compact_with(&BuildOptions::new())
    }

    /// The same, as the options say.
    pub fn compact_with(&self, options: &BuildOptions<'_>) -> Result<()> {
        // SAFETY: the index is open.
        options.with(|raw| check(unsafe { sys::cairn_compact_with(self.raw(), raw) }))
    }

    /// Waits until all changes so far are on disk.
    pub fn sync(&self) -> Result<()> {
        // SAFETY: as above.
        check(unsafe { sys::cairn_sync(self.raw()) })
    }

    /// Writes changed pages to their places and begins a new log.
    pub fn checkpoint(&self) -> Result<()> {
        // SAFETY: as above.
        check(unsafe { sys::cairn_checkpoint(self.raw()) })
    }

    /// The same, which the flag ends.
    pub fn checkpoint_with(&self, stop: &Stop) -> Result<()> {
        // SAFETY: as above; the flag is borrowed.
        check(unsafe { sys::cairn_checkpoint_with(self.raw(), stop.raw()) })
    }

    /// Of a file that is read while another process changes it: shows what its last checkpoint, or its log, has made
    /// visible.
    pub fn refresh(&self) -> Result<()> {
        // SAFETY: as above.
        check(unsafe { sys::cairn_refresh(self.raw()) })
    }

    /// The host's log position, kept and logged like any change; 0 at first. Replaying from there gives the same
    /// index.
    pub fn applied_up_to(&self) -> Result<u64> {
        let mut lsn = 0;
        // SAFETY: as above.
        check(unsafe { sys::cairn_applied_up_to(self.raw(), &mut lsn) })?;
        Ok(lsn)
    }

    /// Sets it, when all operations up to `lsn` have returned.
    pub fn set_applied_up_to(&self, lsn: u64) -> Result<()> {
        // SAFETY: as above.
        check(unsafe { sys::cairn_set_applied_up_to(self.raw(), lsn) })
    }
}

/// Searching.
impl Index {
    /// The `k` nearest, nearest first, found with the default `ef`. The query is of `f32` or of the index's kind.
    pub fn search<S: Scalar>(&self, query: &[S], k: usize) -> Result<Vec<Match>> {
        self.search_with(query, &SearchOptions::new().k(k))
    }

    /// The same, as the options say.
    pub fn search_with<S: Scalar>(&self, query: &[S], options: &SearchOptions<'_>) -> Result<Vec<Match>> {
        self.search_reported(query, options).map(|(found, _)| found)
    }

    /// The same, with what the search has done: whether a limit has ended it, and by which plan it went.
    pub fn search_reported<S: Scalar>(
        &self,
        query: &[S],
        options: &SearchOptions<'_>,
    ) -> Result<(Vec<Match>, SearchReport)> {
        let mut found = vec![Match::default(); options.wanted().min(self.len())];
        let (count, report) = self.search_one(query, options, &mut found)?;
        found.truncate(count);
        Ok((found, report))
    }

    /// Writes the nearest to `out`, at most so many as fit, and tells how many. Allocates nothing once warm, unless
    /// the query must be converted.
    pub fn search_into<S: Scalar>(&self, query: &[S], options: &SearchOptions<'_>, out: &mut [Match]) -> Result<usize> {
        self.search_one(query, options, out).map(|(count, _)| count)
    }

    fn search_one<S: Scalar>(
        &self,
        query: &[S],
        options: &SearchOptions<'_>,
        out: &mut [Match],
    ) -> Result<(usize, SearchReport)> {
        let query = self.vector(query);
        options.with(options.wanted(), None, |options| {
            let mut count = 0;
            // SAFETY: `Match` is `cairn_match`, and `out` has that many.
            check(unsafe {
                sys::cairn_search_with(self.raw(), &query, options, out.as_mut_ptr().cast(), out.len(), &mut count)
            })?;
            Ok(count)
        })
    }

    /// The keys that match several query vectors best, one after the other in `query`: the distance of a key is the sum,
    /// over these, of the distance of its nearest vector. Candidates are the nearest keys of each, as searches find them.
    pub fn search_documents<S: Scalar>(&self, query: &[S], options: &SearchOptions<'_>) -> Result<Vec<Match>> {
        let rows = self.matrix(query)?;
        let mut found = vec![Match::default(); options.wanted().min(self.len())];
        let (count, _) = options.with(options.wanted(), None, |options| {
            let mut count = 0;
            // SAFETY: `Match` is `cairn_match`, and `found` has that many.
            check(unsafe {
                sys::cairn_search_documents(
                    self.raw(),
                    &rows,
                    options,
                    found.as_mut_ptr().cast(),
                    found.len(),
                    &mut count,
                )
            })?;
            Ok(count)
        })?;
        found.truncate(count);
        Ok(found)
    }

    /// The `k` nearest of each query, on all cores: `queries` has one vector after the other.
    pub fn search_batch<S: Scalar>(&self, queries: &[S], k: usize) -> Result<Batch> {
        self.search_batch_with(queries, &SearchOptions::new().k(k))
    }

    /// The same, as the options say. All queries are checked before anything is searched.
    pub fn search_batch_with<S: Scalar>(&self, queries: &[S], options: &SearchOptions<'_>) -> Result<Batch> {
        let queries = self.matrix(queries)?;
        let k = options.wanted().min(self.len().max(1));
        let mut matches = room(queries.rows, k)?;
        let mut counts = vec![0; queries.rows];
        let ((), report) = options.with(k, Some(queries.rows), |options| {
            // SAFETY: `matches` has rows x k elements, `counts` one a row.
            check(unsafe {
                sys::cairn_search_batch_with(
                    self.raw(),
                    &queries,
                    options,
                    matches.as_mut_ptr().cast(),
                    matches.len(),
                    counts.as_mut_ptr(),
                )
            })
        })?;
        Ok(Batch { k, matches, counts, report })
    }

    /// Whether the key has a vector.
    pub fn contains(&self, key: u64) -> bool {
        // SAFETY: the index is open.
        unsafe { sys::cairn_contains(self.raw(), key) == 1 }
    }

    /// The vector of a key as floats: `key_not_found` if there is none.
    pub fn get(&self, key: u64) -> Result<Vec<f32>> {
        self.get_as::<f32>(key)
    }

    /// The same as `f32`, or in the index's kind; any other is `invalid_argument`.
    pub fn get_as<S: Scalar>(&self, key: u64) -> Result<Vec<S>> {
        let mut vector = vec![S::ZERO; elements::<S>(self.dimensions())];
        self.get_into(key, &mut vector)?;
        Ok(vector)
    }

    /// The same, into memory of the caller's: `dimension_mismatch` if it is too short.
    pub fn get_into<S: Scalar>(&self, key: u64, out: &mut [S]) -> Result<()> {
        let bytes = std::mem::size_of_val(out);
        // SAFETY: so many bytes, aligned for S.
        check(unsafe { sys::cairn_get_vector(self.raw(), key, S::KIND as u8, out.as_mut_ptr() as *mut c_void, bytes) })
    }

    /// How many vectors a key has: more than one only with [`Params::several_per_key`](crate::Params::several_per_key).
    pub fn count(&self, key: u64) -> usize {
        // SAFETY: the index is open.
        unsafe { sys::cairn_count(self.raw(), key) }
    }

    /// Vector `i` of a key as floats, in the order in which they were added, from 0.
    ///
    /// ```
    /// # fn main() -> cairn::Result<()> {
    /// let index = cairn::Index::create(&cairn::Params::new(2).metric(cairn::Metric::L2sq).several_per_key(true))?;
    /// index.build(&[7, 8, 7], &[0.0, 0.0, 1.0, 0.0, 4.0, 4.0])?;
    /// assert_eq!((index.count(7), index.get_at(7, 1)?), (2, vec![4.0, 4.0]));
    /// let found = index.search_documents(&[0.0, 0.0, 4.0, 4.0], &cairn::SearchOptions::new().k(2))?;
    /// assert_eq!((found[0].key, found[0].distance), (7, 0.0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_at(&self, key: u64, i: usize) -> Result<Vec<f32>> {
        let mut vector = vec![0f32; self.dimensions()];
        let bytes = std::mem::size_of_val(vector.as_slice());
        let out = vector.as_mut_ptr() as *mut c_void;
        // SAFETY: so many bytes, aligned for floats.
        check(unsafe { sys::cairn_get_vector_at(self.raw(), key, i, crate::ScalarKind::F32 as u8, out, bytes) })?;
        Ok(vector)
    }

    /// All keys, in no particular order: each that is there throughout exactly once, whatever changes meanwhile.
    /// Takes the same little memory for any number of keys.
    ///
    /// ```
    /// # fn main() -> cairn::Result<()> {
    /// let index = cairn::Index::create(&cairn::Params::new(2))?;
    /// index.build(&[30, 10, 20], &[0.0, 1.0, 1.0, 0.0, 1.0, 1.0])?;
    /// let mut keys = index.keys().collect::<Vec<_>>();
    /// keys.sort();
    /// assert_eq!(keys, [10, 20, 30]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// The iterator does if the file cannot be read (`io_error`, of an index that was opened with `guard`);
    /// [`next_keys`] returns the error.
    ///
    /// [`next_keys`]: Index::next_keys
    pub fn keys(&self) -> Keys<'_> {
        Keys { index: self, scan: KeyScan::default(), some: Vec::new(), at: 0 }
    }

    /// Writes the next keys of a listing to `out`, tells how many, and sets `scan.done` with the last ones. `scan`
    /// stays good after changes, compaction, and opening the file again. `invalid_argument` (no room in `out`),
    /// `io_error`; then `scan` is as it was.
    pub fn next_keys(&self, scan: &mut KeyScan, out: &mut [u64]) -> Result<usize> {
        let mut raw = sys::cairn_key_scan {
            size: size_of::<sys::cairn_key_scan>(),
            position: scan.position,
            done: scan.done.into(),
            ..Default::default()
        };
        let mut count = 0;
        // SAFETY: `out` has so many elements.
        check(unsafe { sys::cairn_keys(self.raw(), &mut raw, out.as_mut_ptr(), out.len(), &mut count) })?;
        *scan = KeyScan { position: raw.position, done: raw.done != 0 };
        Ok(count)
    }

    /// Reads all pages of a mapped file into memory.
    pub fn warm(&self) -> Result<()> {
        // SAFETY: the index is open.
        check(unsafe { sys::cairn_warm(self.raw()) })
    }

    /// Takes them out of this process again.
    pub fn release(&self) -> Result<()> {
        // SAFETY: as above.
        check(unsafe { sys::cairn_release(self.raw()) })
    }
}

/// Files.
impl Index {
    /// Writes the whole index beside `path` and renames it over what is there; also of a file that is open.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.save_with(path, &SaveOptions::new())
    }

    /// The same, as the options say.
    pub fn save_with(&self, path: impl AsRef<Path>, options: &SaveOptions<'_>) -> Result<()> {
        let path = call::path(path.as_ref())?;
        // SAFETY: both live until the call returns.
        check(unsafe { sys::cairn_save_with(self.raw(), path.as_ptr(), &options.raw()) })
    }

    /// A copy of the file as of now, with all that is acknowledged, while it may be changed.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = call::path(path.as_ref())?;
        // SAFETY: as above.
        check(unsafe { sys::cairn_backup(self.raw(), path.as_ptr()) })
    }

    /// Writes a file that hnswlib or USearch loads, with all keys and links.
    pub fn export(&self, path: impl AsRef<Path>, kind: Source) -> Result<()> {
        let path = call::path(path.as_ref())?;
        // SAFETY: as above.
        check(unsafe { sys::cairn_export(self.raw(), path.as_ptr(), kind as u8) })
    }

    /// Checks every page and every link. Defects are findings of the report, not an error.
    pub fn verify(&self) -> Result<VerifyReport> {
        self.verify_with(&BuildOptions::new())
    }

    /// The same, as the options say.
    pub fn verify_with(&self, options: &BuildOptions<'_>) -> Result<VerifyReport> {
        // SAFETY: the index is open, and the report is written.
        verified(options, |raw, report| unsafe { sys::cairn_verify_with(self.raw(), raw, report) })
    }
}

/// Asking.
impl Index {
    /// How many vectors there are.
    pub fn len(&self) -> usize {
        // SAFETY: the index is open.
        unsafe { sys::cairn_size(self.raw()) }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Components of a vector.
    pub fn dimensions(&self) -> usize {
        // SAFETY: as above.
        unsafe { sys::cairn_dimensions(self.raw()) }
    }

    /// What it was made with.
    pub fn params(&self) -> Result<Params> {
        let mut raw = sys::cairn_params { size: size_of::<sys::cairn_params>(), ..Default::default() };
        // SAFETY: a struct of that size.
        check(unsafe { sys::cairn_get_params(self.raw(), &mut raw) })?;
        Ok(Params::from_raw(&raw))
    }

    /// What it holds and has done.
    pub fn stats(&self) -> Result<Stats> {
        let mut raw = sys::cairn_statistics { size: size_of::<sys::cairn_statistics>(), ..Default::default() };
        // SAFETY: as above.
        check(unsafe { sys::cairn_stats(self.raw(), &mut raw) })?;
        Ok(Stats::from_raw(&raw))
    }

    /// How much of the true answers searches find: each query is searched as the options say, and looked up exactly.
    pub fn measure_recall<S: Scalar>(
        &self,
        queries: &[S],
        search: &SearchOptions<'_>,
        options: &BuildOptions<'_>,
    ) -> Result<RecallReport> {
        let queries = self.matrix(queries)?;
        let mut raw = sys::cairn_recall_report { size: size_of::<sys::cairn_recall_report>(), ..Default::default() };
        options.with(|options| {
            search.with(search.wanted(), None, |search| {
                // SAFETY: rows of the index's dimensions; a struct of that size.
                check(unsafe { sys::cairn_measure_recall(self.raw(), &queries, search, options, &mut raw) })
            })
        })?;
        Ok(RecallReport { recall: raw.recall, lower: raw.lower, upper: raw.upper, queries: raw.queries })
    }

    /// The least `ef` whose searches for `k` results have that recall over the queries, 0 to 1.
    pub fn ef_for<S: Scalar>(&self, recall: f64, queries: &[S], k: usize, options: &BuildOptions<'_>) -> Result<usize> {
        let queries = self.matrix(queries)?;
        let mut ef = 0;
        // SAFETY: as above.
        options
            .with(|options| check(unsafe { sys::cairn_ef_for(self.raw(), recall, &queries, k, options, &mut ef) }))?;
        Ok(ef)
    }

    /// Sets the `ef` of searches that say none, 1 to 65,536; 0: 64. Kept in the file, and logged like any change.
    pub fn set_advised_ef(&self, ef: usize) -> Result<()> {
        // SAFETY: the index is open.
        check(unsafe { sys::cairn_set_advised_ef(self.raw(), ef) })
    }

    /// Times searches from now on, or no longer. Off at first, and costs nothing then.
    pub fn record_latency(&self, on: bool) -> Result<()> {
        // SAFETY: as above.
        check(unsafe { sys::cairn_record_latency(self.raw(), on.into()) })
    }

    /// Of each quantile, 0 to 1, the time of the searches that were timed, in microseconds within 1 %; zeros if
    /// there are none. [`Stats::timed_searches`] is how many.
    pub fn latency_us(&self, quantiles: &[f64]) -> Result<Vec<f64>> {
        let mut us = vec![0.0; quantiles.len()];
        // SAFETY: as many as there are quantiles; no count is wanted.
        check(unsafe {
            sys::cairn_latency(self.raw(), quantiles.as_ptr(), quantiles.len(), us.as_mut_ptr(), ptr::null_mut())
        })?;
        Ok(us)
    }

    /// Its numbers as Prometheus reads them.
    pub fn prometheus_text(&self) -> Result<String> {
        let mut text: Vec<u8> = Vec::new();
        loop {
            let mut needed = 0;
            // SAFETY: `text` has so many bytes.
            check(unsafe {
                sys::cairn_prometheus_text(self.raw(), text.as_mut_ptr().cast(), text.len(), &mut needed)
            })?;
            if needed <= text.len() {
                text.truncate(needed.saturating_sub(1));
                return Ok(String::from_utf8_lossy(&text).into_owned());
            }
            text.resize(needed + 64, 0); // numbers may grow meanwhile
        }
    }

    pub(crate) fn vector<S: Scalar>(&self, vector: &[S]) -> sys::cairn_vector {
        vector_of(vector, self.dimensions())
    }

    fn matrix<S: Scalar>(&self, rows: &[S]) -> Result<sys::cairn_matrix> {
        matrix_of(rows, self.dimensions())
    }
}

/// Where a listing of keys has come to: [`Index::next_keys`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct KeyScan {
    /// 0 at first; then as the last call has left it.
    pub position: u64,
    /// There are no more.
    pub done: bool,
}

/// Iterator of [`Index::keys`].
#[derive(Clone, Debug)]
pub struct Keys<'a> {
    index: &'a Index,
    scan: KeyScan,
    some: Vec<u64>,
    at: usize,
}

impl Iterator for Keys<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        while self.at == self.some.len() {
            if self.scan.done {
                return None;
            }
            self.some.resize(1024, 0);
            match self.index.next_keys(&mut self.scan, &mut self.some) {
                Ok(count) => self.some.truncate(count),
                Err(error) => panic!("{error}"),
            }
            self.at = 0;
        }
        self.at += 1;
        Some(self.some[self.at - 1])
    }
}

impl std::iter::FusedIterator for Keys<'_> {}

impl Drop for Index {
    fn drop(&mut self) {
        // SAFETY: calls borrow the index, so none is under way.
        unsafe { sys::cairn_close(self.raw()) }
    }
}

/// Makes a call that verifies, and reads its report.
pub(crate) fn verified(
    options: &BuildOptions<'_>,
    call: impl FnOnce(&sys::cairn_build_options, *mut *mut sys::cairn_verify_report) -> c_int,
) -> Result<VerifyReport> {
    struct Owned(*mut sys::cairn_verify_report);
    impl Drop for Owned {
        fn drop(&mut self) {
            // SAFETY: made by cairn_verify_with; null is allowed.
            unsafe { sys::cairn_verify_close(self.0) }
        }
    }
    let mut report = Owned(ptr::null_mut());
    options.with(|raw| check(call(raw, &mut report.0)))?;
    let mut numbers = sys::cairn_verify_numbers { size: size_of::<sys::cairn_verify_numbers>(), ..Default::default() };
    // SAFETY: the report is there; its strings live as long.
    check(unsafe { sys::cairn_verify_count(report.0, &mut numbers) })?;
    let mut findings = Vec::new();
    loop {
        let finding = unsafe { sys::cairn_verify_finding(report.0, findings.len()) };
        if finding.is_null() {
            break;
        }
        findings.push(unsafe { call::owned(finding) });
    }
    Ok(VerifyReport {
        findings,
        pages_checked: numbers.pages_checked,
        nodes_checked: numbers.nodes_checked,
        unreachable: numbers.unreachable,
    })
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Index")
            .field("len", &self.len())
            .field("dimensions", &self.dimensions())
            .finish_non_exhaustive()
    }
}
