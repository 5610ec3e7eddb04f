# SPDX-License-Identifier: Apache-2.0
"""What an index does, in memory and in a file."""
import pickle

import numpy as np
import pytest

import cairn
from conftest import rows


def nearest(vectors, query, k):
    """Cosine, by brute force."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.argsort(1 - unit @ (query / np.linalg.norm(query)), kind="stable")[:k]


def test_search_finds_the_nearest(index, vectors):
    keys, distances = index.search(vectors[7], k=5)
    assert keys.dtype == np.uint64 and distances.dtype == np.float32
    assert keys.tolist() == (nearest(vectors, vectors[7], 5) * 10).tolist()
    assert distances[0] == 0 and (np.diff(distances) >= 0).all()


def test_several_queries_are_the_queries_one_by_one(index, vectors):
    for threads in (0, 1, 3):
        many = index.search(vectors[:20], k=4, ef=50, threads=threads)
        assert many.keys.shape == many.distances.shape == (20, 4) and many.counts.tolist() == [4] * 20
        for i in range(20):
            one = index.search(vectors[i], k=4, ef=50)
            assert many[i].pairs() == one.pairs()


def test_short_answers_are_short():
    index = cairn.Index.create(dims=2)
    assert index.search([1, 0], k=3).pairs() == []
    index.build([5], [[1, 0]])
    assert index.search([1, 0], k=3).pairs() == [(5, 0.0)]
    many = index.search([[1, 0], [0, 1]], k=3)
    assert many.counts.tolist() == [1, 1] and len(many) == 2
    assert many[1].pairs() == [(5, 1.0)]
    assert np.isinf(many.distances[0, 1:]).all()


def test_a_huge_k_takes_no_more_memory_than_there_are_vectors(index, vectors):
    assert len(index.search(vectors[0], k=10**12, ef=300)) == 300


def test_matches_unpack_and_print(index, vectors):
    found = index.search(vectors[0], k=2)
    keys, distances = found
    assert found.pairs() == list(zip(keys.tolist(), distances.tolist()))
    assert "0: " in repr(found) and "2 queries" in repr(index.search(vectors[:2]))
    with pytest.raises(TypeError):
        found[0]
    with pytest.raises(TypeError):
        index.search(vectors[:2]).pairs()


def test_no_queries_have_no_answers(index):
    assert index.search(np.empty((0, 16), np.float32), k=3).keys.shape == (0, 3)


def test_it_is_a_container(index, vectors):
    assert len(index) == 300 and 10 in index and 11 not in index
    assert -1 not in index and "x" not in index and 2**64 not in index
    assert (index[10] == vectors[1]).all() and index.get(11) is None and index.get(11, 3) == 3
    del index[10]
    assert 10 not in index and len(index) == 299
    index[10] = vectors[2]
    assert (index[10] == vectors[2]).all()


def test_add_and_upsert_take_one_or_many(vectors):
    index = cairn.Index.create(dims=16)
    index.add(1, vectors[0])
    index.add([2, 3], vectors[1:3])
    index.upsert(1, vectors[5])
    index.upsert(np.arange(3, 100), vectors[3:100])
    assert len(index) == 99 and (index[1] == vectors[5]).all() and (index[99] == vectors[99]).all()
    with pytest.raises(cairn.KeyExistsError, match="row 1"):
        index.add([200, 2], vectors[:2])
    assert 200 in index
    index.remove(200)
    with pytest.raises(KeyError):
        index.remove(200)


def test_build_numbers_rows_without_keys(vectors):
    index = cairn.Index.create(dims=16)
    index.build(None, vectors)
    assert (index[299] == vectors[299]).all()


def test_a_build_is_the_same_for_any_number_of_threads(vectors, tmp_path):
    for threads in (1, 2):
        index = cairn.Index.create(dims=16)
        index.build(None, vectors, threads=threads)
        index.save(tmp_path / str(threads))
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_what_it_is(index):
    assert (index.dims, index.metric, index.dtype, index.closed) == (16, "cosine", "f32", False)
    assert index.params == {
        "dims": 16, "metric": "cosine", "dtype": "f32", "m": 16, "ef_construction": 200, "seed": 42, "traversal": "code",
        "several_per_key": False,
    }
    assert "300 vectors" in repr(index)
    stats = index.stats
    assert stats.live == 300 and stats.dimensions == 16 and stats.simd
    assert cairn.simd_info()[2] == stats.simd and cairn.__version__.count(".") == 2


def test_parameters_reach_the_index():
    index = cairn.Index.create(dims=3, metric="ip", m=8, ef_construction=50, seed=7, traversal="exact")
    assert index.params == {
        "dims": 3, "metric": "inner_product", "dtype": "f32", "m": 8, "ef_construction": 50, "seed": 7, "traversal": "exact",
        "several_per_key": False,
    }


@pytest.mark.parametrize("metric", ["cosine", "l2sq", "inner_product"])
def test_metrics(metric):
    index = cairn.Index.create(dims=2, metric=metric)
    index.build([1, 2], [[1, 0], [3, 4]])
    expected = {"cosine": 0.4, "l2sq": 20, "inner_product": -2}[metric]
    assert dict(index.search([1, 0]).pairs())[2] == pytest.approx(expected)


def test_compact_and_verify(index):
    for key in range(0, 2000, 10):
        index.remove(key)
    index.compact(threads=1, progress=lambda done, total: None)
    assert index.stats.deleted == 0 and len(index) == 100
    report = index.verify(threads=1)
    assert report and report.findings == [] and report.nodes_checked == 100


def test_a_file_is_what_was_saved(file, vectors):
    with cairn.Index.open(file) as index:
        assert len(index) == 300 and index.search(vectors[3], k=1).keys.tolist() == [30]
        index.warm()
        index.release()
        assert index.verify()
    for options in ({"load": True}, {"verify": True}, {"guard": True}, {"check": "on_first_use"}):
        with cairn.Index.open(str(file), **options) as index:
            assert 30 in index


def test_a_damaged_page_ends_what_meets_it_where_pages_are_checked(file, vectors):
    data = bytearray(file.read_bytes())
    (key,) = [i for i in range(0, len(data), 8) if data[i : i + 8] == (2990).to_bytes(8, "little")]
    data[key + 3] ^= 1
    file.write_bytes(data)
    with cairn.Index.open(file) as index:
        index.search(vectors[3], k=1)
    with cairn.Index.open(file, check="on_first_use") as index:
        for call in (lambda: index.search(vectors[3], k=1), lambda: list(index.keys())):
            with pytest.raises(cairn.DamagedFileError, match="checksum"):
                call()
    with pytest.raises(cairn.InvalidArgumentError, match="check"):
        cairn.Index.open(file, check="always")


def test_paths_of_any_kind(index, tmp_path):
    for name in ("text", tmp_path / "object", bytes(tmp_path / "bytes"), bytes(tmp_path) + b"/\xff not text"):
        if isinstance(name, str):
            name = str(tmp_path / name)
        index.save(name)
        assert len(cairn.Index.open(name)) == 300
    with pytest.raises(cairn.PathNotFoundError, match="gone"):
        cairn.Index.open(bytes(tmp_path) + b"/\xff gone")


def test_an_index_in_its_file_keeps_each_change(path, vectors):
    with cairn.Index.create(path, dims=16, durability="none", max_vectors=1000) as index:
        index.build(None, vectors[:100])
        index.upsert(5, vectors[200])
        index.sync()
        index.applied_up_to = 77
        index.checkpoint()
    with cairn.Index.open(path, "r+") as index:
        assert index.applied_up_to == 77 and (index[5] == vectors[200]).all()
        index.remove(6)
        index.compact(erase=True)
    with cairn.Index.open(path) as index:
        assert 6 not in index and len(index) == 99


def test_a_reader_refreshes(path, vectors):
    with cairn.Index.create(path, dims=16) as writer:
        writer.add(1, vectors[1])
        writer.checkpoint()
        with cairn.Index.open(path) as reader:
            writer.add(2, vectors[2])
            writer.sync()
            reader.refresh()
            assert 2 in reader


def test_backup_of_a_file_that_is_written(path, tmp_path, vectors):
    with cairn.Index.create(path, dims=16) as index:
        index.add(1, vectors[1])
        index.backup(tmp_path / "copy")
        with pytest.raises(cairn.PathExistsError):
            index.backup(tmp_path / "copy", overwrite=False)
    assert 1 in cairn.Index.open(tmp_path / "copy")


def test_save_can_refuse_to_replace(index, file):
    with pytest.raises(FileExistsError):
        index.save(file, overwrite=False)
    index.save(file)


def test_a_reader_is_pickled_by_its_path(file, vectors, monkeypatch, tmp_path):
    monkeypatch.chdir(file.parent)
    index = cairn.Index.open(file.name, load=True)
    packed = pickle.dumps(index)
    monkeypatch.chdir("/")
    assert pickle.loads(packed).search(vectors[3], k=1).keys.tolist() == [30]


def test_other_indexes_are_not_pickled(index, path):
    for one in (index, cairn.Index.create(path, dims=2)):
        with pytest.raises(cairn.UnsupportedError, match="save"):
            pickle.dumps(one)


def test_progress_is_told(vectors, capsys):
    told = []
    index = cairn.Index.create(dims=16)
    index.build(None, vectors, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (300, 300)


def test_progress_true_shows_a_bar_or_lines(vectors, capsys, monkeypatch):
    for has_tqdm in (True, False):
        if has_tqdm:
            pytest.importorskip("tqdm")
        else:
            monkeypatch.setitem(__import__("sys").modules, "tqdm.auto", None)
        cairn.Index.create(dims=16).build(None, vectors, progress=True)
        shown = capsys.readouterr()
        assert "300" in (shown.err if has_tqdm else shown.out)


def test_an_index_can_be_referred_to_weakly(index):
    import weakref

    assert weakref.ref(index)() is index


def test_recall_is_that_of_the_library():
    vectors = rows(3000, 24, 3)
    index = cairn.Index.create(dims=24)
    index.build(None, vectors)
    queries = rows(50, 24, 4)
    found = index.search(queries, k=10, ef=200).keys
    hits = sum(len(set(found[i].tolist()) & set(nearest(vectors, queries[i], 10).tolist())) for i in range(50))
    assert hits >= 495


def test_all_keys_are_listed(index, vectors):
    assert sorted(index.keys()) == list(range(0, 3000, 10)) == sorted(index)
    assert all(type(key) is int for key in index)
    index.remove(50)
    index.add(7, vectors[0])
    assert set(index) == set(range(0, 3000, 10)) - {50} | {7}
    assert list(cairn.Index.create(dims=2)) == [] and set(dict(index)) == set(index)


def test_keys_are_listed_beside_changes():
    many = rows(10_000, 4)
    index = cairn.Index.create(dims=4, m=4, ef_construction=10)
    index.build(None, many)
    seen = []
    for key in index.keys():
        seen.append(key)
        if len(seen) == 100:
            for other in range(5000, 5100):
                index.remove(other)
            index.add(20_000, many[0])
    assert len(seen) == len(set(seen)) and set(range(5000)) | set(range(5100, 10_000)) <= set(seen)
    index.close()
    with pytest.raises(ValueError, match="closed"):
        list(index)
