// SPDX-License-Identifier: Apache-2.0
//! All that is near enough, instead of so many of the nearest.
use std::any::Any;
use std::os::raw::{c_int, c_void};
use std::panic::{self, AssertUnwindSafe};

use cairn_sys as sys;

use crate::call::check;
use crate::{Error, ErrorCode, Index, Match, Result, Scalar, SearchOptions};

/// Results that are asked for at first; eight times as many while there is no room for all.
const FIRST: usize = 1024;

/// A closure that is handed results, and may panic.
pub(crate) struct Taker<F> {
    take: F,
    panic: Option<Box<dyn Any + Send>>,
}

impl<F: FnMut(Match) -> bool> Taker<F> {
    pub(crate) fn new(take: F) -> Taker<F> {
        Taker { take, panic: None }
    }

    /// Makes a call that hands results to what it is given. A panic of the closure goes on here.
    pub(crate) fn taking<R>(mut self, call: impl FnOnce(sys::cairn_take, *mut c_void) -> Result<R>) -> Result<R> {
        let context = &mut self as *mut Taker<F> as *mut c_void;
        let result = call(Some(take::<F>), context);
        if let Some(what) = self.panic {
            panic::resume_unwind(what);
        }
        result
    }
}

/// All results of a range, at most `limit`: `search` writes those that fit, and tells how many; it is asked again with
/// more room while there is none for all of the `len`.
pub(crate) fn all_of_range(
    limit: Option<usize>,
    len: impl Fn() -> usize,
    mut search: impl FnMut(&mut [Match]) -> Result<usize>,
) -> Result<Vec<Match>> {
    let limit = limit.unwrap_or(usize::MAX);
    let mut room = FIRST.min(limit);
    loop {
        let mut found = Vec::new();
        found
            .try_reserve_exact(room)
            .map_err(|_| Error::new(ErrorCode::OutOfMemory, &format!("room for {room} results")))?;
        found.resize(room, Match::default());
        let count = search(&mut found)?;
        if count < room || room >= limit.min(len()) {
            found.truncate(count);
            return Ok(found);
        }
        room = room.saturating_mul(8).min(limit);
    }
}

unsafe extern "C" fn take<F: FnMut(Match) -> bool>(context: *mut c_void, found: *const sys::cairn_match) -> c_int {
    // SAFETY: `search_range_each` has made it and waits; it is called by one thread at a time.
    let taker = &mut *(context as *mut Taker<F>);
    let found = Match { key: (*found).key, distance: (*found).distance };
    match panic::catch_unwind(AssertUnwindSafe(|| (taker.take)(found))) {
        Ok(goes_on) => goes_on.into(),
        Err(what) => {
            taker.panic = Some(what);
            0
        }
    }
}

/// Ranges.
impl Index {
    /// All vectors that are not farther than `radius`, nearest first; at most as many as [`SearchOptions::k`] says, if
    /// it does. A walk finds nearly all of them, [`crate::Plan::Exact`] all.
    ///
    /// ```
    /// # fn main() -> cairn::Result<()> {
    /// use cairn::{Index, Metric, Params, SearchOptions};
    /// let index = Index::create(&Params::new(1).metric(Metric::L2sq))?;
    /// index.build(&[1, 2, 3], &[0.0, 1.0, 5.0])?;
    /// let near = index.search_range(&[0.0], 1.0, &SearchOptions::new())?; // 1 is a squared distance
    /// assert_eq!(near.iter().map(|hit| hit.key).collect::<Vec<_>>(), [1, 2]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn search_range<S: Scalar>(&self, query: &[S], radius: f32, options: &SearchOptions<'_>) -> Result<Vec<Match>> {
        let query = self.vector(query);
        all_of_range(
            options.limit(),
            || self.len(),
            |found| {
                let (count, _) = options.with(options.limit().unwrap_or(0), None, |options| {
                    let mut count = 0;
                    let out = found.as_mut_ptr().cast();
                    // SAFETY: `Match` is `cairn_match`, and `found` has that many.
                    check(unsafe {
                        sys::cairn_search_range(self.raw(), &query, radius, options, out, found.len(), &mut count)
                    })?;
                    Ok(count)
                })?;
                Ok(count)
            },
        )
    }

    /// The same, each handed to `take` as it is found, in any order, until that returns false. Tells whether all were
    /// taken. A panic of `take` goes on in the caller.
    pub fn search_range_each<S: Scalar, F: FnMut(Match) -> bool>(
        &self,
        query: &[S],
        radius: f32,
        options: &SearchOptions<'_>,
        take_one: F,
    ) -> Result<bool> {
        let query = self.vector(query);
        Taker::new(take_one).taking(|take, context| {
            let (is_all, _) = options.with(options.limit().unwrap_or(0), None, |options| {
                let mut is_all = 0;
                // SAFETY: `context` lives until the call returns.
                check(unsafe {
                    sys::cairn_search_range_each(self.raw(), &query, radius, options, take, context, &mut is_all)
                })?;
                Ok(is_all != 0)
            })?;
            Ok(is_all)
        })
    }
}
