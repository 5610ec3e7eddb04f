// SPDX-License-Identifier: Apache-2.0
//! The vector index of a server that used to keep an `Hnsw` of hnsw_rs, which borrowed from its loader and so was
//! built anew at each start. On Cairn: load at start, add what is missing, search, save.
//!
//! `cargo run --release --example hnsw_container [CONCEPTS]`

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::RwLock;
use std::time::Instant;

use cairn::{import, Index, Metric, Params, SearchOptions};

/// What the server calls its things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConceptId(pub [u8; 16]);

/// What a container is made with.
pub struct Config {
    pub dimension: usize,
    pub max_neighbors: u32,
    pub ef_construction: u32,
}

/// The index, and which concept has which key: key `n` is the concept at byte `16 n` of `storage.ids`.
pub struct HnswContainer {
    base_path: PathBuf,
    index: Index, // Send, Sync, 'static: nothing that it borrows from
    ids: RwLock<Ids>,
}

#[derive(Default)]
struct Ids {
    concepts: Vec<ConceptId>,
    keys: HashMap<ConceptId, u64>,
}

impl HnswContainer {
    /// Loads what was saved; else moves what hnsw_rs has dumped, whose files stay; else begins anew. Then adds what
    /// is missing.
    pub fn load_or_build(
        base_path: impl Into<PathBuf>,
        config: &Config,
        vectors: &HashMap<ConceptId, Vec<f32>>,
    ) -> io::Result<HnswContainer> {
        let base_path = base_path.into();
        let file = base_path.with_extension("cairn");
        let index = if file.exists() {
            Index::open_writable(&file)? // mapped: milliseconds, whatever its size
        } else {
            if base_path.with_extension("hnsw.graph").exists() {
                let (dir, base) = (base_path.parent().unwrap(), base_path.file_name().unwrap());
                import::hnsw_rs(dir, &base.to_string_lossy(), Metric::Cosine)?.save(&file)?;
                Index::open_writable(&file)?
            } else {
                let params = Params::new(config.dimension)
                    .metric(Metric::Cosine)
                    .m(config.max_neighbors)
                    .ef_construction(config.ef_construction);
                Index::create_file(&file, &params)?
            }
        };
        let ids = Ids::load(&base_path.with_extension("ids"))?;
        let container = HnswContainer { base_path, index, ids: RwLock::new(ids) };
        container.add_missing(vectors)?;
        Ok(container)
    }

    /// Adds the vectors of concepts that the index has not got; tells how many there were. Searches go on meanwhile.
    pub fn add_missing(&self, vectors: &HashMap<ConceptId, Vec<f32>>) -> io::Result<usize> {
        let mut missing: Vec<(u64, &[f32])> = Vec::new();
        let mut ids = self.ids.write().unwrap();
        let known = ids.concepts.len();
        for (concept, vector) in vectors {
            let key = ids.key_of(*concept);
            if !self.index.contains(key) {
                missing.push((key, vector));
            }
        }
        // Names first: a crash between the two leaves names without vectors, which are missing at the next start.
        ids.append(&self.base_path.with_extension("ids"), known)?;
        drop(ids);
        if self.index.is_empty() && missing.len() > 1000 {
            let keys: Vec<u64> = missing.iter().map(|(key, _)| *key).collect();
            let rows: Vec<f32> = missing.iter().flat_map(|(_, vector)| vector.iter().copied()).collect();
            self.index.build(&keys, &rows)?; // on all cores
        } else {
            for (key, vector) in &missing {
                self.index.add(*key, vector)?; // on disk when it returns
            }
        }
        Ok(missing.len())
    }

    /// The `k` most similar concepts, with 1 for the same direction.
    pub fn search(&self, query: &[f32], k: usize, ef: usize) -> io::Result<Vec<(ConceptId, f32)>> {
        let hits = self.index.search_with(query, &SearchOptions::new().k(k).ef(ef))?;
        let ids = self.ids.read().unwrap();
        Ok(hits.iter().map(|hit| (ids.concepts[hit.key as usize], 1.0 - hit.distance)).collect())
    }

    /// Changes are on disk already; this empties their log, so that the next start has nothing to recover.
    pub fn save(&self) -> io::Result<()> {
        Ok(self.index.checkpoint()?)
    }

    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
}

impl Ids {
    fn load(path: &Path) -> io::Result<Ids> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut ids = Ids::default();
        for name in bytes.chunks_exact(16) {
            ids.key_of(ConceptId(name.try_into().unwrap()));
        }
        Ok(ids)
    }

    fn key_of(&mut self, concept: ConceptId) -> u64 {
        let concepts = &mut self.concepts;
        *self.keys.entry(concept).or_insert_with(|| {
            concepts.push(concept);
            concepts.len() as u64 - 1
        })
    }

    fn append(&self, path: &Path, known: usize) -> io::Result<()> {
        if known == self.concepts.len() {
            return Ok(());
        }
        let mut file = File::options().create(true).append(true).open(path)?;
        file.set_len(known as u64 * 16)?; // without what a crash has left of the last one
        let names: Vec<u8> = self.concepts[known..].iter().flat_map(|concept| concept.0).collect();
        file.write_all(&names)?;
        file.sync_all()
    }
}

fn main() -> io::Result<()> {
    let count: usize = std::env::args().nth(1).map_or(5_000, |n| n.parse().expect("a number of concepts"));
    let config = Config { dimension: 64, max_neighbors: 16, ef_construction: 200 };
    let folder = std::env::temp_dir().join(format!("hnsw-container-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let base = folder.join("storage");
    let mut vectors = some_vectors(0..count, config.dimension);

    let start = Instant::now();
    let first = HnswContainer::load_or_build(&base, &config, &vectors)?;
    println!("first start: {} concepts built in {:.0?}", first.len(), start.elapsed());
    let probe = ConceptId((count as u128 / 2).to_be_bytes());
    let answers = first.search(&vectors[&probe], 5, 100)?;
    assert_eq!(answers[0].0, probe);
    first.save()?;
    drop(first);

    vectors.extend(some_vectors(count..count + 10, config.dimension)); // came in elsewhere meanwhile
    let start = Instant::now();
    let second = HnswContainer::load_or_build(&base, &config, &vectors)?;
    println!("second start: {} concepts, 10 of them added, in {:.1?}", second.len(), start.elapsed());
    assert_eq!(second.len(), count + 10);
    let again = second.search(&vectors[&probe], 5, 100)?;
    assert_eq!((again[0].0, again.len()), (probe, answers.len()));

    // Any number of threads may search, and add, at once.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for vector in vectors.values().take(100) {
                    assert!(second.search(vector, 10, 64).unwrap()[0].1 > 0.999);
                }
            });
        }
    });
    second.save()?;
    println!("similar to {:?}: {:?}", probe.0[15], again.iter().map(|(id, s)| (id.0[15], *s)).collect::<Vec<_>>());
    fs::remove_dir_all(&folder)
}

/// Directions that mean nothing, the same for the same number.
fn some_vectors(numbers: std::ops::Range<usize>, dimension: usize) -> HashMap<ConceptId, Vec<f32>> {
    numbers
        .map(|number| {
            let mut state = number as u64 + 1;
            let vector = (0..dimension)
                .map(|_| {
                    state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
                })
                .collect();
            (ConceptId((number as u128).to_be_bytes()), vector)
        })
        .collect()
}
