# SPDX-License-Identifier: Apache-2.0
"""What an actor of cairn.ray does: holds some shards of one generation, and searches them. Knows no engine."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import numpy as np

from . import shards
from ._arrays import Array
from ._errors import damaged
from ._scatter import Part

CHECKED_KEYS = 16  # that are looked up in each shard before a worker says that it is ready


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
        threads = max(1, int(options["num_cpus"]))
        self._set = shards.open(
            options["place"], generation=generation, only=numbers, cache=options["cache"], threads=threads, guard=options["guard"]
        )
        manifest = self._set.manifest
        self._names = tuple(manifest.shards[i].file for i in numbers)
        self._retired = False
        self._running = 0
        self._asked_at = time.monotonic()
        self._lock = threading.Lock()

    def search(self, queries: Array, k: int, ef: int, plan: str, probe: int, coverage: float, left: float) -> Part:
        """The k nearest of its shards for each query, within `left` seconds."""
        with self._lock:
            self._running += 1
            self._asked_at = time.monotonic()
        try:
            found = self._set.search(queries, k, ef, plan=plan, probe=probe, coverage=coverage, timeout=left)
        finally:
            with self._lock:
                self._running -= 1
        complete = found.report is None or found.report.complete
        return Part(
            self._generation, found.keys, found.distances, found.counts, self._names, complete=complete, retired=self._retired
        )

    def prepare(self) -> None:
        """Reads its files into memory, and looks some vectors up by themselves. DamagedFileError names what is not found."""
        self._set.warm()
        keys = np.fromiter((key for key, _ in zip(self._set, range(CHECKED_KEYS * len(self._names)), strict=False)), np.uint64)
        if not len(keys):
            return
        rows = np.stack([self._set[int(key)] for key in keys])
        found = self._set.search(rows, k=4, plan="exact")
        for i, key in enumerate(keys.tolist()):
            # Others may be equal, or equal but for a factor.
            if key not in found[i].keys.tolist() and found[i].distances[-1] > found[i].distances[0]:
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
