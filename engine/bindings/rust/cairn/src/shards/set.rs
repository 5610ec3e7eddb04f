// SPDX-License-Identifier: Apache-2.0
use std::fmt;
use std::mem::size_of;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use cairn_sys as sys;

use super::executor::Host;
use super::ShardOptions;
use crate::call::{self, check};
use crate::index::verified;
use crate::{BuildOptions, Mode, OpenOptions, Params, Result, Scalar, Stats, Stop, VerifyReport};

/// Index files that are searched as one: [`crate::shards`]. Answers are ordered by distance, then by key, and name a
/// key once, however many shards have it. With [`Plan::Exact`](crate::Plan::Exact) they are those of one index with all
/// the vectors, bit for bit.
///
/// Dropping it closes it, and the last of its filters. A set has threads of its own, or those of a [`ShardExecutor`].
///
/// [`ShardExecutor`]: super::ShardExecutor
pub struct ShardSet {
    pub(super) open: Arc<OpenSet>,
}

/// An open set, as long as its filters want it.
pub(super) struct OpenSet {
    raw: NonNull<sys::cairn_shards>,
    host: Option<Box<Host>>, // whose address the set knows
}

// SAFETY: cairn/shard_set.h: every method may be called from any number of threads at once. Closing beside a call
// cannot happen, since calls borrow.
unsafe impl Send for OpenSet {}
unsafe impl Sync for OpenSet {}

impl Drop for OpenSet {
    fn drop(&mut self) {
        // SAFETY: nobody else has it; filters have been closed, and cursors borrow the set.
        unsafe { sys::cairn_shards_close(self.raw.as_ptr()) }
    }
}

impl OpenSet {
    pub(super) fn raw(&self) -> *mut sys::cairn_shards {
        self.raw.as_ptr()
    }

    /// Goes on with a panic of the executor, after a call.
    pub(super) fn resume(&self) {
        if let Some(host) = &self.host {
            host.resume();
        }
    }
}

/// Opening.
impl ShardSet {
    pub(super) fn from_raw(raw: *mut sys::cairn_shards, host: Option<Box<Host>>) -> ShardSet {
        let raw = NonNull::new(raw).expect("a call that succeeds gives a set");
        ShardSet { open: Arc::new(OpenSet { raw, host }) }
    }

    pub(super) fn raw(&self) -> *mut sys::cairn_shards {
        self.open.raw()
    }

    /// Opens a folder with a manifest, to search it. Errors of [`Index::open`](crate::Index::open), with the name of the
    /// file; `corrupt` where a file is not what the manifest says.
    pub fn open(folder: impl AsRef<Path>) -> Result<ShardSet> {
        ShardOptions::new().open(folder)
    }

    /// Opens it to change it, too: `path_in_use` if somebody else does. The first such open of a set copies its shards.
    pub fn open_writable(folder: impl AsRef<Path>) -> Result<ShardSet> {
        ShardOptions::new().open_options(OpenOptions::new().mode(Mode::ReadWrite)).open(folder)
    }

    /// Opens files of the same metric, kind and dimensions, in this order: `invalid_argument` if they do not fit
    /// together.
    ///
    /// ```
    /// # fn main() -> cairn::Result<()> {
    /// # let folder = std::env::temp_dir().join(format!("cairn-files-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder).unwrap();
    /// use cairn::{Index, Params, ShardSet};
    /// let files = [folder.join("a.cairn"), folder.join("b.cairn")];
    /// for (i, file) in (0..).zip(&files) {
    ///     let index = Index::create(&Params::new(2))?;
    ///     index.add(i, &[1.0, i as f32])?;
    ///     index.save(file)?;
    /// }
    /// let set = ShardSet::open_files(&files)?;
    /// assert_eq!(set.search(&[1.0, 1.0], 2)?[0].key, 1);
    /// # drop(set);
    /// # std::fs::remove_dir_all(&folder).unwrap();
    /// # Ok(())
    /// # }
    /// ```
    pub fn open_files<P: AsRef<Path>>(files: &[P]) -> Result<ShardSet> {
        ShardOptions::new().open_files(files)
    }
}

/// Changing: of a set that is open for writing, else `read_only`.
impl ShardSet {
    /// Adds a vector, or replaces the one that the key has.
    pub fn upsert<S: Scalar>(&self, key: u64, vector: &[S]) -> Result<()> {
        // SAFETY: the vector is what it is said to be.
        check(unsafe { sys::cairn_shards_upsert(self.raw(), key, &self.vector(vector)) })
    }

    /// Removes a vector: `key_not_found` if there is none.
    pub fn remove(&self, key: u64) -> Result<()> {
        // SAFETY: the set is open.
        check(unsafe { sys::cairn_shards_remove(self.raw(), key) })
    }

    /// Waits until all changes so far are on disk.
    pub fn sync(&self) -> Result<()> {
        // SAFETY: as above.
        check(unsafe { sys::cairn_shards_sync(self.raw()) })
    }

    /// Writes changed pages of all shards to their places and begins new logs.
    pub fn checkpoint(&self) -> Result<()> {
        // SAFETY: as above; no flag is a null.
        check(unsafe { sys::cairn_shards_checkpoint(self.raw(), ptr::null()) })
    }

    /// The same, which the flag ends.
    pub fn checkpoint_with(&self, stop: &Stop) -> Result<()> {
        // SAFETY: as above; the flag is borrowed.
        check(unsafe { sys::cairn_shards_checkpoint(self.raw(), stop.raw()) })
    }

    /// Of files that are read while another process changes them: shows what has become visible. A new generation is
    /// seen by opening the set anew.
    pub fn refresh(&self) -> Result<()> {
        // SAFETY: as above.
        check(unsafe { sys::cairn_shards_refresh(self.raw()) })
    }
}

/// Asking.
impl ShardSet {
    /// How many shards, those among them that are missing or were not wanted.
    pub fn shards(&self) -> usize {
        // SAFETY: the set is open.
        unsafe { sys::cairn_shards_count(self.raw()) }
    }

    /// `NAME: why` of each shard that is missing, with [`ShardOptions::allow_partial`].
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        loop {
            // SAFETY: as above; the string is copied.
            let problem = unsafe { sys::cairn_shards_problem(self.raw(), problems.len()) };
            if problem.is_null() {
                return problems;
            }
            problems.push(unsafe { call::owned(problem) });
        }
    }

    /// How many vectors there are; each copy counts.
    pub fn len(&self) -> usize {
        // SAFETY: as above.
        unsafe { sys::cairn_shards_size(self.raw()) }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Components of a vector.
    pub fn dimensions(&self) -> usize {
        // SAFETY: as above.
        unsafe { sys::cairn_shards_dimensions(self.raw()) }
    }

    /// Metric, kind and dimensions of all shards; the rest is what the manifest or the first file says.
    pub fn params(&self) -> Result<Params> {
        let mut raw = sys::cairn_params { size: size_of::<sys::cairn_params>(), ..Default::default() };
        // SAFETY: a struct of that size.
        check(unsafe { sys::cairn_shards_get_params(self.raw(), &mut raw) })?;
        Ok(Params::from_raw(&raw))
    }

    /// Sums over the shards; the highest level; the generation of the set; no times.
    pub fn stats(&self) -> Result<Stats> {
        let mut raw = sys::cairn_statistics { size: size_of::<sys::cairn_statistics>(), ..Default::default() };
        // SAFETY: as above.
        check(unsafe { sys::cairn_shards_stats(self.raw(), &mut raw) })?;
        Ok(Stats::from_raw(&raw))
    }

    /// Whether the key has a vector.
    pub fn contains(&self, key: u64) -> bool {
        // SAFETY: the set is open.
        unsafe { sys::cairn_shards_contains(self.raw(), key) != 0 }
    }

    /// The key's vector as floats: `key_not_found` if there is none.
    pub fn get(&self, key: u64) -> Result<Vec<f32>> {
        let mut vector = vec![0f32; self.dimensions()];
        // SAFETY: as many floats as are told.
        check(unsafe { sys::cairn_shards_get(self.raw(), key, vector.as_mut_ptr(), vector.len()) })?;
        Ok(vector)
    }

    /// All keys, each once, in no particular order.
    ///
    /// # Panics
    ///
    /// As [`Index::keys`](crate::Index::keys); [`next_keys`](ShardSet::next_keys) returns the error.
    pub fn keys(&self) -> ShardKeys<'_> {
        ShardKeys { set: self, scan: ShardKeyScan::default(), some: Vec::new(), at: 0 }
    }

    /// Writes the next keys of a listing to `out`, tells how many, and sets `scan.done` with the last ones.
    pub fn next_keys(&self, scan: &mut ShardKeyScan, out: &mut [u64]) -> Result<usize> {
        let mut raw = sys::cairn_shards_key_scan {
            size: size_of::<sys::cairn_shards_key_scan>(),
            shard: scan.shard,
            position: scan.position,
            done: scan.done.into(),
            ..Default::default()
        };
        let mut count = 0;
        // SAFETY: `out` has so many elements.
        check(unsafe { sys::cairn_shards_keys(self.raw(), &mut raw, out.as_mut_ptr(), out.len(), &mut count) })?;
        *scan = ShardKeyScan { shard: raw.shard, position: raw.position, done: raw.done != 0 };
        Ok(count)
    }

    /// Whether all shards are what the manifest says, and each is whole. Defects, and shards that are missing, are
    /// findings of the report, not an error.
    pub fn verify(&self) -> Result<VerifyReport> {
        self.verify_with(&BuildOptions::new())
    }

    /// The same, as the options say.
    pub fn verify_with(&self, options: &BuildOptions<'_>) -> Result<VerifyReport> {
        // SAFETY: the set is open, and the report is written.
        verified(options, |raw, report| unsafe { sys::cairn_shards_verify(self.raw(), raw, report) })
    }

    /// Reads all pages of mapped files into memory.
    pub fn warm(&self) -> Result<()> {
        // SAFETY: the set is open.
        check(unsafe { sys::cairn_shards_warm(self.raw()) })
    }

    /// Takes them out of this process again.
    pub fn release(&self) -> Result<()> {
        // SAFETY: as above.
        check(unsafe { sys::cairn_shards_release(self.raw()) })
    }
}

impl fmt::Debug for ShardSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardSet")
            .field("shards", &self.shards())
            .field("len", &self.len())
            .field("dimensions", &self.dimensions())
            .finish_non_exhaustive()
    }
}

/// Where a listing of keys has come to: [`ShardSet::next_keys`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ShardKeyScan {
    /// 0 at first; then as the last call has left it.
    pub shard: u64,
    /// The same.
    pub position: u64,
    /// There are no more.
    pub done: bool,
}

/// Iterator of [`ShardSet::keys`].
#[derive(Clone, Debug)]
pub struct ShardKeys<'a> {
    set: &'a ShardSet,
    scan: ShardKeyScan,
    some: Vec<u64>,
    at: usize,
}

impl Iterator for ShardKeys<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        while self.at == self.some.len() {
            if self.scan.done {
                return None;
            }
            self.some.resize(1024, 0);
            match self.set.next_keys(&mut self.scan, &mut self.some) {
                Ok(count) => self.some.truncate(count),
                Err(error) => panic!("{error}"),
            }
            self.at = 0;
        }
        self.at += 1;
        Some(self.some[self.at - 1])
    }
}
