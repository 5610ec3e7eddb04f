# SPDX-License-Identifier: Apache-2.0
"""Errors: each has a code, a name, and is what Python calls it."""
import io
import pickle
import re
from pathlib import Path

import numpy as np
import pytest

import cairn
from cairn import _errors


def raised(call):
    with pytest.raises(cairn.CairnError) as caught:
        call()
    return caught.value


def test_errors_are_what_python_calls_them():
    bases = {
        cairn.InvalidArgumentError: ValueError, cairn.DimensionMismatchError: ValueError, cairn.NotFiniteError: ValueError,
        cairn.KeyExistsError: KeyError, cairn.KeyNotFoundError: KeyError, cairn.UnsupportedError: io.UnsupportedOperation,
        cairn.ReadOnlyError: io.UnsupportedOperation, cairn.NotEmptyError: ValueError, cairn.IoError: OSError,
        cairn.PathExistsError: FileExistsError, cairn.PathNotFoundError: FileNotFoundError, cairn.PathInUseError: BlockingIOError,
        cairn.PermissionDeniedError: PermissionError, cairn.OutOfMemoryError: MemoryError, cairn.DamagedFileError: ValueError,
        cairn.DeadlineExceededError: TimeoutError, cairn.BusyError: BlockingIOError,
    }
    for kind, base in bases.items():
        assert issubclass(kind, base) and issubclass(kind, cairn.CairnError)


def test_every_code_of_the_library_has_a_class():
    header = Path(__file__).parents[2] / "engine/include/cairn/error.h"
    if not header.exists():
        pytest.skip("not in a checkout")
    names = re.findall(r"^  (\w+) = \d+,$", header.read_text(), re.M)
    assert len(names) > 20 and set(names) - {"internal"} == set(_errors._CLASSES)


def test_errors_can_be_pickled():
    error = raised(lambda: cairn.Index.open("/nowhere/at/all"))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and (again.code, again.name, str(again)) == (23, "path_not_found", str(error))


def test_what_can_be_wrong_with_arguments(index, vectors):
    expected = [
        (lambda: index.search(vectors[0], k=0), "invalid_argument"),
        (lambda: index.search(vectors[0][:5]), "dimension_mismatch"),
        (lambda: index.search(vectors[:3, :5]), "dimension_mismatch"),
        (lambda: index.search(np.full(16, np.nan, np.float32)), "not_finite"),
        (lambda: index.search(np.full((2, 16), np.inf, np.float32)), "not_finite"),
        (lambda: index.add(0, vectors[0]), "key_exists"),
        (lambda: index.add(1, vectors[0][:5]), "dimension_mismatch"),
        (lambda: index.add([1, 2], vectors[:3]), "invalid_argument"),
        (lambda: index.remove(1), "key_not_found"),
        (lambda: index[1], "key_not_found"),
        (lambda: index.build([1], vectors[:1]), "not_empty"),
        (lambda: cairn.Index.create(dims=16).build([1, 1], vectors[:2]), "key_exists"),
        (lambda: cairn.Index.create(dims=16).build([1], vectors[:2]), "invalid_argument"),
        (lambda: cairn.Index.create(dims=0), "invalid_argument"),
        (lambda: cairn.Index.create(dims=10**6), "invalid_argument"),
        (lambda: cairn.Index.create(dims=4, m=1), "invalid_argument"),
        (lambda: cairn.Index.create(dims=4, metric="manhattan"), "invalid_argument"),
        (lambda: cairn.Index.create(dims=4, metric="hamming"), "invalid_argument"),
        (lambda: cairn.Index.create(dims=4, durability="maybe"), "invalid_argument"),
        (lambda: cairn.Index.create("a\0b", dims=4), "invalid_argument"),
        (lambda: index.export("x", "pinecone"), "invalid_argument"),
        (lambda: index.export("x", "faiss"), "unsupported"),
    ]
    for i, (call, name) in enumerate(expected):
        assert raised(call).name == name, i
    assert len(index) == 300


def test_wrong_types_are_type_errors(index, vectors):
    for call in (lambda: index.search(vectors[0], k="3"), lambda: index.search(vectors[0], k=2.5), lambda: cairn.Index(),
                 lambda: cairn.Index.create(), lambda: cairn.Index.open(3.5), lambda: index.build([1], vectors[:1], progress=3)):
        with pytest.raises(TypeError):
            call()


def test_numbers_that_do_not_fit_are_errors(index, vectors):
    for call in (lambda: index.search(vectors[0], k=-1), lambda: index.search(vectors[0], ef=-1),
                 lambda: index.search(vectors[:2], threads=-1), lambda: cairn.Index.create(dims=-3),
                 lambda: cairn.Index.create(dims=3, seed=-1), lambda: cairn.Index.create(dims=3, m=2**40)):
        with pytest.raises((ValueError, TypeError, OverflowError)):
            call()


def test_what_can_be_wrong_with_files(index, file, tmp_path, vectors):
    (tmp_path / "empty").touch()
    (tmp_path / "foreign").write_bytes(b"not at all" * 2000)
    (tmp_path / "cut").write_bytes(file.read_bytes()[:-5000])
    spoilt = bytearray(file.read_bytes())
    spoilt[spoilt.index(vectors[7].tobytes())] ^= 1
    (tmp_path / "spoilt").write_bytes(spoilt)
    assert raised(lambda: cairn.Index.open(tmp_path / "missing")).name == "path_not_found"
    assert isinstance(raised(lambda: cairn.Index.open(tmp_path)), cairn.CairnError)
    for name in ("empty", "foreign", "cut"):
        assert isinstance(raised(lambda: cairn.Index.open(tmp_path / name)), cairn.DamagedFileError)
    assert raised(lambda: cairn.Index.open(tmp_path / "spoilt", verify=True)).name == "corrupt"
    with cairn.Index.open(tmp_path / "spoilt") as index:
        report = index.verify()
        assert not report and report.findings
    with pytest.raises(ValueError):
        cairn.Index.open(file, "w")
    with pytest.raises(FileExistsError):
        cairn.Index.create(file, dims=16)
    with cairn.Index.open(file) as reader:
        for call in (lambda: reader.add(1, vectors[0]), lambda: reader.remove(0), lambda: reader.build([1], vectors[:1])):
            assert raised(call).name == "read_only"
    with cairn.Index.open(file, "r+"):
        assert isinstance(raised(lambda: cairn.Index.open(file, "r+")), BlockingIOError)


def test_a_closed_index_refuses_every_call(index, vectors, tmp_path):
    index.close()
    index.close()
    assert index.closed and "closed" in repr(index)
    for call in (lambda: index.search(vectors[0]), lambda: index.search(vectors), lambda: index.add(1, vectors[0]), lambda: index[0],
                 lambda: index.upsert(1, vectors[0]), lambda: index.remove(0), lambda: len(index), lambda: 0 in index,
                 lambda: index.save(tmp_path / "x"), lambda: index.verify(), lambda: index.stats, lambda: index.params,
                 lambda: index.compact(), lambda: index.build([1], vectors[:1]), lambda: index.sync(), lambda: index.warm(),
                 lambda: index.export(tmp_path / "x", "hnswlib"), lambda: index.metric, lambda: index.applied_up_to,
                 lambda: index.search(vectors[0].tolist()), lambda: index.get(0), lambda: index.refresh()):
        error = raised(call)
        assert error.name == "invalid_argument" and "closed" in str(error)
    assert index.dims == 16


def test_a_with_block_closes(path, vectors):
    with cairn.Index.create(path, dims=16) as index:
        index.add(1, vectors[0])
    assert index.closed
    with pytest.raises(RuntimeError, match="mine"):
        with cairn.Index.open(path, "r+") as index:
            raise RuntimeError("mine")
    assert index.closed
    cairn.Index.open(path, "r+").close()


@pytest.mark.parametrize("wrong", [2.0, "3", None])
def test_what_is_no_integer_is_a_type_error_that_names_it(wrong, index, vectors, tmp_path):
    path = tmp_path / "a.cairn"
    index.save(path)
    some = cairn.ShardSet.open([path])
    for name, call in (
        ("k", lambda: index.search(vectors[0], k=wrong)),
        ("k", lambda: index.search(vectors[:2], k=wrong)),
        ("ef", lambda: index.search(vectors[0], ef=wrong)),
        ("threads", lambda: index.search(vectors[:2], threads=wrong)),
        ("max_distances", lambda: index.search(vectors[0], plan="walk", max_distances=wrong) if wrong else {}[0]),
        ("dims", lambda: cairn.Index.create(dims=wrong)),
        ("k", lambda: some.search(vectors[0], k=wrong)),
        ("probe", lambda: some.search(vectors[0], probe=wrong)),
        ("shards", lambda: cairn.shards.plan(path, wrong)),
        ("keep", lambda: cairn.shards.prune(tmp_path, wrong)),
        ("generation", lambda: cairn.shards.read_manifest(tmp_path, wrong) if wrong else {}[0]),
    ):
        try:
            call()
        except TypeError as error:
            assert f"{name} {wrong!r} is no integer" in str(error)
        except KeyError:
            assert wrong is None  # it is the default
        else:
            pytest.fail(f"{name} was taken")


def test_numbers_beyond_64_bits_are_invalid_arguments(index, vectors):
    for call in (
        lambda: index.search(vectors[0], k=1 << 64),
        lambda: index.search(vectors[:2], k=1 << 70),
        lambda: index.search(vectors[0], ef=1 << 64),
        lambda: index.search(vectors[:2], threads=1 << 32),
        lambda: index.search(vectors[0], max_distances=1 << 64),
        lambda: cairn.Index.create(dims=1 << 64),
    ):
        with pytest.raises(cairn.InvalidArgumentError, match="too large"):
            call()


def test_numbers_of_32_bits_are_refused_by_name():
    for name in ("m", "ef_construction", "group_ms"):
        with pytest.raises(cairn.InvalidArgumentError, match=f"create: {name} {1 << 40} is too large"):
            cairn.Index.create(dims=3, **{name: 1 << 40})
    index = cairn.Index.create(dims=3)
    for lsn in (-1, 1 << 64):
        with pytest.raises(cairn.InvalidArgumentError, match=f"lsn {lsn}"):
            index.applied_up_to = lsn
