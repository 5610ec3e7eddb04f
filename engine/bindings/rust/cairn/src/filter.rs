// SPDX-License-Identifier: Apache-2.0
use std::any::Any;
use std::fmt;
use std::os::raw::{c_int, c_void};
use std::panic::{self, AssertUnwindSafe};
use std::ptr::{self, NonNull};
use std::sync::Mutex;

use cairn_sys as sys;

use crate::call::check;
use crate::{Index, Result};

/// Which keys a search may return. Made once for an index, used by any number of searches and threads; it follows the
/// index as it changes. With another index, or once its own is dropped, a search is `invalid_argument`.
///
/// ```
/// # fn main() -> cairn::Result<()> {
/// use cairn::{Filter, Index, Params, SearchOptions};
/// let index = Index::create(&Params::new(2))?;
/// index.build(&[1, 2, 3], &[1.0, 0.0, 0.9, 0.1, 0.0, 1.0])?;
///
/// let odd = Filter::matching(&index, |key| key % 2 == 1)?;
/// assert_eq!(odd.count(), 2);
/// let hits = index.search_with(&[0.9, 0.1], &SearchOptions::new().k(1).filter(&odd))?;
/// assert_eq!(hits[0].key, 1);
/// # Ok(())
/// # }
/// ```
pub struct Filter {
    raw: NonNull<sys::cairn_filter>,
    wanted: Option<Box<Wanted>>,
}

// SAFETY: as cairn::Filter, which any number of threads may use at once.
unsafe impl Send for Filter {}
unsafe impl Sync for Filter {}

/// A closure that is asked, which may panic.
pub(crate) struct Wanted {
    wanted: Box<dyn Fn(u64) -> bool + Send + Sync>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Wanted {
    pub(crate) fn new(wanted: impl Fn(u64) -> bool + Send + Sync + 'static) -> Wanted {
        Wanted { wanted: Box::new(wanted), panic: Mutex::new(None) }
    }

    pub(crate) fn context(&self) -> *mut c_void {
        self as *const Wanted as *mut c_void
    }

    /// Goes on with a panic of the closure.
    pub(crate) fn resume(&self) {
        let panicked = self.panic.lock().ok().and_then(|mut panicked| panicked.take());
        if let Some(what) = panicked {
            panic::resume_unwind(what);
        }
    }
}

pub(crate) unsafe extern "C" fn ask(context: *mut c_void, key: u64) -> c_int {
    // SAFETY: the filter owns it, and is borrowed by whoever searches.
    let wanted = &*(context as *const Wanted);
    match panic::catch_unwind(AssertUnwindSafe(|| (wanted.wanted)(key))) {
        Ok(passes) => passes.into(),
        Err(what) => {
            if let Ok(mut panicked) = wanted.panic.lock() {
                panicked.get_or_insert(what);
            }
            0
        }
    }
}

impl Filter {
    /// These keys; those that the index has not got count once they are added.
    pub fn only(index: &Index, keys: &[u64]) -> Result<Filter> {
        // SAFETY: as many keys as it is told; `out` is written.
        Filter::make(|out| unsafe { sys::cairn_filter_only(index.raw(), keys.as_ptr(), keys.len(), out) })
    }

    /// All others.
    pub fn except(index: &Index, keys: &[u64]) -> Result<Filter> {
        // SAFETY: as above.
        Filter::make(|out| unsafe { sys::cairn_filter_except(index.raw(), keys.as_ptr(), keys.len(), out) })
    }

    /// Bit `i`, counted from the lowest of the first word, is key `first + i`; those beyond do not pass.
    pub fn bits(index: &Index, words: &[u64], first: u64) -> Result<Filter> {
        // SAFETY: as above.
        Filter::make(|out| unsafe { sys::cairn_filter_bits(index.raw(), words.as_ptr(), words.len(), first, out) })
    }

    /// Keys for which `wanted` is true. It is asked by the threads that search, perhaps by several at once, at least
    /// once a key, and must not call the index. A panic in it goes on in the search that asked.
    pub fn matching(index: &Index, wanted: impl Fn(u64) -> bool + Send + Sync + 'static) -> Result<Filter> {
        let wanted = Box::new(Wanted::new(wanted));
        let context = wanted.context();
        // SAFETY: what `context` points to lives as long as the filter.
        let mut filter = Filter::make(|out| unsafe { sys::cairn_filter_where(index.raw(), Some(ask), context, out) })?;
        filter.wanted = Some(wanted);
        filter.resume();
        Ok(filter)
    }

    /// How many vectors of the index pass now; 0 once the index is dropped.
    pub fn count(&self) -> usize {
        // SAFETY: it is open.
        let count = unsafe { sys::cairn_filter_count(self.raw()) };
        self.resume();
        count
    }

    pub(crate) fn raw(&self) -> *const sys::cairn_filter {
        self.raw.as_ptr()
    }

    pub(crate) fn resume(&self) {
        if let Some(wanted) = &self.wanted {
            wanted.resume();
        }
    }

    fn make(call: impl FnOnce(*mut *mut sys::cairn_filter) -> c_int) -> Result<Filter> {
        let mut out = ptr::null_mut();
        check(call(&mut out))?;
        let raw = NonNull::new(out).expect("a call that succeeds gives a filter");
        Ok(Filter { raw, wanted: None })
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        // SAFETY: searches borrow it, so none uses it any more.
        unsafe { sys::cairn_filter_close(self.raw.as_ptr()) }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").finish_non_exhaustive()
    }
}
