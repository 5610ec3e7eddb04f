// SPDX-License-Identifier: Apache-2.0
mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io, thread};

use cairn::{
    BuildOptions, Check, CreateOptions, Durability, ErrorCode, Filter, Index, KeyScan, Match, Metric, Mode,
    OpenOptions, Order, Params, Plan, Residency, SaveOptions, ScalarKind, SearchOptions, Stop, Traversal, VectorView,
    VerifyAtOpen,
};
use support::{exact, rows, Folder};

const DIMS: usize = 16;

fn filled(count: usize) -> (Index, Vec<f32>) {
    let vectors = rows(1, count, DIMS);
    let index = Index::create(&Params::new(DIMS).metric(Metric::L2sq)).unwrap();
    let keys: Vec<u64> = (0..count as u64).collect();
    index.build(&keys, &vectors).unwrap();
    (index, vectors)
}

#[test]
fn an_index_is_send_sync_and_static() {
    fn is<T: Send + Sync + 'static>() {}
    is::<Index>();
    is::<Stop>();
    is::<cairn::Error>();
}

#[test]
fn searches_find_the_nearest() {
    let (index, vectors) = filled(2000);
    let mut found = 0;
    for query in rows(2, 50, DIMS).chunks(DIMS) {
        let hits = index.search_with(query, &SearchOptions::new().k(10).ef(200)).unwrap();
        assert_eq!(hits.len(), 10);
        assert!(hits.windows(2).all(|pair| pair[0].distance <= pair[1].distance));
        let truth = exact(&vectors, DIMS, query, 10);
        found += hits.iter().filter(|hit| truth.contains(&hit.key)).count();
    }
    assert!(found >= 490, "{found} of 500");
}

#[test]
fn a_batch_gives_what_single_searches_give() {
    let (index, _) = filled(500);
    let queries = rows(3, 20, DIMS);
    let options = SearchOptions::new().k(5).ef(50).threads(2);
    let batch = index.search_batch_with(&queries, &options).unwrap();
    assert_eq!((batch.len(), batch.is_empty(), batch.iter().len()), (20, false, 20));
    for (i, query) in queries.chunks(DIMS).enumerate() {
        assert_eq!(batch[i], index.search_with(query, &options).unwrap()[..]);
    }
    assert_eq!(batch.into_iter().count(), 20);
    assert!(batch.get(20).is_none());
    assert!(index.search_batch::<f32>(&[], 3).unwrap().is_empty());
}

#[test]
fn more_results_than_vectors_are_all_of_them() {
    let (index, vectors) = filled(3);
    assert_eq!(index.search(&vectors[..DIMS], usize::MAX).unwrap().len(), 3);
    let batch = index.search_batch(&vectors, usize::MAX / 2).unwrap();
    assert_eq!((batch.len(), batch[2].len()), (3, 3));
    let empty = Index::create(&Params::new(DIMS)).unwrap();
    assert!(empty.search(&vectors[..DIMS], 10).unwrap().is_empty());
    assert!(empty.search_batch(&vectors, 10).unwrap()[1].is_empty());
}

#[test]
fn search_into_fills_what_is_there() {
    let (index, vectors) = filled(100);
    let mut out = [Match::default(); 4];
    assert_eq!(index.search_into(&vectors[..DIMS], &SearchOptions::new().k(10), &mut out).unwrap(), 4);
    assert_eq!((out[0].key, out[0].distance), (0, 0.0));
    assert_eq!(index.search_into(&vectors[..DIMS], &SearchOptions::new().k(2), &mut out).unwrap(), 2);
}

#[test]
fn changes_are_seen_at_once() {
    let (index, _) = filled(10);
    let vector = [9.0f32; DIMS];
    index.add(100, &vector).unwrap();
    assert_eq!(index.add(100, &vector).unwrap_err().code(), ErrorCode::KeyExists);
    assert_eq!(index.search(&vector, 1).unwrap()[0].key, 100);
    index.upsert(100, &[8.0f32; DIMS]).unwrap();
    assert_eq!(index.get(100).unwrap(), [8.0; DIMS]);
    assert!(index.contains(100));
    index.remove(100).unwrap();
    assert!(!index.contains(100));
    assert_eq!(index.remove(100).unwrap_err().code(), ErrorCode::KeyNotFound);
    assert_eq!(index.get(100).unwrap_err().code(), ErrorCode::KeyNotFound);
    index.compact().unwrap();
    assert_eq!((index.len(), index.is_empty(), index.dimensions()), (10, false, DIMS));
    let stats = index.stats().unwrap();
    assert_eq!((stats.live, stats.adds, stats.upserts, stats.removes), (10, 1, 1, 1));
}

#[test]
fn a_saved_index_gives_the_same_answers_when_opened() {
    let folder = Folder::new("saved");
    let (index, vectors) = filled(300);
    let file = folder.file("some.cairn");
    index.save(&file).unwrap();
    for options in [
        OpenOptions::new(),
        OpenOptions::new().check(Check::OnFirstUse),
        OpenOptions::new().residency(Residency::Load).verify(VerifyAtOpen::Full).guard(true),
        OpenOptions::new().mode(Mode::ReadWrite).durability(Durability::Group).group_ms(1).max_vectors(1000),
    ] {
        let opened = options.open(&file).unwrap();
        assert_eq!(opened.search(&vectors[..DIMS], 5).unwrap(), index.search(&vectors[..DIMS], 5).unwrap());
        opened.warm().unwrap();
        opened.release().unwrap();
    }
    let refusing = SaveOptions::new().create_new(true);
    assert_eq!(index.save_with(&file, &refusing).unwrap_err().code(), ErrorCode::PathExists);
    index.backup(folder.file("copy.cairn")).unwrap();
    assert_eq!(Index::open(folder.file("copy.cairn")).unwrap().len(), 300);
}

#[test]
fn a_file_keeps_every_change_and_shows_it_to_readers() {
    let folder = Folder::new("live");
    let file = folder.file("live.cairn");
    let index = Index::create_file(&file, &Params::new(4)).unwrap();
    index.add(1, &[1.0, 0.0, 0.0, 0.0]).unwrap();
    index.set_applied_up_to(17).unwrap();
    index.sync().unwrap();
    assert_eq!(Index::open_writable(&file).unwrap_err().code(), ErrorCode::PathInUse);
    let reader = Index::open(&file).unwrap();
    assert_eq!(reader.add(2, &[1.0f32; 4]).unwrap_err().code(), ErrorCode::ReadOnly);
    index.add(2, &[0.0, 1.0, 0.0, 0.0]).unwrap();
    index.checkpoint_with(&Stop::new()).unwrap();
    reader.refresh().unwrap();
    assert!(reader.contains(2));
    drop(index);
    let index = Index::open_writable(&file).unwrap();
    assert_eq!((index.len(), index.applied_up_to().unwrap()), (2, 17));
    index.checkpoint().unwrap();
    let report = index.verify().unwrap();
    assert!(report.is_ok() && report.pages_checked > 0, "{report:?}");
}

#[test]
fn a_damaged_file_is_a_finding() {
    let folder = Folder::new("damaged");
    let file = folder.file("some.cairn");
    filled(300).0.save(&file).unwrap();
    let mut bytes = fs::read(&file).unwrap();
    let place = bytes.len() - 5000;
    bytes[place] ^= 0xff;
    fs::write(&file, bytes).unwrap();
    let report = Index::open(&file).unwrap().verify().unwrap();
    assert!(!report.is_ok() && !report.findings[0].is_empty(), "{report:?}");
    let full = OpenOptions::new().verify(VerifyAtOpen::Full).open(&file);
    assert_eq!(full.unwrap_err().code(), ErrorCode::Corrupt);
}

#[test]
fn each_kind_takes_its_own_scalars_and_floats() {
    let index = Index::create(&Params::new(4).scalar(ScalarKind::I8).metric(Metric::L2sq)).unwrap();
    index.add(1, &[1i8, -2, 3, -128]).unwrap();
    index.add(2, &[5.0f32, 6.4, 0.0, 0.0]).unwrap();
    assert_eq!(index.get_as::<i8>(1).unwrap(), [1, -2, 3, -128]);
    assert_eq!(index.get(2).unwrap(), [5.0, 6.0, 0.0, 0.0]);
    assert_eq!(index.search(&[5i8, 6, 0, 0], 1).unwrap()[0], Match { key: 2, distance: 0.0 });
    assert_eq!(index.get_as::<u8>(1).unwrap_err().code(), ErrorCode::InvalidArgument);

    let bits = Index::create(&Params::new(12).scalar(ScalarKind::B1).metric(Metric::Hamming)).unwrap();
    bits.build(&[1, 2], &[0b1111_0000u8, 0b0000_0001, 0, 0]).unwrap();
    assert_eq!(bits.search(&[0b1111_0000u8, 0], 2).unwrap()[0], Match { key: 1, distance: 1.0 });
    assert_eq!(bits.get_as::<u8>(1).unwrap(), [0b1111_0000, 1]);
    assert_eq!(bits.get(1).unwrap()[4..9], [1.0, 1.0, 1.0, 1.0, 1.0]);
    assert_eq!(bits.search(&[0u8; 3], 1).unwrap_err().code(), ErrorCode::DimensionMismatch);
}

#[cfg(feature = "half")]
#[test]
fn halves_go_in_and_out_as_they_are() {
    use half::{bf16, f16};
    let index = Index::create(&Params::new(2).scalar(ScalarKind::F16)).unwrap();
    let vector = [f16::from_f32(0.1), f16::from_f32(-3.0)];
    index.add(1, &vector).unwrap();
    assert_eq!(index.get_as::<f16>(1).unwrap(), vector);
    assert_eq!(index.search(&vector, 1).unwrap()[0].key, 1);
    assert_eq!(index.search(&[bf16::ONE; 2], 1).unwrap_err().code(), ErrorCode::InvalidArgument);
    let index = Index::create(&Params::new(2).scalar(ScalarKind::Bf16)).unwrap();
    index.build(&[5], &[bf16::ONE, bf16::NEG_ONE]).unwrap();
    assert_eq!(index.get_as::<bf16>(5).unwrap(), [bf16::ONE, bf16::NEG_ONE]);
}

#[test]
fn errors_have_a_code_and_say_what_and_where() {
    let folder = Folder::new("errors");
    let (index, vectors) = filled(5);
    let error = index.add(3, &vectors[..DIMS]).unwrap_err();
    assert_eq!((error.code(), error.code().number(), error.code().name()), (ErrorCode::KeyExists, 4, "key_exists"));
    assert!(error.to_string().starts_with("key_exists (4): ") && error.message().contains("key 3"), "{error}");
    assert_eq!(ErrorCode::from_number(4), Some(ErrorCode::KeyExists));
    assert_eq!(ErrorCode::from_number(0), None);

    let code = |result: cairn::Result<Index>| result.unwrap_err().code();
    assert_eq!(code(Index::open(folder.file("absent.cairn"))), ErrorCode::PathNotFound);
    assert_eq!(code(Index::open(folder.path())), ErrorCode::InvalidArgument);
    fs::write(folder.file("text"), "not an index at all").unwrap();
    assert_eq!(code(Index::open(folder.file("text"))), ErrorCode::NotACairnFile);
    assert_eq!(code(Index::open("with\0zero")), ErrorCode::InvalidArgument);
    assert_eq!(code(Index::create(&Params::new(0))), ErrorCode::InvalidArgument);
    assert_eq!(code(Index::create(&Params::new(8).m(1))), ErrorCode::InvalidArgument);
    index.save(folder.file("there.cairn")).unwrap();
    assert_eq!(code(Index::create_file(folder.file("there.cairn"), &Params::new(2))), ErrorCode::PathExists);

    let code = |result: cairn::Result<Vec<Match>>| result.unwrap_err().code();
    assert_eq!(code(index.search(&[1.0f32; DIMS + 1], 1)), ErrorCode::DimensionMismatch);
    assert_eq!(code(index.search(&[f32::NAN; DIMS], 1)), ErrorCode::NotFinite);
    assert_eq!(code(index.search(&[1.0f32; DIMS], 0)), ErrorCode::InvalidArgument);
    assert_eq!(index.search_batch(&[1.0f32; DIMS + 1], 1).unwrap_err().code(), ErrorCode::DimensionMismatch);

    let empty = Index::create(&Params::new(2)).unwrap();
    let code = |keys: &[u64], rows: &[f32]| empty.build(keys, rows).unwrap_err().code();
    assert_eq!(code(&[1, 2], &[1.0, 2.0]), ErrorCode::InvalidArgument);
    assert_eq!(code(&[1], &[1.0, 2.0, 3.0]), ErrorCode::DimensionMismatch);
    assert_eq!(code(&[1, 1], &[1.0, 2.0, 3.0, 4.0]), ErrorCode::KeyExists);
    assert_eq!(index.build(&[70], &[0.0; DIMS]).unwrap_err().code(), ErrorCode::NotEmpty);
}

#[test]
fn errors_become_those_of_io() {
    let error: io::Error = Index::open("absent.cairn").unwrap_err().into();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("absent.cairn"));
}

#[test]
fn params_come_back_from_the_file() {
    let folder = Folder::new("params");
    let params = Params::new(7)
        .metric(Metric::InnerProduct)
        .scalar(ScalarKind::Bf16)
        .m(8)
        .ef_construction(77)
        .seed(3)
        .traversal(Traversal::Exact);
    CreateOptions::new().durability(Durability::None).create_file(folder.file("p.cairn"), &params).unwrap();
    assert_eq!(Index::open(folder.file("p.cairn")).unwrap().params().unwrap(), params);
}

#[test]
fn progress_is_told_and_a_stop_flag_ends_a_build() {
    let vectors = rows(1, 3000, DIMS);
    let keys: Vec<u64> = (0..3000).collect();
    let index = Index::create(&Params::new(DIMS)).unwrap();
    let stop = Stop::new();
    let last = AtomicU64::new(0);
    let progress = |done, total| {
        assert_eq!(total, 3000);
        last.store(done, Ordering::Relaxed);
        stop.set();
    };
    let options = BuildOptions::new().threads(2).stop(&stop).progress(&progress);
    assert_eq!(index.build_with(&keys, &vectors, &options).unwrap_err().code(), ErrorCode::Cancelled);
    assert!(index.is_empty() && stop.is_set());
    stop.clear();
    let progress = |done, _| last.store(done, Ordering::Relaxed);
    let options = BuildOptions::new().threads(2).stop(&stop).progress(&progress);
    index.build_with(&keys, &vectors, &options).unwrap();
    assert_eq!((index.len(), last.load(Ordering::Relaxed)), (3000, 3000));
}

#[test]
fn a_panic_in_a_progress_callback_goes_on_in_the_caller() {
    let (vectors, keys) = (rows(1, 500, DIMS), (0..500).collect::<Vec<u64>>());
    let index = Index::create(&Params::new(DIMS)).unwrap();
    let progress = |_, _| panic!("enough");
    let options = BuildOptions::new().threads(2).progress(&progress);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| index.build_with(&keys, &vectors, &options)));
    assert_eq!(result.unwrap_err().downcast_ref::<&str>(), Some(&"enough"));
    assert!(index.is_empty());
    index.build(&keys, &vectors).unwrap();
}

#[test]
fn all_keys_are_listed_once() {
    let (index, _) = filled(3000);
    index.remove(7).unwrap();
    let mut keys: Vec<u64> = index.keys().collect();
    keys.sort_unstable();
    assert_eq!(keys, (0..3000).filter(|key| *key != 7).collect::<Vec<_>>());

    let (mut scan, mut some, mut count) = (KeyScan::default(), [0; 100], 0);
    while !scan.done {
        count += index.next_keys(&mut scan, &mut some).unwrap();
    }
    assert_eq!(count, 2999);
    let none = index.next_keys(&mut KeyScan::default(), &mut []);
    assert_eq!(none.unwrap_err().code(), ErrorCode::InvalidArgument);
    assert_eq!(Index::create(&Params::new(1)).unwrap().keys().count(), 0);
}

#[test]
fn an_ef_is_measured_and_advised() {
    let (index, _) = filled(2000);
    let queries = rows(6, 100, DIMS);
    let ef = index.ef_for(0.95, &queries, 10, &BuildOptions::new()).unwrap();
    let report = index.measure_recall(&queries, &SearchOptions::new().ef(ef), &BuildOptions::new().threads(2)).unwrap();
    assert!(report.recall >= 0.95 && report.lower <= report.recall && report.queries == 100, "{ef}: {report:?}");
    index.set_advised_ef(ef).unwrap();
    assert_eq!(index.stats().unwrap().advised_ef, ef as u64);
    let query = &queries[..DIMS];
    assert_eq!(index.search(query, 10).unwrap(), index.search_with(query, &SearchOptions::new().ef(ef)).unwrap());
    assert_eq!(index.set_advised_ef(70_000).unwrap_err().code(), ErrorCode::InvalidArgument);
}

#[test]
fn searches_are_timed_when_that_is_wanted() {
    let (index, vectors) = filled(50);
    assert_eq!(index.latency_us(&[0.5]).unwrap(), [0.0]);
    index.record_latency(true).unwrap();
    index.search(&vectors[..DIMS], 1).unwrap();
    let us = index.latency_us(&[0.5, 0.99]).unwrap();
    assert!(us[0] > 0.0 && us[0] <= us[1], "{us:?}");
    assert_eq!(index.stats().unwrap().timed_searches, 1);
    let text = index.prometheus_text().unwrap();
    assert!(text.lines().any(|line| line.contains("50")) && text.ends_with('\n'), "{text}");
}

#[test]
fn filters_say_which_keys_may_be_results() {
    let (index, vectors) = filled(1000);
    let query = &vectors[..DIMS];
    let keys = |filter: &Filter| -> Vec<u64> {
        let hits = index.search_with(query, &SearchOptions::new().k(1000).ef(1000).filter(filter)).unwrap();
        hits.iter().map(|hit| hit.key).collect()
    };
    let only = Filter::only(&index, &[3, 5, 2000]).unwrap();
    let mut found = keys(&only);
    found.sort_unstable();
    assert_eq!((found, only.count()), (vec![3, 5], 2));
    index.add(2000, query).unwrap();
    assert_eq!((keys(&only)[0], only.count()), (2000, 3));
    let except = Filter::except(&index, &[0, 2000]).unwrap();
    assert!(!keys(&except).contains(&0) && except.count() == 999);
    let bits = Filter::bits(&index, &[0b101], 10).unwrap();
    assert_eq!(bits.count(), 2);
    assert!(keys(&bits).iter().all(|key| [10, 12].contains(key)));
    let even = Filter::matching(&index, |key| key % 2 == 0).unwrap();
    assert!(keys(&even).iter().all(|key| key % 2 == 0));

    let each = [Some(&only), None];
    let batch = index.search_batch_with(&vectors[..2 * DIMS], &SearchOptions::new().k(1).filters(&each)).unwrap();
    assert_eq!((batch[0][0].key, batch[1][0].key), (2000, 1));
    let wrong = index.search_batch_with(query, &SearchOptions::new().filters(&each)).unwrap_err();
    assert_eq!(wrong.code(), ErrorCode::InvalidArgument);
    let (other, _) = filled(10);
    let wrong = other.search_with(query, &SearchOptions::new().filter(&only)).unwrap_err();
    assert_eq!(wrong.code(), ErrorCode::InvalidArgument);
}

#[test]
fn a_panic_in_a_filter_goes_on_in_the_search() {
    let (index, vectors) = filled(100);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let filter = Filter::matching(&index, |_| panic!("no"))?;
        index.search_with(&vectors[..DIMS], &SearchOptions::new().filter(&filter))
    }));
    assert_eq!(result.unwrap_err().downcast_ref::<&str>(), Some(&"no"));
    assert_eq!(index.search(&vectors[..DIMS], 1).unwrap()[0].key, 0);
}

#[test]
fn limits_end_a_search_with_what_it_has_found() {
    let (index, vectors) = filled(2000);
    let query = &vectors[..DIMS];
    let (hits, report) = index.search_reported(query, &SearchOptions::new().plan(Plan::Exact)).unwrap();
    assert_eq!((hits[0].key, report.plan, report.complete), (0, Plan::Exact, true));
    assert_eq!(report.distances, 2000);
    let limited = SearchOptions::new().plan(Plan::Walk).max_distances(20);
    let (hits, report) = index.search_reported(query, &limited).unwrap();
    assert!(!report.complete && !hits.is_empty() && report.plan == Plan::Walk, "{report:?}");
    let (_, report) = index.search_reported(query, &SearchOptions::new().deadline(Duration::from_secs(60))).unwrap();
    assert!(report.complete);
    let stop = Stop::new();
    stop.set();
    let stopped = index.search_batch_with(query, &SearchOptions::new().stop(&stop)).unwrap_err();
    assert_eq!(stopped.code(), ErrorCode::Cancelled);
    let batch = index.search_batch_with(&vectors[..4 * DIMS], &limited).unwrap();
    assert!(!batch.report().complete && batch.report().lists > 0);
}

#[test]
fn results_are_ranked_by_the_callers_metric() {
    let (index, vectors) = filled(50);
    let by_key = |key: u64, vector: VectorView<'_>| match vector {
        VectorView::F32(row) if row.len() == DIMS => 100.0 - key as f32,
        _ => 1000.0,
    };
    let options = SearchOptions::new().k(3).ef(50).rerank(&by_key);
    let hits = index.search_with(&vectors[..DIMS], &options).unwrap();
    assert_eq!(hits.iter().map(|hit| (hit.key, hit.distance)).collect::<Vec<_>>()[0], (49, 51.0));
    let panics = |_: u64, _: VectorView<'_>| -> f32 { panic!("no metric") };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        index.search_with(&vectors[..DIMS], &SearchOptions::new().rerank(&panics))
    }));
    assert_eq!(result.unwrap_err().downcast_ref::<&str>(), Some(&"no metric"));
}

#[test]
fn threads_share_an_index_that_changes() {
    let (index, vectors) = filled(200);
    let index = Arc::new(index);
    let adding = {
        let index = Arc::clone(&index);
        thread::spawn(move || {
            for (key, row) in (1000..).zip(rows(9, 200, DIMS).chunks(DIMS)) {
                index.add(key, row).unwrap();
            }
        })
    };
    let searching: Vec<_> = (0..3)
        .map(|_| {
            let (index, vectors) = (Arc::clone(&index), vectors.clone());
            thread::spawn(move || {
                for row in vectors.chunks(DIMS) {
                    assert_eq!(index.search(row, 1).unwrap()[0].distance, 0.0);
                }
            })
        })
        .collect();
    adding.join().unwrap();
    searching.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(index.len(), 400);
}

#[test]
fn the_library_says_what_it_is() {
    assert_eq!(cairn::version(), env!("CARGO_PKG_VERSION"));
    assert!(!cairn::simd().is_empty());
    let (index, _) = filled(2);
    assert_eq!(format!("{index:?}"), "Index { len: 2, dimensions: 16, .. }");
}

#[test]
fn a_range_has_all_that_is_near_enough() {
    let (index, vectors) = filled(3000);
    let query = &rows(6, 1, DIMS)[..];
    let all = exact(&vectors, DIMS, query, 2000);
    let exact_plan = SearchOptions::new().plan(Plan::Exact);
    let radius = index.search_with(query, &exact_plan.clone().k(2000)).unwrap()[1999].distance;

    let near = index.search_range(query, radius, &exact_plan).unwrap();
    assert_eq!(near.iter().map(|hit| hit.key).collect::<Vec<_>>(), all); // more than are asked for at first
    assert_eq!(index.search_range(query, radius, &exact_plan.clone().k(5)).unwrap(), near[..5]);
    assert!(index.search_range(query, 0.0, &SearchOptions::new()).unwrap().is_empty());
    let error = index.search_range(query, f32::NAN, &SearchOptions::new()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidArgument);
    let even = Filter::matching(&index, |key| key % 2 == 0).unwrap();
    let half = index.search_range(query, radius, &exact_plan.clone().filter(&even)).unwrap();
    assert_eq!(half, near.iter().filter(|hit| hit.key % 2 == 0).copied().collect::<Vec<_>>());

    let mut taken = Vec::new();
    let is_all = index.search_range_each(query, radius, &exact_plan, |hit| {
        taken.push(hit.key);
        true
    });
    assert!(is_all.unwrap());
    taken.sort_unstable();
    let mut keys = all.clone();
    keys.sort_unstable();
    assert_eq!(taken, keys);
    assert!(!index.search_range_each(query, radius, &exact_plan, |_| false).unwrap());
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _ = index.search_range_each(query, radius, &exact_plan, |_| panic!("of the caller"));
    }));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"of the caller"));
}

#[test]
fn pages_of_a_cursor_are_one_search() {
    let (index, _) = filled(1000);
    let query = &rows(7, 1, DIMS)[..];
    let options = SearchOptions::new().plan(Plan::Exact);
    let whole = index.search_with(query, &options.clone().k(1000)).unwrap();

    let mut cursor = index.cursor(query, Order::Strict, &options).unwrap();
    let mut pages = Vec::new();
    loop {
        let page = cursor.next_page(30).unwrap();
        if page.is_empty() {
            break;
        }
        pages.extend(page);
    }
    assert_eq!(pages, whole);

    let mut keys = std::collections::HashSet::new();
    let mut walk = index.cursor(query, Order::Relaxed, &SearchOptions::new()).unwrap();
    let mut page = [Match::default(); 7];
    loop {
        let count = walk.next_into(&mut page).unwrap();
        if count == 0 {
            break;
        }
        index.upsert(page[0].key, query).unwrap(); // a change meanwhile
        for hit in &page[..count] {
            assert!(keys.insert(hit.key), "{} came twice", hit.key);
        }
    }
    assert!(keys.len() >= 990, "{}", keys.len());

    let odd = Filter::matching(&index, |key| key % 2 == 1).unwrap();
    let mut cursor = index.cursor(query, Order::Relaxed, &SearchOptions::new().filter(&odd)).unwrap();
    assert!(cursor.next_page(20).unwrap().iter().all(|hit| hit.key % 2 == 1));
    let filters = [Some(&odd)];
    let error = index.cursor(query, Order::Relaxed, &SearchOptions::new().filters(&filters)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidArgument);
    thread::scope(|scope| scope.spawn(move || cursor.next_page(5).unwrap().len()).join().unwrap());
}

#[test]
fn pages_are_ordered_by_the_callers_metric() {
    let (index, _) = filled(100);
    let query = &rows(8, 1, DIMS)[..];
    let by_key = |key: u64, _: VectorView<'_>| key as f32;
    let mut cursor = index.cursor(query, Order::Relaxed, &SearchOptions::new().rerank(&by_key)).unwrap();
    let page = cursor.next_page(10).unwrap();
    assert!(page.windows(2).all(|pair| pair[0].key < pair[1].key) && page.len() == 10);
    let fails = |_: u64, _: VectorView<'_>| -> f32 { panic!("of the metric") };
    let mut cursor = index.cursor(query, Order::Relaxed, &SearchOptions::new().rerank(&fails)).unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| cursor.next_page(1).map(drop)));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"of the metric"));
}
