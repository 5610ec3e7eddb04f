# SPDX-License-Identifier: Apache-2.0
"""One question to many workers, and their answers as one: retried, hedged, in time. Knows no engine; cairn.ray gives it calls.

A worker holds some shards of a set (its group), and a group has several workers (replicas). What is asked must be repeatable:
any replica may be asked any number of times, and only the first answer of a group counts.
"""

from __future__ import annotations

import collections
import concurrent.futures
import random
import threading
import time
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._arrays import KEYS, Array
from ._errors import (
    CairnError,
    DeadlineExceededError,
    DimensionMismatchError,
    InvalidArgumentError,
    IoError,
    NotFiniteError,
    UnsupportedError,
)
from ._hedge import Hedge
from ._index import Matches

PAUSE_S = 0.05  # before a group whose workers are all gone is asked again; doubled each time
LONGEST_PAUSE_S = 1.0
# Not the worker's fault: every replica would say the same.
CALLERS = (InvalidArgumentError, DimensionMismatchError, NotFiniteError, UnsupportedError)

Future = concurrent.futures.Future[Any]


@dataclass(frozen=True)
class Part:
    """What one worker has found: the best of its shards, nearest first, and which shards these were.

    `unanswered`: shards of its group that it could not search, each with the reason. `complete`: false if a limit of the
    search has ended it before its own end. `retired`: others serve by now.
    """

    version: int
    keys: Array
    distances: Array
    counts: Array
    answered: tuple[str, ...]
    unanswered: tuple[tuple[str, str], ...] = ()
    complete: bool = True
    retired: bool = False


@dataclass(frozen=True)
class Worker:
    """A replica: `call(question, seconds left)` sends the question and returns at once."""

    name: str
    call: Callable[[Any, float], Future]


@dataclass(frozen=True)
class Group:
    shards: tuple[str, ...]
    workers: tuple[Worker, ...]


@dataclass(frozen=True)
class Layout:
    """Who serves one version of a set; between them the groups hold each of its shards once.

    `at_once`: questions that a worker works on at the same time; more wait.
    """

    version: int
    groups: tuple[Group, ...]
    at_once: int = 2

    @property
    def shards(self) -> int:
        return sum(len(group.shards) for group in self.groups)


class Answer(Matches):
    """The matches of a set that is served, and how complete they are.

    Attributes:
        version: of the set; all of an answer is of one.
        shards_asked, shards_answered: how many shards there are, and how many of them the answer is of.
        unanswered: the others: (shard, reason).
        complete: every one of those was searched to the end, not stopped by the time that was left.
        hedged: how many second questions were asked.
    """

    __slots__ = ("complete", "hedged", "shards_answered", "shards_asked", "unanswered", "version")

    def __init__(
        self, matches: Matches, version: int, asked: int, unanswered: Sequence[tuple[str, str]], complete: bool, hedged: int
    ) -> None:
        super().__init__(matches.keys, matches.distances, matches.counts)
        self.version = version
        self.shards_asked = asked
        self.unanswered = tuple(unanswered)
        self.shards_answered = asked - len(self.unanswered)
        self.complete = complete
        self.hedged = hedged

    def __getitem__(self, i: int) -> Answer:
        return Answer(super().__getitem__(i), self.version, self.shards_asked, self.unanswered, self.complete, self.hedged)


def merge(parts: Sequence[Part], rows: int, k: int | None) -> Matches:
    """The k nearest of all parts for each query, by (distance, key); a key that two parts have counts once, with its nearest.

    k None: all that they have found, in arrays as wide as the longest answer.
    """
    if k is None:
        found = merge(parts, rows, sum(part.keys.shape[1] for part in parts))
        most = int(found.counts.max(initial=0))
        return Matches(found.keys[:, :most], found.distances[:, :most], found.counts)
    if len(parts) == 1 and parts[0].keys.shape == (rows, k):
        return Matches(parts[0].keys, parts[0].distances, parts[0].counts)
    if not parts:
        return Matches(np.zeros((rows, k), KEYS), np.full((rows, k), np.inf, np.float32), np.zeros(rows, KEYS))
    keys = np.concatenate([part.keys for part in parts], axis=1)
    distances = np.concatenate([part.distances for part in parts], axis=1)
    there = np.concatenate([np.arange(part.keys.shape[1]) < part.counts[:, None].astype(np.int64) for part in parts], axis=1)
    distances = np.where(there, distances, np.float32(np.inf))
    # Sorting all that many parts have found takes long, so only the nearest are: twice as many as wanted, since a vector may be
    # in two shards. What was left out matters only where it may be as near as the last that is wanted.
    some = 2 * k + 8
    if distances.shape[1] > 2 * some:
        nearest = np.argpartition(distances, some - 1, axis=1)[:, :some]
        near = np.take_along_axis(distances, nearest, 1)
        merged = _sorted(np.take_along_axis(keys, nearest, 1), near, k)
        left_out = np.count_nonzero(there, axis=1) > some
        if not (left_out & ~(merged.distances[:, -1] < near.max(axis=1))).any():
            return merged
    return _sorted(keys, distances, k)


def _sorted(keys: Array, distances: Array, k: int) -> Matches:
    """The first k of each row by (distance, key), each key once; a distance of infinity is none."""
    rows = len(keys)
    there = distances < np.inf
    row = np.broadcast_to(np.arange(rows)[:, None], keys.shape)[there]
    keys, distances = keys[there], distances[there]
    # The nearest of each key first, then the order that counts.
    order = np.lexsort((distances, keys, row))
    row, keys, distances = row[order], keys[order], distances[order]
    first = np.ones(len(row), bool)
    first[1:] = (row[1:] != row[:-1]) | (keys[1:] != keys[:-1])
    row, keys, distances = row[first], keys[first], distances[first]
    order = np.lexsort((keys, distances, row))
    row, keys, distances = row[order], keys[order], distances[order]
    found = np.bincount(row, minlength=rows)
    place = np.arange(len(row)) - np.repeat(np.cumsum(found) - found, found)
    kept = place < k
    made = Matches(np.zeros((rows, k), KEYS), np.full((rows, k), np.inf, np.float32), np.minimum(found, k).astype(KEYS))
    made.keys[row[kept], place[kept]] = keys[kept]
    made.distances[row[kept], place[kept]] = distances[kept]
    return made


class Moved(Exception):
    """The version that was asked is not served any more."""


@dataclass
class _Open:
    """A group that has not answered yet."""

    group: Group
    flying: dict[Future, Worker] = field(default_factory=dict)
    tries: int = 0
    lost: int = 0
    again_at: float = 0.0
    hedge_at: float | None = None
    problem: BaseException | None = None
    refusals: dict[str, BaseException] = field(default_factory=dict)


class Scatter:
    """Asks every group, and gathers. For any number of threads.

    Args:
        layout: who serves now; called at first, and whenever all workers of a group seem to be gone.
        is_lost: whether an exception means that the worker is gone or cannot be reached; what else it raises is its answer.
        quantile, budget: of `Hedge`.
    """

    def __init__(
        self,
        layout: Callable[[], Layout],
        is_lost: Callable[[BaseException], bool],
        *,
        quantile: float = 0.95,
        budget: float = 0.1,
    ) -> None:
        self._ask_layout = layout
        self._is_lost = is_lost
        self._layout = layout()
        self._hedges: dict[int, Hedge] = collections.defaultdict(lambda: Hedge(quantile, budget))
        self._unanswered: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()

    @property
    def layout(self) -> Layout:
        return self._layout

    def refresh(self) -> Layout:
        """Looks who serves now."""
        self._layout = self._ask_layout()
        return self._layout

    def ask(self, question: Any, rows: int, k: int | None, *, timeout: float, allow_partial: bool = False) -> Answer:
        """The k nearest of the whole set for each of `rows` queries; None: all that its shards have found.

        How long answers take is learnt by the number of rows; 0 for what takes its own time.

        Raises:
            DeadlineExceededError: some shards have not answered in time; it names them. Not with `allow_partial`, unless none has.
            CairnError: what a worker said of the question; or, of the last replica, of its files.
        """
        end = time.monotonic() + timeout
        while True:
            gathering = _Gathering(self, self._layout, question, rows, end)
            try:
                gathering.run()
            except Moved:
                continue  # answers of two versions are not mixed
            if gathering.is_retired and self._layout is gathering.layout:
                self.refresh()
            return gathering.answer(k, timeout, allow_partial)

    def _pick(self, group: Group, avoid: Set[str], most: int | None = None) -> Worker | None:
        """The replica with the fewest questions on it, any of those that have equally few: so one that hangs is left alone.

        None if there is none, or none with fewer than `most` questions.
        """
        choice = [worker for worker in group.workers if worker.name not in avoid]
        with self._lock:
            best = min(choice, key=lambda worker: (self._unanswered[worker.name], random.random()), default=None)
            if best is not None and most is not None and self._unanswered[best.name] >= most:
                return None
            return best

    def _call(self, worker: Worker, question: Any, end: float, hedge: Hedge) -> Future:
        began = time.monotonic()
        with self._lock:
            self._unanswered[worker.name] += 1

        def note(done: Future) -> None:
            with self._lock:
                self._unanswered[worker.name] -= 1
            if not done.cancelled() and done.exception() is None:
                hedge.record(time.monotonic() - began)

        try:
            future = worker.call(question, end - began)
        except Exception as error:  # nobody there to call
            future = concurrent.futures.Future()
            future.set_exception(error)
        future.add_done_callback(note)
        return future

    def _hedge(self, rows: int) -> Hedge:
        with self._lock:
            return self._hedges[rows.bit_length()]  # larger batches take longer


class _Gathering:
    """One question on its way."""

    def __init__(self, scatter: Scatter, layout: Layout, question: Any, rows: int, end: float) -> None:
        self._scatter = scatter
        self.layout = layout
        self._question = question
        self._end = end
        self._hedge = scatter._hedge(rows)
        self._parts: list[Part] = []
        self._open: list[_Open] = []
        self._hedged = 0

    def run(self) -> None:
        """Until all groups have answered or failed, or time is up. Moved: other workers serve by now."""
        self._open = [_Open(group) for group in self.layout.groups]
        while True:
            now = time.monotonic()
            waiting = [one for one in self._open if one.flying or self._may_try(one)]
            if not waiting or now >= self._end:
                return
            for one in waiting:
                self._send_what_is_due(one, now)
            events = [self._end]
            for one in waiting:
                if not one.flying:
                    events.append(one.again_at)
                elif one.hedge_at is not None:
                    events.append(one.hedge_at)
            flying = [future for one in waiting for future in one.flying]
            pause = max(0.0, min(events) - time.monotonic())
            if not flying:
                time.sleep(pause)
                continue
            done, _ = concurrent.futures.wait(flying, pause, concurrent.futures.FIRST_COMPLETED)
            for one in waiting:
                for future in [future for future in one.flying if future in done]:
                    self._take(one, future)

    @staticmethod
    def _may_try(one: _Open) -> bool:
        """Each replica may refuse once; those that are gone come back, and are asked until time is up."""
        return len(one.refusals) < len(one.group.workers)

    def _send_what_is_due(self, one: _Open, now: float) -> None:
        if not one.flying:
            if now >= one.again_at:
                self._hedge.asked()
                self._send(one, self._scatter._pick(one.group, self._avoided(one)))
        elif one.hedge_at is not None and now >= one.hedge_at:
            # Only to a replica that can begin at once: behind others it would come no sooner, and hold them up.
            worker = self._scatter._pick(one.group, self._avoided(one), self.layout.at_once)
            if worker is None:
                one.hedge_at = now + (self._hedge.delay() or 0) / 2
                return
            one.hedge_at = None
            if self._hedge.spend():
                self._hedged += 1
                self._send(one, worker)

    @staticmethod
    def _avoided(one: _Open) -> set[str]:
        return {worker.name for worker in one.flying.values()} | one.refusals.keys()

    def _send(self, one: _Open, worker: Worker | None) -> None:
        if worker is None:
            return
        one.tries += 1
        one.flying[self._scatter._call(worker, self._question, self._end, self._hedge)] = worker
        delay = self._hedge.delay()
        if delay is not None and len(one.flying) == 1 and len(one.group.workers) > 1:
            one.hedge_at = time.monotonic() + delay

    def _take(self, one: _Open, future: Future) -> None:
        worker = one.flying.pop(future, None)
        if worker is None:  # its replica has answered at the same moment
            return
        error = future.exception()
        if error is None:
            error = self._problem_of(one.group, worker, future.result())
        if error is None:
            self._parts.append(future.result())
            self._open.remove(one)
            one.flying.clear()  # what comes twice or late is not looked at
            return
        one.problem = error
        if not isinstance(error, Moved) and not self._scatter._is_lost(error):
            if isinstance(error, CALLERS):
                raise error
            one.refusals[worker.name] = error
            return
        if one.flying:
            return
        one.lost += 1
        if one.lost % len(one.group.workers) == 0:
            # All of them are gone: perhaps others serve now, else they are being restarted.
            if self._scatter.refresh().version != self.layout.version:
                raise Moved
            doubled = PAUSE_S * 2 ** min(10, one.lost // len(one.group.workers) - 1)
            one.again_at = time.monotonic() + min(LONGEST_PAUSE_S, doubled)

    def _problem_of(self, group: Group, worker: Worker, part: Any) -> BaseException | None:
        if not isinstance(part, Part):
            return IoError(f"worker {worker.name}: a {type(part).__name__} instead of an answer")
        if part.version != self.layout.version:
            return IoError(f"worker {worker.name}: answers for version {part.version}, not {self.layout.version}")
        named = set(part.answered) | {shard for shard, _ in part.unanswered}
        if named != set(group.shards):
            return IoError(f"worker {worker.name}: answers for shards {sorted(named)}, not {sorted(group.shards)}")
        return None

    @property
    def is_retired(self) -> bool:
        return any(part.retired for part in self._parts)

    def answer(self, k: int | None, timeout: float, allow_partial: bool) -> Answer:
        unanswered = [shard for part in self._parts for shard in part.unanswered]
        problems: list[BaseException] = []
        for one in self._open:
            if one.refusals and not self._may_try(one):
                problem: BaseException = one.problem or IoError("no worker")
                problems.append(problem)
                reason = str(problem)
            else:
                told = f": {one.problem}" if one.problem is not None else ""
                reason = f"no answer within {timeout:g} s, asked {one.tries} times{told}"
            unanswered += [(shard, reason) for shard in one.group.shards]
        asked = self.layout.shards
        if unanswered and (not allow_partial or len(unanswered) == asked):
            if problems and isinstance(problems[0], CairnError):
                raise problems[0]
            names = ", ".join(f"{shard} ({reason})" for shard, reason in unanswered[:4])
            more = f" and {len(unanswered) - 4} more" if len(unanswered) > 4 else ""
            raise DeadlineExceededError(f"{asked - len(unanswered)} of {asked} shards have answered; not {names}{more}")
        rows = len(self._parts[0].counts) if self._parts else 0
        complete = all(part.complete for part in self._parts)
        return Answer(merge(self._parts, rows, k), self.layout.version, asked, unanswered, complete, self._hedged)
