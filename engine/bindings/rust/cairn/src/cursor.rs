// SPDX-License-Identifier: Apache-2.0
//! The results of one query page by page.
use std::fmt;
use std::ptr::{self, NonNull};

use cairn_sys as sys;

use crate::call::check;
use crate::rerank::OwnMetric;
use crate::{Error, ErrorCode, Index, Match, Result, Scalar, SearchOptions};

/// What becomes of a result that is found when nearer ones were handed out already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// It comes with a later page.
    #[default]
    Relaxed = 0,
    /// It is left out: distances never fall.
    Strict = 1,
}

/// The results of one query, page by page, without starting again: [`Index::cursor`]. No key comes twice, whatever
/// changes meanwhile.
pub struct Cursor<'a> {
    raw: NonNull<sys::cairn_cursor>,
    options: SearchOptions<'a>,
    metric: Option<Box<OwnMetric<'a>>>, // whose address the cursor knows
}

// SAFETY: as cairn::Cursor, which is for one thread at a time; `next_*` take `&mut self`.
unsafe impl Send for Cursor<'_> {}

impl Index {
    /// Begins a search whose results are taken page by page. Of the options, `k` and `threads` do not matter; a deadline
    /// is that of each page.
    ///
    /// ```
    /// # fn main() -> cairn::Result<()> {
    /// use cairn::{Index, Order, Params, SearchOptions};
    /// let index = Index::create(&Params::new(2))?;
    /// index.build(&[1, 2, 3], &[1.0, 0.0, 0.9, 0.1, 0.0, 1.0])?;
    /// let mut cursor = index.cursor(&[1.0, 0.0], Order::Relaxed, &SearchOptions::new())?;
    /// assert_eq!(cursor.next_page(2)?.len(), 2);
    /// assert_eq!(cursor.next_page(2)?[0].key, 3);
    /// assert!(cursor.next_page(2)?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn cursor<'a, S: Scalar>(
        &'a self,
        query: &[S],
        order: Order,
        options: &SearchOptions<'a>,
    ) -> Result<Cursor<'a>> {
        if options.has_filters() {
            return Err(Error::new(ErrorCode::InvalidArgument, "cursor: filters are those of a batch"));
        }
        let query = self.vector(query);
        let options = options.clone();
        let metric = options.metric().map(Box::new);
        let raw = options.raw(0, metric.as_deref());
        let mut out = ptr::null_mut();
        // SAFETY: the query is copied; what the options refer to lives as long as the cursor.
        check(unsafe { sys::cairn_cursor_open(self.raw(), &query, &raw, order as u8, &mut out) })?;
        let raw = NonNull::new(out).expect("a call that succeeds gives a cursor");
        Ok(Cursor { raw, options, metric })
    }
}

impl Cursor<'_> {
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
        // SAFETY: `Match` is `cairn_match`, and `out` has that many.
        let code = unsafe { sys::cairn_cursor_next(self.raw.as_ptr(), out.as_mut_ptr().cast(), out.len(), &mut count) };
        let result = check(code);
        self.options.resume(self.metric.as_deref());
        result.map(|()| count)
    }
}

impl Drop for Cursor<'_> {
    fn drop(&mut self) {
        // SAFETY: nobody else has it.
        unsafe { sys::cairn_cursor_close(self.raw.as_ptr()) }
    }
}

impl fmt::Debug for Cursor<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").finish_non_exhaustive()
    }
}
