// SPDX-License-Identifier: Apache-2.0
//! Indexes that other libraries have written, as one of ours. Keys and vectors are the same bit for bit, and the
//! links are kept where they are worth it. The file is only read.
//!
//! ```no_run
//! # fn main() -> cairn::Result<()> {
//! use cairn::{import, Metric, Source};
//!
//! let moved = import::hnsw_rs("data", "storage", Metric::Cosine)?; // data/storage.hnsw.graph and .hnsw.data
//! let (other, report) = import::ImportOptions::new().source(Source::Usearch).import("old.usearch")?;
//! assert!(report.graph_kept, "{:?}", report.notes);
//! other.save("new.cairn")?;
//! # Ok(())
//! # }
//! ```
use std::fmt;
use std::mem::size_of;
use std::path::Path;
use std::ptr;

use cairn_sys as sys;

use crate::call::{self, Progress};
use crate::{Index, Metric, Result, Source, Stop};

/// A dump of hnsw_rs: `DIR/BASE.hnsw.graph` and `DIR/BASE.hnsw.data`. `metric` is checked against what the dump says.
pub fn hnsw_rs(dir: impl AsRef<Path>, base: &str, metric: Metric) -> Result<Index> {
    let path = dir.as_ref().join(base);
    ImportOptions::new().source(Source::HnswRs).metric(metric).import(path).map(|(index, _)| index)
}

/// A file of hnswlib, which does not say what its metric is.
pub fn hnswlib(path: impl AsRef<Path>, metric: Metric) -> Result<Index> {
    ImportOptions::new().source(Source::Hnswlib).metric(metric).import(path).map(|(index, _)| index)
}

/// A file of USearch.
pub fn usearch(path: impl AsRef<Path>) -> Result<Index> {
    ImportOptions::new().source(Source::Usearch).import(path).map(|(index, _)| index)
}

/// A file of faiss.
pub fn faiss(path: impl AsRef<Path>) -> Result<Index> {
    ImportOptions::new().source(Source::Faiss).import(path).map(|(index, _)| index)
}

/// What of a file is taken, and how.
#[derive(Clone, Default)]
pub struct ImportOptions<'a> {
    source: Option<Source>,
    metric: Option<Metric>,
    rebuild: bool,
    threads: u32,
    dimensions: usize,
    m: u32,
    ef_construction: u32,
    keys: Option<&'a [u64]>,
    stop: Option<&'a Stop>,
    progress: Option<Progress<'a>>,
}

impl<'a> ImportOptions<'a> {
    /// What the file looks like, and what it says.
    pub fn new() -> ImportOptions<'a> {
        ImportOptions::default()
    }

    /// Sets which library has written it.
    pub fn source(mut self, source: Source) -> Self {
        self.source = Some(source);
        self
    }

    /// Sets what distances are: needed where the file does not say it (hnswlib).
    pub fn metric(mut self, metric: Metric) -> Self {
        self.metric = Some(metric);
        self
    }

    /// Builds the graph anew in any case.
    pub fn rebuild(mut self, rebuild: bool) -> Self {
        self.rebuild = rebuild;
        self
    }

    /// Sets how many threads work; 0: one a core.
    pub fn threads(mut self, threads: u32) -> Self {
        self.threads = threads;
        self
    }

    /// Sets the components of a vector, where the file does not say them.
    pub fn dimensions(mut self, dimensions: usize) -> Self {
        self.dimensions = dimensions;
        self
    }

    /// Sets links of a node, instead of what the file's need.
    pub fn m(mut self, m: u32) -> Self {
        self.m = m;
        self
    }

    /// Sets candidates that are considered for a node, instead of the file's.
    pub fn ef_construction(mut self, ef_construction: u32) -> Self {
        self.ef_construction = ef_construction;
        self
    }

    /// Keys instead of the file's, one for each of its vectors in file order, removed ones too.
    pub fn keys(mut self, keys: &'a [u64]) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Ends the call with `cancelled`.
    pub fn stop(mut self, stop: &'a Stop) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Told how far the part of the work is that is under way; as
    /// [`BuildOptions::progress`](crate::BuildOptions::progress).
    pub fn progress(mut self, progress: &'a (dyn Fn(u64, u64) + Sync)) -> Self {
        self.progress = Some(progress);
        self
    }

    /// An index in memory of the file, and what has become of it. `path_not_found`, `unsupported` (by name),
    /// `corrupt` and `truncated` (with the place), `invalid_argument` (metric or dimensions missing or wrong),
    /// `dimension_mismatch`, `not_finite`, `cancelled`.
    pub fn import(&self, path: impl AsRef<Path>) -> Result<(Index, ImportReport)> {
        let path = call::path(path.as_ref())?;
        let mut raw = sys::cairn_import_report { size: size_of::<sys::cairn_import_report>(), ..Default::default() };
        let mut out = ptr::null_mut();
        call::watched(self.progress, self.stop, |watch| {
            let options = sys::cairn_import_options {
                size: size_of::<sys::cairn_import_options>(),
                source: self.source.map_or(0, |source| source as u8),
                metric: self.metric.map_or(0, |metric| metric as u8),
                rebuild: self.rebuild.into(),
                threads: self.threads,
                dimensions: self.dimensions,
                m: self.m,
                ef_construction: self.ef_construction,
                keys: self.keys.map_or(ptr::null(), |keys| keys.as_ptr()),
                key_count: self.keys.map_or(0, |keys| keys.len()),
                stop: watch.stop,
                progress: watch.progress,
                progress_context: watch.context,
                ..Default::default()
            };
            // SAFETY: pointers to what lives until the call returns.
            call::check(unsafe { sys::cairn_import(path.as_ptr(), &options, &mut out, &mut raw) })
        })?;
        let index = Index::from_raw(out);
        // SAFETY: valid until this thread's next import, and copied before.
        let notes = unsafe { call::owned(sys::cairn_import_notes()) };
        let report = ImportReport {
            vectors: raw.vectors,
            links_kept: raw.links_kept,
            links_dropped: raw.links_dropped,
            skipped: raw.skipped,
            graph_kept: raw.graph_kept != 0,
            notes: notes.lines().map(str::to_string).collect(),
        };
        Ok((index, report))
    }
}

impl fmt::Debug for ImportOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportOptions")
            .field("source", &self.source)
            .field("metric", &self.metric)
            .finish_non_exhaustive()
    }
}

/// What an import has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ImportReport {
    /// That the index has now.
    pub vectors: u64,
    /// Of level 0.
    pub links_kept: u64,
    /// Of level 0.
    pub links_dropped: u64,
    /// Vectors that are not in the index: removed, or of a key that was there.
    pub skipped: u64,
    /// Whether the file's links are in use; if not, a note says why.
    pub graph_kept: bool,
    /// What is not as it was, a sentence each.
    pub notes: Vec<String>,
}
