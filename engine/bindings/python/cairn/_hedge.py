# SPDX-License-Identifier: Apache-2.0
"""When a question that has not been answered is asked a second time. Imports nothing of the package: bench/scale uses it, too.

Dean and Barroso 2013, "The Tail at Scale": after the 95th percentile of recent answers, so about one question in twenty.
"""

from __future__ import annotations

import bisect
import collections
import threading

WINDOW = 512  # recent answers that count
FEWEST = 20  # before so many there is no percentile to speak of
UNKNOWN_S = 1.0  # what counts until then
# Second questions that may be saved up, in first ones: a question to many groups asks several of them again at one moment.
SAVED = 200


class Hedge:
    """The running percentile of how long answers take, and a budget of second questions. For any number of threads.

    Args:
        quantile: of recent answers, after which a second replica is asked; 0.95. 1: never.
        budget: second questions for each first one, at most: when everything is slow, asking twice makes it slower.
    """

    def __init__(self, quantile: float = 0.95, budget: float = 0.1) -> None:
        if not 0 < quantile <= 1 or budget < 0:
            raise ValueError(f"hedge: quantile {quantile}, budget {budget}")
        self._quantile = quantile
        self._budget = budget
        self._most = max(1.0, SAVED * budget)
        self._tokens = self._most
        self._lock = threading.Lock()
        self._recent: collections.deque[float] = collections.deque()
        self._sorted: list[float] = []

    def record(self, seconds: float) -> None:
        """An answer has come after so long, late or not: leaving out the late ones would make the percentile sink."""
        with self._lock:
            self._recent.append(seconds)
            bisect.insort(self._sorted, seconds)
            if len(self._recent) > WINDOW:
                del self._sorted[bisect.bisect_left(self._sorted, self._recent.popleft())]

    def asked(self) -> None:
        """A first question is asked: part of a second one is earned."""
        with self._lock:
            self._tokens = min(self._most, self._tokens + self._budget)

    def delay(self) -> float | None:
        """Seconds after which to ask a second time; None: not at all."""
        with self._lock:
            if self._quantile == 1:
                return None
            if len(self._sorted) < FEWEST:
                return UNKNOWN_S
            return self._sorted[min(len(self._sorted) - 1, int(self._quantile * len(self._sorted)))]

    def spend(self) -> bool:
        """Whether a second question may be asked now; it is then counted."""
        with self._lock:
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True
