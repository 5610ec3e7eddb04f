// SPDX-License-Identifier: Apache-2.0
use std::ffi::CStr;
use std::mem::size_of;
use std::os::raw::{c_char, c_int};
use std::path::Path;
use std::ptr;

use cairn_sys as sys;

use crate::call::{self, check};
use crate::scalar::matrix_of;
use crate::{BuildOptions, Error, ErrorCode, Index, Metric, Params, Result, Scalar};

/// A file of a set, as its manifest names it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ShardFile {
    /// Its name in the folder.
    pub file: String,
    /// That it holds.
    pub vectors: u64,
    /// Its size.
    pub bytes: u64,
    /// XXH3-128 of its bytes, 32 hexadecimal digits.
    pub xxh3: String,
}

impl ShardFile {
    fn of(call: impl FnOnce(*mut sys::cairn_shard_file) -> c_int) -> Result<ShardFile> {
        let mut raw = sys::cairn_shard_file { size: size_of::<sys::cairn_shard_file>(), ..Default::default() };
        check(call(&mut raw))?;
        // SAFETY: both end with a zero.
        let text = |text: &[c_char]| unsafe { CStr::from_ptr(text.as_ptr()) }.to_string_lossy().into_owned();
        Ok(ShardFile { file: text(&raw.file), vectors: raw.vectors, bytes: raw.bytes, xxh3: text(&raw.xxh3) })
    }

    fn raw(&self) -> Result<sys::cairn_shard_file> {
        let mut raw = sys::cairn_shard_file {
            size: size_of::<sys::cairn_shard_file>(),
            vectors: self.vectors,
            bytes: self.bytes,
            ..Default::default()
        };
        put(&mut raw.file, &self.file)?;
        put(&mut raw.xxh3, &self.xxh3)?;
        Ok(raw)
    }
}

fn put(room: &mut [c_char], text: &str) -> Result<()> {
    if text.len() >= room.len() || text.contains('\0') {
        return Err(Error::new(ErrorCode::InvalidArgument, &format!("publish: {text:?} is no name of a shard")));
    }
    room.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from as c_char);
    Ok(())
}

/// How vectors are spread over shards.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Partition {
    /// By the hashes of their keys: [`of_keys`].
    Hash {
        /// Of the hash.
        seed: u64,
    },
    /// Anyhow.
    Rows,
    /// Near ones together: [`cluster`] and [`assign`].
    Clusters {
        /// [`Clusters::router`], added by [`add_file`].
        router: ShardFile,
        /// [`Clusters::gaps`].
        gaps: Vec<f32>,
    },
}

/// A set, as of one generation.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Manifest {
    /// That is replaced, 0 if there is none; once published, its own.
    pub generation: u64,
    /// What shards are built with.
    pub params: Params,
    /// How vectors are spread.
    pub partition: Partition,
    /// Their number is their place.
    pub shards: Vec<ShardFile>,
}

impl Manifest {
    /// No shards yet, by hash with seed 0.
    pub fn new(params: &Params) -> Manifest {
        Manifest { generation: 0, params: params.clone(), partition: Partition::Hash { seed: 0 }, shards: Vec::new() }
    }
}

/// The shard of each key, of `shards` by hash.
pub fn of_keys(keys: &[u64], seed: u64, shards: usize) -> Result<Vec<u32>> {
    let mut out = vec![0; keys.len()];
    // SAFETY: as many numbers as keys.
    check(unsafe { sys::cairn_shards_of_keys(keys.as_ptr(), keys.len(), seed, shards, out.as_mut_ptr()) })?;
    Ok(out)
}

/// Saves an index in the folder, which is made if it is not there, named by its contents. The same index gives the same
/// file.
pub fn add_file(folder: impl AsRef<Path>, index: &Index) -> Result<ShardFile> {
    let folder = call::path(folder.as_ref())?;
    // SAFETY: the index is open; no flag is a null.
    ShardFile::of(|out| unsafe { sys::cairn_shards_add_file(folder.as_ptr(), index.raw(), ptr::null(), out) })
}

/// What a file that was built elsewhere is called in a set. It is read whole.
pub fn describe(file: impl AsRef<Path>) -> Result<ShardFile> {
    let file = call::path(file.as_ref())?;
    // SAFETY: no flag is a null.
    ShardFile::of(|out| unsafe { sys::cairn_shards_describe(file.as_ptr(), ptr::null(), out) })
}

/// Makes it the manifest that holds, in one step, and sets its generation. All files are in the folder. `path_in_use` if
/// somebody else has published meanwhile; `path_not_found` and `corrupt` if a file is not there, or another one.
pub fn publish(folder: impl AsRef<Path>, manifest: &mut Manifest) -> Result<()> {
    let folder = call::path(folder.as_ref())?;
    let shards = manifest.shards.iter().map(ShardFile::raw).collect::<Result<Vec<_>>>()?;
    let params = manifest.params.raw();
    let mut raw = sys::cairn_shards_manifest {
        size: size_of::<sys::cairn_shards_manifest>(),
        generation: manifest.generation,
        params: &params,
        shards: shards.as_ptr(),
        shard_count: shards.len(),
        ..Default::default()
    };
    let router;
    match &manifest.partition {
        Partition::Hash { seed } => raw.seed = *seed,
        Partition::Rows => raw.partition = sys::CAIRN_PARTITION_ROWS as u8,
        Partition::Clusters { router: file, gaps } => {
            if gaps.len() != shards.len() {
                let what = format!("publish: {} gaps of {} shards", gaps.len(), shards.len());
                return Err(Error::new(ErrorCode::InvalidArgument, &what));
            }
            router = file.raw()?;
            raw.partition = sys::CAIRN_PARTITION_CLUSTERS as u8;
            raw.router = &router;
            raw.gaps = gaps.as_ptr();
        }
    }
    // SAFETY: all pointers live until the call returns; there are as many gaps as shards.
    check(unsafe { sys::cairn_shards_publish(folder.as_ptr(), &mut raw) })?;
    manifest.generation = raw.generation;
    Ok(())
}

/// How vectors are clustered.
#[derive(Clone, Copy, Debug)]
pub struct ClusterOptions {
    shards: usize,
    centroids: usize,
    copies: f64,
    seed: u64,
}

impl ClusterOptions {
    /// So many shards, without copies.
    pub fn new(shards: usize) -> ClusterOptions {
        ClusterOptions { shards, centroids: 0, copies: 0.0, seed: 0 }
    }

    /// Sets how many centroids the router has for each shard; 128.
    pub fn centroids(mut self, centroids: usize) -> Self {
        self.centroids = centroids;
        self
    }

    /// Sets which part of the vectors a second shard has, too: 0 to 1, in thousandths.
    pub fn copies(mut self, part: f64) -> Self {
        self.copies = part;
        self
    }

    /// Sets where clustering begins; 42.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

/// Where vectors go.
#[derive(Debug)]
pub struct Clusters {
    /// Centroids.
    pub router: Index,
    /// A number for each shard.
    pub gaps: Vec<f32>,
}

/// Clusters a sample of the vectors, all of them or some tens of thousands drawn at random, for
/// [`Partition::Clusters`]. Of [`Metric::Cosine`] and [`Metric::L2sq`].
pub fn cluster<S: Scalar>(
    metric: Metric,
    dimensions: usize,
    sample: &[S],
    wanted: &ClusterOptions,
    options: &BuildOptions<'_>,
) -> Result<Clusters> {
    if !(0.0..=1.0).contains(&wanted.copies) {
        return Err(Error::new(ErrorCode::InvalidArgument, &format!("cluster: copies is {}", wanted.copies)));
    }
    // Beyond what a manifest may have there is nothing to make room for.
    if wanted.shards > 65_536 {
        return Err(Error::new(ErrorCode::InvalidArgument, &format!("cluster: {} shards", wanted.shards)));
    }
    let sample = matrix_of(sample, dimensions)?;
    let mut gaps = vec![0f32; wanted.shards];
    let mut router = ptr::null_mut();
    options.with(|build| {
        let raw = sys::cairn_cluster_options {
            size: size_of::<sys::cairn_cluster_options>(),
            seed: wanted.seed,
            shards: wanted.shards,
            centroids: wanted.centroids,
            stop: build.stop,
            progress: build.progress,
            progress_context: build.progress_context,
            copies: (wanted.copies * 1000.0).round() as u32,
            threads: build.threads,
            ..Default::default()
        };
        // SAFETY: rows of these dimensions; as many gaps as shards.
        check(unsafe { sys::cairn_shards_cluster(metric as u8, &sample, &raw, &mut router, gaps.as_mut_ptr()) })
    })?;
    Ok(Clusters { router: Index::from_raw(router), gaps })
}

/// The shard of each row, and that of its copy, if it has one.
pub fn assign<S: Scalar>(clusters: &Clusters, rows: &[S]) -> Result<Vec<(u32, Option<u32>)>> {
    let rows = matrix_of(rows, clusters.router.dimensions())?;
    let (mut first, mut second) = (vec![0; rows.rows], vec![0; rows.rows]);
    let (router, gaps) = (clusters.router.raw(), &clusters.gaps);
    let (out, copies) = (first.as_mut_ptr(), second.as_mut_ptr());
    // SAFETY: as many gaps as shards, as many numbers as rows.
    check(unsafe { sys::cairn_shards_assign(router, gaps.as_ptr(), gaps.len(), &rows, 0, out, copies) })?;
    Ok(first
        .into_iter()
        .zip(second.into_iter().map(|shard| Some(shard).filter(|s| *s != sys::CAIRN_NO_SHARD)))
        .collect())
}

/// What [`prune`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Pruned {
    /// Generations that are gone.
    pub removed: u64,
    /// That stay because a set is open that has them.
    pub in_use: u64,
    /// Shards and routers that are gone.
    pub files: u64,
    /// Of them.
    pub bytes: u64,
}

/// Removes older generations of a set: `keep` stay, with the one that holds, and those in `also`. What a set has open
/// on this machine stays, too.
pub fn prune(folder: impl AsRef<Path>, keep: usize, also: &[u64]) -> Result<Pruned> {
    let folder = call::path(folder.as_ref())?;
    let mut raw = sys::cairn_shards_pruned { size: size_of::<sys::cairn_shards_pruned>(), ..Default::default() };
    // SAFETY: as many generations as are told.
    check(unsafe { sys::cairn_shards_prune(folder.as_ptr(), keep, also.as_ptr(), also.len(), &mut raw) })?;
    Ok(Pruned { removed: raw.removed, in_use: raw.in_use, files: raw.files, bytes: raw.bytes })
}
