# SPDX-License-Identifier: Apache-2.0
"""cairn.ShardSet: many index files, searched as one."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from . import _arrays, _core
from ._arrays import Array
from ._core import SearchOptions, SearchReport, ShardCursor, ShardManifest, ShardReport, Stats, VerifyReport
from ._core import ShardFilter as CoreFilter
from ._core import ShardSet as Core
from ._errors import InvalidArgumentError, KeyNotFoundError
from ._index import (
    F32,
    KEYS,
    METRICS,
    ORDERS,
    PLANS,
    SCALARS,
    TRAVERSALS,
    Cursor,
    Matches,
    Path,
    Progress,
    _number,
    _path,
    _reporter,
    _reranker,
    _word,
    check_counts,
    check_integers,
    end_of,
)

PARTITIONS = {"hash": 0, "clusters": 1, "rows": 2}


class SetMatches(Matches):
    """What a search of a set has found.

    Attributes:
        shards: which shards have answered: `shards_asked`, `shards_answered` and the names of the `missing`.
    """

    __slots__ = ("shards",)
    shards: ShardReport

    def __getitem__(self, i: int) -> SetMatches:
        row = super().__getitem__(i)
        made = SetMatches(row.keys, row.distances, row.counts)
        made.shards = self.shards
        return made


class ShardFilter:
    """Which keys a search of one set may return; made by `ShardSet.filter`."""

    __slots__ = ("_core",)
    _core: CoreFilter

    def __init__(self) -> None:
        raise TypeError("ShardSet.filter() makes a filter")

    @property
    def count(self) -> int:
        """How many vectors of the set pass now; each copy counts."""
        return self._core.count()


class ShardSet:
    """Index files that are searched as one; opened by `ShardSet.open`. docs/guide/shards.md shows how sets are made.

    All methods may be called from any number of threads, and do not hold Python's lock. Answers are ordered by (distance, key),
    and name a key once, however many shards have it; with plan="exact" they are those of one index with all the vectors.

    >>> import numpy as np, cairn, tempfile, os
    >>> paths = [os.path.join(tempfile.mkdtemp(), "some.cairn") for _ in range(2)]
    >>> for first, path in zip((0, 2), paths):
    ...     index = cairn.Index.create(dims=4)
    ...     index.build([first, first + 1], np.eye(4, dtype=np.float32)[first : first + 2])
    ...     index.save(path)
    >>> with cairn.ShardSet.open(paths) as both:
    ...     both.search([0, 0.1, 1, 0], k=2).keys.tolist()
    [2, 1]
    """

    __slots__ = ("_core", "_dims", "_kind", "_opened", "_view", "__weakref__")
    _core: Core
    _dims: int
    _kind: str
    _opened: tuple[Any, dict[str, Any]]
    _view: str | None

    def __init__(self) -> None:
        raise TypeError("ShardSet.open() opens a set")

    @classmethod
    def open(
        cls,
        where: Path | Sequence[Path],
        mode: str = "r",
        *,
        only: Sequence[int] | None = None,
        allow_partial: bool = False,
        threads: int = 0,
        guard: bool = False,
    ) -> ShardSet:
        """Opens a set on disk, or a list of index files of the same metric, kind and dimensions.

        Args:
            where: a folder with a manifest, or a list of files. Of other places, and for older generations: `cairn.shards.open`.
            mode: "r+" changes a set in a folder, too: one process may at a time. The first time, its shards are copied.
            only: of a folder: numbers of the shards that are wanted, at least one; None: all. Nothing is asked of the others.
            allow_partial: open, and answer, also if shards are missing or damaged: `problems` and reports name them.
            threads: that one search or batch is spread over; 0: all cores.
            guard: as for `Index.open`.
        """
        if mode not in ("r", "r+"):
            raise InvalidArgumentError(f"mode {mode!r}: not 'r' or 'r+'")
        check_counts("open", threads=threads)
        options: dict[str, Any] = {"allow_partial": allow_partial, "threads": threads, "guard": guard}
        if isinstance(where, (list, tuple)):
            if mode == "r+":
                raise InvalidArgumentError("files that were given are only read; a set in a folder can be changed")
            if only is not None:
                raise InvalidArgumentError("only: files that are not wanted need not be given")
            names = [os.path.abspath(_path(one)) for one in where]
            return cls._wrap(Core.open_files(names, **options), (names, options))
        folder = os.path.abspath(_path(where))  # type: ignore[arg-type]
        made = Core.open_folder(folder, writes=mode == "r+", only=_wanted(only), **options)
        return cls._wrap(made, (folder, {"mode": mode, "only": only, **options}))

    @classmethod
    def _wrap(cls, core: Core, opened: tuple[Any, dict[str, Any]]) -> ShardSet:
        self = object.__new__(cls)
        self._core = core
        self._opened = opened
        self._view = None
        dims, _, scalar, *_ = core.manifest().params()
        self._dims = dims
        self._kind = _word(SCALARS, scalar)
        return self

    def close(self) -> None:
        """Waits for the calls of other threads; every call from then on is an InvalidArgumentError."""
        self._core.close()
        if self._view is not None:
            shutil.rmtree(self._view, ignore_errors=True)

    @property
    def closed(self) -> bool:
        return self._core.closed

    def __enter__(self) -> ShardSet:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):
            if self._view is not None:
                shutil.rmtree(self._view, ignore_errors=True)

    def __reduce__(self) -> Any:
        where, options = self._opened
        if self._view is not None or options.get("mode") == "r+":
            raise InvalidArgumentError("only a set that is open for reading, from where it lies, can be pickled")
        return _reopen, (where, options)

    # What it is.

    @property
    def manifest(self) -> ShardManifest:
        """Its shards, by name and size; of files that were given, one with generation 0."""
        return self._core.manifest()

    @property
    def dims(self) -> int:
        return self._dims

    @property
    def params(self) -> dict[str, Any]:
        """As of `Index`, and how vectors are spread over shards."""
        return {**params_of(self._core.manifest()), "partition": _word(PARTITIONS, self._core.manifest().partition)}

    @property
    def shards(self) -> int:
        """How many there are, the fresh one among them."""
        return self._core.shards()

    @property
    def problems(self) -> list[tuple[str, str]]:
        """The shards that are missing, with `allow_partial`: name and reason."""
        return self._core.problems()

    @property
    def stats(self) -> Stats:
        return self._core.stats()

    def __repr__(self) -> str:
        if self.closed:
            return "<cairn.ShardSet, closed>"
        return f"<cairn.ShardSet of {self.shards} shards, {len(self):,} vectors, {self._dims} x {self._kind}>"

    # Keys and vectors.

    def __len__(self) -> int:
        """Vectors that the shards hold; each copy counts."""
        return len(self._core)

    def __contains__(self, key: Any) -> bool:
        try:
            number = _arrays.key(key, "in")
        except (TypeError, ValueError):
            return False
        return self._core.contains(number)

    def __getitem__(self, key: int) -> Array:
        """The vector of a key; KeyError if there is none."""
        out = np.empty(self._dims, np.float32)
        self._core.get(_arrays.key(key, "get"), out)
        return self._as_given(out)

    def _as_given(self, floats: Array) -> Array:
        if self._kind in ("f16", "i8"):
            return floats.astype(_arrays.DTYPES[self._kind])
        return np.packbits(floats.astype(bool), axis=-1, bitorder="little") if self._kind == "b1" else floats

    def get(self, key: int, default: Any = None) -> Any:
        """The vector of a key, or `default`."""
        try:
            return self[key]
        except KeyNotFoundError:
            return default

    def keys(self) -> Iterator[int]:
        """Every key once, also if several shards have it; in no order that means anything."""
        shard, position, done = 0, 0, False
        while not done:
            numbers = np.empty(4096, KEYS)
            found, shard, position, done = self._core.keys(shard, position, numbers)
            yield from numbers[:found].tolist()

    def _first_keys(self, shard: int, most: int) -> list[int]:
        """Some keys of a shard; of the next ones, too, if it has fewer."""
        numbers = np.empty(most, KEYS)
        found, *_ = self._core.keys(shard, 0, numbers)
        first: list[int] = numbers[:found].tolist()
        return first

    def __iter__(self) -> Iterator[int]:
        return self.keys()

    # Changes, with mode="r+".

    def upsert(self, key: Any, vector: Any) -> None:
        """Adds or replaces one vector, or several: keys (n,), vectors (n, dims). They go to the shard that is theirs."""
        array = _arrays.vectors(vector, self._kind, self._dims, "upsert", (1, 2))
        if array.ndim == 1:
            self._core.upsert_rows(np.array([_arrays.key(key, "upsert")], KEYS), array[None, :])
        else:
            self._core.upsert_rows(_arrays.keys(key, "upsert"), array)

    def remove(self, key: int) -> None:
        """KeyError if there is none."""
        self._core.remove(_arrays.key(key, "remove"))

    def __setitem__(self, key: int, vector: Any) -> None:
        self.upsert(key, vector)

    def __delitem__(self, key: int) -> None:
        self.remove(key)

    def sync(self) -> None:
        """All changes so far are on disk."""
        self._core.sync()

    def checkpoint(self) -> None:
        """The files are up to date and their logs are short."""
        self._core.checkpoint()

    def refresh(self) -> None:
        """What the shards hold now; of a new generation nothing is seen."""
        self._core.refresh()

    def verify(self, *, threads: int = 0, progress: Progress = None) -> VerifyReport:
        """Whether every file is what the manifest says, and whole; true if so, else `.findings` begin with a file's name."""
        check_counts("verify", threads=threads)
        return self._core.verify(threads, _reporter(progress, "pages and vectors"))

    def warm(self) -> None:
        """Reads all pages of the files, so that no search waits for the disk."""
        self._core.warm()

    def release(self) -> None:
        """Takes them out of this process again."""
        self._core.release()

    # Searching.

    def search(
        self,
        query: Any,
        k: int = 10,
        ef: int = 64,
        *,
        filter: ShardFilter | Sequence[ShardFilter | None] | None = None,
        probe: int = 0,
        coverage: float = 1.0,
        plan: str = "automatic",
        max_distances: int = 0,
        timeout: float | None = None,
        deadline: float | None = None,
        rerank: Callable[[int, Array], float] | None = None,
    ) -> SetMatches:
        """The k nearest vectors of all shards; `.shards` tells which have answered.

        Args:
            query, k, plan, max_distances, timeout, deadline, rerank: as for `Index.search`.
            ef: candidates that a search keeps in each shard.
            filter: which keys may be among the results, made by `filter`; for several queries also a list.
            probe: of clusters: how many shards nearest to a query are searched, at most; 0: all.
            coverage: of clusters, with probe: fewer, where so great a part of the router's votes is for them.
        """
        array = _arrays.vectors(query, self._kind, self._dims, "search", (1, 2))
        check_integers("search", k=k, ef=ef, probe=probe)
        if k < 1 or ef < 0 or probe < 0:
            raise InvalidArgumentError(f"search: k {k}, ef {ef}, probe {probe}")
        if k > 1024:  # no memory for more than there are
            k = min(k, max(1024, len(self._core)))
        rows = array if array.ndim == 2 else array.reshape(1, -1)
        n = len(rows)
        filters: Any = None
        if isinstance(filter, (list, tuple)):
            filters = tuple(map(_core_of, filter))
            if len(filters) != n:
                raise InvalidArgumentError(f"{len(filters)} filters for {n} queries")
        else:
            filters = _core_of(filter)  # type: ignore[arg-type]
        options = self._options(plan, max_distances, timeout, deadline, rerank)
        keys, distances, counts = np.empty((n, k), KEYS), np.empty((n, k), F32), np.empty(n, KEYS)
        done, shards = self._core.search_batch(rows, k, ef, options, filters, probe, coverage, keys, distances, counts)
        if array.ndim == 2:
            matches = SetMatches(keys, distances, counts)
        else:
            found = int(counts[0])
            matches = SetMatches(keys[0, :found], distances[0, :found], found)
        return _reported(matches, done, shards)

    def search_range(
        self,
        query: Any,
        radius: float,
        ef: int = 64,
        *,
        max_results: int = 0,
        filter: ShardFilter | None = None,
        probe: int = 0,
        coverage: float = 1.0,
        plan: str = "automatic",
        max_distances: int = 0,
        timeout: float | None = None,
        deadline: float | None = None,
        rerank: Callable[[int, Array], float] | None = None,
    ) -> SetMatches:
        """All vectors that are not farther than `radius`, nearest first; the rest as for `search` and `Index.search_range`."""
        check_counts("search_range", ef=ef, max_results=max_results, probe=probe)
        array = _arrays.vectors(query, self._kind, self._dims, "search_range", (1,))
        options = self._options(plan, max_distances, timeout, deadline, rerank)
        chosen = _core_of(filter)
        found: tuple[Any, Any, SearchReport, ShardReport] = self._core.search_range(
            array, radius, ef, max_results, options, chosen, probe, coverage
        )
        keys, distances, done, shards = found
        return _reported(SetMatches(keys, distances, len(keys)), done, shards)

    def open_cursor(
        self,
        query: Any,
        ef: int = 64,
        *,
        order: str = "relaxed",
        filter: ShardFilter | None = None,
        probe: int = 0,
        coverage: float = 1.0,
        plan: str = "automatic",
        max_distances: int = 0,
        rerank: Callable[[int, Array], float] | None = None,
    ) -> SetCursor:
        """The results of one query page by page, of all shards; as `Index.open_cursor`, and the rest as for `search`."""
        array = _arrays.vectors(query, self._kind, self._dims, "open_cursor", (1,))
        if ef < 0 or probe < 0:
            raise InvalidArgumentError(f"open_cursor: ef {ef}, probe {probe}")
        options = self._options(plan, max_distances, None, None, rerank)
        chosen = _core_of(filter)
        return SetCursor._wrap(self._core.open_cursor(array, ef, options, chosen, probe, coverage, _number(ORDERS, order, "order")))

    def _options(
        self,
        plan: str,
        max_distances: int,
        timeout: float | None,
        deadline: float | None,
        rerank: Callable[[int, Array], float] | None,
    ) -> SearchOptions:
        check_counts("search", max_distances=max_distances)
        asked = _reranker(rerank, self._kind)
        return SearchOptions(None, _number(PLANS, plan, "plan"), max_distances, end_of(timeout, deadline), asked)

    def filter(
        self,
        *,
        only: Any = None,
        except_: Any = None,
        bits: Any = None,
        first: int = 0,
        between: Any = None,
        where: Callable[[int], object] | None = None,
    ) -> ShardFilter:
        """Which keys a search may return, as `Index.filter`: prepared once for all shards.

        Args:
            only, except_, bits, first, where: as for `Index.filter`.
            between: ranges of keys, a list of (first, last), both of which pass.
        """
        if sum(given is not None for given in (only, except_, bits, between, where)) != 1:
            raise TypeError("filter: one of only=, except_=, bits=, between= and where=")
        made = object.__new__(ShardFilter)
        if where is not None:
            if not callable(where):
                raise TypeError(f"where: {where!r} cannot be called")
            made._core = _core.ShardFilter.where(self._core, where)
        elif between is not None:
            made._core = _core.ShardFilter.of_ranges(self._core, ranges(between))
        elif bits is not None:
            made._core = _core.ShardFilter.of_bits(self._core, _arrays.words(bits, "filter"), _arrays.key(first, "filter"))
        else:
            keys = _arrays.keys(except_ if only is None else only, "filter")
            made._core = _core.ShardFilter.of_keys(self._core, keys, only is None)
        return made


class SetCursor(Cursor):
    """The results of one query of a set, a page at a time; made by `ShardSet.open_cursor`. For one thread at a time.

    Attributes:
        shards: which shards were there when it was opened, as of `SetMatches`.
    """

    __slots__ = ()
    _core: ShardCursor  # type: ignore[assignment]

    def __init__(self) -> None:
        raise TypeError("ShardSet.open_cursor() makes a cursor")

    @property
    def shards(self) -> ShardReport:
        return self._core.shards


def ranges(pairs: Any) -> Array:
    """Pairs of first and last keys as one array, ascending, and those that touch as one."""
    flat = pairs.reshape(-1) if isinstance(pairs, np.ndarray) else [end for first, last in pairs for end in (first, last)]
    both = _arrays.keys(flat, "between").reshape(-1, 2)
    if (both[:, 0] > both[:, 1]).any():
        first, last = both[both[:, 0] > both[:, 1]][0].tolist()
        raise InvalidArgumentError(f"between: {first} is behind {last}")
    both = both[np.argsort(both[:, 0], kind="stable")]
    made: list[list[int]] = []
    for first, last in both.tolist():
        if made and first <= made[-1][1] + 1:
            made[-1][1] = max(made[-1][1], last)
        else:
            made.append([first, last])
    return np.array(made, KEYS).reshape(-1)


def _core_of(filter: ShardFilter | None) -> CoreFilter | None:
    if filter is None:
        return None
    if not isinstance(filter, ShardFilter):
        raise TypeError(f"filter: {filter!r} is not made by ShardSet.filter()")
    return filter._core


def _wanted(only: Sequence[int] | None) -> list[int]:
    """Numbers of shards as the core has them, for which none are all."""
    if only is None:
        return []
    wanted = [int(one) for one in only]
    if not wanted or not all(0 <= one < 1 << 32 for one in wanted):
        raise InvalidArgumentError(f"only: {wanted}: numbers of shards, at least one")
    return wanted


def _reported(matches: SetMatches, done: SearchReport, shards: ShardReport) -> SetMatches:
    matches._report = done
    matches.shards = shards
    return matches


def params_of(manifest: ShardManifest) -> dict[str, Any]:
    """What the shards are built with, in the words of `Index.create`."""
    dims, metric, scalar, m, ef_construction, seed, traversal, _ = manifest.params()
    return {
        "dims": dims,
        "metric": _word(METRICS, metric),
        "dtype": _word(SCALARS, scalar),
        "m": m,
        "ef_construction": ef_construction,
        "seed": seed,
        "traversal": _word(TRAVERSALS, traversal),
    }


def _reopen(where: Any, options: dict[str, Any]) -> ShardSet:
    return ShardSet.open(where, **options)
