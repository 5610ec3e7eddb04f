// SPDX-License-Identifier: Apache-2.0
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, process};

use hnsw_rs::anndists::dist::Distance;
use hnsw_rs::api::AnnT;
use hnsw_rs::hnsw::Hnsw;
use serde::{de::DeserializeOwned, Serialize};

use crate::import::{ImportOptions, ImportReport};
use crate::{Error, ErrorCode, Index, Result, Source};

impl Index {
    /// A graph of the crate `hnsw_rs`, 0.3, as an index in memory: the same vectors, keys (the data ids) and links,
    /// and what is of its `DistCosine`, `DistL2` (squared here), `DistDot` or another distance that has a
    /// counterpart; `unsupported` otherwise. It goes through a dump in the folder for temporary files, which
    /// takes as much room as the index and is removed.
    ///
    /// ```
    /// use hnsw_rs::prelude::*;
    ///
    /// # fn main() -> cairn::Result<()> {
    /// let hnsw = Hnsw::<f32, DistL2>::new(16, 100, 16, 200, DistL2 {});
    /// hnsw.insert((&[0.0, 1.0], 7));
    /// hnsw.insert((&[5.0, 5.0], 8));
    ///
    /// let index = cairn::Index::from_hnsw(&hnsw)?;
    /// assert_eq!(index.search(&[4.0, 5.0], 1)?[0].key, 8);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_hnsw<T, D>(hnsw: &Hnsw<'_, T, D>) -> Result<Index>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync,
        D: Distance<T> + Send + Sync,
    {
        ImportOptions::new().import_hnsw(hnsw, env::temp_dir()).map(|(index, _)| index)
    }
}

impl ImportOptions<'_> {
    /// The same as the options say, with the dump in a new folder inside `scratch`, and what has become of it.
    pub fn import_hnsw<T, D>(&self, hnsw: &Hnsw<'_, T, D>, scratch: impl AsRef<Path>) -> Result<(Index, ImportReport)>
    where
        T: Serialize + DeserializeOwned + Clone + Send + Sync,
        D: Distance<T> + Send + Sync,
    {
        let folder = Scratch::new(scratch.as_ref())?;
        let base = hnsw.file_dump(&folder.0, "moving").map_err(|error| failed(&folder.0, &error.to_string()))?;
        self.clone().source(Source::HnswRs).import(folder.0.join(base))
    }
}

/// A folder that is removed in the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(inside: &Path) -> Result<Scratch> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = inside.join(format!("cairn-{}-{}", process::id(), number));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Scratch(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(failed(&path, &error.to_string())),
            }
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn failed(folder: &Path, why: &str) -> Error {
    Error::new(ErrorCode::IoError, &format!("dump to {}: {}", folder.display(), why))
}
