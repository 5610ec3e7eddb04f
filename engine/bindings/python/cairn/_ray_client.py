# SPDX-License-Identifier: Apache-2.0
"""Asking a set that actors of Ray serve: cairn.ray.Client."""

from __future__ import annotations

import concurrent.futures
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import ray
import ray.exceptions

from ._arrays import Array
from ._batches import Batches
from ._errors import CairnError, CancelledError, InvalidArgumentError, IoError
from ._key_filter import KeyFilter
from ._scatter import Answer, Future, Group, Layout, Scatter, Worker

NAMESPACE = "cairn"
# Generation; of each group's actors the name and the shards; questions that an actor works on at the same time.
Serving = tuple[int, list[list[tuple[str, tuple[str, ...]]]], int]


def need_cluster() -> None:
    if not ray.is_initialized():
        raise InvalidArgumentError("no Ray cluster: call ray.init() first")


@contextlib.contextmanager
def causes() -> Iterator[None]:
    """Errors as they were raised on the other side; what Ray itself says as IoError."""
    try:
        yield
    except ray.exceptions.RayTaskError as error:
        raise cause_of(error) from None
    except ray.exceptions.TaskCancelledError as error:
        raise CancelledError(str(error)) from None
    except ray.exceptions.RayError as error:
        raise IoError(f"Ray: {error}") from error


def cause_of(error: BaseException) -> BaseException:
    cause = getattr(error, "cause", None)
    return cause if isinstance(error, ray.exceptions.RayTaskError) and isinstance(cause, BaseException) else error


def connect(name: str, **options: Any) -> Client:
    """A client of the set that is served under a name; options as of `Client`."""
    return Client(name, **options)


class Client:
    """Asks a set that is served. For any number of threads of a process; make one and keep it.

    A question goes to one replica of each group. Where none has answered after the running 95th percentile of answers, a second
    replica is asked, too, and the first answer counts; where one is gone, another is asked, until time is up.

    Args:
        name: as given to `serve`.
        timeout: seconds for a question, unless it says otherwise.
        allow_partial: answer with the shards that have answered in time: `Answer.shards_asked`, `shards_answered`, `unanswered`.
            Else DeadlineExceededError names the others.
        batch, linger: queries that are submitted one by one go together: at most so many, after so many seconds.
        at_once: batches on their way at the same time.
        hedge_quantile, hedge_budget: when a second replica is asked, and for what part of questions at most.
    """

    def __init__(
        self,
        name: str,
        *,
        timeout: float = 30,
        allow_partial: bool = False,
        batch: int = 256,
        linger: float = 0.002,
        at_once: int = 2,
        hedge_quantile: float = 0.95,
        hedge_budget: float = 0.1,
    ) -> None:
        need_cluster()
        self.name = name
        self._timeout = timeout
        self._allow_partial = allow_partial
        try:
            self._directory = ray.get_actor(name, NAMESPACE)
        except ValueError:
            raise InvalidArgumentError(f"{name}: nothing is served under that name") from None
        self._scatter = Scatter(self._look_up, _is_lost, quantile=hedge_quantile, budget=hedge_budget)
        self._batches = Batches(self._ask_batch, most=batch, linger=linger, at_once=at_once)

    def search(
        self,
        query: Any,
        k: int = 10,
        ef: int = 64,
        *,
        plan: str = "automatic",
        probe: int = 0,
        coverage: float = 1.0,
        filter: KeyFilter | None = None,
        timeout: float | None = None,
        allow_partial: bool | None = None,
    ) -> Answer:
        """The k nearest vectors of the whole set: of one query (dims,), or of several (n, dims), which go together.

        Args:
            k, ef, plan, probe, coverage: as for `cairn.ShardSet.search`.
            filter: which keys may be among the results, for all queries; actors keep the last few.
            timeout, allow_partial: None: as of the client.
        """
        array = _queries(query)
        kind = (k, ef, plan, probe, coverage, _key_filter(filter), self._timeout if timeout is None else timeout)
        partial = self._allow_partial if allow_partial is None else allow_partial
        answer = self._ask(array if array.ndim == 2 else array.reshape(1, -1), kind, partial)
        return answer if array.ndim == 2 else answer[0]

    def search_range(
        self,
        query: Any,
        radius: float,
        ef: int = 64,
        *,
        max_results: int = 0,
        plan: str = "automatic",
        probe: int = 0,
        coverage: float = 1.0,
        filter: KeyFilter | None = None,
        timeout: float | None = None,
        allow_partial: bool | None = None,
    ) -> Answer:
        """All vectors of the whole set that are not farther than `radius`, nearest first; the rest as for `search`.

        Args:
            radius, ef, max_results: as for `cairn.ShardSet.search_range`.
        """
        array = _queries(query)
        seconds = self._timeout if timeout is None else timeout
        if array.ndim != 1 or ef < 0 or max_results < 0 or seconds <= 0:
            raise InvalidArgumentError(
                f"search_range: an array of shape {array.shape}, ef {ef}, max_results {max_results}, timeout {seconds}"
            )
        partial = self._allow_partial if allow_partial is None else allow_partial
        question = ("search_range", array, radius, ef, max_results, plan, probe, coverage, _key_filter(filter))
        return self._scatter.ask(question, 0, max_results or None, timeout=seconds, allow_partial=partial)[0]

    def submit(
        self,
        query: Any,
        k: int = 10,
        ef: int = 64,
        *,
        plan: str = "automatic",
        probe: int = 0,
        coverage: float = 1.0,
        filter: KeyFilter | None = None,
        timeout: float | None = None,
        allow_partial: bool | None = None,
    ) -> Future:
        """One query (dims,), as a concurrent.futures.Future of its Answer: sent together with others that ask for the same."""
        array = _queries(query)
        if array.ndim != 1:
            raise InvalidArgumentError(f"submit: an array of shape {array.shape}, not one query")
        kind = (k, ef, plan, probe, coverage, _key_filter(filter), self._timeout if timeout is None else timeout)
        partial = self._allow_partial if allow_partial is None else allow_partial
        return self._batches.submit(array, (array.shape, array.dtype.str, kind, partial))

    def close(self) -> None:
        """What was submitted is still answered."""
        self._batches.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def layout(self) -> Layout:
        """Who is asked."""
        return self._scatter.layout

    def _ask_batch(self, rows: Array, kind: Any) -> Answer:
        return self._ask(rows, kind[2], kind[3])

    def _ask(self, rows: Array, kind: tuple[Any, ...], allow_partial: bool) -> Answer:
        *asked, timeout = kind
        if asked[0] < 1 or asked[1] < 0 or timeout <= 0:
            raise InvalidArgumentError(f"search: k {asked[0]}, ef {asked[1]}, timeout {timeout}")
        # Once into the object store, and not into each question.
        sent = ray.put(rows) if len(self._scatter.layout.groups) > 1 else rows
        return self._scatter.ask(("search", sent, *asked), len(rows), asked[0], timeout=timeout, allow_partial=allow_partial)

    def _look_up(self) -> Layout:
        try:
            serving: Any = ray.get(self._directory.get.remote(), timeout=self._timeout)
        except ray.exceptions.RayError as error:
            raise IoError(f"{self.name}: {error}") from error
        if serving is None:
            raise InvalidArgumentError(f"{self.name}: nothing is served under that name")
        return _layout_of(serving)

    @staticmethod
    def _ask_directly(serving: Any, queries: Any) -> Answer:
        layout = _layout_of(serving)
        rows = _queries(queries)
        return Scatter(lambda: layout, _is_lost).ask(("search", rows, 10, 64, "automatic", 0, 1.0, None), len(rows), 10, timeout=60)


def _queries(query: Any) -> Array:
    array = np.asarray(query)
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiub":
        raise InvalidArgumentError(f"search: an array of {array.dtype} and shape {array.shape}, not one query or several")
    # Python's numbers have no type of their own.
    return array.astype(np.float32) if not isinstance(query, np.ndarray) and array.dtype == np.float64 else array


def _key_filter(given: Any) -> KeyFilter | None:
    if given is not None and not isinstance(given, KeyFilter):
        raise TypeError(f"filter: {given!r} is no cairn.shards.KeyFilter")
    return given


def _layout_of(serving: Serving) -> Layout:
    generation, groups, at_once = serving
    made = tuple(Group(group[0][1], tuple(Worker(actor, _caller(actor)) for actor, _ in group)) for group in groups)
    return Layout(generation, made, at_once)


def _caller(actor: str) -> Callable[[Any, float], Future]:
    handle: Any = None

    def call(question: Any, left: float) -> Future:
        nonlocal handle
        if handle is None:
            handle = ray.get_actor(actor, NAMESPACE)  # ValueError: there is none
        future: Future = concurrent.futures.Future()

        def told(done: Future) -> None:
            error = done.exception()
            if error is None:
                future.set_result(done.result())
            else:
                future.set_exception(cause_of(error))

        method, *asked = question
        getattr(handle, method).remote(*asked, left).future().add_done_callback(told)
        return future

    return call


def _is_lost(error: BaseException) -> bool:
    return not isinstance(error, CairnError) and isinstance(error, (ray.exceptions.RayError, ValueError, ConnectionError))
