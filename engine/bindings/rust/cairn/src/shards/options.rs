// SPDX-License-Identifier: Apache-2.0
use std::fmt;
use std::mem::size_of;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use cairn_sys as sys;

use super::executor::Host;
use super::{ShardExecutor, ShardFilter, ShardSet};
use crate::call::{self, check};
use crate::{OpenOptions, Result};

/// How a set is opened.
///
/// ```no_run
/// # fn main() -> cairn::Result<()> {
/// use cairn::ShardOptions;
/// let set = ShardOptions::new().allow_partial(true).threads(2).open("words")?;
/// for problem in set.problems() {
///     eprintln!("does not answer: {problem}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct ShardOptions<'a> {
    open: OpenOptions<'a>,
    executor: Option<Arc<dyn ShardExecutor>>,
    threads: u32,
    allow_partial: bool,
    only: &'a [u32],
}

impl<'a> ShardOptions<'a> {
    /// All shards, to search them; one that is missing is an error.
    pub fn new() -> ShardOptions<'a> {
        ShardOptions::default()
    }

    /// Sets how each shard is opened; [`Mode::ReadWrite`](crate::Mode::ReadWrite): of a folder alone.
    pub fn open_options(mut self, open: OpenOptions<'a>) -> Self {
        self.open = open;
        self
    }

    /// A shard that is missing or damaged is told by [`ShardSet::problems`] and by reports, and the others answer.
    pub fn allow_partial(mut self, allow: bool) -> Self {
        self.allow_partial = allow;
        self
    }

    /// Sets how many threads search, the caller's own among them; 0: one a core.
    pub fn threads(mut self, threads: u32) -> Self {
        self.threads = threads;
        self
    }

    /// Sets whose threads search, instead of the set's own.
    pub fn executor(mut self, executor: Arc<dyn ShardExecutor>) -> Self {
        self.executor = Some(executor);
        self
    }

    /// Of a folder: numbers of the shards that are opened and searched; none: all. The others are not missing.
    pub fn only(mut self, shards: &'a [u32]) -> Self {
        self.only = shards;
        self
    }

    /// Opens a folder with a manifest; errors as of [`ShardSet::open`].
    pub fn open(&self, folder: impl AsRef<Path>) -> Result<ShardSet> {
        let folder = call::path(folder.as_ref())?;
        // SAFETY: all pointers live until the call returns.
        self.with(|options, out| check(unsafe { sys::cairn_shards_open_folder(folder.as_ptr(), options, out) }))
    }

    /// Opens files, in this order; errors as of [`ShardSet::open_files`].
    pub fn open_files<P: AsRef<Path>>(&self, files: &[P]) -> Result<ShardSet> {
        let files = files.iter().map(|file| call::path(file.as_ref())).collect::<Result<Vec<_>>>()?;
        let paths: Vec<_> = files.iter().map(|file| file.as_ptr()).collect();
        // SAFETY: as above.
        self.with(|options, out| check(unsafe { sys::cairn_shards_open(paths.as_ptr(), paths.len(), options, out) }))
    }

    fn with(
        &self,
        call: impl FnOnce(&sys::cairn_shards_options, *mut *mut sys::cairn_shards) -> Result<()>,
    ) -> Result<ShardSet> {
        let host = self.executor.as_ref().map(|executor| Box::new(Host::new(Arc::clone(executor))));
        let mut out = ptr::null_mut();
        self.open.with(|open| {
            let options = sys::cairn_shards_options {
                size: size_of::<sys::cairn_shards_options>(),
                open,
                run: host.as_ref().and(Host::CALL),
                run_context: host.as_ref().map_or(ptr::null_mut(), |host| host.context()),
                run_width: host.as_ref().map_or(0, |host| host.width()),
                threads: self.threads,
                allow_partial: self.allow_partial.into(),
                only: if self.only.is_empty() { ptr::null() } else { self.only.as_ptr() },
                only_count: self.only.len(),
                ..Default::default()
            };
            call(&options, &mut out)
        })?;
        let set = ShardSet::from_raw(out, host);
        set.open.resume();
        Ok(set)
    }
}

impl fmt::Debug for ShardOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardOptions").finish_non_exhaustive()
    }
}

/// What of a set a search is about, beyond the [`SearchOptions`](crate::SearchOptions) that one index has.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShardScope<'a> {
    pub(super) filter: Option<&'a ShardFilter>,
    pub(super) filters: Option<&'a [Option<&'a ShardFilter>]>,
    probe: usize,
    coverage: Option<f32>,
}

impl<'a> ShardScope<'a> {
    /// All shards and keys.
    pub fn new() -> ShardScope<'a> {
        ShardScope::default()
    }

    /// Sets which keys may be results.
    pub fn filter(mut self, filter: &'a ShardFilter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Of a batch: a filter for each query, where there is one.
    pub fn filters(mut self, filters: &'a [Option<&'a ShardFilter>]) -> Self {
        self.filters = Some(filters);
        self
    }

    /// Of clusters: how many of the shards nearest to the query are searched, at most; 0: all.
    pub fn probe(mut self, shards: usize) -> Self {
        self.probe = shards;
        self
    }

    /// Of clusters, with `probe`: the search ends with the shards that have this part of the router's votes, above 0 to
    /// 1, in thousandths; 1: with `probe` shards in any case.
    pub fn coverage(mut self, part: f32) -> Self {
        self.coverage = Some(part);
        self
    }

    pub(super) fn raw(&self) -> Result<sys::cairn_shards_search_options> {
        let coverage = match self.coverage {
            None => 0,
            // At least one: 0 means none.
            Some(part) if part > 0.0 && part <= 1.0 => (part * 1000.0).round().max(1.0) as u32,
            Some(part) => {
                let what = format!("search: coverage is {part}, not above 0 to 1");
                return Err(crate::Error::new(crate::ErrorCode::InvalidArgument, &what));
            }
        };
        Ok(sys::cairn_shards_search_options {
            size: size_of::<sys::cairn_shards_search_options>(),
            filter: self.filter.map_or(ptr::null(), ShardFilter::raw),
            probe: self.probe,
            coverage,
            ..Default::default()
        })
    }

    /// Goes on with a panic of a closure, after a call.
    pub(super) fn resume(&self) {
        for filter in self.filter.into_iter().chain(self.filters.into_iter().flatten().flatten().copied()) {
            filter.resume();
        }
    }
}

/// How many shards a search has asked, and how many have answered; of a batch the sums of its rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ShardReport {
    /// Those that are missing, too.
    pub shards_asked: u64,
    /// As many if none is missing.
    pub shards_answered: u64,
}

impl ShardReport {
    pub(super) fn sized() -> sys::cairn_shards_report {
        sys::cairn_shards_report { size: size_of::<sys::cairn_shards_report>(), ..Default::default() }
    }

    pub(super) fn from_raw(raw: &sys::cairn_shards_report) -> ShardReport {
        ShardReport { shards_asked: raw.shards_asked, shards_answered: raw.shards_answered }
    }

    /// Whether all that were asked have answered.
    pub fn is_complete(&self) -> bool {
        self.shards_asked == self.shards_answered
    }
}
