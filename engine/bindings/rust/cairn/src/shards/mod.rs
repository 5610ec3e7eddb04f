// SPDX-License-Identifier: Apache-2.0
//! Many index files that are searched as one, a [`ShardSet`](crate::ShardSet), and the parts of which such a set is
//! built: each shard by itself, here or elsewhere, with the same bytes whenever it is built again; then the manifest is
//! published in one step.
//!
//! ```
//! # fn main() -> cairn::Result<()> {
//! # let folder = std::env::temp_dir().join(format!("cairn-shards-{}", std::process::id()));
//! use cairn::shards::{self, Manifest};
//! use cairn::{Index, Params, ShardSet};
//!
//! let params = Params::new(2);
//! let (keys, rows) = ([1, 2, 3], [[1.0, 0.0], [0.0, 1.0], [0.7, 0.7]]);
//! let mut manifest = Manifest::new(&params); // shards by the hash of the key
//! let shard_of = shards::of_keys(&keys, 0, 2)?;
//! for shard in 0..2 {
//!     let index = Index::create(&params)?;
//!     for i in (0..3).filter(|i| shard_of[*i] == shard) {
//!         index.add(keys[i], &rows[i])?;
//!     }
//!     manifest.shards.push(shards::add_file(&folder, &index)?);
//! }
//! shards::publish(&folder, &mut manifest)?;
//! assert_eq!(manifest.generation, 1);
//!
//! let set = ShardSet::open(&folder)?;
//! assert_eq!(set.search(&[0.1, 0.9], 1)?[0].key, 2);
//! # drop(set);
//! # std::fs::remove_dir_all(&folder).unwrap();
//! # Ok(())
//! # }
//! ```

mod build;
mod cursor;
mod executor;
mod filter;
mod options;
mod search;
mod set;

pub use build::{
    add_file, assign, cluster, describe, of_keys, prune, publish, ClusterOptions, Clusters, Manifest, Partition,
    Pruned, ShardFile,
};
pub use cursor::ShardCursor;
pub use executor::ShardExecutor;
pub use filter::ShardFilter;
pub use options::{ShardOptions, ShardReport, ShardScope};
pub use set::{ShardKeyScan, ShardKeys, ShardSet};
