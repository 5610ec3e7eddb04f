# SPDX-License-Identifier: Apache-2.0
"""Which rows go to which shard, and one shard of them: pure functions of files, so that any machine may do them, and do them again."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import _arrays, _core, _places
from ._arrays import KEYS, Array
from ._errors import CairnError, DimensionMismatchError, InvalidArgumentError, _make
from ._index import METRICS, SCALARS, Index, Progress, _number, _reporter, check_counts
from ._inputs import Input, blocks, common_type, look_all
from ._shard_set import PARTITIONS

SAMPLE_RUNS = 1_024  # a sample is so many pieces of the rows: each is one read
PER_VECTOR = 500  # bytes of memory that a vector takes in a build beyond its components, m 16
AT_LEAST = 256 << 20  # what a build takes in any case


@dataclasses.dataclass(frozen=True)
class Task:
    """One shard that is to be built: `cairn.shards.build_shard` does it.

    Which rows of the inputs it gets: those that `numbers` lists, ascending; or else those from `first` to `last` whose keys
    `hashed` (shard, seed, shards) sends here.
    """

    shard: int
    inputs: tuple[Input, ...]
    params: dict[str, Any]
    first: int
    last: int
    hashed: tuple[int, int, int] | None = None
    numbers: Array | None = None
    has_copies: bool = False  # a key may come twice; then the first one counts
    dropped: Array | None = None  # numbers of rows that it does not get, ascending

    @property
    def rows(self) -> int:
        """How many there are; of hashed ones about."""
        if self.numbers is not None:
            return len(self.numbers)
        return (self.last - self.first) // (self.hashed[2] if self.hashed else 1)

    @property
    def memory(self) -> int:
        """Bytes that building it takes, about: its rows once as they are read, once in the index, and the graph."""
        dims: int = self.params["dims"]
        m: int = self.params["m"]
        width = dims * 4 + np.dtype(self.inputs[0].dtype).itemsize * self.inputs[0].dims
        return AT_LEAST + self.rows * (width + dims + PER_VECTOR * m // 16)

    def read(self) -> tuple[Array, Array]:
        """Keys and vectors."""
        keys, rows = _Growing(self.rows, (), KEYS), None
        for at, numbers, some in self._blocks():
            if self.numbers is not None:
                low, high = np.searchsorted(self.numbers, [at, at + len(some)])
                chosen = self.numbers[low:high].astype(np.int64) - at
                numbers, some = numbers[chosen], some[chosen]
            elif self.hashed is not None:
                shard, seed, shards = self.hashed
                mine = _core.shards_of_keys(np.ascontiguousarray(numbers), seed, shards) == shard
                numbers, some = numbers[mine], some[mine]
            elif self.dropped is not None:
                low, high = np.searchsorted(self.dropped, [at, at + len(some)])
                kept = np.ones(len(some), bool)
                kept[self.dropped[low:high] - at] = False
                numbers, some = numbers[kept], some[kept]
            rows = rows or _Growing(self.rows, (some.shape[1],), common_type(self.inputs))
            keys.add(numbers)
            rows.add(some)
        if rows is None:
            return np.empty(0, KEYS), np.empty((0, self.inputs[0].dims), np.dtype(self.inputs[0].dtype))
        return self._once(keys.array(), rows.array()) if self.has_copies else (keys.array(), rows.array())

    def _blocks(self) -> Iterator[tuple[int, Array, Array]]:
        if self.numbers is None:
            yield from blocks(self.inputs, self.first, self.last)
            return
        # Runs of rows that lie near each other are read together.
        numbers = self.numbers.astype(np.int64)
        if len(numbers):
            gaps = np.flatnonzero(np.diff(numbers) > 1_024) + 1
            for run in np.split(numbers, gaps):
                yield from blocks(self.inputs, int(run[0]), int(run[-1]) + 1)

    @staticmethod
    def _once(keys: Array, rows: Array) -> tuple[Array, Array]:
        _, first = np.unique(keys, return_index=True)
        if len(first) == len(keys):
            return keys, rows
        first.sort()
        return keys[first], rows[first]


class _Growing:
    """An array that rows are added to; about `rows` are expected."""

    def __init__(self, rows: int, shape: tuple[int, ...], dtype: Any) -> None:
        self._data = np.empty((rows + rows // 16 + 64, *shape), dtype)
        self._size = 0

    def add(self, rows: Array) -> None:
        if self._size + len(rows) > len(self._data):
            grown = np.empty((max(self._size + len(rows), len(self._data) * 5 // 4), *self._data.shape[1:]), self._data.dtype)
            grown[: self._size] = self._data[: self._size]
            self._data = grown
        self._data[self._size : self._size + len(rows)] = rows
        self._size += len(rows)

    def array(self) -> Array:
        return self._data[: self._size]


@dataclasses.dataclass(frozen=True)
class Plan:
    """How a set is to be built; made by `cairn.shards.plan`. It can be pickled, and the same plan gives the same files."""

    inputs: tuple[Input, ...]
    params: dict[str, Any]
    partition: str
    shards: int
    router: bytes | None = None  # a .cairn file
    gaps: tuple[float, ...] = ()
    sources: tuple[tuple[int, ...], ...] | None = None  # of each shard, the inputs that its rows are in; None: all
    has_copies: bool = False
    hash_seed: int = 0
    begins_from: int = 0  # the generation that it replaces
    dropped: Array | None = None  # not by hash: numbers of rows that are left out, ascending

    @property
    def rows(self) -> int:
        return sum(one.rows for one in self.inputs)

    def parts(self, n: int) -> list[tuple[int, int]]:
        """n ranges that are all rows."""
        return [(i * self.rows // n, (i + 1) * self.rows // n) for i in range(n)]

    def assign(self, first: int, last: int) -> Array:
        """Of clusters: the shards of rows, as pairs (row number, shard), in the order of the rows; a copy is another pair."""
        found = []
        kind, dims = _kind(self.params), self.params["dims"]
        with self._open_router() as router:
            for at, _, rows in blocks(self.inputs, first, last):
                fit = _arrays.vectors(rows, kind, dims, "assign")
                pair: tuple[Any, Any] = _core.assign(router._core, list(self.gaps), fit, SCALARS[kind], dims, 0)
                one, two = pair
                numbers = np.arange(at, at + len(rows), dtype=KEYS)
                copied = two != 0xFFFFFFFF
                pairs = np.concatenate([np.stack([numbers, one], 1), np.stack([numbers[copied], two[copied]], 1)])
                found.append(pairs[np.argsort(pairs[:, 0], kind="stable")])
        return np.concatenate(found) if found else np.empty((0, 2), KEYS)

    @contextlib.contextmanager
    def _open_router(self) -> Iterator[Index]:
        with tempfile.TemporaryDirectory(prefix="cairn-") as folder:
            path = os.path.join(folder, "router.cairn")
            with open(path, "wb") as file:
                file.write(self.router or b"")
            with Index.open(path) as index:
                yield index

    def tasks(self, pairs: Sequence[Array] = ()) -> list[Task]:
        """The shards to be built. Of clusters `pairs` are what `assign` has said of all rows, in order."""
        if self.partition == "clusters":
            numbers, shards = (np.concatenate([part[:, i] for part in pairs]) for i in (0, 1))
            if self.dropped is not None:
                kept = ~np.isin(numbers, self.dropped)
                numbers, shards = numbers[kept], shards[kept]
            order = np.argsort(shards, kind="stable")
            ends = np.searchsorted(shards[order], np.arange(self.shards + 1))
            mine = [np.ascontiguousarray(numbers[order[ends[i] : ends[i + 1]]]) for i in range(self.shards)]
            return [
                Task(i, self.inputs, self.params, 0, self.rows, None, mine[i], self.has_copies) for i in range(self.shards)
            ]
        tasks = []
        for i, (first, last) in enumerate(self.parts(self.shards)):
            hashed = None
            inputs = self.inputs
            if self.partition == "hash":
                hashed = (i, self.hash_seed, self.shards)
                if self.sources is not None:
                    inputs = tuple(self.inputs[j] for j in self.sources[i])
                first, last = 0, sum(one.rows for one in inputs)
            dropped = None
            if self.dropped is not None:
                dropped = self.dropped[slice(*np.searchsorted(self.dropped, [first, last]))]
            tasks.append(Task(i, inputs, self.params, first, last, hashed, None, self.has_copies, dropped))
        return tasks

    def manifest(self, files: Sequence[_core.ShardFile], router: _core.ShardFile | None = None) -> _core.ShardManifest:
        """The manifest of the files that were built, to be published."""
        made = _core.ShardManifest()
        index = Index.create(**self.params)
        made.set_params(*index._core.params())
        made.partition = PARTITIONS[self.partition]
        made.seed = self.hash_seed if self.partition == "hash" else 0
        made.gaps = list(self.gaps)
        made.shards = list(files)
        made.router = router
        made.generation = self.begins_from
        return made


def _kind(params: dict[str, Any]) -> str:
    return _arrays.kind_of(params["dtype"])


def plan(
    inputs: Any,
    shards: int,
    *,
    partition: str = "hash",
    vectors: str | None = None,
    keys: str | None = None,
    metric: str = "cosine",
    dtype: Any = "float32",
    m: int = 16,
    ef_construction: int = 200,
    seed: int = 42,
    traversal: str = "automatic",
    copies: float = 0.3,
    centroids: int = 0,
    sample: int = 0,
    threads: int = 0,
    progress: Progress = None,
) -> Plan:
    """How files of vectors become a set of shards. Only headers are read; with clusters also a sample.

    Args:
        inputs: a file or a list of files, of .npy, .fbin, .i8bin, .u8bin, .parquet or .cairn: paths, or URLs that fsspec knows.
            Without keys of its own a row's number, over all files, is its key. Of different types, they become the least that holds
            the values of all. A .cairn file has one vector a key.
        shards: how many.
        partition: "hash": by keys, so that every shard is like the whole, and the set can be changed. Each task reads all inputs.
            "rows": ranges of rows, the same without reading more than its own. "clusters": vectors that are near each
            other go together, so that a search need not ask all shards; metrics "cosine" and "l2sq".
        vectors, keys: columns of Parquet, as for `cairn.read_parquet`.
        metric, dtype, m, ef_construction, seed, traversal: as for `Index.create`.
        copies: of clusters: what part of the vectors is in a second shard, too.
        centroids: of clusters: of the router, for each shard; 0: 128, or fewer where rows are few.
        sample: of clusters: rows to find them from, evenly from all; 0: 512 for each centroid, at most 500,000.
    """
    _number(PARTITIONS, partition, "partition")
    check_counts("plan", shards=shards)
    if not 1 <= shards <= 65_536:
        raise InvalidArgumentError(f"{shards} shards: not 1 to 65,536")
    found = tuple(look_all(inputs, vectors=vectors, keys=keys))
    kind = _arrays.kind_of(dtype)
    if kind == "bf16" and len({np.dtype(one.dtype) == np.uint16 for one in found}) == 2:
        raise InvalidArgumentError("plan: of bfloat16 some inputs are bit patterns (uint16), and others are numbers")
    dims = found[0].dims * 8 if kind == "b1" else found[0].dims
    params = Index.create(
        dims=dims, metric=metric, dtype=dtype, m=m, ef_construction=ef_construction, seed=seed, traversal=traversal
    ).params
    made = Plan(found, params, partition, shards, hash_seed=seed)
    if partition != "clusters":
        return made
    centroids = centroids or max(1, min(128, made.rows // (8 * shards)))
    rows = _sample(made, sample or min(500_000, 512 * centroids * shards))
    return _clustered(made, rows, copies, centroids, threads, progress)


def _sample(made: Plan, wanted: int) -> Array:
    """Rows from all over the inputs, the same for the same inputs and seed."""
    total = made.rows
    if total <= wanted:
        return np.concatenate([rows for _, _, rows in blocks(made.inputs, 0, total)])
    runs = min(SAMPLE_RUNS, wanted)
    length = -(-wanted // runs)
    starts = np.linspace(0, total, runs, endpoint=False).astype(np.int64)
    room = max(1, total // runs - length)
    starts += np.random.Generator(np.random.PCG64(made.params["seed"])).integers(0, room, runs)
    return np.concatenate([rows for at in starts.tolist() for _, _, rows in blocks(made.inputs, at, min(total, at + length))])


def _clustered(made: Plan, rows: Array, copies: float, centroids: int, threads: int, progress: Progress) -> Plan:
    params = made.params
    kind = _kind(params)
    fit = np.ascontiguousarray(_arrays.vectors(rows, kind, params["dims"], "plan"))
    core, gaps = _core.cluster(
        METRICS[params["metric"]],
        fit,
        SCALARS[kind],
        params["dims"],
        made.shards,
        centroids,
        copies,
        1.05,
        params["seed"],
        threads,
        _reporter(progress, "vectors"),
    )
    with tempfile.TemporaryDirectory(prefix="cairn-") as folder:
        path = os.path.join(folder, "router.cairn")
        Index._wrap(core).save(path)
        with open(path, "rb") as file:
            router = file.read()
    return dataclasses.replace(made, router=router, gaps=tuple(gaps))


def build_shard(task: Task, place: Any, *, threads: int = 0) -> _core.ShardFile:
    """Builds one shard and puts its file into a place, under a name that tells its contents. The same task gives the same file.

    Args:
        place: of the set: a folder, or a URL that fsspec knows.
    """
    name = _places.text(place)
    try:
        keys, rows = task.read()
        index = Index.create(**task.params)
        if rows.shape[1] != task.inputs[0].dims:
            raise DimensionMismatchError(f"rows of {rows.shape[1]} components, not {task.inputs[0].dims}")
        index.build(keys, rows, threads=threads)
        del keys, rows
        return put_index(index, name)
    except CairnError as error:
        raise _make(error.code, error.name, f"shard {task.shard} for {name}: {error}") from error


def put_index(index: Index, name: str) -> _core.ShardFile:
    """The file of an index in a place, named by its contents."""
    if not _places.is_remote(name):
        return _core.add_file(os.fsencode(name), index._core)
    with tempfile.TemporaryDirectory(prefix="cairn-") as folder:
        file = _core.add_file(os.fsencode(folder), index._core)
        _places.upload(os.path.join(folder, file.file), _places.join(name, file.file))
    return file
