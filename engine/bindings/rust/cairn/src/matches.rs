// SPDX-License-Identifier: Apache-2.0
use std::{mem, ops, slice};

use cairn_sys as sys;

use crate::{Error, ErrorCode, Result, SearchReport};

/// A result of a search.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[repr(C)]
pub struct Match {
    /// Of the vector.
    pub key: u64,
    /// To the query: `1 - cos` (1 if a vector is zero), the squared Euclidean distance, `1 - inner product`, or bits
    /// that differ.
    pub distance: f32,
}

// `Match` crosses the interface as it is.
const _: () = assert!(
    std::mem::size_of::<Match>() == std::mem::size_of::<sys::cairn_match>()
        && std::mem::align_of::<Match>() == std::mem::align_of::<sys::cairn_match>()
);

/// Room for `k` results of each of `rows` queries.
pub(crate) fn room(rows: usize, k: usize) -> Result<Vec<Match>> {
    let room = rows.checked_mul(k).filter(|room| *room <= isize::MAX as usize / mem::size_of::<Match>());
    let room = room.ok_or_else(|| Error::new(ErrorCode::InvalidArgument, "more results than memory can hold"))?;
    let mut matches = Vec::new();
    matches
        .try_reserve_exact(room)
        .map_err(|_| Error::new(ErrorCode::OutOfMemory, &format!("room for {room} results")))?;
    matches.resize(room, Match::default());
    Ok(matches)
}

/// Results of a batch: a slice of matches for each query, in their order.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Batch {
    pub(crate) k: usize,
    pub(crate) matches: Vec<Match>,
    pub(crate) counts: Vec<usize>,
    pub(crate) report: SearchReport,
}

impl Batch {
    /// What the searches have done.
    pub fn report(&self) -> SearchReport {
        self.report
    }

    /// How many queries there were.
    pub fn len(&self) -> usize {
        self.counts.len()
    }

    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The matches of query `i`, nearest first.
    pub fn get(&self, i: usize) -> Option<&[Match]> {
        let count = *self.counts.get(i)?;
        self.matches.get(i * self.k..i * self.k + count)
    }

    /// The matches of one query after the other.
    pub fn iter(&self) -> Rows<'_> {
        Rows { batch: self, counts: self.counts.iter().enumerate() }
    }
}

impl ops::Index<usize> for Batch {
    type Output = [Match];

    fn index(&self, i: usize) -> &[Match] {
        self.get(i).expect("no such query in the batch")
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = &'a [Match];
    type IntoIter = Rows<'a>;

    fn into_iter(self) -> Rows<'a> {
        self.iter()
    }
}

/// Iterator of a [`Batch`].
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    batch: &'a Batch,
    counts: std::iter::Enumerate<slice::Iter<'a, usize>>,
}

impl<'a> Iterator for Rows<'a> {
    type Item = &'a [Match];

    fn next(&mut self) -> Option<&'a [Match]> {
        let (i, _) = self.counts.next()?;
        self.batch.get(i)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.counts.size_hint()
    }
}

impl ExactSizeIterator for Rows<'_> {}
