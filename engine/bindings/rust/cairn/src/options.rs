// SPDX-License-Identifier: Apache-2.0
use std::fmt;
use std::mem::size_of;
use std::path::Path;
use std::ptr;
use std::time::Duration;

use cairn_sys as sys;

use crate::call::{self, Progress, Watch};
use crate::rerank::{OwnMetric, Rerank};
use crate::{
    Check, Durability, Error, ErrorCode, Filter, Index, Mode, Params, Plan, Residency, Result, SearchReport, Stop,
    VectorView, VerifyAtOpen,
};

/// How a new index is kept.
///
/// ```
/// # fn main() -> cairn::Result<()> {
/// # let path = std::env::temp_dir().join(format!("cairn-create-{}.cairn", std::process::id()));
/// use cairn::{CreateOptions, Durability, Params};
/// let index = CreateOptions::new().durability(Durability::Group).create_file(&path, &Params::new(8))?;
/// index.add(1, &[0.5; 8])?; // on disk in five milliseconds
/// # drop(index);
/// # std::fs::remove_file(&path).unwrap();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    durability: Option<Durability>,
    group_ms: u32,
    max_vectors: u64,
}

impl CreateOptions {
    /// [`Durability::Sync`], growing as needed.
    pub fn new() -> CreateOptions {
        CreateOptions::default()
    }

    /// Sets when changes of an index in a file are on disk.
    pub fn durability(mut self, durability: Durability) -> CreateOptions {
        self.durability = Some(durability);
        self
    }

    /// With [`Durability::Group`]: at most so many milliseconds later; 5.
    pub fn group_ms(mut self, ms: u32) -> CreateOptions {
        self.group_ms = ms;
        self
    }

    /// Reserves addresses for so many vectors at once, 0 to 2^31.
    pub fn max_vectors(mut self, vectors: u64) -> CreateOptions {
        self.max_vectors = vectors;
        self
    }

    /// An empty index in memory.
    pub fn create(&self, params: &Params) -> Result<Index> {
        self.make(ptr::null(), params)
    }

    /// An empty index in a new file; errors as of [`Index::create_file`].
    pub fn create_file(&self, path: impl AsRef<Path>, params: &Params) -> Result<Index> {
        self.make(call::path(path.as_ref())?.as_ptr(), params)
    }

    fn make(&self, path: *const std::os::raw::c_char, params: &Params) -> Result<Index> {
        let options = sys::cairn_create_options {
            size: size_of::<sys::cairn_create_options>(),
            max_vectors: self.max_vectors,
            group_ms: self.group_ms,
            durability: self.durability.map_or(0, |d| d as u8),
            ..Default::default()
        };
        let mut out = ptr::null_mut();
        // SAFETY: pointers to what lives until the call returns; null is a path of its own.
        call::check(unsafe { sys::cairn_create_with(path, &params.raw(), &options, &mut out) })?;
        Ok(Index::from_raw(out))
    }
}

/// How a file is opened, as [`std::fs::OpenOptions`] does.
///
/// ```no_run
/// # fn main() -> cairn::Result<()> {
/// use cairn::{Mode, OpenOptions, VerifyAtOpen};
/// let index = OpenOptions::new().mode(Mode::ReadWrite).verify(VerifyAtOpen::Full).open("words.cairn")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct OpenOptions<'a> {
    mode: Option<Mode>,
    residency: Option<Residency>,
    verify: Option<VerifyAtOpen>,
    check: Option<Check>,
    durability: Option<Durability>,
    group_ms: u32,
    max_vectors: u64,
    salvage: bool,
    guard: bool,
    stop: Option<&'a Stop>,
    progress: Option<Progress<'a>>,
}

impl<'a> OpenOptions<'a> {
    /// To search the mapped file.
    pub fn new() -> OpenOptions<'a> {
        OpenOptions::default()
    }

    /// Sets what the file is opened for.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// Sets where the searched bytes are.
    pub fn residency(mut self, residency: Residency) -> Self {
        self.residency = Some(residency);
        self
    }

    /// Sets what is checked before it is open.
    pub fn verify(mut self, verify: VerifyAtOpen) -> Self {
        self.verify = Some(verify);
        self
    }

    /// Sets when pages of the mapped file are compared with their checksums.
    pub fn check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    /// With [`Mode::ReadWrite`]: sets when changes are on disk.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// As [`CreateOptions::group_ms`].
    pub fn group_ms(mut self, ms: u32) -> Self {
        self.group_ms = ms;
        self
    }

    /// As [`CreateOptions::max_vectors`].
    pub fn max_vectors(mut self, vectors: u64) -> Self {
        self.max_vectors = vectors;
        self
    }

    /// Opens what is before a loss in the log, instead of failing with `data_loss`.
    pub fn salvage(mut self, salvage: bool) -> Self {
        self.salvage = salvage;
        self
    }

    /// Pages that cannot be read are `io_error` instead of SIGBUS.
    pub fn guard(mut self, guard: bool) -> Self {
        self.guard = guard;
        self
    }

    /// Ends opening with `cancelled`.
    pub fn stop(mut self, stop: &'a Stop) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Told how many changes of a writer that ended without closing have been recovered, of how many. Called on any
    /// thread, one at a time. A panic in it ends the call, sets the stop flag if one is given, and goes on in the
    /// caller.
    pub fn progress(mut self, progress: &'a (dyn Fn(u64, u64) + Sync)) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Opens it; errors as of [`Index::open`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Index> {
        let path = call::path(path.as_ref())?;
        let mut out = ptr::null_mut();
        // SAFETY: pointers to what lives until the call returns.
        self.with(|raw| call::check(unsafe { sys::cairn_open_with(path.as_ptr(), raw, &mut out) }))?;
        Ok(Index::from_raw(out))
    }

    pub(crate) fn with<R>(&self, call: impl FnOnce(&sys::cairn_open_options) -> R) -> R {
        call::watched(self.progress, self.stop, |watch| {
            call(&sys::cairn_open_options {
                size: size_of::<sys::cairn_open_options>(),
                max_vectors: self.max_vectors,
                stop: watch.stop,
                progress: watch.progress,
                progress_context: watch.context,
                group_ms: self.group_ms,
                mode: self.mode.map_or(0, |m| m as u8),
                residency: self.residency.map_or(0, |r| r as u8),
                verify: self.verify.map_or(0, |v| v as u8),
                durability: self.durability.map_or(0, |d| d as u8),
                salvage: self.salvage.into(),
                guard: self.guard.into(),
                check: self.check.map_or(0, |c| c as u8),
                ..Default::default()
            })
        })
    }
}

/// What a build, a compaction or a verification is asked for.
#[derive(Clone, Default)]
pub struct BuildOptions<'a> {
    threads: u32,
    erase: bool,
    stop: Option<&'a Stop>,
    pub(crate) progress: Option<Progress<'a>>,
}

impl<'a> BuildOptions<'a> {
    /// All cores.
    pub fn new() -> BuildOptions<'a> {
        BuildOptions::default()
    }

    /// Sets how many threads work; 0: one a core. No result depends on it.
    pub fn threads(mut self, threads: u32) -> Self {
        self.threads = threads;
        self
    }

    /// Of a compaction of a file: the old one is overwritten with zeros.
    pub fn erase(mut self, erase: bool) -> Self {
        self.erase = erase;
        self
    }

    /// Ends the call with `cancelled`.
    pub fn stop(mut self, stop: &'a Stop) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Told how far the call is: vectors, or pages and vectors of a verification. It may search, but not change, save
    /// or verify the index. Called on any thread, one at a time. A panic in it ends the call, sets the stop flag
    /// if one is given, and goes on in the caller.
    pub fn progress(mut self, progress: &'a (dyn Fn(u64, u64) + Sync)) -> Self {
        self.progress = Some(progress);
        self
    }

    pub(crate) fn with<R>(&self, call: impl FnOnce(&sys::cairn_build_options) -> R) -> R {
        call::watched(self.progress, self.stop, |Watch { stop, progress, context }| {
            call(&sys::cairn_build_options {
                size: size_of::<sys::cairn_build_options>(),
                stop,
                progress,
                progress_context: context,
                threads: self.threads,
                erase: self.erase.into(),
                ..Default::default()
            })
        })
    }
}

/// What a search is asked for.
///
/// ```
/// # fn main() -> cairn::Result<()> {
/// use cairn::{Index, Params, SearchOptions};
/// let index = Index::create(&Params::new(2))?;
/// index.build(&[7, 8], &[1.0, 0.0, 0.0, 1.0])?;
/// let hits = index.search_with(&[1.0, 0.1], &SearchOptions::new().k(1).ef(200))?;
/// assert_eq!(hits[0].key, 7);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct SearchOptions<'a> {
    k: Option<usize>,
    ef: usize,
    threads: u32,
    plan: Option<Plan>,
    filter: Option<&'a Filter>,
    filters: Option<&'a [Option<&'a Filter>]>,
    max_distances: u64,
    deadline: Option<Duration>,
    stop: Option<&'a Stop>,
    rerank: Option<Rerank<'a>>,
}

impl<'a> SearchOptions<'a> {
    /// The ten nearest (all within the radius, of a range), with the `ef` that is advised ([`Index::set_advised_ef`]), else 64.
    pub fn new() -> SearchOptions<'a> {
        SearchOptions::default()
    }

    /// Sets how many results are wanted, at least 1.
    pub fn k(mut self, k: usize) -> Self {
        self.k = Some(k);
        self
    }

    /// Sets how many candidates a search keeps: more find more of the true neighbours, and take longer. 0: as
    /// advised.
    pub fn ef(mut self, ef: usize) -> Self {
        self.ef = ef;
        self
    }

    /// Of a batch: how many threads search; 0: one a core.
    pub fn threads(mut self, threads: u32) -> Self {
        self.threads = threads;
        self
    }

    /// Sets which keys may be results.
    pub fn filter(mut self, filter: &'a Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Of a batch: a filter for each query, where there is one.
    pub fn filters(mut self, filters: &'a [Option<&'a Filter>]) -> Self {
        self.filters = Some(filters);
        self
    }

    /// Sets how the nearest are looked for.
    pub fn plan(mut self, plan: Plan) -> Self {
        self.plan = Some(plan);
        self
    }

    /// Ends the search after so many distances, with what it has found by then; 0: no limit.
    pub fn max_distances(mut self, distances: u64) -> Self {
        self.max_distances = distances;
        self
    }

    /// Ends the search after so long, with what it has found by then; `deadline_exceeded` if that is nothing.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Ends the search with what it has found by then; `cancelled` if that is nothing.
    pub fn stop(mut self, stop: &'a Stop) -> Self {
        self.stop = Some(stop);
        self
    }

    /// The caller's own metric over the candidates: what it gives for a key and its vector is the distance. Called by
    /// the threads that search. A panic in it goes on in the caller.
    pub fn rerank(mut self, rerank: &'a (dyn Fn(u64, VectorView<'_>) -> f32 + Sync)) -> Self {
        self.rerank = Some(rerank);
        self
    }

    pub(crate) fn wanted(&self) -> usize {
        self.k.unwrap_or(10)
    }

    /// Makes a call with them; `rows` of a batch. Panics of closures go on here.
    pub(crate) fn with<R>(
        &self,
        k: usize,
        rows: Option<usize>,
        call: impl FnOnce(&sys::cairn_search_options) -> Result<R>,
    ) -> Result<(R, SearchReport)> {
        let invalid = |what: &str| Err(Error::new(ErrorCode::InvalidArgument, what));
        if self.wanted() == 0 {
            return invalid("search: k must be at least 1");
        }
        if self.filters.map_or(false, |filters| Some(filters.len()) != rows) {
            return invalid("search: not as many filters as queries");
        }
        let filters: Option<Vec<*const sys::cairn_filter>> =
            self.filters.map(|filters| filters.iter().map(|filter| filter.map_or(ptr::null(), Filter::raw)).collect());
        let metric = self.metric();
        let mut report = sys::cairn_search_report { size: size_of::<sys::cairn_search_report>(), ..Default::default() };
        let mut raw = self.raw(k, metric.as_ref());
        raw.filters = filters.as_ref().map_or(ptr::null(), |filters| filters.as_ptr());
        raw.report = &mut report;
        let result = call(&raw);
        self.resume(metric.as_ref());
        Ok((result?, SearchReport::from_raw(&report)))
    }

    pub(crate) fn metric(&self) -> Option<OwnMetric<'a>> {
        self.rerank.map(OwnMetric::new)
    }

    /// Goes on with a panic of a closure, after a call.
    pub(crate) fn resume(&self, metric: Option<&OwnMetric<'_>>) {
        if let Some(metric) = metric {
            metric.resume();
        }
        for filter in self.filter.into_iter().chain(self.filters.into_iter().flatten().flatten().copied()) {
            filter.resume();
        }
    }

    /// Without `filters` and `report`.
    pub(crate) fn raw(&self, k: usize, metric: Option<&OwnMetric<'_>>) -> sys::cairn_search_options {
        sys::cairn_search_options {
            size: size_of::<sys::cairn_search_options>(),
            k,
            ef: self.ef,
            threads: self.threads,
            plan: self.plan.map_or(0, |plan| plan as u8),
            filter: self.filter.map_or(ptr::null(), Filter::raw),
            max_distances: self.max_distances,
            // 0 would be no limit.
            deadline_us: self.deadline.map_or(0, |d| u64::try_from(d.as_micros()).unwrap_or(u64::MAX).max(1)),
            stop: self.stop.map_or(ptr::null(), |stop| stop.raw()),
            rerank: metric.and(OwnMetric::CALL),
            rerank_context: metric.map_or(ptr::null_mut(), OwnMetric::context),
            ..Default::default()
        }
    }

    pub(crate) fn limit(&self) -> Option<usize> {
        self.k
    }

    pub(crate) fn has_any_filter(&self) -> bool {
        self.filter.is_some() || self.filters.is_some()
    }

    pub(crate) fn has_filters(&self) -> bool {
        self.filters.is_some()
    }
}

/// How a save treats what stands at the path.
#[derive(Clone, Debug, Default)]
pub struct SaveOptions<'a> {
    refuse: bool,
    stop: Option<&'a Stop>,
}

impl<'a> SaveOptions<'a> {
    /// A file that is there is replaced in one step.
    pub fn new() -> SaveOptions<'a> {
        SaveOptions::default()
    }

    /// A file that is there is `path_exists`.
    pub fn create_new(mut self, create_new: bool) -> Self {
        self.refuse = create_new;
        self
    }

    /// Ends the call with `cancelled`.
    pub fn stop(mut self, stop: &'a Stop) -> Self {
        self.stop = Some(stop);
        self
    }

    pub(crate) fn raw(&self) -> sys::cairn_save_options {
        sys::cairn_save_options {
            size: size_of::<sys::cairn_save_options>(),
            stop: self.stop.map_or(ptr::null(), |stop| stop.raw()),
            existing: if self.refuse { sys::CAIRN_EXISTING_REFUSE } else { sys::CAIRN_EXISTING_REPLACE } as u8,
            ..Default::default()
        }
    }
}

macro_rules! opaque_debug {
    ($($name:ident)*) => {
        $(impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        })*
    };
}
opaque_debug!(OpenOptions BuildOptions SearchOptions);
