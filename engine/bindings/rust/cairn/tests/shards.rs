// SPDX-License-Identifier: Apache-2.0
mod support;

use std::collections::HashSet;
use std::panic::UnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;
use std::{fs, panic, thread};

use cairn::shards::{self, ClusterOptions, Manifest, Partition, ShardKeyScan};
use cairn::{
    BuildOptions, Check, ErrorCode, Filter, Index, Metric, OpenOptions, Order, Params, Plan, SearchOptions,
    ShardExecutor, ShardFilter, ShardOptions, ShardScope, ShardSet,
};
use support::{rows, Folder};

const DIMS: usize = 8;
const ROWS: usize = 600;
const SHARDS: usize = 4;

struct Fixture {
    folder: Folder,
    vectors: Vec<f32>,
    one: Index, // of all rows
}

fn params() -> Params {
    Params::new(DIMS).metric(Metric::L2sq)
}

fn index_of(keys: &[u64], vectors: &[f32]) -> Index {
    let index = Index::create(&params()).unwrap();
    let rows: Vec<f32> = keys.iter().flat_map(|key| row(vectors, *key).to_vec()).collect();
    index.build(keys, &rows).unwrap();
    index
}

fn row(vectors: &[f32], key: u64) -> &[f32] {
    &vectors[key as usize * DIMS..][..DIMS]
}

impl Fixture {
    fn new(test: &str) -> Fixture {
        let fixture = Fixture {
            folder: Folder::new(&format!("shards-{test}")),
            vectors: rows(5, ROWS, DIMS),
            one: index_of(&(0..ROWS as u64).collect::<Vec<_>>(), &rows(5, ROWS, DIMS)),
        };
        let keys: Vec<u64> = (0..ROWS as u64).collect();
        let shard_of = shards::of_keys(&keys, 9, SHARDS).unwrap();
        let mut manifest = Manifest::new(&params());
        manifest.partition = Partition::Hash { seed: 9 };
        for shard in 0..SHARDS as u32 {
            let own: Vec<u64> = keys.iter().copied().filter(|key| shard_of[*key as usize] == shard).collect();
            manifest.shards.push(shards::add_file(fixture.path(), &index_of(&own, &fixture.vectors)).unwrap());
        }
        shards::publish(fixture.path(), &mut manifest).unwrap();
        assert_eq!(manifest.generation, 1);
        fixture
    }

    fn path(&self) -> PathBuf {
        self.folder.file("set")
    }

    /// A shard's file, any one.
    fn shard(&self) -> PathBuf {
        let files = fs::read_dir(self.path()).unwrap().map(|file| file.unwrap().path());
        files.filter(|file| file.extension().map_or(false, |e| e == "cairn")).min().unwrap()
    }
}

#[test]
fn a_set_is_send_sync_and_static() {
    fn is<T: Send + Sync + 'static>() {}
    is::<ShardSet>();
    is::<ShardFilter>();
    fn is_unwind_safe<T: UnwindSafe>() {}
    is_unwind_safe::<ShardSet>();
}

#[test]
fn exact_answers_of_a_set_are_those_of_one_index() {
    let fixture = Fixture::new("exact");
    let set = ShardSet::open(fixture.path()).unwrap();
    assert_eq!((set.shards(), set.len(), set.dimensions()), (SHARDS, ROWS, DIMS));
    assert_eq!(set.params().unwrap().metric, Metric::L2sq);
    assert_eq!(set.stats().unwrap().generation, 1);
    assert!(!set.is_empty() && set.problems().is_empty());
    let options = SearchOptions::new().k(7).plan(Plan::Exact);
    let queries = rows(6, 20, DIMS);
    let (batch, told) = set.search_batch_reported(&queries, &options, &ShardScope::new()).unwrap();
    assert_eq!((told.shards_asked, told.is_complete()), (20 * SHARDS as u64, true));
    for (i, query) in queries.chunks(DIMS).enumerate() {
        let one = fixture.one.search_with(query, &options).unwrap();
        assert_eq!(set.search_with(query, &options, &ShardScope::new()).unwrap(), one);
        assert_eq!(batch[i], one[..]);
        let near = set.search_range(query, one[4].distance, &options, &ShardScope::new()).unwrap();
        assert_eq!(near, one[..5]);
        let mut taken = Vec::new();
        let all = set.search_range_each(query, one[4].distance, &options, &ShardScope::new(), |hit| {
            taken.push(hit);
            taken.len() < 3
        });
        assert_eq!((all.unwrap(), &taken[..]), (false, &one[..3]));
    }
    assert_eq!(set.search(&queries[..DIMS], 3).unwrap().len(), 3);
    assert_eq!(set.search_batch(&queries, 2).unwrap().len(), 20);
    // More than there is room for at first.
    assert_eq!(
        set.search_range(&queries[..DIMS], f32::INFINITY, &SearchOptions::new(), &ShardScope::new()).unwrap().len(),
        ROWS
    );
}

#[test]
fn vectors_and_keys_of_a_set_are_read() {
    let fixture = Fixture::new("read");
    let set = ShardSet::open(fixture.path()).unwrap();
    assert_eq!(set.get(77).unwrap(), row(&fixture.vectors, 77));
    assert_eq!(set.get(ROWS as u64).unwrap_err().code(), ErrorCode::KeyNotFound);
    assert!(set.contains(3) && !set.contains(ROWS as u64));
    let keys: HashSet<u64> = set.keys().collect();
    assert_eq!((keys.len(), set.keys().count()), (ROWS, ROWS));
    let (mut scan, mut some, mut listed) = (ShardKeyScan::default(), [0; 33], 0);
    while !scan.done {
        listed += set.next_keys(&mut scan, &mut some).unwrap();
    }
    assert_eq!(listed, ROWS);
    assert_eq!(set.next_keys(&mut ShardKeyScan::default(), &mut []).unwrap_err().code(), ErrorCode::InvalidArgument);
    set.warm().unwrap();
    set.release().unwrap();
    set.refresh().unwrap();
    assert!(set.verify().unwrap().is_ok());
    assert_eq!(format!("{set:?}"), "ShardSet { shards: 4, len: 600, dimensions: 8, .. }");
}

#[test]
fn filters_of_a_set_choose_its_results_and_outlive_it() {
    let fixture = Fixture::new("filters");
    let set = ShardSet::open(fixture.path()).unwrap();
    let query = row(&fixture.vectors, 10);
    let options = SearchOptions::new().k(1);
    let found =
        |filter: &ShardFilter| set.search_with(query, &options, &ShardScope::new().filter(filter)).unwrap()[0].key;
    let even = ShardFilter::matching(&set, |key| key % 2 == 0).unwrap();
    let others = ShardFilter::except(&set, &[10]).unwrap();
    assert_eq!((even.count(), found(&even)), (ROWS / 2, 10));
    assert!(others.count() == ROWS - 1 && found(&others) != 10);
    assert_eq!(found(&ShardFilter::only(&set, &[3]).unwrap()), 3);
    assert_eq!(found(&ShardFilter::bits(&set, &[2], 64).unwrap()), 65);
    let filters = [Some(&others), None];
    let queries = [query, query].concat();
    let batch = set.search_batch_with(&queries, &options, &ShardScope::new().filters(&filters)).unwrap();
    assert!(batch[0][0].key != 10 && batch[1][0].key == 10);

    let invalid = ErrorCode::InvalidArgument;
    let one = set.search_batch_with(query, &options, &ShardScope::new().filters(&filters));
    assert_eq!(one.unwrap_err().code(), invalid);
    let alone = set.search_with(query, &options, &ShardScope::new().filters(&filters));
    assert_eq!(alone.unwrap_err().code(), invalid);
    let of_an_index = Filter::only(&fixture.one, &[1]).unwrap();
    let foreign = set.search_with(query, &options.clone().filter(&of_an_index), &ShardScope::new()).unwrap_err();
    assert!(foreign.code() == invalid && foreign.message().contains("ShardScope"), "{foreign}");
    let cursor = set.cursor(query, Order::Relaxed, &options, &ShardScope::new().filters(&filters));
    assert_eq!(cursor.unwrap_err().code(), invalid);
    let other = ShardSet::open(fixture.path()).unwrap();
    let strange = other.search_with(query, &options, &ShardScope::new().filter(&even)).unwrap_err();
    assert_eq!(strange.code(), invalid);

    drop(set);
    assert_eq!(even.count(), ROWS / 2);
}

#[test]
fn a_panic_of_a_filter_of_a_set_goes_on_in_the_search() {
    let fixture = Fixture::new("panic");
    let set = ShardSet::open(fixture.path()).unwrap();
    let panicked = panic::catch_unwind(|| {
        let filter = ShardFilter::matching(&set, |key| if key < 5 { panic!("key {key}") } else { true }).unwrap();
        set.search_with(&[0.0; DIMS], &SearchOptions::new(), &ShardScope::new().filter(&filter)).unwrap()
    });
    assert!(panicked.is_err());
    assert_eq!(set.search(row(&fixture.vectors, 3), 1).unwrap()[0].key, 3);
}

#[test]
fn a_cursor_of_a_set_gives_every_key_once() {
    let fixture = Fixture::new("cursor");
    let set = ShardSet::open(fixture.path()).unwrap();
    let query = row(&fixture.vectors, 1);
    let mut cursor = set.cursor(query, Order::Strict, &SearchOptions::new(), &ShardScope::new()).unwrap();
    let mut seen = Vec::new();
    loop {
        let page = cursor.next_page(37).unwrap();
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert!(seen.windows(2).all(|pair| pair[0].distance <= pair[1].distance));
    assert_eq!(seen.iter().map(|hit| hit.key).collect::<HashSet<_>>().len(), seen.len());
    assert_eq!((seen[0].key, seen.len()), (1, ROWS));
}

#[test]
fn a_missing_shard_is_an_error_or_named() {
    let fixture = Fixture::new("missing");
    let lost = fixture.shard();
    let name = lost.file_name().unwrap().to_str().unwrap();
    fs::remove_file(&lost).unwrap();
    let error = ShardSet::open(fixture.path()).unwrap_err();
    assert!(error.code() == ErrorCode::PathNotFound && error.message().contains(name), "{error}");
    let set = ShardOptions::new().allow_partial(true).threads(2).open(fixture.path()).unwrap();
    let problems = set.problems();
    assert!(problems.len() == 1 && problems[0].starts_with(name), "{problems:?}");
    let (hits, _, told) = set.search_reported(&[0.0; DIMS], &SearchOptions::new().k(5), &ShardScope::new()).unwrap();
    assert_eq!((hits.len(), told.shards_asked, told.shards_answered), (5, SHARDS as u64, SHARDS as u64 - 1));
    assert!(!told.is_complete() && !set.verify().unwrap().is_ok());
}

#[test]
fn a_damaged_shard_is_an_error_with_its_name() {
    let fixture = Fixture::new("damaged");
    let path = fixture.shard();
    let name = path.file_name().unwrap().to_str().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let (middle, end) = (bytes.len() / 3, bytes.len() - 4096);
    bytes[middle..end].iter_mut().step_by(64).for_each(|byte| *byte ^= 0xFF);
    fs::write(&path, bytes).unwrap();
    let open = OpenOptions::new().check(Check::OnFirstUse);
    let set = ShardOptions::new().open_options(open).open(fixture.path());
    let error = set
        .and_then(|set| set.search_with(&[0.0; DIMS], &SearchOptions::new().plan(Plan::Exact), &ShardScope::new()))
        .unwrap_err();
    assert!(error.code() == ErrorCode::Corrupt && error.message().contains(name), "{error}");
}

#[test]
fn some_shards_are_opened() {
    let fixture = Fixture::new("only");
    let set = ShardOptions::new().only(&[1, 3]).open(fixture.path()).unwrap();
    assert!(set.shards() == SHARDS && set.len() < ROWS && set.problems().is_empty());
    let error = ShardOptions::new().only(&[4]).open(fixture.path()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidArgument);
}

#[test]
fn changes_go_to_the_shard_of_the_key_and_stay() {
    let fixture = Fixture::new("changes");
    {
        let set = ShardSet::open(fixture.path()).unwrap();
        assert_eq!(set.upsert(1, &[0.0; DIMS]).unwrap_err().code(), ErrorCode::ReadOnly);
        assert_eq!(set.remove(1).unwrap_err().code(), ErrorCode::ReadOnly);
    }
    let set = ShardSet::open_writable(fixture.path()).unwrap();
    assert_eq!(ShardSet::open_writable(fixture.path()).unwrap_err().code(), ErrorCode::PathInUse);
    set.upsert(5000, &[9.0; DIMS]).unwrap();
    set.upsert(7, &[8.0; DIMS]).unwrap();
    set.remove(0).unwrap();
    assert_eq!(set.remove(0).unwrap_err().code(), ErrorCode::KeyNotFound);
    assert_eq!(set.upsert(1, &[0.0; 3]).unwrap_err().code(), ErrorCode::DimensionMismatch);
    assert_eq!(set.upsert(1, &[f32::NAN; DIMS]).unwrap_err().code(), ErrorCode::NotFinite);
    set.sync().unwrap();
    set.checkpoint().unwrap();
    set.checkpoint_with(&cairn::Stop::new()).unwrap();
    drop(set);
    let set = ShardSet::open(fixture.path()).unwrap();
    assert_eq!(set.search(&[9.0; DIMS], 2).unwrap().iter().map(|hit| hit.key).collect::<Vec<_>>(), [5000, 7]);
    assert!(!set.contains(0) && set.len() == ROWS);
    drop(set);
    let pruned = shards::prune(fixture.path(), 1, &[]).unwrap();
    assert!(pruned.removed == 1 && pruned.files > 0, "{pruned:?}");
    assert_eq!(shards::prune(fixture.path(), 0, &[]).unwrap_err().code(), ErrorCode::InvalidArgument);
}

#[test]
fn files_that_do_not_fit_together_are_refused() {
    let fixture = Fixture::new("files");
    let other = fixture.folder.file("other.cairn");
    Index::create(&Params::new(DIMS + 1).metric(Metric::L2sq)).unwrap().save(&other).unwrap();
    let error = ShardSet::open_files(&[fixture.shard(), other]).unwrap_err();
    assert!(error.code() == ErrorCode::InvalidArgument && error.message().contains("other.cairn"), "{error}");
    assert_eq!(ShardSet::open_files::<PathBuf>(&[]).unwrap_err().code(), ErrorCode::InvalidArgument);
    assert_eq!(ShardSet::open("there is none").unwrap_err().code(), ErrorCode::PathNotFound);
}

#[test]
fn who_publishes_second_is_refused() {
    let fixture = Fixture::new("second");
    let mut late = Manifest::new(&params());
    late.shards.push(shards::describe(fixture.shard()).unwrap());
    assert_eq!(shards::publish(fixture.path(), &mut late).unwrap_err().code(), ErrorCode::PathInUse);
    late.generation = 1;
    shards::publish(fixture.path(), &mut late).unwrap();
    assert_eq!((late.generation, ShardSet::open(fixture.path()).unwrap().shards()), (2, 1));
    late.shards[0].file = "x".repeat(200);
    assert_eq!(shards::publish(fixture.path(), &mut late).unwrap_err().code(), ErrorCode::InvalidArgument);
}

#[test]
fn clusters_are_probed() {
    let fixture = Fixture::new("clusters");
    let folder = fixture.folder.file("near");
    let wanted = ClusterOptions::new(SHARDS).centroids(8).copies(0.3).seed(1);
    let clusters =
        shards::cluster(Metric::L2sq, DIMS, &fixture.vectors, &wanted, &BuildOptions::new().threads(1)).unwrap();
    let places = shards::assign(&clusters, &fixture.vectors).unwrap();
    let copies = places.iter().filter(|place| place.1.is_some()).count();
    assert!(places.len() == ROWS && copies > ROWS / 5 && copies < ROWS * 2 / 5, "{copies}");
    let mut manifest = Manifest::new(&params());
    for shard in 0..SHARDS as u32 {
        let has = |place: &(u32, Option<u32>)| place.0 == shard || place.1 == Some(shard);
        let own: Vec<u64> = (0..ROWS as u64).filter(|key| has(&places[*key as usize])).collect();
        manifest.shards.push(shards::add_file(&folder, &index_of(&own, &fixture.vectors)).unwrap());
    }
    let router = shards::add_file(&folder, &clusters.router).unwrap();
    manifest.partition = Partition::Clusters { router: router.clone(), gaps: vec![] };
    assert_eq!(shards::publish(&folder, &mut manifest).unwrap_err().code(), ErrorCode::InvalidArgument);
    manifest.partition = Partition::Clusters { router, gaps: clusters.gaps };
    shards::publish(&folder, &mut manifest).unwrap();
    let set = ShardSet::open(&folder).unwrap();
    assert_eq!(set.len(), ROWS + copies);
    let options = SearchOptions::new().k(1);
    let probe = ShardScope::new().probe(2);
    let (hits, _, told) = set.search_reported(row(&fixture.vectors, 44), &options, &probe).unwrap();
    assert_eq!((hits[0].key, told.shards_asked), (44, 2));
    let (_, _, told) = set.search_reported(row(&fixture.vectors, 44), &options, &probe.coverage(0.0001)).unwrap();
    assert_eq!(told.shards_asked, 1);
    for bad in [0.0, -1.0, 1.1, f32::NAN] {
        let error = set.search_with(&[0.0; DIMS], &options, &probe.coverage(bad)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidArgument);
    }
    let too_many =
        shards::cluster(Metric::L2sq, DIMS, &fixture.vectors, &ClusterOptions::new(1 << 60), &BuildOptions::new());
    assert_eq!(too_many.unwrap_err().code(), ErrorCode::InvalidArgument);
}

struct Own {
    runs: AtomicUsize,
    how: fn(usize, &(dyn Fn(usize) + Sync)),
}

impl ShardExecutor for Own {
    fn run(&self, n: usize, body: &(dyn Fn(usize) + Sync)) {
        self.runs.fetch_add(1, Ordering::Relaxed);
        (self.how)(n, body);
    }
    fn width(&self) -> u32 {
        2
    }
}

/// Answers of a set whose parts are run in that way.
fn searched(fixture: &Fixture, how: fn(usize, &(dyn Fn(usize) + Sync))) -> usize {
    let own = Arc::new(Own { runs: AtomicUsize::new(0), how });
    let set = ShardOptions::new().executor(own.clone()).open(fixture.path()).unwrap();
    let options = SearchOptions::new().k(5).plan(Plan::Exact);
    for query in rows(8, 10, DIMS).chunks(DIMS) {
        let one = fixture.one.search_with(query, &options).unwrap();
        assert_eq!(set.search_with(query, &options, &ShardScope::new()).unwrap(), one);
    }
    own.runs.load(Ordering::Relaxed)
}

#[test]
fn an_executor_may_run_parts_anyhow() {
    let fixture = Fixture::new("executor");
    let scoped = |n: usize, body: &(dyn Fn(usize) + Sync)| {
        thread::scope(|scope| (0..n).for_each(|i| drop(scope.spawn(move || body(i)))))
    };
    assert!(searched(&fixture, scoped) >= 10);
    assert!(searched(&fixture, |_, _| ()) >= 10);
    assert!(searched(&fixture, |n, body| (0..2 * n).for_each(|i| body(i / 2))) >= 10);
    let panicked = panic::catch_unwind(|| searched(&fixture, |_, _| panic!("no threads")));
    assert!(panicked.is_err());
    let beyond = panic::catch_unwind(|| searched(&fixture, |n, body| body(n)));
    assert!(beyond.is_err());
}

#[test]
fn a_set_is_searched_by_many_threads_while_it_changes() {
    let fixture = Fixture::new("threads");
    let set = Arc::new(ShardSet::open_writable(fixture.path()).unwrap());
    let searchers: Vec<_> = (0..3)
        .map(|seed| {
            let set = Arc::clone(&set);
            thread::spawn(move || {
                for query in rows(seed, 100, DIMS).chunks(DIMS) {
                    assert_eq!(set.search(query, 10).unwrap().len(), 10);
                }
            })
        })
        .collect();
    for key in 0..50 {
        set.upsert(1000 + key, &[key as f32; DIMS]).unwrap();
    }
    searchers.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(set.len(), ROWS + 50);
}
