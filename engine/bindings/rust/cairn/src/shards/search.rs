// SPDX-License-Identifier: Apache-2.0
use std::ptr;

use cairn_sys as sys;

use super::{ShardFilter, ShardReport, ShardScope, ShardSet};
use crate::call::check;
use crate::matches::room;
use crate::range::{all_of_range, Taker};
use crate::scalar::{matrix_of, vector_of};
use crate::{Batch, Error, ErrorCode, Match, Result, Scalar, SearchOptions, SearchReport};

/// Searching. Filters are those of a [`ShardScope`]: with one in [`SearchOptions`] a call is `invalid_argument`.
impl ShardSet {
    /// The `k` nearest of all shards, nearest first.
    pub fn search<S: Scalar>(&self, query: &[S], k: usize) -> Result<Vec<Match>> {
        self.search_with(query, &SearchOptions::new().k(k), &ShardScope::new())
    }

    /// The same, as options and scope say. Each shard is searched with the same `ef`; `max_distances` is divided evenly
    /// among them.
    pub fn search_with<S: Scalar>(
        &self,
        query: &[S],
        options: &SearchOptions<'_>,
        scope: &ShardScope<'_>,
    ) -> Result<Vec<Match>> {
        self.search_reported(query, options, scope).map(|(found, _, _)| found)
    }

    /// The same, with what the search has done, and how many shards have answered.
    pub fn search_reported<S: Scalar>(
        &self,
        query: &[S],
        options: &SearchOptions<'_>,
        scope: &ShardScope<'_>,
    ) -> Result<(Vec<Match>, SearchReport, ShardReport)> {
        let mut found = vec![Match::default(); options.wanted().min(self.len())];
        let (count, report, shards) = self.search_one(query, options, scope, &mut found)?;
        found.truncate(count);
        Ok((found, report, shards))
    }

    /// Writes the nearest to `out`, at most so many as fit, and tells how many. Allocates nothing once warm, unless the
    /// query must be converted.
    pub fn search_into<S: Scalar>(
        &self,
        query: &[S],
        options: &SearchOptions<'_>,
        scope: &ShardScope<'_>,
        out: &mut [Match],
    ) -> Result<usize> {
        self.search_one(query, options, scope, out).map(|(count, _, _)| count)
    }

    fn search_one<S: Scalar>(
        &self,
        query: &[S],
        options: &SearchOptions<'_>,
        scope: &ShardScope<'_>,
        out: &mut [Match],
    ) -> Result<(usize, SearchReport, ShardReport)> {
        let query = self.vector(query);
        self.asked(options, scope, options.wanted(), None, |raw| {
            let mut count = 0;
            // SAFETY: `Match` is `cairn_match`, and `out` has that many.
            check(unsafe {
                sys::cairn_shards_search(self.raw(), &query, raw, out.as_mut_ptr().cast(), out.len(), &mut count)
            })?;
            Ok(count)
        })
    }

    /// The `k` nearest of each query, on the set's threads: `queries` has one vector after the other.
    pub fn search_batch<S: Scalar>(&self, queries: &[S], k: usize) -> Result<Batch> {
        self.search_batch_with(queries, &SearchOptions::new().k(k), &ShardScope::new())
    }

    /// The same, as options and scope say. All queries are checked before anything is searched.
    pub fn search_batch_with<S: Scalar>(
        &self,
        queries: &[S],
        options: &SearchOptions<'_>,
        scope: &ShardScope<'_>,
    ) -> Result<Batch> {
        self.search_batch_reported(queries, options, scope).map(|(batch, _)| batch)
    }

    /// The same, with how many shards have answered, summed over the queries.
    pub fn search_batch_reported<S: Scalar>(
        &self,
        queries: &[S],
        options: &SearchOptions<'_>,
        scope: &ShardScope<'_>,
    ) -> Result<(Batch, ShardReport)> {
        let queries = matrix_of(queries, self.dimensions())?;
        let k = options.wanted().min(self.len().max(1));
        let mut matches = room(queries.rows, k)?;
        let mut counts = vec![0; queries.rows];
        let ((), report, shards) = self.asked(options, scope, k, Some(queries.rows), |raw| {
            // SAFETY: `matches` has rows x k elements, `counts` one a row.
            check(unsafe {
                sys::cairn_shards_search_batch(
                    self.raw(),
                    &queries,
                    raw,
                    matches.as_mut_ptr().cast(),
                    matches.len(),
                    counts.as_mut_ptr(),
                )
            })
        })?;
        Ok((Batch { k, matches, counts, report }, shards))
    }

    /// All vectors that are not farther than `radius`, as [`Index::search_range`](crate::Index::search_range).
    pub fn search_range<S: Scalar>(
        &self,
        query: &[S],
        radius: f32,
        options: &SearchOptions<'_>,
        scope: &ShardScope<'_>,
    ) -> Result<Vec<Match>> {
        let query = self.vector(query);
        all_of_range(
            options.limit(),
            || self.len(),
            |found| {
                let asked = self.asked(options, scope, options.limit().unwrap_or(0), None, |raw| {
                    let mut count = 0;
                    let out = found.as_mut_ptr().cast();
                    // SAFETY: `Match` is `cairn_match`, and `found` has that many.
                    check(unsafe {
                        sys::cairn_shards_search_range(self.raw(), &query, radius, raw, out, found.len(), &mut count)
                    })?;
                    Ok(count)
                })?;
                Ok(asked.0)
            },
        )
    }

    /// The same, each handed to `take_one`, nearest first, until that returns false. Tells whether all were taken. A
    /// panic of `take_one` goes on in the caller.
    pub fn search_range_each<S: Scalar, F: FnMut(Match) -> bool>(
        &self,
        query: &[S],
        radius: f32,
        options: &SearchOptions<'_>,
        scope: &ShardScope<'_>,
        take_one: F,
    ) -> Result<bool> {
        let query = self.vector(query);
        Taker::new(take_one).taking(|take, context| {
            let asked = self.asked(options, scope, options.limit().unwrap_or(0), None, |raw| {
                let mut is_all = 0;
                // SAFETY: `context` lives until the call returns.
                check(unsafe {
                    sys::cairn_shards_search_range_each(self.raw(), &query, radius, raw, take, context, &mut is_all)
                })?;
                Ok(is_all != 0)
            })?;
            Ok(asked.0)
        })
    }

    pub(super) fn vector<S: Scalar>(&self, vector: &[S]) -> sys::cairn_vector {
        vector_of(vector, self.dimensions())
    }

    /// Makes a call with options and scope; `rows` of a batch. Panics of closures go on here.
    fn asked<R>(
        &self,
        options: &SearchOptions<'_>,
        scope: &ShardScope<'_>,
        k: usize,
        rows: Option<usize>,
        call: impl FnOnce(&sys::cairn_shards_search_options) -> Result<R>,
    ) -> Result<(R, SearchReport, ShardReport)> {
        let mut raw = scope.raw()?;
        refuse_filters(options)?;
        if scope.filters.map_or(false, |filters| Some(filters.len()) != rows) {
            return Err(Error::new(ErrorCode::InvalidArgument, "search: not as many filters as queries"));
        }
        let filters: Option<Vec<*const sys::cairn_shards_filter>> =
            scope.filters.map(|all| all.iter().map(|one| one.map_or(ptr::null(), ShardFilter::raw)).collect());
        let mut shards = ShardReport::sized();
        raw.filters = filters.as_ref().map_or(ptr::null(), |filters| filters.as_ptr());
        raw.report = &mut shards;
        let result = options.with(k, None, |search| {
            raw.search = search;
            call(&raw)
        });
        scope.resume();
        self.open.resume();
        let (result, report) = result?;
        Ok((result, report, ShardReport::from_raw(&shards)))
    }
}

/// Filters of an index say nothing of a set.
pub(super) fn refuse_filters(options: &SearchOptions<'_>) -> Result<()> {
    if !options.has_any_filter() {
        return Ok(());
    }
    Err(Error::new(ErrorCode::InvalidArgument, "search: filters of a set are those of its ShardScope"))
}
