// SPDX-License-Identifier: Apache-2.0
#![allow(dead_code)]
use std::path::{Path, PathBuf};
use std::{env, fs, process};

/// A folder of one test, removed in the end.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(test: &str) -> Folder {
        let path = env::temp_dir().join(format!("cairn-test-{}-{}", process::id(), test));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Rows of numbers in [-1, 1), the same for the same seed.
pub fn rows(seed: u64, count: usize, dims: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..count * dims)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

/// Keys of the `k` nearest by squared distance.
pub fn exact(rows: &[f32], dims: usize, query: &[f32], k: usize) -> Vec<u64> {
    let mut all: Vec<(f32, u64)> =
        rows.chunks(dims).map(|row| row.iter().zip(query).map(|(a, b)| (a - b) * (a - b)).sum()).zip(0..).collect();
    all.sort_by(|a, b| a.partial_cmp(b).unwrap());
    all[..k].iter().map(|pair| pair.1).collect()
}
