// SPDX-License-Identifier: Apache-2.0
mod support;

use cairn::import::ImportOptions;
use cairn::{import, ErrorCode, Index, Metric, Params, Source};
use support::{rows, Folder};

const DIMS: usize = 8;

fn index() -> Index {
    let index = Index::create(&Params::new(DIMS).metric(Metric::L2sq)).unwrap();
    index.build(&(10..510).collect::<Vec<u64>>(), &rows(4, 500, DIMS)).unwrap();
    index
}

#[test]
fn what_is_exported_comes_back() {
    let folder = Folder::new("export");
    let index = index();
    index.export(folder.file("h.bin"), Source::Hnswlib).unwrap();
    index.export(folder.file("u.usearch"), Source::Usearch).unwrap();
    for moved in [
        import::hnswlib(folder.file("h.bin"), Metric::L2sq).unwrap(),
        import::usearch(folder.file("u.usearch")).unwrap(),
    ] {
        assert_eq!(moved.len(), 500);
        assert_eq!(moved.get(77).unwrap(), index.get(77).unwrap());
    }
    assert_eq!(index.export(folder.file("f"), Source::Faiss).unwrap_err().code(), ErrorCode::Unsupported);
}

#[test]
fn an_import_reports_what_has_become_of_it() {
    let folder = Folder::new("report");
    index().export(folder.file("u.usearch"), Source::Usearch).unwrap();
    let keys: Vec<u64> = (1000..1500).collect();
    let told = std::sync::atomic::AtomicU64::new(0);
    let progress = |_, total| told.store(total, std::sync::atomic::Ordering::Relaxed);
    let options = ImportOptions::new().keys(&keys).threads(2).progress(&progress);
    let (moved, report) = options.import(folder.file("u.usearch")).unwrap();
    assert_eq!((report.vectors, report.skipped, report.graph_kept), (500, 0, true), "{report:?}");
    assert!(report.links_kept > 500 && told.into_inner() > 0);
    assert!(moved.contains(1499) && !moved.contains(10));
    let (_, report) = ImportOptions::new().rebuild(true).m(5).import(folder.file("u.usearch")).unwrap();
    assert!(!report.graph_kept);
}

#[test]
fn half_a_dump_is_an_error_that_names_the_other_half() {
    let folder = Folder::new("half");
    std::fs::write(folder.file("some.hnsw.graph"), [0u8; 64]).unwrap();
    let error = import::hnsw_rs(folder.path(), "some", Metric::Cosine).unwrap_err();
    assert_eq!(error.code(), ErrorCode::PathNotFound);
    assert!(error.message().contains("some.hnsw.data"), "{error}");
}

#[cfg(feature = "hnsw_rs")]
mod hnsw {
    use super::*;
    use hnsw_rs::prelude::*;

    fn graph<D: Distance<f32> + Send + Sync>(distance: D) -> (Hnsw<'static, f32, D>, Vec<f32>) {
        let vectors = rows(5, 400, DIMS);
        let hnsw = Hnsw::<f32, D>::new(16, 400, 16, 200, distance);
        for (id, row) in vectors.chunks(DIMS).enumerate() {
            hnsw.insert((row, id));
        }
        (hnsw, vectors)
    }

    #[test]
    fn a_graph_in_memory_becomes_an_index_with_its_links() {
        let folder = Folder::new("from-hnsw");
        let (hnsw, vectors) = graph(DistCosine {});
        let (index, report) = ImportOptions::new().import_hnsw(&hnsw, folder.path()).unwrap();
        assert!(report.graph_kept && report.vectors == 400, "{report:?}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(index.params().unwrap().metric, Metric::Cosine);
        let mut same = 0;
        for query in vectors.chunks(DIMS) {
            let theirs: Vec<u64> = hnsw.search(query, 10, 100).iter().map(|n| n.d_id as u64).collect();
            same += index.search(query, 10).unwrap().iter().filter(|hit| theirs.contains(&hit.key)).count();
        }
        assert!(same >= 3800, "{same} of 4000");
    }

    #[test]
    fn from_hnsw_keeps_vectors_and_keys() {
        let (hnsw, vectors) = graph(DistL2 {});
        let index = Index::from_hnsw(&hnsw).unwrap();
        assert_eq!((index.len(), index.params().unwrap().metric), (400, Metric::L2sq));
        assert_eq!(index.get(399).unwrap(), vectors[399 * DIMS..]);
    }

    #[test]
    fn a_dump_is_imported_and_its_metric_checked() {
        let folder = Folder::new("dump");
        let (hnsw, _) = graph(DistL2 {});
        let base = hnsw.file_dump(folder.path(), "storage").unwrap();
        assert_eq!(import::hnsw_rs(folder.path(), &base, Metric::L2sq).unwrap().len(), 400);
        let wrong = import::hnsw_rs(folder.path(), &base, Metric::Cosine).unwrap_err();
        assert_eq!(wrong.code(), ErrorCode::InvalidArgument);
    }

    #[test]
    fn a_distance_without_counterpart_is_named() {
        let (hnsw, _) = graph(DistL1 {});
        let error = Index::from_hnsw(&hnsw).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unsupported);
        assert!(error.message().contains("DistL1"), "{error}");
    }
}
