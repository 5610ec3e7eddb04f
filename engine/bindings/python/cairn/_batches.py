# SPDX-License-Identifier: Apache-2.0
"""Single queries gathered into batches: a question to other machines costs milliseconds, whether it holds one query or 256."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._arrays import Array
from ._errors import BusyError, InvalidArgumentError

Future = concurrent.futures.Future[Any]


@dataclass
class _Batch:
    """Queries that are asked for the same, not yet sent."""

    kind: Hashable
    closes: float  # when it is sent even if it is not full
    rows: list[Array] = field(default_factory=list)
    futures: list[Future] = field(default_factory=list)


class Batches:
    """Sends what is submitted in batches of at most `most` rows. For any number of threads.

    A batch waits `linger` seconds for company, and longer while `at_once` others are on their way: so batches grow with the load.

    Args:
        ask: called with the rows and what they ask for; its answer's item i is that of row i.
        waiting: rows that may wait; more are BusyError: who asks faster than is answered shall know it.
    """

    def __init__(
        self, ask: Callable[[Array, Any], Any], *, most: int = 256, linger: float = 0.002, at_once: int = 2, waiting: int = 65_536
    ) -> None:
        if most < 1 or at_once < 1 or linger < 0:
            raise InvalidArgumentError(f"batches: most {most}, at_once {at_once}, linger {linger}")
        self._ask = ask
        self._most = most
        self._linger = linger
        self._room = waiting
        self._batches: list[_Batch] = []
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [threading.Thread(target=self._run, name="cairn-batches", daemon=True) for _ in range(at_once)]
        for thread in self._threads:
            thread.start()

    def submit(self, row: Array, kind: Hashable) -> Future:
        """One row, and what is asked for it. Its answer, or the error of its batch, comes with the future."""
        future: Future = concurrent.futures.Future()
        with self._changed:
            if self._closed:
                raise InvalidArgumentError("the client is closed")
            if self._room == 0:
                raise BusyError("too many queries wait already")
            self._room -= 1
            batch = next((b for b in self._batches if b.kind == kind and len(b.rows) < self._most), None)
            if batch is None:
                batch = _Batch(kind, time.monotonic() + self._linger)
                self._batches.append(batch)
            batch.rows.append(row)
            batch.futures.append(future)
            self._changed.notify()
        return future

    def close(self) -> None:
        """What was submitted is still answered."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (batch := self._next()) is not None:
            answered = [i for i, future in enumerate(batch.futures) if future.set_running_or_notify_cancel()]
            if not answered:
                continue
            futures = [batch.futures[i] for i in answered]
            try:
                answer = self._ask(np.stack([batch.rows[i] for i in answered]), batch.kind)
                for i, future in enumerate(futures):
                    future.set_result(answer[i])
            except BaseException as error:
                for future in futures:
                    if not future.done():
                        future.set_exception(error)

    def _next(self) -> _Batch | None:
        """The next batch that is full or has waited long enough; None once closed and empty."""
        with self._changed:
            while True:
                now = time.monotonic()
                for i, batch in enumerate(self._batches):
                    if self._closed or len(batch.rows) >= self._most or now >= batch.closes:
                        self._room += len(batch.rows)
                        return self._batches.pop(i)
                if self._closed:
                    return None
                self._changed.wait(min((batch.closes for batch in self._batches), default=now + 3600) - now)
