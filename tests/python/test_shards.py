# SPDX-License-Identifier: Apache-2.0
"""Sets of shards: planned, built, published, opened; and what goes wrong with that."""
import dataclasses
import errno
import importlib.util
import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading

import numpy as np
import pytest
from conftest import rows

import cairn
from cairn import _inputs, _places, _plan, _scatter, _shard_worker, shards

N, DIMS = 1200, 16


@pytest.fixture(scope="module")
def matrix():
    return rows(N, DIMS, 5)


@pytest.fixture
def file(matrix, tmp_path):
    np.save(tmp_path / "rows.npy", matrix)
    return tmp_path / "rows.npy"


@pytest.fixture
def folder(file, tmp_path):
    """A set of four shards by hash."""
    shards.build(shards.plan(file, 4), tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def far():
    """A place that is not on this machine's disk."""
    pytest.importorskip("fsspec")
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.store.clear()
    memory.pseudo_dirs[:] = [""]
    return "memory://sets/words"


def whole(matrix, keys=None):
    index = cairn.Index.create(dims=DIMS)
    index.build(keys, matrix)
    return index


def fbin(path, matrix):
    path.write_bytes(np.array(matrix.shape, "<u4").tobytes() + matrix.astype("<f4").tobytes())
    return path


# Inputs.


def gathered(given, first, last):
    found = list(_inputs.blocks(given, first, last))
    return np.concatenate([keys for _, keys, _ in found]), np.concatenate([some for _, _, some in found])


def test_files_one_after_the_other_are_one_matrix(matrix, tmp_path, monkeypatch):
    monkeypatch.setattr(_inputs, "BLOCK_ROWS", 70)
    np.save(tmp_path / "a.npy", matrix[:500])
    np.save(tmp_path / "c.npy", matrix[900:].astype(">f4"))
    given = _inputs.look_all([tmp_path / "a.npy", fbin(tmp_path / "b.fbin", matrix[500:900]), tmp_path / "c.npy"])
    for first, last in ((0, N), (499, 501), (130, 1130), (5, 5)):
        if first < last:
            keys, some = gathered(given, first, last)
            assert keys.tolist() == list(range(first, last)) and (some == matrix[first:last]).all()
        else:
            assert not list(_inputs.blocks(given, first, last))


def test_parquet_is_read_by_ranges_of_rows(matrix, tmp_path, monkeypatch):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(_inputs, "BLOCK_ROWS", 64)
    column = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), DIMS)
    pq.write_table(pa.table({"id": np.arange(N) * 3, "v": column}), tmp_path / "a.parquet", row_group_size=150)
    given = _inputs.look_all(tmp_path / "a.parquet", vectors="v", keys="id")
    keys, some = gathered(given, 149, 700)
    assert (keys == np.arange(149, 700) * 3).all() and (some == matrix[149:700]).all()


def test_a_file_of_another_place_is_read_as_one_of_this(matrix, file, far):
    _places.upload(str(file), "memory://in/rows.npy")
    (given,) = _inputs.look_all("memory://in/rows.npy")
    assert (gathered([given], 100, 900)[1] == matrix[100:900]).all()


def cut(path):
    path.write_bytes(path.read_bytes()[:-5])


def test_files_that_are_not_what_they_say_are_errors(matrix, file, tmp_path):
    cut(file)
    with pytest.raises(cairn.DamagedFileError, match=r"rows.npy: \d+ bytes, but 1200 rows of 16 are"):
        shards.plan(file, 4)
    cut(fbin(tmp_path / "a.fbin", matrix))
    with pytest.raises(cairn.DamagedFileError, match="a.fbin"):
        shards.plan(tmp_path / "a.fbin", 4)
    (tmp_path / "b.npy").write_bytes(b"nonsense")
    with pytest.raises(cairn.DamagedFileError, match="b.npy: no .npy file"):
        shards.plan(tmp_path / "b.npy", 4)
    (tmp_path / "c.fbin").write_bytes(b"abc")
    with pytest.raises(cairn.DamagedFileError, match="c.fbin"):
        shards.plan(tmp_path / "c.fbin", 4)
    with pytest.raises(cairn.PathNotFoundError, match="none.npy"):
        shards.plan(tmp_path / "none.npy", 4)
    np.save(tmp_path / "d.npy", np.zeros(4))
    with pytest.raises(cairn.UnsupportedError, match="d.npy"):
        shards.plan(tmp_path / "d.npy", 4)
    with pytest.raises(cairn.UnsupportedError, match="e.txt"):
        (tmp_path / "e.txt").write_text("1 2 3")
        shards.plan(tmp_path / "e.txt", 4)


def test_an_input_that_has_changed_since_the_plan_is_an_error(matrix, file, tmp_path):
    plan = shards.plan(file, 2)
    np.save(file, matrix[:-1])
    with pytest.raises(cairn.DamagedFileError, match="shard 0 for .*rows.npy: .* when the plan was made"):
        shards.build(plan, tmp_path / "set")
    assert not (tmp_path / "set" / "CURRENT").exists()


def test_inputs_that_do_not_fit_together_are_errors(matrix, file, tmp_path):
    np.save(tmp_path / "other.npy", matrix[:, :8])
    with pytest.raises(cairn.DimensionMismatchError, match="other.npy: rows of 8 components"):
        shards.plan([file, tmp_path / "other.npy"], 2)
    np.save(tmp_path / "double.npy", matrix.astype(float))
    with pytest.raises(cairn.InvalidArgumentError, match="shard 0 .*float64"):
        shards.build(shards.plan(tmp_path / "double.npy", 2), tmp_path / "set")


def test_inputs_of_different_types_keep_every_value(tmp_path):
    small = np.arange(64, dtype=np.int8).reshape(4, 16)
    (tmp_path / "a.i8bin").write_bytes(np.array(small.shape, "<u4").tobytes() + small.tobytes())
    np.save(tmp_path / "b.npy", small.astype(np.float32) + 0.75)
    for partition in ("hash", "rows"):
        plan = shards.plan([tmp_path / "a.i8bin", tmp_path / "b.npy"], 2, partition=partition, metric="l2sq")
        shards.build(plan, tmp_path / partition)
        with shards.open(tmp_path / partition) as opened:
            assert all((opened[i] == small[i]).all() and (opened[4 + i] == small[i] + 0.75).all() for i in range(4))
    np.save(tmp_path / "c.npy", small.astype(np.int64))
    with pytest.raises(cairn.InvalidArgumentError, match="b.npy and others: .*float32, int64"):
        shards.plan([tmp_path / "b.npy", tmp_path / "c.npy"], 2)
    np.save(tmp_path / "d.npy", small.astype(np.uint16))
    with pytest.raises(cairn.InvalidArgumentError, match="bit patterns"):
        shards.plan([tmp_path / "b.npy", tmp_path / "d.npy"], 2, dtype="bfloat16")


def test_an_index_with_several_vectors_a_key_is_refused_by_name(matrix, tmp_path):
    index = cairn.Index.create(dims=DIMS, several_per_key=True)
    index.add(np.arange(N), matrix)
    index.save(tmp_path / "once.cairn")
    shards.build(shards.plan(tmp_path / "once.cairn", 2), tmp_path / "set")
    with shards.open(tmp_path / "set") as opened:
        assert len(opened) == N and (opened[7] == matrix[7]).all()
    index.add(7, matrix[8])
    index.save(tmp_path / "twice.cairn")
    with pytest.raises(cairn.UnsupportedError, match="twice.cairn: 1201 vectors under 1200 keys"):
        shards.plan(tmp_path / "twice.cairn", 2)


# Building.


@pytest.mark.parametrize("partition", ["hash", "rows", "clusters"])
def test_a_set_answers_like_one_index(partition, matrix, file, tmp_path):
    built = shards.build(shards.plan(file, 4, partition=partition, centroids=8, copies=0.2), tmp_path / "set")
    assert built.generation == 1 and len(built.shards) == 4
    queries = rows(20, DIMS, 9)
    wanted = whole(matrix).search(queries, k=10, plan="exact")
    with shards.open(tmp_path / "set") as opened:
        found = opened.search(queries, k=10, plan="exact")
        assert (found.keys == wanted.keys).all() and (found.distances == wanted.distances).all()
        assert sorted(opened) == list(range(N)) and opened.params["partition"] == partition
        assert opened.verify()


def test_building_a_shard_again_gives_the_same_file(file, tmp_path):
    plan = pickle.loads(pickle.dumps(shards.plan(file, 3)))
    for task in plan.tasks():
        first, second = (shards.build_shard(pickle.loads(pickle.dumps(task)), tmp_path / place, threads=threads)
                         for place, threads in (("a", 1), ("b", 2)))
        assert first.file == second.file == f"{first.xxh3}.cairn"
        assert (tmp_path / "a" / first.file).read_bytes() == (tmp_path / "b" / second.file).read_bytes()
    assert sorted(os.listdir(tmp_path / "a")) == sorted(os.listdir(tmp_path / "b"))


def test_clusters_are_near_each_other(tmp_path):
    generator = np.random.default_rng(2)
    centers = generator.standard_normal((8, DIMS)) * 10
    grouped = (centers[generator.integers(0, 8, 2000)] + generator.standard_normal((2000, DIMS))).astype(np.float32)
    np.save(tmp_path / "rows.npy", grouped)
    shards.build(shards.plan(tmp_path / "rows.npy", 8, partition="clusters", metric="l2sq", copies=0), tmp_path / "set")
    with shards.open(tmp_path / "set") as opened:
        wanted = opened.search(grouped[:100], k=10, plan="exact")
        found = opened.search(grouped[:100], k=10, plan="exact", probe=2)
        assert found.shards.shards_asked <= 200 and wanted.shards.shards_asked == 800
        same = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.keys.tolist(), wanted.keys.tolist())])
        assert same > 0.9
        held = [file.vectors for file in opened.manifest.shards]
        assert sum(held) == 2000 and max(held) <= 1.1 * 250


def test_the_memory_of_a_task_grows_with_its_rows(file):
    few, many = (shards.plan(file, n, m=32).tasks()[0] for n in (8, 2))
    assert 0 < few.memory < many.memory and few.rows == N // 8


def test_too_many_shards_or_none_are_refused(file):
    for n in (0, 65_537):
        with pytest.raises(cairn.InvalidArgumentError, match="shards"):
            shards.plan(file, n)
    with pytest.raises(cairn.InvalidArgumentError, match="partition 'any'"):
        shards.plan(file, 2, partition="any")


def test_a_key_twice_in_the_inputs_is_an_error(matrix, tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    column = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), DIMS)
    pq.write_table(pa.table({"key": np.arange(N) // 2, "v": column}), tmp_path / "a.parquet")
    with pytest.raises(cairn.CairnError, match="shard 0 "):
        shards.build(shards.plan(tmp_path / "a.parquet", 2), tmp_path / "set")


def full_at(monkeypatch, at):
    """The disk is full when the shard of that number is written."""
    put, calls = _plan.put_index, []

    def failing(index, name):
        calls.append(name)
        if len(calls) == at:
            with _places.errors_at(name):
                raise OSError(errno.ENOSPC, "No space left on device")
        return put(index, name)

    monkeypatch.setattr(_plan, "put_index", failing)


def test_a_full_disk_is_named_and_leaves_nothing_visible(file, folder, monkeypatch):
    before = (folder / "CURRENT").read_text()
    plan = dataclasses.replace(shards.plan(file, 4, m=8), begins_from=1)
    full_at(monkeypatch, 3)
    with pytest.raises(cairn.IoError, match="shard 2 for .*set: .*No space") as raised:
        shards.build(plan, folder)
    assert raised.value.name == "no_space"
    assert (folder / "CURRENT").read_text() == before and len(shards.read_manifest(folder).shards) == 4
    assert shards.build(plan, folder).generation == 2  # again, with room


# Publishing.


@pytest.mark.parametrize("where", ["folder", "far"])
def test_of_two_builds_at_once_one_is_told_and_nothing_is_lost(where, file, request, tmp_path):
    place = request.getfixturevalue(where) if where == "far" else tmp_path / "set"
    plans = [shards.plan(file, 2, seed=seed) for seed in (1, 2)]
    manifests = [plan.manifest([shards.build_shard(task, place) for task in plan.tasks()]) for plan in plans]
    barrier, told = threading.Barrier(2), []

    def publish(manifest):
        barrier.wait()
        try:
            told.append(shards.publish(place, manifest))
        except cairn.PathInUseError as error:
            told.append(error)

    threads = [threading.Thread(target=publish, args=(manifest,)) for manifest in manifests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (won,) = [one for one in told if not isinstance(one, cairn.PathInUseError)]
    held = shards.read_manifest(place)
    assert held.generation == won.generation == 1 and [f.file for f in held.shards] == [f.file for f in won.shards]
    (lost,) = [one for one in manifests if [f.file for f in one.shards] != [f.file for f in held.shards]]
    lost.generation = 1  # having looked at what holds now
    assert shards.publish(place, lost).generation == 2
    assert [f.file for f in shards.read_manifest(place).shards] == [f.file for f in lost.shards]


@pytest.mark.parametrize("where", ["folder", "far"])
def test_a_manifest_of_files_that_are_not_there_is_refused(where, file, request, tmp_path):
    place = request.getfixturevalue(where) if where == "far" else str(tmp_path / "set")
    plan = shards.plan(file, 2)
    made = plan.manifest([shards.build_shard(task, place) for task in plan.tasks()])
    files = made.shards
    files[1].file = "0" * 32 + ".cairn"
    files[1].xxh3 = "0" * 32
    made.shards = files
    with pytest.raises(cairn.PathNotFoundError, match="0000.cairn"):
        shards.publish(place, made)
    with pytest.raises(cairn.PathNotFoundError, match="CURRENT"):
        shards.read_manifest(place)


def test_a_publisher_that_dies_between_two_steps_is_made_good(file, far, monkeypatch):
    plan = shards.plan(file, 2)
    shards.build(plan, far)
    second = dataclasses.replace(shards.plan(file, 3), begins_from=1)

    def die(name, data):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(_places, "replace", die)
        shards.build(second, far)
    # The manifest is there, whole: it holds, and whoever publishes next sees it.
    assert shards.read_manifest(far).generation == 2 and len(shards.read_manifest(far).shards) == 3
    with pytest.raises(cairn.PathInUseError, match="generation 2"):
        shards.build(second, far)


def test_a_place_that_cannot_create_exclusively_is_refused(file, far, monkeypatch):
    import fsspec

    monkeypatch.setattr(fsspec.filesystem("memory").__class__, "pipe_file", lambda self, path, value: None)
    with pytest.raises(cairn.UnsupportedError, match="cannot create"):
        shards.build(shards.plan(file, 2), far)


# Opening.


def test_a_damaged_manifest_is_named(folder):
    path = folder / "manifest-1.json"
    text = path.read_bytes()
    path.write_bytes(text.replace(b'"m": 16', b'"m": 17'))
    for opens in (shards.open, shards.read_manifest, cairn.ShardSet.open):
        with pytest.raises(cairn.DamagedFileError, match="manifest-1.json"):
            opens(folder)
    (folder / "CURRENT").write_text("manifest-x.json\n")
    with pytest.raises(cairn.DamagedFileError, match="CURRENT"):
        shards.open(folder)


def test_a_missing_shard_is_named_or_answered_around(folder, matrix):
    gone = shards.read_manifest(folder).shards[2].file
    (folder / gone).unlink()
    with pytest.raises(cairn.PathNotFoundError, match=gone):
        shards.open(folder)
    with shards.open(folder, allow_partial=True) as opened:
        assert [name for name, _ in opened.problems] == [gone]
        found = opened.search(matrix[:5], k=3)
        assert (found.shards.shards_asked, found.shards.shards_answered) == (20, 15) and found.shards.missing == [gone]


@pytest.mark.parametrize("partition", ["hash", "clusters"])
def test_damage_is_not_made_whole_by_another_generation(partition, folder, matrix, tmp_path):
    name = shards.read_manifest(folder).shards[1].file
    data = bytearray((folder / name).read_bytes())
    at = max(data.rfind(row.tobytes()) for row in matrix)  # one vector, as it was given
    data[at] ^= 1
    os.chmod(folder / name, 0o644)
    (folder / name).write_bytes(data)
    for call in (
        lambda: shards.rebalance(folder, 3, partition=partition),
        lambda: shards.split(folder),
        lambda: shards.merge([folder], tmp_path / "merged", 2, partition=partition),
        lambda: shards.build(shards.plan(folder / name, 2), tmp_path / "built"),
    ):
        with pytest.raises(cairn.DamagedFileError, match=name):
            call()
    assert shards.read_manifest(folder).generation == 1
    assert not (tmp_path / "merged" / "CURRENT").exists()


@pytest.mark.timeout(20)
def test_a_pipe_or_a_folder_is_no_input(tmp_path):
    parquet = ["parquet"] if importlib.util.find_spec("pyarrow") else []
    for end in ["npy", "fbin", "cairn", *parquet]:
        os.mkfifo(tmp_path / f"pipe.{end}")
        os.mkdir(tmp_path / f"folder.{end}")
        for name in ("pipe", "folder"):
            with pytest.raises(cairn.InvalidArgumentError, match="regular file"):
                shards.plan(tmp_path / f"{name}.{end}", 2)


def test_a_closed_set_says_so(folder, matrix):
    some = cairn.ShardSet.open(folder)
    some.close()
    with pytest.raises(cairn.InvalidArgumentError, match="the set is closed"):
        some.search(matrix[0])


def test_some_shards_and_older_generations_are_opened(file, folder, matrix):
    before = shards.read_manifest(folder)
    shards.build(dataclasses.replace(shards.plan(file, 2, m=8), begins_from=1), folder)
    with shards.open(folder) as new, shards.open(folder, generation=1, only=[1, 3]) as old:
        assert new.manifest.generation == 2 and old.manifest.generation == 1
        assert len(old) == before.shards[1].vectors + before.shards[3].vectors
        keys = set(old)
        wanted = [key for key in whole(matrix).search(matrix[7], k=N, plan="exact").keys.tolist() if key in keys]
        found = old.search(matrix[7], k=20, plan="exact")
        assert found.keys.tolist() == wanted[:20]
        # Nothing is asked of those that are not wanted, and so they are not missing.
        assert (found.shards.shards_asked, found.shards.shards_answered, found.shards.missing) == (2, 2, []) and not old.problems
    with cairn.ShardSet.open(folder, only=[1]) as some:
        assert pickle.loads(pickle.dumps(some)).search(matrix[7], k=3).shards.shards_asked == 1
    for wrong in ({"only": []}, {"only": [2]}, {"only": [-1]}, {"only": [0], "mode": "r+"}):
        with pytest.raises(cairn.InvalidArgumentError):
            cairn.ShardSet.open(folder, **wrong)
    for wrong in ([4], [-1]):
        with pytest.raises(cairn.InvalidArgumentError, match="of 4"):
            shards.open(folder, only=wrong, generation=1)


CUT = """
import os, sys
import numpy as np
import pytest
import cairn
from cairn import shards

folder, matrix = sys.argv[1], np.load(sys.argv[2])
wanted = shards.read_manifest(folder).shards
with shards.open(folder, only=[0, 1], guard=True) as opened:
    assert opened.search(matrix[7], k=5, plan="exact").shards.shards_answered == 2
    os.truncate(os.path.join(folder, wanted[1].file), 4096)
    for query in (matrix[7], matrix[:3]):
        with pytest.raises(cairn.IoError, match=wanted[1].file):
            opened.search(query, k=5, plan="exact")
    with pytest.raises(cairn.IoError, match=wanted[1].file):
        opened.search_range(matrix[7], 2.0, plan="exact")
with shards.open(folder, only=[0, 2], allow_partial=True) as opened:
    assert opened.search(matrix[7], k=5, plan="exact").shards.shards_answered == 2
"""


def test_a_wanted_shard_that_cannot_be_read_any_more_is_an_error(folder, matrix, tmp_path):
    # In a process of its own: Ray, which other tests import, puts its own signal handlers in the place of the guard's.
    np.save(tmp_path / "matrix.npy", matrix)
    subprocess.run([sys.executable, "-c", CUT, folder, tmp_path / "matrix.npy"], check=True)


@pytest.mark.parametrize("metric", ["cosine", "inner_product"])
def test_a_worker_checks_every_shard_before_it_serves(metric, file, tmp_path, monkeypatch):
    shards.build(shards.plan(file, 4, metric=metric), tmp_path / "set")
    worker = served(tmp_path / "set", [1, 3])
    asked = []
    search = cairn.ShardSet.search
    monkeypatch.setattr(cairn.ShardSet, "search", lambda one, rows, **more: asked.append(rows) or search(one, rows, **more))
    worker.prepare()
    assert len(asked[0]) == 32
    monkeypatch.setattr(cairn.ShardSet, "search", lambda one, rows, **more: search(one, np.roll(rows, 1, 0), **more))
    with pytest.raises(cairn.DamagedFileError, match="not found by its own vector"):
        worker.prepare()


def served(place, numbers):
    options = {"place": str(place), "cache": None, "num_cpus": 1, "guard": True, "groups": 2, "at_once": 2}
    return _shard_worker.ShardWorker(1, 0, numbers, options)


def test_a_worker_whose_shards_the_router_does_not_choose_finds_nothing(file, matrix, tmp_path):
    built = shards.build(shards.plan(file, 4, partition="clusters", centroids=8), tmp_path / "set")
    workers = [served(tmp_path / "set", numbers) for numbers in ([0, 1], [2, 3])]
    with shards.open(tmp_path / "set") as opened:
        for query in matrix[:40]:
            parts = [one.search(query.reshape(1, -1), 5, 64, "exact", 1, 1.0, None, 60.0) for one in workers]
            assert [part.complete for part in parts] == [True, True] and min(int(part.counts[0]) for part in parts) == 0
            found = _scatter.merge(parts, 1, 5)
            assert found.keys[0].tolist() == opened.search(query, k=5, plan="exact", probe=1).keys.tolist()
    os.truncate(tmp_path / "set" / built.shards[1].file, 4096)
    with pytest.raises(cairn.IoError):
        workers[0].search(matrix[:40], 5, 64, "exact", 0, 1.0, None, 60.0)


def test_a_worker_filters_and_finds_ranges_as_the_set_does(folder, matrix):
    workers = [served(folder, numbers) for numbers in ([0, 1], [2, 3])]
    wanted = shards.KeyFilter(between=[(100, 499), (300, 700), (900, 900)])
    with shards.open(folder) as opened:
        chosen = opened.filter(where=lambda key: 100 <= key <= 700 or key == 900)
        for _ in range(2):  # the second time it is known already
            parts = [one.search(matrix[:20], 5, 64, "exact", 0, 1.0, wanted, 60.0) for one in workers]
            exact = opened.search(matrix[:20], k=5, plan="exact", filter=chosen)
            assert (_scatter.merge(parts, 20, 5).keys == exact.keys).all()
        assert all(len(one._filters) == 1 for one in workers)
        radius = float(opened.search(matrix[7], k=60, plan="exact").distances[-1])
        for most, keys in ((0, None), (9, None), (0, wanted)):
            parts = [one.search_range(matrix[7], radius, 64, most, "exact", 0, 1.0, keys, 60.0) for one in workers]
            exact = opened.search_range(matrix[7], radius, max_results=most, plan="exact", filter=keys and chosen)
            assert _scatter.merge(parts, 1, most or None)[0].pairs() == exact.pairs()
    for i in range(20):
        workers[0].search(matrix[:1], 1, 64, "exact", 0, 1.0, shards.KeyFilter(only=[i]), 60.0)
    assert len(workers[0]._filters) == _shard_worker.KEPT_FILTERS


def test_key_filters_that_say_the_same_are_equal():
    one = shards.KeyFilter(only=[3, 1, 3])
    assert one == shards.KeyFilter(only=np.array([1, 3], np.uint64)) and one != shards.KeyFilter(except_=[1, 3])
    assert pickle.loads(pickle.dumps(one)) == one and hash(one) == hash(pickle.loads(pickle.dumps(one)))
    ranges = shards.KeyFilter(between=[(10, 20), (0, 5), (6, 9), (2**64 - 1, 2**64 - 1)])
    assert ranges == shards.KeyFilter(between=[(0, 20), (2**64 - 1, 2**64 - 1)]) == pickle.loads(pickle.dumps(ranges))
    assert "2 ranges" in repr(ranges) and "2 keys" in repr(one)
    for wrong in ({}, {"only": [1], "between": [(1, 2)]}):
        with pytest.raises(TypeError):
            shards.KeyFilter(**wrong)
    with pytest.raises(cairn.InvalidArgumentError, match="5 is behind 4"):
        shards.KeyFilter(between=[(1, 2), (5, 4)])


def test_filters_of_a_set_are_told_in_every_way(folder, matrix):
    with shards.open(folder) as opened:
        exact = opened.search(matrix[:20], k=N, plan="exact").keys
        for given, passes in (
            ({"where": lambda key: key % 7 == 0}, lambda key: key % 7 == 0),
            ({"between": [(5, 9), (50, 60)]}, lambda key: 5 <= key <= 9 or 50 <= key <= 60),
            ({"between": np.array([[0, 0], [1199, 5000]])}, lambda key: key in (0, 1199)),
            ({"between": []}, lambda key: False),
            ({"only": [4, 8]}, lambda key: key in (4, 8)),
        ):
            chosen = opened.filter(**given)
            found = opened.search(matrix[:20], k=5, plan="exact", filter=chosen)
            for i in range(20):
                assert found[i].keys.tolist() == [key for key in exact[i].tolist() if passes(key)][:5]
            assert chosen.count == sum(map(passes, range(N)))
        for wrong in ({}, {"only": [1], "where": bool}, {"where": 5}):
            with pytest.raises(TypeError):
                opened.filter(**wrong)

        def fails(key):
            raise LookupError(key)

        with pytest.raises(LookupError):
            opened.filter(where=fails)


@pytest.mark.parametrize("order", ["relaxed", "strict"])
def test_pages_of_a_set_are_the_whole_order(order, folder, matrix):
    with shards.open(folder) as opened:
        wanted = opened.search(matrix[7], k=N, plan="exact").keys.tolist()
        cursor = opened.open_cursor(matrix[7], order=order, plan="exact")
        pages = [cursor.next(100) for _ in range(N // 100)]
        assert [key for page in pages for key in page.keys.tolist()] == wanted and not len(cursor.next(5))
        assert cursor.shards.shards_asked == cursor.shards.shards_answered == 4
        odd = opened.open_cursor(matrix[7], plan="exact", filter=opened.filter(where=lambda key: key % 2))
        assert [key for key, _ in odd] == [key for key in wanted if key % 2]
        with pytest.raises(ValueError):
            cursor.next(0)
    with pytest.raises(cairn.InvalidArgumentError, match="closed"):
        cursor.next(5)


# Older generations.


@pytest.mark.parametrize("where", ["folder", "far"])
def test_older_generations_are_removed_and_what_is_needed_stays(where, file, request, tmp_path):
    place = request.getfixturevalue(where) if where == "far" else tmp_path / "set"
    built = [shards.build(shards.plan(file, 2), place)]
    for n in (3, 4, 5):
        built.append(shards.build(dataclasses.replace(shards.plan(file, n), begins_from=n - 2), place))
    with pytest.raises(cairn.InvalidArgumentError):
        shards.prune(place, 0)
    kept = shards.prune(place, 2, also=[1])
    assert (kept.removed, kept.files, kept.bytes) == ((2,), 3, sum(one.bytes for one in built[1].shards))
    with pytest.raises(cairn.PathNotFoundError):
        shards.read_manifest(place, 2)
    for generation in (1, 3, 4):
        with shards.open(place, generation=generation, cache=tmp_path / "cache") as opened:
            assert len(opened) == N
    gone = shards.prune(place, 1)
    assert gone.removed == (3, 1) and gone.files == 6 and shards.prune(place, 1).removed == ()
    with shards.open(place, cache=tmp_path / "cache") as opened:
        assert opened.manifest.generation == 4 and len(opened) == N


def test_what_a_set_has_open_is_not_removed(file, folder, matrix):
    shards.build(dataclasses.replace(shards.plan(file, 2, m=8), begins_from=1), folder)
    for options in ({"only": [0]}, {}):
        with shards.open(folder, generation=1, **options) as old:
            pruned = shards.prune(folder, 1)
            assert (pruned.removed, pruned.in_use) == ((), (1,)) and old.verify()
    with cairn.ShardSet.open(folder, "r+"), pytest.raises(cairn.PathInUseError):
        shards.prune(folder, 1)
    assert 1 in shards.prune(folder, 1).removed


@pytest.mark.parametrize("where", ["folder", "far"])
def test_a_manifest_that_cannot_be_read_keeps_all_files(where, file, request, tmp_path):
    place = request.getfixturevalue(where) if where == "far" else str(tmp_path / "set")
    shards.build(shards.plan(file, 2), place)
    for n in (3, 4):
        shards.build(dataclasses.replace(shards.plan(file, n), begins_from=n - 2), place)
    name = f"{place}/manifest-2.json"
    text = _places.read(name, 1 << 20).replace(b'"m": 16', b'"m": 17')
    if where == "far":
        _places.replace(name, text)
    else:
        with open(name, "wb") as out:
            out.write(text)
    with pytest.raises(cairn.DamagedFileError, match="manifest-2"):
        shards.prune(place, 1)
    assert len(shards.read_manifest(place, 1).shards) == 2 and len(shards.read_manifest(place).shards) == 4


def test_nothing_is_left_of_a_view(file, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    before = sorted(os.listdir(folder))
    with shards.open(folder, generation=1, only=[0]) as opened:
        assert len(os.listdir(tmp_path / "scratch")) == 1 and opened.verify()
    gone = shards.read_manifest(folder).shards[0].file
    (folder / gone).unlink()
    with pytest.raises(cairn.PathNotFoundError, match=gone):
        shards.open(folder, generation=1, only=[0])
    assert not os.listdir(tmp_path / "scratch") and sorted(os.listdir(folder)) == sorted(set(before) - {gone})


@pytest.mark.parametrize("partition", ["hash", "clusters"])
def test_a_set_of_another_place_is_fetched_and_checked(partition, file, far, matrix, tmp_path):
    shards.build(shards.plan(file, 3, partition=partition, centroids=8), far)
    cache = tmp_path / "cache"
    with shards.open(far, cache=cache) as opened:
        assert opened.search(matrix[11], k=1).keys.tolist() == [11]
    held = {name: (cache / name).stat().st_mtime_ns for name in os.listdir(cache)}
    assert len(held) == (4 if partition == "clusters" else 3)
    with shards.open(far, cache=cache, only=[1]) as opened:
        assert len(opened) == opened.manifest.shards[1].vectors
    assert held == {name: (cache / name).stat().st_mtime_ns for name in os.listdir(cache)}  # nothing was fetched again


def test_a_file_that_came_damaged_is_refused_and_not_kept(file, far, tmp_path):
    import fsspec

    built = shards.build(shards.plan(file, 2), far)
    memory = fsspec.filesystem("memory")
    name = f"/sets/words/{built.shards[1].file}"
    data = bytearray(memory.cat(name))
    data[len(data) // 2] ^= 1
    memory.pipe_file(name, bytes(data))
    with pytest.raises(cairn.DamagedFileError, match=built.shards[1].file):
        shards.open(far, cache=tmp_path / "cache")
    assert os.listdir(tmp_path / "cache") == [built.shards[0].xxh3 + ".cairn"]


def test_a_cache_tells_files_of_equal_names_and_sizes_apart(file, far, matrix, tmp_path):
    import fsspec

    np.save(tmp_path / "other.npy", -matrix)
    built = [shards.build(shards.plan(name, 2), place) for name, place in ((file, far), (tmp_path / "other.npy", far + "2"))]
    memory = fsspec.filesystem("memory")
    for place, one in zip((far, far + "2"), built, strict=True):
        files = one.shards
        for i, part in enumerate(files):
            memory.mv(f"{place}/{part.file}", f"{place}/{i}.cairn")
            part.file = f"{i}.cairn"
        one.shards = files
        shards.publish(place, one)
    for place, sign in ((far, 1), (far + "2", -1)):
        with shards.open(place, cache=tmp_path / "cache") as opened:
            assert (opened[11] == sign * matrix[11]).all()


def test_a_full_disk_of_the_cache_is_named(file, far, tmp_path, monkeypatch):
    shards.build(shards.plan(file, 2), far)

    def full(name, target):
        with _places.errors_at(target):
            with open(target, "wb") as out:
                out.write(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_places, "download", full)
    with pytest.raises(cairn.IoError, match="No space") as raised:
        shards.open(far, cache=tmp_path / "cache")
    assert raised.value.name == "no_space" and os.listdir(tmp_path / "cache") == []


def test_the_router_of_another_set_is_refused(file, matrix, tmp_path):
    first, second = (shards.build(shards.plan(file, n, partition="clusters", centroids=8), tmp_path / f"set{n}") for n in (3, 4))
    mixed = shards.read_manifest(tmp_path / "set3")
    mixed.router = second.router
    os.link(tmp_path / "set4" / second.router.file, tmp_path / "set3" / second.router.file)
    with pytest.raises(cairn.CairnError, match=second.router.file):
        shards.publish(tmp_path / "set3", mixed)
        shards.open(tmp_path / "set3").search(matrix[0], probe=1)


def test_network_file_systems_are_told_apart(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"x / ext4 rw 0 0\nx {tmp_path}/far\\040one nfs4 rw 0 0\nx {tmp_path}/far\\040one/near ext4 rw 0 0\n"
                      f"x {tmp_path}/s3 fuse.s3fs rw 0 0\n")
    real = open
    monkeypatch.setattr("builtins.open", lambda path, *a, **b: real(mounts if path == "/proc/self/mounts" else path, *a, **b))
    far = {name: _places.is_network(f"{tmp_path}/{name}") for name in ("far one/x", "far one/near/x", "s3/x", "x", "far")}
    assert far == {"far one/x": True, "far one/near/x": False, "s3/x": True, "x": False, "far": False}


# Sets from sets.


def contents(place):
    with shards.open(place) as opened:
        return {key: opened[key].tobytes() for key in opened}


@pytest.mark.parametrize("partition", ["hash", "rows", "clusters"])
def test_split_and_rebalance_keep_every_vector(partition, file, tmp_path):
    shards.build(shards.plan(file, 2, partition=partition, centroids=8), tmp_path / "set")
    before = contents(tmp_path / "set")
    assert len(shards.split(tmp_path / "set", 3).shards) == 6 and contents(tmp_path / "set") == before
    again = shards.rebalance(tmp_path / "set", 2)
    assert (again.generation, len(again.shards)) == (3, 2) and contents(tmp_path / "set") == before
    other = shards.rebalance(tmp_path / "set", 3, partition="rows")
    assert other.generation == 4 and contents(tmp_path / "set") == before


def test_a_set_of_another_place_is_split_there(file, far, matrix, tmp_path):
    shards.build(shards.plan(file, 2), far)
    assert len(shards.split(far).shards) == 4
    with shards.open(far, cache=tmp_path / "cache") as opened:
        assert opened.manifest.generation == 2 and sorted(opened) == list(range(N)) and (opened[5] == matrix[5]).all()


def test_a_split_by_hash_reads_only_the_shard_that_is_split(folder, monkeypatch):
    plans = []
    built = shards.split(folder, 2, build=lambda plan, place: plans.append(plan) or shards.build(plan, place))
    assert len(built.shards) == 8 and all(len(task.inputs) == 1 for task in plans[0].tasks())
    merged = shards.rebalance(folder, 4, build=lambda plan, place: plans.append(plan) or shards.build(plan, place))
    assert len(merged.shards) == 4 and all(len(task.inputs) == 2 for task in plans[1].tasks())


def test_merge_takes_the_first_of_a_key(file, folder, matrix, tmp_path):
    np.save(tmp_path / "other.npy", -matrix[: N // 2])
    shards.build(shards.plan(tmp_path / "other.npy", 3), tmp_path / "other")
    merged = shards.merge([tmp_path / "other", folder], tmp_path / "both", 2)
    assert merged.generation == 1 and len(merged.shards) == 2
    with shards.open(tmp_path / "both") as both:
        assert len(both) == N and (both[5] == -matrix[5]).all() and (both[N - 1] == matrix[N - 1]).all()
    shards.build(shards.plan(file, 2, m=8), tmp_path / "different")
    with pytest.raises(cairn.InvalidArgumentError, match="different"):
        shards.merge([folder, tmp_path / "different"], tmp_path / "none", 2)


@pytest.mark.parametrize("partition", ["rows", "clusters"])
def test_merge_keeps_a_key_once_also_where_it_comes_to_several_shards(partition, folder, matrix, tmp_path):
    np.save(tmp_path / "other.npy", -matrix[: N // 2])
    shards.build(shards.plan(tmp_path / "other.npy", 3), tmp_path / "other")
    shards.merge([tmp_path / "other", folder], tmp_path / "both", 2, partition=partition)
    with shards.open(tmp_path / "both") as both:
        assert sorted(both) == list(range(N)) and (partition == "clusters" or len(both) == N)
        for key in range(0, N // 2, 40):
            assert (both[key] == -matrix[key]).all()
            assert both.search(matrix[key], k=1, plan="exact").keys.tolist() != [key]
            assert both.search(-matrix[key], k=1, plan="exact").keys.tolist() == [key]


def test_changes_are_folded_in_by_the_next_build(folder, matrix):
    with cairn.ShardSet.open(folder, "r+") as live:
        live.upsert(3, matrix[8])
        live.upsert([N, N + 1], rows(2, DIMS, 77))
        live.remove(4)
    before = contents(folder)
    assert N in before and 4 not in before and before[3] == matrix[8].tobytes()
    folded = shards.rebalance(folder)
    assert all(file.sealed for file in folded.shards) and contents(folder) == before


def test_a_set_that_somebody_changes_is_not_rebuilt(folder, matrix):
    with cairn.ShardSet.open(folder, "r+") as live:
        live.upsert(3, matrix[8])
        with pytest.raises(cairn.PathInUseError):
            shards.rebalance(folder)
        assert shards.read_manifest(folder).generation == live.manifest.generation


# The set itself.


def test_filters_and_ranges_work_over_the_set(folder, matrix):
    one = whole(matrix)
    with cairn.ShardSet.open(folder) as opened:
        for made in ({"only": range(100, 300)}, {"except_": range(100)}, {"bits": np.arange(N) % 3 == 0}):
            wanted = one.search(matrix[:6], k=8, plan="exact", filter=one.filter(**made))
            found = opened.search(matrix[:6], k=8, plan="exact", filter=opened.filter(**made))
            assert (found.keys == wanted.keys).all()
        only = opened.filter(only=[5, 7])
        assert only.count == 2
        found = opened.search(matrix[:2], k=8, filter=[only, None])
        assert sorted(found[0].keys.tolist()) == [5, 7] and len(found[1].keys) == 8
        wanted = one.search_range(matrix[3], 0.5, plan="exact")
        found = opened.search_range(matrix[3], 0.5, plan="exact")
        assert found.keys.tolist() == wanted.keys.tolist() and found.shards.shards_answered == 4
    with pytest.raises(cairn.InvalidArgumentError, match="closed"):
        only.count


def test_ranges_of_a_set_are_ranked_by_the_callers_metric(folder, matrix):
    with shards.open(folder) as opened:
        within = opened.search_range(matrix[3], 0.7, plan="exact").keys.tolist()
        found = opened.search_range(matrix[3], 0.7, plan="exact", rerank=lambda key, vector: -key)
        assert len(within) > 5 and found.keys.tolist() == sorted(within)[::-1]
        assert found.distances.tolist() == [-float(key) for key in found.keys.tolist()]
        with pytest.raises(ZeroDivisionError):
            opened.search_range(matrix[3], 0.7, rerank=lambda key, vector: 1 / 0)
        with pytest.raises(TypeError, match="rerank"):
            opened.search_range(matrix[3], 0.7, rerank=5)


def test_pages_of_a_set_are_ordered_by_the_callers_metric(folder, matrix):
    with shards.open(folder) as opened:
        plain = opened.open_cursor(matrix[3], plan="exact")
        ranked = opened.open_cursor(matrix[3], plan="exact", rerank=lambda key, vector: -key)
        for _ in range(3):
            page = ranked.next(20)
            assert page.keys.tolist() == sorted(plain.next(20).keys.tolist())[::-1]
            assert page.distances.tolist() == [-float(key) for key in page.keys.tolist()]
        with pytest.raises(ZeroDivisionError):
            opened.open_cursor(matrix[3], rerank=lambda key, vector: 1 / 0).next(3)


def test_what_is_no_filter_of_a_set_is_a_type_error(folder, matrix):
    one = whole(matrix)
    with shards.open(folder) as opened:
        for wrong in (one.filter(only=[1]), 5, "keys", [1]):
            with pytest.raises(TypeError, match="ShardSet.filter"):
                opened.search(matrix[:1], filter=[wrong])
            with pytest.raises(TypeError, match="ShardSet.filter"):
                opened.search_range(matrix[3], 0.5, filter=wrong)
            with pytest.raises(TypeError, match="ShardSet.filter"):
                opened.open_cursor(matrix[3], filter=wrong)
        with pytest.raises(TypeError, match="ShardSet.filter"):
            opened.search(matrix[3], filter=one.filter(only=[1]))


def test_answers_of_a_set_can_be_pickled(folder, matrix):
    with shards.open(folder) as opened:
        for found in (opened.search(matrix[3]), opened.search_range(matrix[3], 0.5), opened.open_cursor(matrix[3]).next(5)):
            again = pickle.loads(pickle.dumps(found))
            assert again.pairs() == found.pairs() and again.report.distances == found.report.distances
        found = opened.search(matrix[:4])
        again = pickle.loads(pickle.dumps(found)).shards
        assert (again.shards_asked, again.shards_answered, again.missing) == (16, 16, [])


def test_the_callers_metric_of_a_set_gets_numbers_of_bfloat16(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1, 2], [3, 4]], np.float32))
    shards.build(shards.plan(tmp_path / "a.npy", 2, dtype="bfloat16", metric="l2sq"), tmp_path / "set")
    with shards.open(tmp_path / "set") as opened:
        found = opened.search([1, 2], k=2, rerank=lambda key, vector: -float(vector.sum()))
    assert found.pairs() == [(1, -7.0), (0, -3.0)]


def test_a_set_is_closed_pickled_and_asked_for_keys(folder, matrix):
    opened = cairn.ShardSet.open(folder)
    again = pickle.loads(pickle.dumps(opened))
    assert 7 in again and N not in again and "x" not in again and (again[7] == matrix[7]).all() and again.get(N) is None
    with pytest.raises(KeyError):
        again[N]
    with pytest.raises(cairn.ReadOnlyError):
        again.upsert(1, matrix[1])
    again.close()
    with pytest.raises(cairn.InvalidArgumentError, match="closed"):
        again.search(matrix[0])
    assert repr(opened) == f"<cairn.ShardSet of 4 shards, {N:,} vectors, 16 x f32>" and json.dumps(opened.params)


def test_shards_that_do_not_fit_together_are_refused(matrix, tmp_path):
    paths = []
    for i, options in enumerate(({}, {"metric": "l2sq"}, {"dtype": "float16"})):
        index = cairn.Index.create(dims=DIMS, **options)
        index.build(None, matrix[:50])
        paths.append(tmp_path / f"{i}.cairn")
        index.save(paths[-1])
    for other in paths[1:]:
        with pytest.raises(cairn.InvalidArgumentError, match=other.name):
            cairn.ShardSet.open([paths[0], other])
