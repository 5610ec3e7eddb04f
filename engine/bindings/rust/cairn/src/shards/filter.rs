// SPDX-License-Identifier: Apache-2.0
use std::fmt;
use std::os::raw::c_int;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use cairn_sys as sys;

use super::set::OpenSet;
use super::ShardSet;
use crate::call::check;
use crate::filter::{ask, Wanted};
use crate::Result;

/// Which keys a search of a set may return, as [`Filter`](crate::Filter). It keeps the files of its set open; with
/// another set a search is `invalid_argument`.
///
/// ```
/// # fn main() -> cairn::Result<()> {
/// # let file = std::env::temp_dir().join(format!("cairn-shard-filter-{}.cairn", std::process::id()));
/// # let index = cairn::Index::create(&cairn::Params::new(2))?;
/// # index.build(&[1, 2, 3], &[1.0, 0.0, 0.9, 0.1, 0.0, 1.0])?;
/// # index.save(&file)?;
/// use cairn::{SearchOptions, ShardFilter, ShardScope, ShardSet};
/// let set = ShardSet::open_files(&[&file])?;
/// let odd = ShardFilter::matching(&set, |key| key % 2 == 1)?;
/// assert_eq!(odd.count(), 2);
/// let hits = set.search_with(&[0.9, 0.1], &SearchOptions::new().k(1), &ShardScope::new().filter(&odd))?;
/// assert_eq!(hits[0].key, 1);
/// # drop((set, odd));
/// # std::fs::remove_file(&file).unwrap();
/// # Ok(())
/// # }
/// ```
pub struct ShardFilter {
    raw: NonNull<sys::cairn_shards_filter>,
    wanted: Option<Box<Wanted>>,
    set: Arc<OpenSet>, // closed after its filters
}

// SAFETY: as cairn::ShardFilter, which any number of threads may use at once.
unsafe impl Send for ShardFilter {}
unsafe impl Sync for ShardFilter {}

impl ShardFilter {
    /// These keys; those that the set has not got count once they are added.
    pub fn only(set: &ShardSet, keys: &[u64]) -> Result<ShardFilter> {
        // SAFETY: as many keys as it is told; `out` is written.
        make(set, |out| unsafe { sys::cairn_shards_filter_only(set.raw(), keys.as_ptr(), keys.len(), out) })
    }

    /// All others.
    pub fn except(set: &ShardSet, keys: &[u64]) -> Result<ShardFilter> {
        // SAFETY: as above.
        make(set, |out| unsafe { sys::cairn_shards_filter_except(set.raw(), keys.as_ptr(), keys.len(), out) })
    }

    /// Bit `i`, counted from the lowest of the first word, is key `first + i`; those beyond do not pass.
    pub fn bits(set: &ShardSet, words: &[u64], first: u64) -> Result<ShardFilter> {
        // SAFETY: as above.
        make(set, |out| unsafe { sys::cairn_shards_filter_bits(set.raw(), words.as_ptr(), words.len(), first, out) })
    }

    /// Keys for which `wanted` is true; rules as of [`Filter::matching`](crate::Filter::matching).
    pub fn matching(set: &ShardSet, wanted: impl Fn(u64) -> bool + Send + Sync + 'static) -> Result<ShardFilter> {
        let wanted = Box::new(Wanted::new(wanted));
        let context = wanted.context();
        // SAFETY: what `context` points to lives as long as the filter.
        let mut filter =
            make(set, |out| unsafe { sys::cairn_shards_filter_where(set.raw(), Some(ask), context, out) })?;
        filter.wanted = Some(wanted);
        filter.resume();
        Ok(filter)
    }

    /// How many vectors of the set pass now; each copy counts.
    pub fn count(&self) -> usize {
        // SAFETY: it is open, and so is its set.
        let count = unsafe { sys::cairn_shards_filter_count(self.raw()) };
        self.resume();
        count
    }

    pub(super) fn raw(&self) -> *const sys::cairn_shards_filter {
        self.raw.as_ptr()
    }

    pub(super) fn resume(&self) {
        if let Some(wanted) = &self.wanted {
            wanted.resume();
        }
    }
}

fn make(set: &ShardSet, call: impl FnOnce(*mut *mut sys::cairn_shards_filter) -> c_int) -> Result<ShardFilter> {
    let mut out = ptr::null_mut();
    check(call(&mut out))?;
    let raw = NonNull::new(out).expect("a call that succeeds gives a filter");
    Ok(ShardFilter { raw, wanted: None, set: Arc::clone(&set.open) })
}

impl Drop for ShardFilter {
    fn drop(&mut self) {
        // SAFETY: searches borrow it, so none uses it any more; its set is open still.
        unsafe { sys::cairn_shards_filter_close(self.raw.as_ptr()) }
    }
}

impl fmt::Debug for ShardFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardFilter").field("set", &Arc::as_ptr(&self.set)).finish_non_exhaustive()
    }
}
