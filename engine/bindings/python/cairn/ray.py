# SPDX-License-Identifier: Apache-2.0
"""Sets of shards on a Ray cluster: built by tasks, served by actors, asked by a client. Needs `pip install 'cairn[ray]'`.

    ray.init()
    cairn.ray.build(cairn.shards.plan(["s3://some/rows.parquet"], 64), "s3://some/set")
    service = cairn.ray.serve("s3://some/set", name="words")
    answer = cairn.ray.connect("words").search(queries, k=10)

Ray schedules, retries, restarts and moves; files, manifests and merging are those of `cairn.shards`. docs/guide/shards.md tells
what is left to whom.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ray

from . import _places, shards
from ._arrays import Array
from ._errors import DeadlineExceededError, IoError, OutOfMemoryError
from ._index import Progress, _reporter
from ._plan import Plan
from ._ray_client import Client, causes, connect, need_cluster
from ._ray_service import Service, serve
from ._scatter import Answer

__all__ = ["Answer", "Client", "Service", "build", "connect", "serve"]


def build(
    plan: Plan,
    place: Any,
    *,
    num_cpus: float = 1,
    memory: float | None = None,
    max_retries: int = 3,
    timeout: float | None = None,
    progress: Progress = None,
    publish: shards.Publish = shards.publish,
) -> shards.ShardManifest:
    """Builds all shards of a plan as tasks of Ray, and publishes them as `cairn.shards.publish` does.

    A task that dies with its worker or node, or that cannot write, is run again elsewhere; it makes the same file. What was built
    stays in the place if the build fails, under names that tell its contents: nobody sees it before it is published.

    Args:
        plan: of `cairn.shards.plan`; its paths must lead to the same files on every node.
        place: of the set, that every node reaches.
        num_cpus: of each task, and so its threads.
        memory: bytes of each task, as Ray counts them; None: `Task.memory` of its shard.
        max_retries: of each task.
        timeout: seconds for all; DeadlineExceededError, and tasks are cancelled.
        progress: True for a bar, or a callable that is given (done, total).
    """
    need_cluster()
    name = _places.text(place)
    end = None if timeout is None else time.monotonic() + timeout
    options = {
        "num_cpus": num_cpus,
        "max_retries": max_retries,
        "retry_exceptions": [IoError, OutOfMemoryError],
        "scheduling_strategy": "SPREAD",
    }
    threads = max(1, int(num_cpus))
    pairs: list[Array] = []
    if plan.partition == "clusters":
        assign: Any = ray.remote(_assign).options(**options)
        shared = ray.put(plan)
        pairs = _gather([assign.remote(shared, *part) for part in plan.parts(_assign_parts(plan.rows))], end, None)
    make: Any = ray.remote(shards.build_shard)
    tasks = plan.tasks(pairs)
    refs = [
        make.options(**options, memory=task.memory if memory is None else memory).remote(task, name, threads=threads) for task in tasks
    ]
    files = _gather(refs, end, _reporter(progress, "shards"))
    return publish(name, plan.manifest(files, shards.put_router(plan, name)))


def _assign(plan: Plan, first: int, last: int) -> Array:
    return plan.assign(first, last)


def _assign_parts(rows: int) -> int:
    cpus = int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call,unused-ignore]
    return max(1, min(rows, max(2 * cpus, rows // 1_000_000)))


def _gather(refs: list[Any], end: float | None, report: Callable[[int, int], object] | None) -> list[Any]:
    """What tasks return, in order. The first that fails for good ends the others, and its error is raised."""
    waiting = list(refs)
    try:
        while waiting:
            left = None if end is None else max(0.0, end - time.monotonic())
            done, waiting = ray.wait(waiting, num_returns=1, timeout=left)
            if not done:
                raise DeadlineExceededError(f"{len(refs) - len(waiting)} of {len(refs)} tasks have ended in time")
            with causes():
                ray.get(done)
            if report is not None:
                report(len(refs) - len(waiting), len(refs))
    except BaseException:
        for ref in waiting:
            ray.cancel(ref, force=True)
        raise
    found: list[Any] = ray.get(refs)
    return found
