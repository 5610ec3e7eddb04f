# SPDX-License-Identifier: Apache-2.0
"""Serving a set by actors of Ray: cairn.ray.Service."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Sequence
from typing import Any

import ray
import ray.exceptions

from . import _places, shards
from ._errors import DeadlineExceededError, InvalidArgumentError, PathInUseError, damaged
from ._ray_client import NAMESPACE, Client, Serving, causes, need_cluster
from ._shard_worker import ShardWorker


class _Directory:
    """Who serves now. A named actor; when it has been restarted it finds out by asking those that are there."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._serving: Serving | None = None
        self._claim: tuple[str, float] | None = None

    def get(self) -> Any:
        """None: nobody serves."""
        if self._serving is None:
            self._serving = _find_serving(self._name)
        return self._serving

    def set(self, serving: Any) -> None:
        self._serving = serving

    def claim(self, who: str, seconds: float) -> bool:
        """Whether `who` may switch now: one at a time, and one that has died no longer than for so many seconds."""
        if self._claim is not None and self._claim[0] != who and time.monotonic() < self._claim[1]:
            return False
        self._claim = (who, time.monotonic() + seconds)
        return True

    def release(self, who: str) -> None:
        if self._claim is not None and self._claim[0] == who:
            self._claim = None


def _find_serving(name: str) -> Any:
    """The oldest generation all of whose groups have a replica: a newer one may not have been tried yet."""
    generations: dict[int, dict[int, list[tuple[str, tuple[str, ...]]]]] = {}
    groups_of: dict[int, int] = {}
    at_once = 1
    for actor in _actors(name):
        try:
            told: Any = ray.get(ray.get_actor(actor, NAMESPACE).describe.remote(), timeout=10)
        except (ray.exceptions.RayError, ValueError):
            continue
        generations.setdefault(told["generation"], {}).setdefault(told["group"], []).append((actor, told["shards"]))
        groups_of[told["generation"]] = told["groups"]
        at_once = told["options"]["at_once"]
    for generation in sorted(generations):
        if len(generations[generation]) == groups_of[generation]:
            return generation, [generations[generation][i] for i in range(groups_of[generation])], at_once
    return None


def _actors(name: str, generation: int | None = None) -> list[str]:
    """Names of those that serve, or are to serve, a set, or one generation of it."""
    listed = ray.util.list_named_actors(all_namespaces=True)
    prefix = f"{name}/" if generation is None else f"{name}/{generation}/"
    return sorted(one["name"] for one in listed if one["namespace"] == NAMESPACE and one["name"].startswith(prefix))


def serve(
    place: Any,
    *,
    name: str,
    groups: int = 1,
    replicas: int = 2,
    generation: int | None = None,
    num_cpus: float = 1,
    memory: float | None = None,
    cache: str | None = None,
    at_once: int = 2,
    guard: bool = True,
    timeout: float = 600,
) -> Service:
    """Serves a set by `groups` x `replicas` detached actors, spread over the nodes; Ray restarts those that die.

    Each group holds its part of the shards, and searches them together: so one actor a node with many shards is better than
    many actors. Each replica of a group holds the same.

    Args:
        place: of the set, that every node reaches.
        name: under which clients find it; PathInUseError if something is served there already: `Service.switch` replaces it.
        generation: None: the one that holds.
        num_cpus: of each actor, and so its threads.
        memory: bytes of each actor, as Ray counts them; None: a quarter of its files' size, the least that a walk wants in memory.
        cache: a folder on the disk of each node, as for `cairn.shards.open`.
        at_once: questions that an actor works on at the same time.
        guard: a page that cannot be read is an error of that search; else the process dies, and is restarted.
        timeout: seconds until all of them have opened their files.
    """
    need_cluster()
    if "/" in name or not name:
        raise InvalidArgumentError(f"name {name!r}: empty, or with a slash")
    if groups < 1 or replicas < 1 or at_once < 1:
        raise InvalidArgumentError(f"serve: {groups} groups, {replicas} replicas, {at_once} at once")
    options = {
        "place": _places.text(place),
        "groups": groups,
        "replicas": replicas,
        "num_cpus": num_cpus,
        "memory": memory,
        "cache": cache,
        "at_once": at_once,
        "guard": guard,
    }
    service = Service(name, options)
    with causes():
        if ray.get(service._directory.get.remote(), timeout=timeout) is not None:
            raise PathInUseError(f"{name}: served already")
    service.switch(generation, timeout=timeout)
    return service


class Service:
    """A set that is served: made by `serve`, and by name in any process of the cluster."""

    def __init__(self, name: str, options: dict[str, Any] | None = None) -> None:
        need_cluster()
        self.name = name
        directory: Any = ray.remote(_Directory).options(
            name=name, namespace=NAMESPACE, lifetime="detached", get_if_exists=True, num_cpus=0, max_restarts=-1, max_task_retries=10
        )
        self._directory: Any = directory.remote(name)
        if options is None:
            options = self._options_of_any()
        self._options = options

    def _options_of_any(self) -> dict[str, Any]:
        for actor in _actors(self.name):
            with contextlib.suppress(ray.exceptions.RayError, ValueError):
                told: Any = ray.get(ray.get_actor(actor, NAMESPACE).describe.remote(), timeout=30)
                return dict(told["options"])
        ray.kill(self._directory)
        raise InvalidArgumentError(f"{self.name}: nothing is served under that name")

    @property
    def generation(self) -> int | None:
        """Which one is served now."""
        with causes():
            serving = ray.get(self._directory.get.remote())
        return None if serving is None else int(serving[0])

    def switch(
        self,
        generation: int | None = None,
        *,
        queries: Any = None,
        least_overlap: float = 0.5,
        timeout: float = 600,
        drain: float = 30,
    ) -> int:
        """Goes over to another generation without a failed query: it is opened beside the one that is served, warmed and tried first.

        Each new actor looks up vectors of its own by themselves. If that fails the old generation goes on, and the new actors end.

        Args:
            generation: None: the one that holds.
            queries: (n, dims): they are asked of both, and their answers must agree in so great a part as `least_overlap`.
            timeout: seconds until the new actors are ready.
            drain: seconds, at most, for clients to go over before the old actors end; what is under way then is asked anew.

        Returns:
            the generation that is served.
        """
        manifest = shards.read_manifest(self._options["place"], generation)
        who = uuid.uuid4().hex
        with causes():
            if not ray.get(self._directory.claim.remote(who, timeout + drain)):
                raise PathInUseError(f"{self.name}: somebody else goes over to another generation just now")
            before = ray.get(self._directory.get.remote())
        try:
            if before is None or before[0] != manifest.generation:
                self._go_over(before, manifest, queries, least_overlap, timeout)
        finally:
            self._directory.release.remote(who)
        if before is not None and before[0] != manifest.generation:
            self._retire([actor for group in before[1] for actor, _ in group], drain)
        return int(manifest.generation)

    def _go_over(
        self, before: Serving | None, manifest: shards.ShardManifest, queries: Any, least_overlap: float, timeout: float
    ) -> None:
        _end_all(_actors(self.name, manifest.generation))  # of a switch that did not come to its end
        try:
            after = manifest.generation, self._start(manifest, timeout), self._options["at_once"]
            if before is not None and queries is not None:
                self._compare(before, after, queries, least_overlap)
            with causes():
                ray.get(self._directory.set.remote(after))
        except BaseException:
            _kill_all(_actors(self.name, manifest.generation))
            raise

    def _start(self, manifest: shards.ShardManifest, timeout: float) -> list[list[tuple[str, tuple[str, ...]]]]:
        groups, replicas = self._options["groups"], self._options["replicas"]
        if groups > len(manifest.shards):
            raise InvalidArgumentError(f"{groups} groups for {len(manifest.shards)} shards")
        actor_class: Any = ray.remote(ShardWorker)
        made: list[list[tuple[str, tuple[str, ...]]]] = []
        waiting = []
        for group, numbers in enumerate(_balanced([file.bytes for file in manifest.shards], groups)):
            held = tuple(manifest.shards[i].file for i in numbers)
            size = sum(manifest.shards[i].bytes for i in numbers)
            memory = size // 4 if self._options["memory"] is None else self._options["memory"]
            made.append([])
            for replica in range(replicas):
                actor = f"{self.name}/{manifest.generation}/{group}/{replica}"
                handle = actor_class.options(
                    name=actor,
                    namespace=NAMESPACE,
                    lifetime="detached",
                    num_cpus=self._options["num_cpus"],
                    memory=memory,
                    max_restarts=-1,
                    max_concurrency=self._options["at_once"] + 1,
                    scheduling_strategy="SPREAD",
                ).remote(manifest.generation, group, numbers, self._options)
                made[-1].append((actor, held))
                waiting.append(handle.prepare.remote())
        try:
            with causes():
                ray.get(waiting, timeout=timeout)
        except ray.exceptions.GetTimeoutError:
            raise DeadlineExceededError(f"{self.name}: actors of generation {manifest.generation} not ready in {timeout:g} s") from None
        return made

    def _compare(self, before: Any, after: Any, queries: Any, least: float) -> None:
        old, new = (Client._ask_directly(serving, queries) for serving in (before, after))
        same = sum(len(set(old[i].keys.tolist()) & set(new[i].keys.tolist())) for i in range(len(old.counts)))
        wanted = int(old.counts.sum())
        if wanted and same / wanted < least:
            raise damaged(f"{self.name}: answers of the new generation agree in {same / wanted:.0%}, not in {least:.0%}")

    @staticmethod
    def _retire(actors: Sequence[str], drain: float) -> None:
        """Tells them that others serve; they end when nobody has asked them for a second, or when time is up."""
        end = time.monotonic() + drain
        left = set(actors)
        while left and time.monotonic() < end:
            for actor in list(left):
                try:
                    idle: Any = ray.get(ray.get_actor(actor, NAMESPACE).retire.remote(), timeout=max(1.0, end - time.monotonic()))
                except (ray.exceptions.RayError, ValueError):
                    idle = float("inf")
                if idle >= 1:
                    left.discard(actor)
            if left:
                time.sleep(0.1)
        _kill_all(actors)

    def status(self) -> dict[str, Any]:
        """Generation, and for each actor what it holds; "gone" where one does not answer within seconds."""
        with causes():
            serving = ray.get(self._directory.get.remote())
        told: dict[str, Any] = {"generation": None if serving is None else serving[0], "actors": {}}
        for group in serving[1] if serving is not None else []:
            for actor, _ in group:
                try:
                    told["actors"][actor] = ray.get(ray.get_actor(actor, NAMESPACE).describe.remote(), timeout=5)
                except (ray.exceptions.RayError, ValueError):
                    told["actors"][actor] = "gone"
        return told

    def shutdown(self) -> None:
        """Ends all of its actors."""
        _kill_all(_actors(self.name))
        ray.kill(self._directory)


def _kill_all(actors: Sequence[str]) -> None:
    for actor in actors:
        with contextlib.suppress(ValueError):
            ray.kill(ray.get_actor(actor, NAMESPACE))


def _end_all(actors: Sequence[str], seconds: float = 30) -> None:
    """Kills them, and waits until their names are free."""
    _kill_all(actors)
    end = time.monotonic() + seconds
    for actor in actors:
        while time.monotonic() < end:
            try:
                ray.get_actor(actor, NAMESPACE)
            except ValueError:
                break
            time.sleep(0.05)


def _balanced(sizes: Sequence[int], groups: int) -> list[list[int]]:
    """Shards into groups of about the same size: the largest first, each to the group that has least."""
    made: list[list[int]] = [[] for _ in range(groups)]
    held = [0] * groups
    for i in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        least = min(range(groups), key=lambda group: (held[group], len(made[group])))
        made[least].append(i)
        held[least] += sizes[i]
    return [sorted(group) for group in made]
