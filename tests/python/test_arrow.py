# SPDX-License-Identifier: Apache-2.0
"""Columns of Arrow, and Parquet files."""
import os
import stat

import numpy as np
import pytest

import cairn
from cairn import _arrow

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def fixed(vectors):
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])


def lists(vectors):
    return pa.array(vectors.tolist(), pa.list_(pa.from_numpy_dtype(vectors.dtype)))


def table(vectors, column=fixed):
    return pa.table({"key": np.arange(len(vectors)) * 10, "text": ["x"] * len(vectors), "vector": column(vectors)})


def check(index, vectors):
    assert len(index) == len(vectors) and (index[70] == vectors[7]).all()
    assert index.search(vectors[7], k=1).pairs() == [(70, 0.0)]


@pytest.mark.parametrize("column", [fixed, lists, lambda rows: lists(rows).cast(pa.large_list(pa.float32())),
                                    lambda rows: pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.float32(), [16]), fixed(rows))])
def test_columns_are_vectors(column, vectors):
    keys, given = pa.array(np.arange(300) * 10), column(vectors)
    for some_keys, some in ((keys, given), (pa.chunked_array([keys[:50], keys[50:]]), pa.chunked_array([given[:100], given[100:]]))):
        index = cairn.Index.create(dims=16)
        index.build(some_keys, some)
        check(index, vectors)
    index = cairn.Index.create(dims=16)
    index.build(keys[5:90], given[5:90])
    assert (index[70] == vectors[7]).all() and len(index) == 85


def test_a_column_of_fixed_size_is_not_copied(vectors):
    column = fixed(vectors)
    assert np.shares_memory(_arrow.matrix(column, "x"), column.flatten().to_numpy())


@pytest.mark.parametrize("given", [[[1.0, 2.0], [3.0]], [[1.0, 2.0], None], [[1.0, None]], [["a", "b"]], [1.0, 2.0], [[1.0], [2.0]]])
def test_other_columns_are_errors(given):
    with pytest.raises(ValueError):
        cairn.Index.create(dims=2).build(None, pa.array(given))


def test_float64_columns_are_refused(vectors):
    with pytest.raises(ValueError, match="float64"):
        cairn.Index.create(dims=16).build(None, fixed(vectors.astype(float)))


@pytest.mark.parametrize("column", [fixed, lists])
def test_parquet_files_are_read(column, vectors, tmp_path, monkeypatch):
    monkeypatch.setattr(_arrow, "BATCH_ROWS", 70)
    pq.write_table(table(vectors, column), tmp_path / "a.parquet", row_group_size=64)
    keys, rows = cairn.read_parquet(tmp_path / "a.parquet")
    assert keys.dtype == np.uint64 and rows.dtype == np.float32 and (rows == vectors).all()
    index = cairn.Index.create(dims=16)
    index.build(keys, rows)
    check(index, vectors)
    keys, rows = cairn.read_parquet([str(tmp_path / "a.parquet")] * 2, vectors="vector", keys="key")
    assert len(keys) == len(rows) == 600 and (rows[300:] == vectors).all()


def test_parquet_without_keys_or_rows(vectors, tmp_path):
    pq.write_table(table(vectors).select(["vector"]), tmp_path / "a.parquet")
    keys, rows = cairn.read_parquet(tmp_path / "a.parquet")
    assert keys is None and (rows == vectors).all()
    pq.write_table(table(vectors)[:0], tmp_path / "none.parquet")
    keys, rows = cairn.read_parquet(tmp_path / "none.parquet")
    assert len(rows) == 0


def test_double_columns_are_converted_when_told(vectors, tmp_path):
    pq.write_table(table(vectors.astype(float)), tmp_path / "a.parquet")
    assert cairn.read_parquet(tmp_path / "a.parquet")[1].dtype == np.float64
    rows = cairn.read_parquet(tmp_path / "a.parquet", dtype=np.float32)[1]
    assert rows.dtype == np.float32 and (rows == vectors).all()


def test_what_can_be_wrong_with_parquet(vectors, tmp_path):
    good = table(vectors)
    pq.write_table(good, tmp_path / "good")
    pq.write_table(good.append_column("other", fixed(vectors)), tmp_path / "two")
    pq.write_table(good.set_column(0, "key", pa.array(np.arange(300) - 1)), tmp_path / "negative")
    pq.write_table(good.set_column(0, "key", pa.array([None] * 300, pa.int64())), tmp_path / "null")
    pq.write_table(table(vectors[:, :5]), tmp_path / "narrow")
    (tmp_path / "foreign").write_bytes(b"PAR1 not at all")
    (tmp_path / "empty").touch()
    for name, options, told in (("two", {}, "vector, other"), ("negative", {}, "negative"), ("null", {}, "null"), ("foreign", {}, "no Parquet"),
                                ("empty", {}, "no Parquet"), ("good", {"vectors": "embedding"}, "embedding"), ("good", {"vectors": "text"}, "string"),
                                ("good", {"keys": "text"}, "integers"), ("good", {"keys": "vector"}, "keys")):
        with pytest.raises(cairn.InvalidArgumentError, match=told):
            cairn.read_parquet(tmp_path / name, **options)
    with pytest.raises(FileNotFoundError):
        cairn.read_parquet(tmp_path / "missing")
    with pytest.raises(cairn.DimensionMismatchError):
        cairn.read_parquet([tmp_path / "good", tmp_path / "narrow"])
    with pytest.raises(cairn.CairnError):
        cairn.read_parquet(tmp_path)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8", "b1"])
def test_what_is_exported_is_read_again(dtype, tmp_path):
    values = np.random.default_rng(3).integers(0 if dtype == "b1" else -100, 2 if dtype == "b1" else 100, (5000, 24))
    given = np.packbits(values.astype(bool), axis=1, bitorder="little") if dtype == "b1" else values.astype(
        {"float16": np.float16, "int8": np.int8}.get(dtype, np.float32))
    options = {"dims": 24, "dtype": dtype, "metric": "hamming" if dtype == "b1" else "l2sq", "m": 4, "ef_construction": 10}
    index = cairn.Index.create(**options)
    index.build(np.arange(5000, dtype=np.uint64) + np.uint64(2**63), given)
    index.remove(2**63 + 8)
    path = tmp_path / "out.parquet"
    path.write_text("what was there")
    index.export(path, "parquet")
    keys, vectors = cairn.read_parquet(path)
    assert len(keys) == 4999 and 2**63 + 8 not in keys and sorted(tmp_path.iterdir()) == [path]
    assert vectors.dtype == given.dtype and (vectors == given[(keys - np.uint64(2**63)).astype(int)]).all()
    assert pq.read_schema(path).metadata[b"cairn.metric"] == options["metric"].encode()
    again = cairn.Index.create(**options)
    again.build(keys, vectors)
    assert len(again) == 4999


def test_an_export_that_fails_leaves_what_was_there(index, tmp_path):
    path = tmp_path / "out.parquet"
    path.write_text("what was there")
    index.close()
    with pytest.raises(ValueError, match="closed"):
        index.export(path, "parquet")
    assert path.read_text() == "what was there" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError):
        cairn.Index.create(dims=3).export(tmp_path / "no/such/folder", "parquet")


def test_an_export_follows_a_link_and_replaces_nothing_but_a_file(index, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        for kind in ("parquet", "usearch"):
            with pytest.raises(cairn.InvalidArgumentError, match="directory|regular file"):
                index.export(path, kind)
    assert stat.S_ISFIFO(os.stat(tmp_path / "pipe").st_mode)
    (tmp_path / "link").symlink_to("words.parquet")
    index.export(tmp_path / "link", "parquet")
    assert (tmp_path / "link").is_symlink()
    assert len(cairn.read_parquet(tmp_path / "words.parquet")[0]) == len(index)
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe", "words.parquet"]


@pytest.mark.timeout(20)
def test_a_pipe_is_no_parquet_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.parquet")
    with pytest.raises(cairn.InvalidArgumentError, match="regular file"):
        cairn.read_parquet(tmp_path / "pipe.parquet")


def test_an_empty_index_is_exported(tmp_path):
    cairn.Index.create(dims=3).export(tmp_path / "none", "parquet")
    keys, vectors = cairn.read_parquet(tmp_path / "none")
    assert len(keys) == 0 and vectors.shape[0] == 0


def several(dtype=np.float32, n=500):
    """Keys with 0 to 40 vectors each, one of them with very many, and what each has."""
    generator = np.random.default_rng(4)
    keys = np.concatenate([generator.integers(1, 200, n), np.full(100, 900)]).astype(np.uint64)
    given = generator.integers(-100, 100, (len(keys), 6)).astype(dtype)
    index = cairn.Index.create(dims=6, metric="l2sq", dtype=np.dtype(dtype).name, several_per_key=True, m=4, ef_construction=10)
    index.add(keys, given)
    return index, {key: given[keys == key] for key in np.unique(keys).tolist()}


@pytest.mark.parametrize("dtype", [np.float32, np.int8])
def test_all_vectors_of_a_key_are_exported(dtype, tmp_path):
    index, expected = several(dtype)
    index.remove(900)
    index.add([900] * 70, np.arange(420).reshape(70, 6).astype(np.int16) % 100)
    expected[900] = (np.arange(420).reshape(70, 6) % 100).astype(dtype)
    index.export(tmp_path / "out.parquet", "parquet")
    keys, vectors = cairn.read_parquet(tmp_path / "out.parquet")
    assert len(keys) == len(index) == 570 and vectors.dtype == dtype
    assert {key: vectors[keys == key].tolist() for key in keys.tolist()} == {key: rows.tolist() for key, rows in expected.items()}
    again = cairn.Index.create(dims=6, metric="l2sq", dtype=np.dtype(dtype).name, several_per_key=True)
    again.build(keys, vectors)
    assert all((again.get_all(key) == rows).all() for key, rows in expected.items())


def test_a_key_with_more_vectors_than_a_piece_is_exported_in_pieces():
    index, expected = several()
    pieces = [index._rows(*places) for places in index._places(16)]
    assert max(len(keys) for keys, _ in pieces) == 16
    keys, vectors = (np.concatenate(both) for both in zip(*pieces))
    assert len(keys) == 600 and (vectors[keys == 900] == expected[900]).all()


def test_files_of_different_types_are_read_as_one_that_holds_both(tmp_path):
    def written(name, values, kind):
        pq.write_table(pa.table({"key": [0, 1], "vector": pa.array(values, pa.list_(kind, 2))}), tmp_path / name)
        return tmp_path / name

    bytes_ = written("i8", [[1, 2], [-3, 4]], pa.int8())
    floats = written("f32", [[0.5, 300.75], [0.875, -0.875]], pa.float32())
    halves = written("f16", [[np.float16(0.5), np.float16(2)]] * 2, pa.float16())
    doubles = written("f64", [[1e300, 0.1], [0, 0]], pa.float64())
    longs = written("i64", [[2**53 + 1, 1], [0, 0]], pa.int64())
    rows = cairn.read_parquet([bytes_, floats])[1]
    assert rows.dtype == np.float32 and rows.tolist() == [[1, 2], [-3, 4], [0.5, 300.75], [0.875, -0.875]]
    assert cairn.read_parquet([bytes_, halves])[1].dtype == np.float16
    rows = cairn.read_parquet([floats, doubles])[1]
    assert rows.dtype == np.float64 and rows[2].tolist() == [1e300, 0.1]
    assert cairn.read_parquet([bytes_, longs])[1].tolist()[2] == [2**53 + 1, 1]
    for other in (floats, doubles):
        with pytest.raises(cairn.InvalidArgumentError, match="int64"):
            cairn.read_parquet([longs, other])
    rows = cairn.read_parquet([longs, floats], dtype=np.float32)[1]
    assert rows.dtype == np.float32 and rows[0].tolist() == [2**53, 1]


def test_of_files_without_rows_the_type_is_told_too(tmp_path):
    pq.write_table(pa.table({"vector": pa.array([], pa.list_(pa.int8(), 2))}), tmp_path / "none")
    assert cairn.read_parquet(tmp_path / "none")[1].dtype == np.int8
