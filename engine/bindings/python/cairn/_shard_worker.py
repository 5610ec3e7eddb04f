# SPDX-License-Identifier: Apache-2.0
"""What an actor of cairn.ray does: holds some shards of one generation, and searches them. Knows no engine."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import shards
from ._arrays import KEYS, Array
from ._errors import damaged
from ._key_filter import KeyFilter
from ._scatter import Part
from ._shard_set import SetMatches, ShardFilter

KEPT_FILTERS = 8
CHECKED_KEYS = 16  # that are looked up in each shard before a worker says that it is ready
PRODUCT_ERROR = 1e-3  # that an inner product in float32 is off by, at most, and far less in practice


class ShardWorker:
    """Some shards of a set.

    Args:
        generation: of the set.
        group: which of `options["groups"]` it belongs to.
        numbers: of its shards.
        options: of `cairn.ray.serve`.
    """

    def __init__(self, generation: int, group: int, numbers: list[int], options: dict[str, Any]) -> None:
        self._generation = generation
        self._group = group
        self._options = options
        self._numbers = numbers
        threads = max(1, int(options["num_cpus"]))
        self._set = shards.open(
            options["place"], generation=generation, only=numbers, cache=options["cache"], threads=threads, guard=options["guard"]
        )
        manifest = self._set.manifest
        self._names = tuple(manifest.shards[i].file for i in numbers)
        self._filters: dict[KeyFilter, ShardFilter] = {}  # the one that was used last at the end
        self._retired = False
        self._running = 0
        self._asked_at = time.monotonic()
        self._lock = threading.Lock()

    def search(
        self, queries: Array, k: int, ef: int, plan: str, probe: int, coverage: float, keys: KeyFilter | None, left: float
    ) -> Part:
        """The k nearest of its shards for each query, within `left` seconds."""
        with self._asked():
            # A shard that cannot be read is an IoError: another replica is asked.
            found = self._set.search(
                queries, k, ef, plan=plan, probe=probe, coverage=coverage, filter=self._prepared(keys), timeout=left
            )
        return self._part(found.keys, found.distances, found.counts, found)

    def search_range(
        self,
        query: Array,
        radius: float,
        ef: int,
        max_results: int,
        plan: str,
        probe: int,
        coverage: float,
        keys: KeyFilter | None,
        left: float,
    ) -> Part:
        """All within a distance of one query in its shards, as of one row."""
        with self._asked():
            found = self._set.search_range(
                query,
                radius,
                ef,
                max_results=max_results,
                plan=plan,
                probe=probe,
                coverage=coverage,
                filter=self._prepared(keys),
                timeout=left,
            )
        return self._part(found.keys[None, :], found.distances[None, :], np.array([len(found.keys)], KEYS), found)

    @contextlib.contextmanager
    def _asked(self) -> Iterator[None]:
        with self._lock:
            self._running += 1
            self._asked_at = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                self._running -= 1

    def _part(self, keys: Array, distances: Array, counts: Array, found: SetMatches) -> Part:
        complete = found.report is None or found.report.complete
        return Part(self._generation, keys, distances, counts, self._names, complete=complete, retired=self._retired)

    def _prepared(self, keys: KeyFilter | None) -> ShardFilter | None:
        """The same question is often asked again: the last few filters are kept."""
        if keys is None:
            return None
        with self._lock:
            known = self._filters.pop(keys, None)
        made = keys.prepare(self._set) if known is None else known
        with self._lock:
            self._filters[keys] = made
            while len(self._filters) > KEPT_FILTERS:
                del self._filters[next(iter(self._filters))]
        return made

    def prepare(self) -> None:
        """Reads its files into memory, and looks some vectors up by themselves. DamagedFileError names what is not found."""
        self._set.warm()
        keys = sorted({key for number in self._numbers for key in self._set._first_keys(number, CHECKED_KEYS)})
        if not keys:
            return
        rows = np.stack([self._set[key] for key in keys])
        # By inner product a vector need not be the nearest one to itself: it is looked for among itself alone.
        by_product = self._set.params["metric"] == "inner_product"
        filters = [self._set.filter(only=[key]) for key in keys] if by_product else None
        found = self._set.search(rows, k=4, plan="exact", filter=filters)
        for i, key in enumerate(keys):
            there = key in found[i].keys.tolist()
            if by_product:
                square = float(np.square(rows[i].astype(np.float64)).sum())
                there = there and abs(1 - square - float(found[i].distances[0])) <= PRODUCT_ERROR * (1 + square)
            elif not there:
                # Others may be equal, or equal but for a factor.
                there = bool(found[i].distances[-1] <= found[i].distances[0])
            if not there:
                raise damaged(f"generation {self._generation}, group {self._group}: key {key} is not found by its own vector")

    def describe(self) -> dict[str, Any]:
        return {
            "generation": self._generation,
            "group": self._group,
            "groups": self._options["groups"],
            "shards": self._names,
            "vectors": len(self._set),
            "retired": self._retired,
            "pid": os.getpid(),
            "options": self._options,
        }

    def retire(self) -> float:
        """Others serve from now on: answers say so. Returns for how many seconds nobody has asked."""
        with self._lock:
            self._retired = True
            return 0.0 if self._running else time.monotonic() - self._asked_at
