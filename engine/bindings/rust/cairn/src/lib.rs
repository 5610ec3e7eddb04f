// SPDX-License-Identifier: Apache-2.0
//! Embeddable vector search: an HNSW graph in one checksummed file, which is searched from the memory map. Opening
//! takes as long for a large file as for a small one, and what it gives is [`Send`], [`Sync`] and `'static`: it can
//! be kept in a struct and shared by threads.
//!
//! ```
//! # fn main() -> cairn::Result<()> {
//! # let folder = std::env::temp_dir().join(format!("cairn-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder).unwrap();
//! # let path = folder.join("words.cairn");
//! use cairn::{Index, Params};
//!
//! let index = Index::create(&Params::new(3))?; // cosine, f32, in memory
//! index.build(&[1, 2], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0])?; // two rows of three
//! index.upsert(3, &[0.0, 0.0, 1.0])?;
//! index.save(&path)?;
//!
//! let index = Index::open(&path)?;
//! let hits = index.search(&[0.1, 0.9, 0.0], 2)?;
//! assert_eq!(hits[0].key, 2);
//! # std::fs::remove_dir_all(&folder).unwrap();
//! # Ok(())
//! # }
//! ```
//!
//! # Threads
//!
//! All methods take `&self` and may be called from any number of threads at once, changes too; searches take no lock.
//! What `cairn/index.h` promises is what [`Sync`] rests on.
//!
//! # Vectors
//!
//! A vector is a slice of [`Scalar`]s: `f32`, or the kind that the index stores ([`ScalarKind`]); `f32` is converted.
//! Rows of a batch lie one after the other in one slice.
//!
//! # Distances
//!
//! Smaller is nearer: `1 - cos`, squared Euclidean distance (no root), `1 - inner product`, or the number of bits
//! that differ.
//!
//! # Many files
//!
//! A [`ShardSet`] is a folder of index files that are searched as one; [`shards`] has the parts that build one.
//!
//! # Features
//!
//! | feature | what |
//! |---|---|
//! | `half` | vectors of `half::f16` and `half::bf16` |
//! | `serde` | parameters, results and reports are `Serialize` and `Deserialize` |
//! | `hnsw_rs` | `Index::from_hnsw`: a graph of that crate becomes an index |
//!
//! Without any of them, Rust 1.63 and a C++20 compiler are all that is needed to build it.
#![warn(missing_docs)]

mod call;
mod cursor;
mod error;
mod filter;
#[cfg(feature = "hnsw_rs")]
mod hnsw;
pub mod import;
mod index;
mod matches;
mod options;
mod params;
mod range;
mod reports;
mod rerank;
mod scalar;
pub mod shards;
mod stop;

pub use cursor::{Cursor, Order};
pub use error::{Error, ErrorCode, Result};
pub use filter::Filter;
pub use index::{Index, KeyScan, Keys};
pub use matches::{Batch, Match};
pub use options::{BuildOptions, CreateOptions, OpenOptions, SaveOptions, SearchOptions};
pub use params::{
    Check, Durability, Metric, Mode, Params, Plan, Residency, ScalarKind, Source, Traversal, VerifyAtOpen,
};
pub use reports::{RecallReport, SearchReport, Stats, VerifyReport};
pub use rerank::VectorView;
pub use scalar::Scalar;
pub use shards::{ShardCursor, ShardExecutor, ShardFilter, ShardOptions, ShardReport, ShardScope, ShardSet};
pub use stop::Stop;

/// The version of the library, such as `0.1.0`.
pub fn version() -> &'static str {
    // SAFETY: a string of the library, valid for ever.
    unsafe { call::text(cairn_sys::cairn_version()) }
}

/// The instruction set that distances are computed with, such as `avx2`. The environment variable `CAIRN_SIMD` forces
/// another.
pub fn simd() -> &'static str {
    // SAFETY: as above.
    unsafe { call::text(cairn_sys::cairn_simd_active()) }
}

// README.md and the guide run as tests, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
#[cfg(all(doctest, feature = "hnsw_rs", feature = "half", feature = "serde"))]
#[doc = include_str!("../tests/guide")]
struct Guide;
