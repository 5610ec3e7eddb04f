// SPDX-License-Identifier: Apache-2.0
use std::fmt;
use std::ptr::{self, NonNull};

use cairn_sys as sys;

use super::search::refuse_filters;
use super::{ShardScope, ShardSet};
use crate::call::check;
use crate::rerank::OwnMetric;
use crate::{Error, ErrorCode, Match, Order, Result, Scalar, SearchOptions};

/// The results of one query of a set, page by page: [`ShardSet::cursor`]. No key comes twice.
pub struct ShardCursor<'a> {
    raw: NonNull<sys::cairn_shards_cursor>,
    set: &'a ShardSet,
    options: SearchOptions<'a>,
    scope: ShardScope<'a>,
    metric: Option<Box<OwnMetric<'a>>>, // whose address the cursor knows
}

// SAFETY: as cairn::ShardCursor, which is for one thread at a time; `next_*` take `&mut self`.
unsafe impl Send for ShardCursor<'_> {}

impl ShardSet {
    /// Begins a search of all shards, or of the scope's, whose results are taken page by page, as
    /// [`Index::cursor`](crate::Index::cursor).
    pub fn cursor<'a, S: Scalar>(
        &'a self,
        query: &[S],
        order: Order,
        options: &SearchOptions<'a>,
        scope: &ShardScope<'a>,
    ) -> Result<ShardCursor<'a>> {
        refuse_filters(options)?;
        if scope.filters.is_some() {
            return Err(Error::new(ErrorCode::InvalidArgument, "cursor: filters are those of a batch"));
        }
        let query = self.vector(query);
        let (options, scope) = (options.clone(), *scope);
        let metric = options.metric().map(Box::new);
        let search = options.raw(0, metric.as_deref());
        let mut raw = scope.raw()?;
        raw.search = &search;
        let mut out = ptr::null_mut();
        // SAFETY: the query is copied; what the options refer to lives as long as the cursor.
        check(unsafe { sys::cairn_shards_cursor_open(self.raw(), &query, &raw, order as u8, &mut out) })?;
        let raw = NonNull::new(out).expect("a call that succeeds gives a cursor");
        let cursor = ShardCursor { raw, set: self, options, scope, metric };
        cursor.resume();
        Ok(cursor)
    }
}

impl ShardCursor<'_> {
    /// The next `n` results, fewer at the end, then none.
    pub fn next_page(&mut self, n: usize) -> Result<Vec<Match>> {
        let mut page = vec![Match::default(); n];
        let count = self.next_into(&mut page)?;
        page.truncate(count);
        Ok(page)
    }

    /// The same into `out`, as many as fit; tells how many.
    pub fn next_into(&mut self, out: &mut [Match]) -> Result<usize> {
        let mut count = 0;
        let (raw, room) = (self.raw.as_ptr(), out.len());
        // SAFETY: `Match` is `cairn_match`, and `out` has that many.
        let result = check(unsafe { sys::cairn_shards_cursor_next(raw, out.as_mut_ptr().cast(), room, &mut count) });
        self.resume();
        result.map(|()| count)
    }

    /// Goes on with a panic of a closure, after a call.
    fn resume(&self) {
        self.options.resume(self.metric.as_deref());
        self.scope.resume();
        self.set.open.resume();
    }
}

impl Drop for ShardCursor<'_> {
    fn drop(&mut self) {
        // SAFETY: nobody else has it, and its set is open still.
        unsafe { sys::cairn_shards_cursor_close(self.raw.as_ptr()) }
    }
}

impl fmt::Debug for ShardCursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardCursor").finish_non_exhaustive()
    }
}
