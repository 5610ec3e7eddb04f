# SPDX-License-Identifier: Apache-2.0
"""cairn.Index: vectors and keys, searched by nearness."""

from __future__ import annotations

import operator
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _arrays, _arrow, _core
from ._arrays import Array
from ._core import ImportReport, LatencyHistogram, RecallReport, SearchReport, Stats, VerifyReport
from ._core import Cursor as CoreCursor
from ._core import Filter as CoreFilter
from ._core import Index as Core
from ._core import SearchOptions
from ._errors import InvalidArgumentError, KeyNotFoundError, UnsupportedError

if TYPE_CHECKING:
    from typing_extensions import Self

F32 = np.dtype(np.float32)
KEYS = _arrays.KEYS
Path = str | bytes | os.PathLike[Any]
Progress = bool | Callable[[int, int], object] | None

METRICS = {"cosine": 1, "l2sq": 2, "inner_product": 3, "ip": 3, "hamming": 4}
SCALARS = {"f32": 1, "f16": 2, "bf16": 3, "i8": 4, "b1": 5}
TRAVERSALS = {"automatic": 0, "code": 1, "exact": 2}
SOURCES = {"automatic": 0, "hnsw_rs": 1, "hnswlib": 2, "usearch": 3, "faiss": 4}
PLANS = {"automatic": 0, "walk": 1, "exact": 2}
ORDERS = {"relaxed": 0, "strict": 1}
DURABILITIES = {"sync": 0, "group": 1, "none": 2}
CHECKS = {"none": 0, "on_first_use": 1}
NARROW = ("threads", "m", "ef_construction", "group_ms")  # of 32 bits in the core


def _number(words: dict[str, int], word: str, what: str) -> int:
    if word not in words:
        raise InvalidArgumentError(f"{what} {word!r}: not one of {', '.join(words)}")
    return words[word]


def _word(words: dict[str, int], number: int) -> str:
    return next(word for word, n in words.items() if n == number)


def _path(path: Path) -> bytes:
    """A path as the system has it; names need not be text."""
    name = os.fsencode(path)
    if b"\0" in name:
        raise InvalidArgumentError(f"path {path!r}: a NUL character")
    return name


def check_integers(what: str, **numbers: int) -> None:
    """Numbers that are whole, and not beyond what the core takes."""
    for name, number in numbers.items():
        try:
            is_beyond = operator.index(number) >= 1 << (32 if name in NARROW else 64)
        except TypeError:
            raise TypeError(f"{what}: {name} {number!r} is no integer") from None
        if is_beyond:
            raise InvalidArgumentError(f"{what}: {name} {number} is too large")


def check_counts(what: str, **counts: int) -> None:
    """Numbers that count something are such, and not below 0."""
    check_integers(what, **counts)
    for name, count in counts.items():
        if count < 0:
            raise InvalidArgumentError(f"{what}: {name} {count}: less than 0")


def end_of(timeout: float | None, deadline: float | None) -> float:
    """When a search ends, as a time of time.monotonic(); 0: never."""
    ends = [end for end in (deadline, None if timeout is None else time.monotonic() + timeout) if end is not None]
    if any(end != end for end in ends):
        raise InvalidArgumentError(f"timeout {timeout}, deadline {deadline}: not a number")
    return max(min(ends), 1e-9) if ends else 0.0


class Matches:
    """What a search has found, nearest first.

    Unpacks into keys and distances: ``keys, distances = index.search(query)``.

    Attributes:
        keys: uint64; (found,) of one query, (queries, k) of several.
        distances: float32, of the same shape. Cosine 1 - cos, l2sq squared, inner_product 1 - ip, hamming bits.
        counts: how many were found: an int, or (queries,). What stands behind them in a row means nothing.
    """

    __slots__ = ("_report", "counts", "distances", "keys")
    keys: NDArray[np.uint64]
    distances: NDArray[np.float32]
    counts: Any
    _report: SearchReport

    def __init__(self, keys: Array, distances: Array, counts: Any) -> None:
        self.keys = keys
        self.distances = distances
        self.counts = counts

    @property
    def report(self) -> SearchReport | None:
        """What the search has done; None if it was asked for nothing but k, ef and threads."""
        return getattr(self, "_report", None)

    def __iter__(self) -> Iterator[Array]:
        yield self.keys
        yield self.distances

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, i: int) -> Matches:
        """The matches of query i, without what stands behind their count."""
        if self.keys.ndim != 2:
            raise TypeError("the matches of one query have no rows; see pairs()")
        n = int(self.counts[i])
        return Matches(self.keys[i, :n], self.distances[i, :n], n)

    def pairs(self) -> list[tuple[int, float]]:
        """(key, distance) for each match of one query."""
        if self.keys.ndim != 1:
            raise TypeError("matches of several queries: matches[i].pairs()")
        return list(zip(self.keys.tolist(), self.distances.tolist(), strict=True))

    def __repr__(self) -> str:
        if self.keys.ndim == 2:
            return f"<Matches of {len(self)} queries>"
        shown = ", ".join(f"{key}: {distance:.4g}" for key, distance in self.pairs()[:5])
        return f"<Matches {{{shown}{', ...' if len(self) > 5 else ''}}}>"


_core.use_numpy(np.ndarray, np.empty, Matches, F32, KEYS)


def _reporter(progress: Progress, unit: str) -> Callable[[int, int], object] | None:
    """progress=True: tqdm if it is installed, else lines."""
    if progress is None or progress is False:
        return None
    if progress is not True:
        if not callable(progress):
            raise TypeError(f"progress: {progress!r} is neither a bool nor callable")
        return progress
    try:
        from tqdm.auto import tqdm  # type: ignore[import-untyped,unused-ignore]
    except ImportError:
        last = -1

        def print_tenth(done: int, total: int) -> None:
            nonlocal last
            tenth = 10 * done // total if total else 0
            if tenth != last:
                last = tenth
                print(f"{done:,} of {total:,} {unit}", flush=True)

        return print_tenth
    bar: Any = None

    def update(done: int, total: int) -> None:
        nonlocal bar
        if bar is None and total:
            bar = tqdm(total=total, unit=f" {unit}", unit_scale=True)
        if bar is not None:
            bar.update(done - bar.n)
            if done >= total:
                bar.close()

    return update


def _reranker(rerank: Callable[[int, Array], float] | None, kind: str) -> Callable[[int, bytes], float] | None:
    """The caller's metric as the core asks it: with the bytes of a stored vector."""
    if rerank is None:
        return None
    if not callable(rerank):
        raise TypeError(f"rerank: {rerank!r} cannot be called")
    dtype = _arrays.DTYPES[kind]
    if kind == "bf16":
        return lambda key, raw: float(rerank(key, (np.frombuffer(raw, dtype).astype(np.uint32) << 16).view(np.float32)))
    return lambda key, raw: float(rerank(key, np.frombuffer(raw, dtype)))


class Index:
    """A vector index: a graph (HNSW) over vectors, in memory or in one file.

    Made by `Index.create`, opened by `Index.open`, closed by `close` or a ``with`` block. All methods may be called from
    any number of threads; searches do not wait for changes, nor hold Python's lock.

    >>> import numpy as np, cairn
    >>> index = cairn.Index.create(dims=2)
    >>> index.build([7, 8], np.array([[1, 0], [0, 1]], np.float32))
    >>> index.search([1, 0], k=1).pairs()
    [(7, 0.0)]
    """

    __slots__ = ("_core", "_dims", "_imported", "_kind", "_opened", "__weakref__")
    _core: Core
    _dims: int
    _imported: ImportReport | None
    _kind: str
    _opened: tuple[bytes, dict[str, Any]] | None

    def __init__(self) -> None:
        raise TypeError("Index.create() makes an index, Index.open() opens one")

    @classmethod
    def _wrap(cls, core: Core, opened: tuple[bytes, dict[str, Any]] | None = None) -> Index:
        self = object.__new__(cls)
        self._core = core
        self._opened = opened
        self._imported = None
        dims, _, scalar, *_ = core.params()
        self._dims = dims
        self._kind = _word(SCALARS, scalar)
        return self

    @classmethod
    def create(
        cls,
        path: Path | None = None,
        *,
        dims: int,
        metric: str = "cosine",
        dtype: Any = "float32",
        m: int = 16,
        ef_construction: int = 200,
        seed: int = 42,
        traversal: str = "automatic",
        several_per_key: bool = False,
        durability: str = "sync",
        group_ms: int = 5,
        max_vectors: int = 0,
    ) -> Index:
        """An empty index; with a path it lives in that file, and each change is on disk when its call returns.

        Args:
            path: of a new file. PathExistsError if there is one.
            dims: components of a vector, 1 to 65,535.
            metric: "cosine", "l2sq", "inner_product" ("ip"), or "hamming" for bits.
            dtype: what is stored: "float32", "float16", "bfloat16", "int8", or "b1" (bits, packed into uint8, lowest first).
            m: links a vector has on the upper levels, 2 to 256; level 0 has about three times as many.
            ef_construction: candidates looked at for each new vector.
            seed: of the levels and the order of building. Keep it secret if others choose the keys.
            traversal: "automatic", "code" or "exact": what the graph is walked on.
            several_per_key: a key may have several vectors: add appends, upsert replaces all, results name a key once.
            durability: "sync", "group" (within group_ms) or "none"; of a file.
            max_vectors: addresses for so many are reserved at once; 0: they are taken as it grows.
        """
        check_counts("create", dims=dims, m=m, ef_construction=ef_construction, seed=seed, group_ms=group_ms, max_vectors=max_vectors)
        return cls._wrap(
            Core.create(
                None if path is None else _path(path),
                dims,
                _number(METRICS, metric, "metric"),
                SCALARS[_arrays.kind_of(dtype)],
                m,
                ef_construction,
                seed,
                _number(TRAVERSALS, traversal, "traversal"),
                several_per_key,
                _number(DURABILITIES, durability, "durability"),
                group_ms,
                max_vectors,
            )
        )

    @classmethod
    def open(
        cls,
        path: Path,
        mode: str = "r",
        *,
        load: bool = False,
        verify: bool = False,
        durability: str = "sync",
        group_ms: int = 5,
        max_vectors: int = 0,
        salvage: bool = False,
        guard: bool = False,
        check: str = "none",
        progress: Progress = None,
    ) -> Index:
        """Opens a file, in constant time: it is searched from the memory map.

        Args:
            mode: "r" to read, beside any number of others; "r+" to change it too, which one process may at a time.
            load: read all into memory and check every page first.
            verify: check every page first.
            durability, group_ms, max_vectors: as for `create`, with mode "r+".
            salvage: open a file whose log has lost acknowledged changes, with those before the loss.
            guard: a page that cannot be read, because the disk fails or the file was cut, ends a search with IoError
                instead of the process with SIGBUS. Installs a handler of that signal.
            check: "on_first_use", with mode "r" and without load: each page is compared with its checksum before
                searches, `get` and `keys` first use it, and what meets a damaged one raises DamagedFileError.
        """
        if mode not in ("r", "r+"):
            raise InvalidArgumentError(f"mode {mode!r}: not 'r' or 'r+'")
        check_counts("open", group_ms=group_ms, max_vectors=max_vectors)
        path = os.path.abspath(_path(path))
        core = Core.open(
            path,
            mode == "r+",
            load,
            verify,
            _number(DURABILITIES, durability, "durability"),
            group_ms,
            max_vectors,
            salvage,
            guard,
            _number(CHECKS, check, "check"),
            _reporter(progress, "changes"),
        )
        return cls._wrap(core, (path, {"load": load, "guard": guard, "check": check}) if mode == "r" else None)

    def close(self) -> None:
        """Ends it; a file that was written is up to date then. Calls that run in other threads end first.

        All later calls raise InvalidArgumentError; closing again does nothing.
        """
        self._core.close()

    @property
    def closed(self) -> bool:
        return self._core.closed

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # What it is.

    @property
    def dims(self) -> int:
        return self._dims

    @property
    def metric(self) -> str:
        return _word(METRICS, self._core.params()[1])

    @property
    def dtype(self) -> str:
        """The kind of a stored component: "f32", "f16", "bf16", "i8" or "b1"."""
        return self._kind

    @property
    def params(self) -> dict[str, Any]:
        dims, metric, scalar, m, ef_construction, seed, traversal, several_per_key = self._core.params()
        return {
            "dims": dims,
            "metric": _word(METRICS, metric),
            "dtype": _word(SCALARS, scalar),
            "m": m,
            "ef_construction": ef_construction,
            "seed": seed,
            "traversal": _word(TRAVERSALS, traversal),
            "several_per_key": several_per_key,
        }

    @property
    def stats(self) -> Stats:
        return self._core.stats()

    def __repr__(self) -> str:
        if self.closed:
            return "<cairn.Index, closed>"
        return f"<cairn.Index of {len(self):,} vectors, {self._dims} x {self._kind}, {self.metric}>"

    # Keys and vectors.

    def __len__(self) -> int:
        return len(self._core)

    def __contains__(self, key: Any) -> bool:
        try:
            number = _arrays.key(key, "in")
        except (TypeError, ValueError):
            return False
        return self._core.contains(number)

    def keys(self) -> Iterator[int]:
        """All keys, in no order that means anything; ``for key in index`` does the same.

        Others may add and remove meanwhile: what is there throughout comes exactly once. Needs the same little memory for any
        number of keys.
        """
        for numbers in self._key_arrays():
            yield from numbers.tolist()

    def __iter__(self) -> Iterator[int]:
        return self.keys()

    def _key_arrays(self, at_once: int = 4096) -> Iterator[Array]:
        position, done = 0, False
        while not done:
            numbers = np.empty(at_once, KEYS)
            found, position, done = self._core.keys(position, numbers)
            yield numbers[:found]

    def _places(self, at_once: int = 4096) -> Iterator[tuple[Array, Array]]:
        """Of each vector its key, and its number from 0 among those of that key; all of a key one after the other."""
        has_several = self._core.params()[7]
        for keys in self._key_arrays(at_once):
            if not has_several:
                yield keys, np.zeros(len(keys), KEYS)
                continue
            counts = np.fromiter(map(self._core.count, keys.tolist()), np.int64, len(keys))
            places = np.repeat(keys, counts)
            numbers = np.arange(len(places), dtype=KEYS) - np.repeat(np.cumsum(counts) - counts, counts).astype(KEYS)
            for at in range(0, len(places), at_once):
                yield places[at : at + at_once], numbers[at : at + at_once]

    def _rows(self, keys: Array, numbers: Array) -> tuple[Array, Array]:
        """Keys and vectors of such places; those that have been removed meanwhile are left out."""
        keys, rows = keys.copy(), np.empty((len(keys), self._dims), np.float32)
        found = self._core.get_rows(keys, numbers, rows)
        return keys[:found], self._as_given(rows[:found])

    def _as_given(self, floats: Array) -> Array:
        if self._kind in ("f16", "i8"):
            return floats.astype(_arrays.DTYPES[self._kind])
        return np.packbits(floats.astype(bool), axis=-1, bitorder="little") if self._kind == "b1" else floats

    def get(self, key: int, default: Any = None) -> Any:
        """The vector of a key as it was given, or `default`."""
        try:
            return self[key]
        except KeyNotFoundError:
            return default

    def __getitem__(self, key: int) -> Array:
        """The vector of a key as it was given, the first if it has several; bfloat16 as float32, bits packed. KeyError if none."""
        out = np.empty(self._dims, np.float32)
        self._core.get(_arrays.key(key, "get"), 0, out)
        return self._as_given(out)

    def count(self, key: int) -> int:
        """How many vectors a key has: more than one only with several_per_key."""
        return self._core.count(_arrays.key(key, "count"))

    def get_all(self, key: int) -> Array:
        """All vectors of a key, (n, dims), in the order in which they were added; none if there is no such key."""
        number = _arrays.key(key, "get_all")
        rows = np.empty((self._core.count(number), self._dims), np.float32)
        for i, row in enumerate(rows):
            try:
                self._core.get(number, i, row)
            except KeyNotFoundError:  # replaced meanwhile
                rows = rows[:i]
                break
        return self._as_given(rows)

    def __delitem__(self, key: int) -> None:
        self.remove(key)

    def __setitem__(self, key: int, vector: Any) -> None:
        self.upsert(key, vector)

    # Changes.

    def build(self, keys: Any, vectors: Any, *, threads: int = 0, progress: Progress = None) -> None:
        """Inserts all rows at once, in parallel; the index must be empty. Ctrl-C ends it and leaves the index empty.

        Args:
            keys: n integers, or None for 0 ... n - 1.
            vectors: (n, dims): NumPy, or anything with the buffer protocol or DLPack.
            threads: 0: all cores. The result is the same for any number.
            progress: True for a bar, or a callable that is given (done, total).
        """
        check_counts("build", threads=threads)
        rows = _arrays.vectors(vectors, self._kind, self._dims, "build")
        numbers = np.arange(len(rows), dtype=_arrays.KEYS) if keys is None else _arrays.keys(keys, "build")
        self._core.build(numbers, rows, threads, _reporter(progress, "vectors"))

    def add(self, key: Any, vector: Any) -> None:
        """Adds one vector, or several: keys (n,), vectors (n, dims). KeyExistsError names the row; those before it stay."""
        self._put(key, vector, False, "add")

    def upsert(self, key: Any, vector: Any) -> None:
        """As add, but replaces the vector that a key has."""
        self._put(key, vector, True, "upsert")

    def _put(self, key: Any, vector: Any, replaces: bool, what: str) -> None:
        array = _arrays.vectors(vector, self._kind, self._dims, what, (1, 2))
        if array.ndim == 1:
            self._core.put_rows(np.array([_arrays.key(key, what)], _arrays.KEYS), array[None, :], replaces)
        else:
            self._core.put_rows(_arrays.keys(key, what), array, replaces)

    def remove(self, key: int) -> None:
        """KeyError if there is none."""
        self._core.remove(_arrays.key(key, "remove"))

    def compact(self, *, threads: int = 0, erase: bool = False, progress: Progress = None) -> None:
        """Moves the vectors together and gives memory and disk back; searches go on.

        Args:
            erase: of a file: what was removed is overwritten with zeros.
        """
        check_counts("compact", threads=threads)
        self._core.compact(threads, erase, _reporter(progress, "vectors"))

    # Searching.

    def search(
        self,
        query: Any,
        k: int = 10,
        ef: int = 64,
        *,
        filter: Filter | Sequence[Filter | None] | None = None,
        plan: str = "automatic",
        max_distances: int = 0,
        timeout: float | None = None,
        deadline: float | None = None,
        rerank: Callable[[int, Array], float] | None = None,
        report: bool = False,
        threads: int = 0,
    ) -> Matches:
        """The k nearest vectors.

        Args:
            query: (dims,) for one, (n, dims) for several.
            k: results wanted; beyond 1,024 no more than there are vectors.
            ef: candidates that a search keeps: more finds more, and takes longer. 0: the advised one.
            filter: which keys may be among the results, made by `filter`; for several queries also a list, one or None a query.
            plan: "walk" through the graph, "exact" looks at every vector, "automatic" takes what should be quicker.
            max_distances, timeout, deadline: limits: distances computed, seconds, and a time of time.monotonic(). What has been
                found by then is the answer, and its report is not complete; DeadlineExceededError if that is nothing.
            rerank: called with key and vector of each of the max(k, ef) candidates, perhaps by several threads in turn and more
                than once; its values rank the results, and are their distances. It must not change the index.
            report: says what was done, in `Matches.report`; any of the options above it does so, too.
            threads: for several queries; 0: all cores. Ctrl-C ends a search of a thousand or more.

        Returns:
            Matches: keys and distances, nearest first, ties by key.
        """
        is_plain = filter is None and rerank is None and timeout is None and deadline is None and not max_distances
        is_plain = is_plain and not report and plan == "automatic"
        if is_plain:
            quick: Any = None  # Matches, if that is the way
            try:  # it costs nothing, and a context manager does
                quick = self._core.search_quick(query, k, ef)
            except TypeError:
                pass  # it is told below what is no integer
            if quick is not None:
                return quick  # type: ignore[no-any-return]
        array = _arrays.vectors(query, self._kind, self._dims, "search", (1, 2))
        check_integers("search", k=k, ef=ef)
        if k < 1 or ef < 0:
            raise InvalidArgumentError(f"search: k {k}, ef {ef}: less than {int(k < 1)}")
        if k > 1024:  # no memory for more than there are
            k = min(k, max(1024, len(self._core)))
        options = self._options(filter, plan, max_distances, timeout, deadline, rerank, None if array.ndim == 1 else len(array))
        if array.ndim == 1:
            keys, distances = np.empty(k, KEYS), np.empty(k, F32)
            found, done = self._core.search_any(array, k, ef, options, keys, distances)
            matches = Matches(keys[:found], distances[:found], found)
        else:
            n = len(array)
            keys, distances, counts = np.empty((n, k), KEYS), np.empty((n, k), F32), np.empty(n, KEYS)
            check_counts("search", threads=threads)
            done = self._core.search_batch(array, k, ef, options, threads, keys, distances, counts)
            matches = Matches(keys, distances, counts)
        if not is_plain:
            matches._report = done
        return matches

    def search_documents(
        self,
        query: Any,
        k: int = 10,
        ef: int = 64,
        *,
        filter: Filter | None = None,
        plan: str = "automatic",
        max_distances: int = 0,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> Matches:
        """The k keys that match the rows of one query best: their distance is the sum, over the rows, of the nearest vector's.

        Args:
            query: (n, dims), as of the tokens of a question (ColBERT).
            k, ef: candidates are the max(k, ef) nearest keys of each row; of these all vectors are compared.
            filter, plan, max_distances, timeout, deadline: as for `search`; limits hold for all rows together.

        >>> import numpy as np, cairn
        >>> index = cairn.Index.create(dims=2, metric="l2sq", several_per_key=True)
        >>> index.add([1, 1, 2], np.array([[0, 0], [4, 4], [1, 0]], np.float32))
        >>> index.search_documents(np.array([[0, 0], [4, 4]], np.float32)).pairs()
        [(1, 0.0), (2, 26.0)]
        """
        rows = _arrays.vectors(query, self._kind, self._dims, "search_documents")
        if k < 1 or ef < 0:
            raise InvalidArgumentError(f"search_documents: k {k}, ef {ef}: less than {int(k < 1)}")
        k = min(k, max(1, len(self._core)))
        options = self._options(filter, plan, max_distances, timeout, deadline, None, None)
        keys, distances = np.empty(k, KEYS), np.empty(k, F32)
        found, done = self._core.search_documents(rows, k, ef, options, keys, distances)
        matches = Matches(keys[:found], distances[:found], found)
        matches._report = done
        return matches

    def _options(
        self,
        filter: Filter | Sequence[Filter | None] | None,
        plan: str,
        max_distances: int,
        timeout: float | None,
        deadline: float | None,
        rerank: Callable[[int, Array], float] | None,
        rows: int | None,
    ) -> SearchOptions:
        filters: Any = None
        if isinstance(filter, Filter):
            filters = filter._core
        elif filter is not None:
            if rows is None or not isinstance(filter, (list, tuple)):
                raise TypeError(f"filter: {filter!r} is not made by filter()")
            for one in filter:
                if not (one is None or isinstance(one, Filter)):
                    raise TypeError(f"filter: {one!r} is not made by filter()")
            filters = tuple(None if one is None else one._core for one in filter)
            if len(filters) != rows:
                raise InvalidArgumentError(f"{len(filters)} filters for {rows} queries")
        check_counts("search", max_distances=max_distances)
        return SearchOptions(
            filters, _number(PLANS, plan, "plan"), max_distances, end_of(timeout, deadline), _reranker(rerank, self._kind)
        )

    def filter(
        self,
        *,
        only: Any = None,
        except_: Any = None,
        bits: Any = None,
        first: int = 0,
        where: Callable[[int], object] | None = None,
    ) -> Filter:
        """Which keys a search may return: prepared once, used by many searches and threads, it follows the index as it changes.

        Args:
            only: these keys; those that the index does not have pass once they are added.
            except_: all but these keys.
            bits: a bool for each key from `first` on, or uint64 words of 64 such, the lowest bit first. Keys beyond do not pass.
            where: called once with every key; of keys that are new or have moved, by the thread that searches next. It must not
                call the index. What it raises is raised by the call that asked.

        >>> import numpy as np, cairn
        >>> index = cairn.Index.create(dims=2)
        >>> index.build([7, 8], np.array([[1, 0], [0, 1]], np.float32))
        >>> index.search([1, 0], filter=index.filter(except_=[7])).pairs()
        [(8, 1.0)]
        """
        if sum(given is not None for given in (only, except_, bits, where)) != 1:
            raise TypeError("filter: one of only=, except_=, bits= and where=")
        if where is not None:
            if not callable(where):
                raise TypeError(f"where: {where!r} cannot be called")
            return Filter._wrap(_core.Filter.where(self._core, where))
        if bits is not None:
            return Filter._wrap(_core.Filter.of_bits(self._core, _arrays.words(bits, "filter"), _arrays.key(first, "filter")))
        keys = _arrays.keys(except_ if only is None else only, "filter")
        return Filter._wrap(_core.Filter.of_keys(self._core, keys, only is None))

    def search_range(
        self,
        query: Any,
        radius: float,
        ef: int = 64,
        *,
        max_results: int = 0,
        filter: Filter | None = None,
        plan: str = "automatic",
        max_distances: int = 0,
        timeout: float | None = None,
        deadline: float | None = None,
        rerank: Callable[[int, Array], float] | None = None,
    ) -> Matches:
        """All vectors that are not farther than `radius`, nearest first, as far as a walk finds them.

        Args:
            query: (dims,).
            radius: a distance of the index's metric; of l2sq squared.
            ef: how far it looks around what lies within the radius, twice that once anything does; 0: the advised one.
            max_results: only the nearest so many; 0: all.
            filter, plan, max_distances, timeout, deadline: as for `search`.
            rerank: called with key and vector of all that lies within the radius, which stays one of the index's metric; with
                max_results of the max(max_results, ef) nearest of that. Its least values are the results. Else as for `search`.
        """
        check_counts("search_range", ef=ef, max_results=max_results)
        array = _arrays.vectors(query, self._kind, self._dims, "search_range", (1,))
        options = self._options(filter, plan, max_distances, timeout, deadline, rerank, None)
        found: tuple[Any, Any, SearchReport] = self._core.search_range(array, radius, ef, max_results, options)
        keys, distances, done = found
        matches = Matches(keys, distances, len(keys))
        matches._report = done
        return matches

    def open_cursor(
        self,
        query: Any,
        ef: int = 64,
        *,
        order: str = "relaxed",
        filter: Filter | None = None,
        plan: str = "automatic",
        max_distances: int = 0,
        rerank: Callable[[int, Array], float] | None = None,
    ) -> Cursor:
        """The results of one query page by page, without searching again from the beginning.

        Args:
            query: (dims,); it is copied.
            order: "relaxed": what is found late comes with a later page; "strict": it is left out.
            ef, filter, plan: as for `search`; max_distances holds for each page.
            rerank: orders each page by itself: it holds what comes next by the index's metric, with these values. As for `search`.
        """
        check_counts("open_cursor", ef=ef)
        array = _arrays.vectors(query, self._kind, self._dims, "open_cursor", (1,))
        options = self._options(filter, plan, max_distances, None, None, rerank, None)
        return Cursor._wrap(self._core.open_cursor(array, ef, options, _number(ORDERS, order, "order")))

    def measure_recall(
        self,
        queries: Any,
        k: int = 10,
        ef: int = 64,
        *,
        filter: Filter | None = None,
        plan: str = "automatic",
        max_distances: int = 0,
        threads: int = 0,
        progress: Progress = None,
    ) -> RecallReport:
        """What part of the true answers such searches find: each query is searched, and looked up exactly.

        Args:
            queries: (n, dims), best those that users ask: vectors of the index find themselves.
            k, ef, filter, plan, max_distances: as for `search`.
        """
        check_counts("measure_recall", k=k, ef=ef, threads=threads)
        rows = _arrays.vectors(queries, self._kind, self._dims, "measure_recall")
        options = self._options(filter, plan, max_distances, None, None, None, None)
        return self._core.measure_recall(rows, k, ef, options, threads, _reporter(progress, "rows"))

    def ef_for(self, recall: float, queries: Any, k: int = 10, *, threads: int = 0, progress: Progress = None) -> int:
        """The least ef with which that recall is reached on these queries, to within 2 %: for `set_advised_ef`.

        UnsupportedError if no ef reaches it.
        """
        check_counts("ef_for", k=k, threads=threads)
        rows = _arrays.vectors(queries, self._kind, self._dims, "ef_for")
        return self._core.ef_for(recall, rows, k, threads, _reporter(progress, "rows"))

    def set_advised_ef(self, ef: int) -> None:
        """What searches with ef=0 take from now on, 1 to 65,536; 0: none is advised, and they take 64. Kept in the file."""
        check_counts("set_advised_ef", ef=ef)
        self._core.set_advised_ef(ef)

    @property
    def advised_ef(self) -> int:
        """What `set_advised_ef` has set; 0: nothing."""
        return self._core.stats().advised_ef

    def record_latency(self, on: bool = True) -> None:
        """Times searches from now on, or no longer: two looks at the clock each, and 128 KB."""
        self._core.record_latency(on)

    def latency(self) -> LatencyHistogram:
        """The times of all searches, and of all queries of batches, while they were recorded."""
        return self._core.latency()

    def prometheus_text(self, labels: Mapping[str, str] | None = None) -> str:
        """What `stats` and `latency` tell, in Prometheus' text format; `labels` stand on every sample."""
        return self._core.prometheus_text(list((labels or {}).items()))

    # Its file.

    def save(self, path: Path, *, overwrite: bool = True) -> None:
        """Writes all of it to a file: a new one beside it, synced, then renamed.

        Args:
            overwrite: False: PathExistsError if there is a file.
        """
        self._core.save(_path(path), overwrite)

    def backup(self, path: Path, *, overwrite: bool = True) -> None:
        """The same, of a file that is open for writing, too: a copy of one point in time."""
        self._core.backup(_path(path), overwrite)

    def export(self, path: Path, to: str) -> None:
        """Writes it as a file that hnswlib or USearch loads, or its keys and vectors for others to read. A file there is replaced.

        Args:
            to: "hnswlib": float32, and vectors of a cosine index have norm 1. "usearch". "parquet": columns "key" and
                "vector", which `read_parquet` reads; bfloat16 as float32, bits packed; needs pyarrow. A key with several
                vectors has a row for each, one after the other, in the order in which they were added.
        """
        if to == "parquet":
            return _arrow.write_parquet((self._rows(*places) for places in self._places()), os.fsdecode(_path(path)), self.params)
        self._core.export_file(_path(path), _number(SOURCES, to, "to"))

    @property
    def import_report(self) -> ImportReport | None:
        """What `import_index` said about the file; None for an index that was not imported."""
        return self._imported

    def sync(self) -> None:
        """All changes so far are on disk."""
        self._core.sync()

    def checkpoint(self) -> None:
        """The file is up to date and its log is short."""
        self._core.checkpoint()

    def refresh(self) -> None:
        """Of a file that is read: what it holds now."""
        self._core.refresh()

    def verify(self, *, threads: int = 0, progress: Progress = None) -> VerifyReport:
        """Checks every page and the graph; true if nothing is wrong, else `.findings` tells what."""
        check_counts("verify", threads=threads)
        return self._core.verify(threads, _reporter(progress, "pages and vectors"))

    def warm(self) -> None:
        """Reads all pages of a mapped file, so that no search waits for the disk."""
        self._core.warm()

    def release(self) -> None:
        """Takes them out of this process again."""
        self._core.release()

    @property
    def applied_up_to(self) -> int:
        """The host's log position, kept and logged like any change."""
        return self._core.applied_up_to()

    @applied_up_to.setter
    def applied_up_to(self, lsn: int) -> None:
        check_counts("applied_up_to", lsn=lsn)
        self._core.set_applied_up_to(lsn)

    def __reduce__(self) -> Any:
        if self._opened is None:
            raise UnsupportedError("only an index that is open for reading can be pickled: save() it, and open() the file where it is wanted")
        return _reopen, self._opened


class Filter:
    """Which keys a search of one index may return; made by `Index.filter`."""

    __slots__ = ("_core",)
    _core: CoreFilter

    def __init__(self) -> None:
        raise TypeError("Index.filter() makes a filter")

    @classmethod
    def _wrap(cls, core: CoreFilter) -> Filter:
        self = object.__new__(cls)
        self._core = core
        return self

    @property
    def count(self) -> int:
        """How many vectors of the index pass now; 0 once it is closed."""
        return self._core.count()

    def __repr__(self) -> str:
        return f"<cairn.Filter that {self.count:,} vectors pass>"


class Cursor:
    """The results of one query, nearest first, a page at a time; made by `Index.open_cursor`. For one thread at a time.

    >>> import numpy as np, cairn
    >>> index = cairn.Index.create(dims=2)
    >>> index.build([7, 8, 9], np.array([[1, 0], [1, 1], [0, 1]], np.float32))
    >>> cursor = index.open_cursor([1, 0])
    >>> cursor.next(2).keys.tolist(), cursor.next(2).keys.tolist(), cursor.next(2).keys.tolist()
    ([7, 8], [9], [])
    """

    __slots__ = ("_core",)
    _core: CoreCursor

    def __init__(self) -> None:
        raise TypeError("Index.open_cursor() makes a cursor")

    @classmethod
    def _wrap(cls, core: Any) -> Self:
        self = object.__new__(cls)
        self._core = core
        return self

    def next(self, n: int = 10) -> Matches:
        """The next n results, fewer at the end and none from then on: never a key that an earlier page had."""
        if n < 1:
            raise InvalidArgumentError(f"next: n {n}: at least 1")
        keys, distances = np.empty(n, KEYS), np.empty(n, F32)
        found, done = self._core.next(keys, distances)
        page = Matches(keys[:found], distances[:found], found)
        page._report = done
        return page

    def __iter__(self) -> Iterator[tuple[int, float]]:
        """All that follow, as (key, distance)."""
        while page := self.next(64):
            yield from page.pairs()


def _reopen(path: bytes, options: dict[str, Any]) -> Index:
    return Index.open(path, **options)
