# SPDX-License-Identifier: Apache-2.0
"""Indexes of other libraries, read and written."""
from pathlib import Path

import numpy as np
import pytest

import cairn

FOREIGN = Path(__file__).parents[1] / "data/foreign"
pytestmark = pytest.mark.skipif(not FOREIGN.exists(), reason="not in a checkout")


def cases():
    if FOREIGN.exists():
        for line in (FOREIGN / "files.txt").read_text().splitlines():
            if line and not line.startswith("#"):
                yield line.split()


def given(metric):
    return {} if metric == "-" else {"metric": metric}


@pytest.mark.parametrize("case", [case for case in cases() if case[2] != "refused"], ids=lambda case: case[0])
def test_files_are_imported(case):
    name, metric_given, metric, scalar, vectors, skipped, graph = case
    raw = FOREIGN.joinpath(name.removesuffix(".graph").rsplit(".", 1)[0] + ".expect").read_bytes()
    rows, dims = (int(number) for number in np.frombuffer(raw, "<u4", 2))
    # An empty dump of hnsw_rs does not say how long its vectors are.
    index = cairn.import_index(FOREIGN / name, dims=0 if rows else dims, **given(metric_given))
    report = index.import_report
    assert (index.params["metric"], index.dtype, len(index), report.skipped) == (
        {"ip": "inner_product"}.get(metric, metric), scalar, int(vectors), int(skipped))
    assert report.vectors == len(index)
    if graph != "empty":
        assert report.graph_kept == (graph == "kept")
    keys = np.frombuffer(raw, "<u8", rows, 8)
    values = np.frombuffer(raw, "<f4", rows * dims, 8 + 8 * rows).reshape(rows, dims)
    for key, value in list(zip(keys.tolist(), values))[:20]:
        stored = index[key]
        if scalar == "b1":
            stored = np.unpackbits(stored, bitorder="little", count=dims)
        assert (stored.astype(np.float32) == value).all()


@pytest.mark.parametrize("case", [case for case in cases() if case[2] == "refused"], ids=lambda case: case[0])
def test_files_are_refused(case):
    name, metric_given, _, code = case[:4]
    with pytest.raises(cairn.CairnError) as caught:
        cairn.import_index(FOREIGN / name, **given(metric_given))
    assert caught.value.name == code


def test_options_of_an_import():
    path = FOREIGN / "hnswlib-v0_8_0-l2-n100-d8-m5-deleted.hnswlib"
    told = []
    index = cairn.import_index(path, source="hnswlib", metric="l2sq", rebuild=True, m=20, ef_construction=300, threads=1,
                               progress=lambda done, total: told.append((done, total)))
    assert (index.params["m"], index.params["ef_construction"], index.import_report.graph_kept) == (20, 300, False)
    assert told and index.import_report.notes and index.import_report.skipped > 0
    renamed = cairn.import_index(path, metric="l2sq", keys=np.arange(1000, 1100))
    assert 1099 in renamed or 1098 in renamed
    with pytest.raises(ValueError, match="source"):
        cairn.import_index(path, source="pinecone")
    with pytest.raises(ValueError):
        cairn.import_index(path)  # the file does not say its metric
    with pytest.raises(ValueError):
        cairn.import_index(path, metric="l2sq", keys=[1, 2])
    with pytest.raises(ValueError, match="negative"):
        cairn.import_index(path, metric="l2sq", keys=np.arange(-1, 99))
    with pytest.raises(FileNotFoundError):
        cairn.import_index(FOREIGN / "none")


@pytest.mark.parametrize("name", ["dims", "m", "ef_construction", "threads"])
def test_numbers_that_are_none_are_refused_by_name(name):
    path = FOREIGN / "hnswlib-v0_8_0-l2-n100-d8-m5-deleted.hnswlib"
    for number in (-1, 1 << 64):
        with pytest.raises(ValueError, match=f"import_index: {name} {number}"):
            cairn.import_index(path, metric="l2sq", **{name: number})
    for number in ("8", 8.0):
        with pytest.raises(TypeError, match=f"import_index: {name} .* is no integer"):
            cairn.import_index(path, metric="l2sq", **{name: number})


def test_no_keys_at_all_are_not_the_keys_of_the_file():
    path = FOREIGN / "hnswlib-v0_8_0-l2-n100-d8-m5-deleted.hnswlib"
    for keys in ([], range(0), np.empty(0, np.int64)):
        with pytest.raises(ValueError, match="0 keys for 100 vectors"):
            cairn.import_index(path, metric="l2sq", keys=keys)
    assert len(cairn.import_index(FOREIGN / "hnswlib-v0_8_0-l2-n0-d4-m16.hnswlib", metric="l2sq", keys=[])) == 0


@pytest.mark.parametrize("kind", ["hnswlib", "usearch"])
def test_what_is_exported_is_imported_again(kind, index, vectors, tmp_path):
    index.remove(10)
    index.export(tmp_path / "out", kind)
    again = cairn.import_index(tmp_path / "out", source=kind, metric="cosine")
    assert len(again) == 299 and again.import_report.graph_kept
    found = again.search(vectors, k=5, ef=100)
    assert (found.keys == index.search(vectors, k=5, ef=100).keys).mean() > 0.99
    assert cairn.Index.create(dims=3).import_report is None
    with pytest.raises(FileNotFoundError):
        index.export(tmp_path / "no/such/folder", kind)


def test_hnswlib_itself_loads_an_export(index, vectors, tmp_path):
    hnswlib = pytest.importorskip("hnswlib")
    index.export(tmp_path / "out", "hnswlib")
    other = hnswlib.Index("cosine", 16)
    other.load_index(str(tmp_path / "out"))
    other.set_ef(100)
    assert (other.knn_query(vectors, 1)[0][:, 0] == np.arange(300) * 10).all()


def test_usearch_itself_loads_an_export(index, vectors, tmp_path):
    usearch = pytest.importorskip("usearch.index")
    index.export(tmp_path / "out", "usearch")
    other = usearch.Index.restore(str(tmp_path / "out"))
    assert (other.search(vectors, 1).keys[:, 0] == np.arange(300) * 10).all()
