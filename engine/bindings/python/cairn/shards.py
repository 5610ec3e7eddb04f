# SPDX-License-Identifier: Apache-2.0
"""Sets of shards: planned, built in parts, published in one step, opened from any place. Knows no engine; cairn.ray adds one.

A set is a folder, or a URL that fsspec knows, with index files that are named by their contents, and numbered manifests that
name those of one generation. docs/shards.md describes it; docs/guide/shards.md shows how it is used.

>>> import numpy as np, tempfile, os, cairn
>>> folder = tempfile.mkdtemp()
>>> rows = os.path.join(folder, "rows.npy")
>>> np.save(rows, np.random.default_rng(1).standard_normal((1000, 8), dtype=np.float32))
>>> plan = cairn.shards.plan(rows, 4)
>>> cairn.shards.build(plan, os.path.join(folder, "set")).generation
1
>>> with cairn.shards.open(os.path.join(folder, "set")) as words:
...     words.search(np.load(rows)[7], k=1).keys.tolist()
[7]
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import _core, _places
from ._arrays import Array
from ._core import ShardFile, ShardManifest
from ._errors import CairnError, InvalidArgumentError, PathExistsError, PathInUseError, PathNotFoundError, UnsupportedError, damaged
from ._index import Progress, _reporter, check_counts
from ._inputs import Input, blocks, look, of_index
from ._key_filter import KeyFilter
from ._plan import Plan, Task, build_shard, plan, put_index
from ._shard_set import PARTITIONS, ShardSet, params_of

__all__ = [
    "Input",
    "KeyFilter",
    "Plan",
    "Pruned",
    "ShardFile",
    "ShardManifest",
    "Task",
    "build",
    "build_shard",
    "merge",
    "open",
    "plan",
    "prune",
    "publish",
    "read_manifest",
    "rebalance",
    "split",
]

MOST_MANIFEST = 64 << 20
Publish = Callable[[str, ShardManifest], ShardManifest]
Builder = Callable[..., ShardManifest]  # (plan, place, publish=) -> what holds then


def read_manifest(place: Any, generation: int | None = None) -> ShardManifest:
    """What a set is made of: the generation that holds, or an older one whose manifest is still there."""
    name = _places.text(place)
    if generation is not None:
        check_counts("read_manifest", generation=generation)
    else:
        if not _places.is_remote(name):
            return _core.read_manifest(os.fsencode(name))
        generation = _current(name)
        if not generation:
            raise PathNotFoundError(f"{_places.join(name, 'CURRENT')}: no such file")
    path = _manifest_path(name, generation)
    found = _core.parse_manifest(_places.read(path, MOST_MANIFEST), path)
    if found.generation != generation:
        raise damaged(f"{path}: is of generation {found.generation}")
    return found


def _manifest_path(name: str, generation: int) -> str:
    return _places.join(name, f"manifest-{generation}.json")


def _current(name: str) -> int:
    """The generation of a remote place that holds; 0: none.

    CURRENT may lag behind by what was published and could not be pointed to: manifests count, and the pointer is where to look from.
    """
    pointer = _places.join(name, "CURRENT")
    generation = 0
    with contextlib.suppress(PathNotFoundError):
        text = _places.read(pointer, 64).decode("ascii", "replace")
        digits = text.removeprefix("manifest-").removesuffix(".json\n")
        if text != f"manifest-{digits}.json\n" or not digits.isdecimal() or digits.startswith("0"):
            raise damaged(f"{pointer}: {text!r} names no manifest")
        generation = int(digits)
    while _places.exists(_manifest_path(name, generation + 1)):
        generation += 1
    return generation


def publish(place: Any, manifest: ShardManifest) -> ShardManifest:
    """Makes a manifest the one that holds, in one step; its generation is that which it replaces, 0 if there is none.

    Returns:
        the manifest as it is now there, with a generation that is one more.

    Raises:
        PathInUseError: another one has been published since, or is just being published. Nothing of either is lost:
            `read_manifest` tells what holds now.
        PathNotFoundError: a file that it names is not in the place.
        DamagedFileError: one has another size.
    """
    name = _places.text(place)
    if not _places.is_remote(name):
        return _core.publish(os.fsencode(name), manifest)
    for file in _files_of(manifest):
        path = _places.join(name, file.file)
        size = _places.size(path)
        if size != file.bytes:
            raise damaged(f"{path}: {size} bytes, but the manifest says {file.bytes}")
    now = _current(name)
    if now == manifest.generation:
        made = ShardManifest(manifest)
        made.generation += 1
        with contextlib.suppress(PathExistsError):
            _places.create(_manifest_path(name, made.generation), made.text())
            _places.replace(_places.join(name, "CURRENT"), f"manifest-{made.generation}.json\n".encode())
            return made
        now = made.generation
    raise PathInUseError(f"{name}: generation {now} has been published, and this one began from {manifest.generation}")


def _files_of(manifest: ShardManifest) -> list[ShardFile]:
    return [*manifest.shards, *(one for one in (manifest.router, manifest.fresh) if one is not None)]


@dataclasses.dataclass(frozen=True)
class Pruned:
    """What `prune` has done: generations that are gone, those that stay because they are in use; shards that are gone, and their bytes; of these, those that no generation named."""

    removed: tuple[int, ...]
    in_use: tuple[int, ...]
    files: int
    bytes: int
    unnamed: int = 0


def prune(place: Any, keep: int = 2, *, also: Sequence[int] = (), unnamed_after: float | None = None) -> Pruned:
    """Removes older generations: their manifests, and the files that no generation which stays names.

    What no manifest names stays, for a build may be about to publish it, unless `unnamed_after` says how old it must be.

    Args:
        keep: so many generations stay, with the one that holds.
        also: others that stay. In a folder of this machine those stay that any of its processes has open; of other machines, and of
            URLs, nothing is known: name what they serve. What they have fetched into their caches they keep.
        unnamed_after: seconds. Files of shards that no generation names go, too, if they came to the folder so long ago: longer than a
            build takes to publish. Not of URLs.

    Raises:
        PathInUseError: somebody publishes or changes the set; of URLs: has published meanwhile.
        DamagedFileError: a manifest cannot be read; then nothing is removed.
    """
    name = _places.text(place)
    check_counts("prune", keep=keep)
    if keep < 1:
        raise InvalidArgumentError(f"prune: keep {keep}: at least the generation that holds")
    if not _places.is_remote(name):
        age = None if unnamed_after is None else math.ceil(unnamed_after)
        removed, in_use, files, size, unnamed = _core.prune(os.fsencode(name), keep, list(also), age)
        return Pruned(tuple(removed), tuple(in_use), files, size, unnamed)
    if unnamed_after is not None:
        raise UnsupportedError(f"prune: unnamed_after: of {name} it is not known when a file came")
    current = read_manifest(name).generation
    there = sorted((one for one in map(_generation_of, _places.names(name)) if 0 < one <= current), reverse=True)
    manifests = {generation: read_manifest(name, generation) for generation in there}
    doomed = [generation for generation in there[keep:] if generation not in also]
    needed = {file.file for generation, one in manifests.items() if generation not in doomed for file in _files_of(one)}
    gone = {file.file: file.bytes for generation in doomed for file in _files_of(manifests[generation]) if file.file not in needed}
    if _current(name) != current:
        raise PathInUseError(f"{name}: another generation has been published meanwhile")
    # Manifests last: as long as one is there, another call finds what it names.
    removed_files = [file for file in gone if _places.remove(_places.join(name, file))]
    for generation in doomed:
        _places.remove(_manifest_path(name, generation))
    return Pruned(tuple(doomed), (), len(removed_files), sum(gone[file] for file in removed_files))


def _generation_of(name: str) -> int:
    """That of the manifest which is called so; 0: it is no manifest."""
    digits = name.removeprefix("manifest-").removesuffix(".json")
    return int(digits) if digits.isdecimal() and name == f"manifest-{int(digits)}.json" else 0


def build(
    plan: Plan, place: Any, *, threads: int = 0, progress: Progress = None, publish: Publish = publish
) -> ShardManifest:
    """Builds all shards of a plan one after the other in this process, and publishes them."""
    name = _places.text(place)
    report = _reporter(progress, "shards")
    tasks = plan.tasks([plan.assign(0, plan.rows)] if plan.partition == "clusters" else ())
    files = []
    for task in tasks:
        files.append(build_shard(task, name, threads=threads))
        if report is not None:
            report(len(files), len(tasks))
    return publish(name, plan.manifest(files, put_router(plan, name)))


def put_router(plan: Plan, place: Any) -> ShardFile | None:
    """Puts the router of a plan for clusters into a place; None for other plans."""
    if plan.router is None:
        return None
    with plan._open_router() as router:
        return put_index(router, _places.text(place))


# Sets from sets.


def merge(sets: Sequence[Any], place: Any, shards: int, *, partition: str | None = None, build: Builder = build) -> ShardManifest:
    """A new set, of so many shards, with the vectors of several: of a key that more than one has, that of the first.

    Args:
        sets: folders or URLs, with the same parameters.
        place: where there is no set yet.
        partition: None: that of the first.
        build: of `cairn.shards` or `cairn.ray`, or whatever else builds a plan in a place.
    """
    if not sets:
        raise InvalidArgumentError("merge: no sets")
    manifests = [read_manifest(one) for one in sets]
    params = params_of(manifests[0])
    for i, one in enumerate(manifests):
        if params_of(one) != params:
            raise InvalidArgumentError(f"{_places.text(sets[i])}: {params_of(one)}, but {_places.text(sets[0])} has {params}")
        if any(not file.sealed for file in _files_of(one)):
            raise UnsupportedError(f"{_places.text(sets[i])}: is open for changes; rebalance it first")
    made = _plan_of(list(zip(map(_places.text, sets), manifests, strict=True)), shards, partition)
    dropped = _repeated(made) if made.partition != "hash" else None
    return build(dataclasses.replace(made, begins_from=0, dropped=dropped), _places.text(place))


def _repeated(made: Plan) -> Array | None:
    """The rows whose key an earlier row has, ascending. By hash a task meets all rows of a key, and needs no list."""
    keys = np.concatenate([some for _, some, _ in blocks(made.inputs, 0, made.rows)])
    _, first = np.unique(keys, return_index=True)
    return np.setdiff1d(np.arange(len(keys)), first) if len(first) < len(keys) else None


def split(place: Any, factor: int = 2, *, build: Builder = build) -> ShardManifest:
    """The next generation of a set, with `factor` times as many shards. By hash each of them is made of one that was there."""
    check_counts("split", factor=factor)
    if factor < 1:
        raise InvalidArgumentError(f"split: factor {factor}")
    return rebalance(place, len(read_manifest(place).shards) * factor, build=build)


def rebalance(
    place: Any, shards: int | None = None, *, partition: str | None = None, build: Builder = build
) -> ShardManifest:
    """The next generation of a set: the same vectors, spread anew; what was changed since is folded in.

    A set that is open for changes cannot be changed by others meanwhile: they get PathInUseError.

    Args:
        shards, partition: None: as they are. Clusters get a router and copies as `plan` makes them by default.
    """
    name = _places.text(place)
    manifest = read_manifest(name)
    if all(file.sealed for file in _files_of(manifest)):
        return build(_plan_of([(name, manifest)], shards or len(manifest.shards), partition), name)
    with ShardSet.open(_places.local(name), "r+") as changing:
        changing.checkpoint()
        made = _plan_of([(name, changing.manifest)], shards or len(manifest.shards), partition)
        return build(made, name, publish=lambda _, next: changing._core.publish(next))


def _plan_of(sets: list[tuple[str, ShardManifest]], shards: int, partition: str | None) -> Plan:
    manifest = sets[0][1]
    was = next(word for word, number in PARTITIONS.items() if number == manifest.partition)
    wanted = partition or was
    params = params_of(manifest)
    inputs, origin = [], []
    for name, one in sets:
        for place, file in [(-1, one.fresh), *enumerate(one.shards)]:
            if file is not None:
                path = _places.join(name, file.file)
                inputs.append(of_index(path, file.bytes, file.vectors, params) if file.sealed else look(path))
                origin.append(place)
    seed = manifest.seed if was == "hash" else params["seed"]
    made = plan(inputs, shards, partition=wanted, **{name: value for name, value in params.items() if name != "dims"})
    made = dataclasses.replace(made, has_copies=True, hash_seed=seed, begins_from=manifest.generation)
    # By hash, rows of a shard stay together when their number is multiplied or divided.
    before = {len(one.shards) for _, one in sets} if all(one.partition == 0 and one.seed == seed for _, one in sets) else set()
    if wanted == "hash" and len(before) == 1:
        n = before.pop()
        if shards % n == 0 or n % shards == 0:
            sources = tuple(
                tuple(j for j, place in enumerate(origin) if place * shards // n == i or place == i * n // shards) for i in range(shards)
            )
            made = dataclasses.replace(made, sources=sources)
    return made


# Opening.


def open(
    place: Any,
    *,
    generation: int | None = None,
    only: Sequence[int] | None = None,
    cache: Any = None,
    allow_partial: bool = False,
    threads: int = 0,
    guard: bool = False,
) -> ShardSet:
    """Opens a set of any place for reading. Files of another machine are fetched into a cache, checked, and mapped from there.

    Args:
        place: a folder, or a URL that fsspec knows.
        generation: None: the one that holds.
        only: numbers of the shards that are wanted, at least one; None: all. Nothing is asked of the others.
        cache: a folder on a disk of this machine, which several processes and sets may share; None: $CAIRN_CACHE, or
            ~/.cache/cairn. Files are named by their contents: whatever is there may be deleted while nobody opens.
        allow_partial: open also if wanted shards are missing or damaged.
        threads, guard: as for `ShardSet.open`.
    """
    name = _places.text(place)
    far = _places.is_remote(name) or _places.is_network(name)
    options: dict[str, Any] = {"only": only, "allow_partial": allow_partial, "threads": threads, "guard": guard}
    if not far and generation is None:
        return ShardSet.open(name, **options)
    manifest = read_manifest(name, generation)
    shards = range(len(manifest.shards)) if only is None else sorted(set(only))
    if shards and not 0 <= shards[0] <= shards[-1] < len(manifest.shards):
        raise InvalidArgumentError(f"{name}: shards {list(shards)} of {len(manifest.shards)}")
    wanted = [manifest.shards[i] for i in shards] + [one for one in (manifest.router, manifest.fresh) if one is not None]
    view = tempfile.mkdtemp(prefix="cairn-view-")
    try:
        _fill_view(view, name, _cache(cache) if far or cache is not None else None, wanted, allow_partial)
        _write_pointer(view, None if far else name, manifest)
        made = ShardSet.open(view, **options)
        made._view = view
        return made
    except BaseException:
        shutil.rmtree(view, ignore_errors=True)
        raise


def _cache(cache: Any) -> str:
    folder = cache or os.environ.get("CAIRN_CACHE") or os.path.join(os.path.expanduser("~"), ".cache", "cairn")
    name = _places.text(folder)
    with _places.errors_at(name):
        os.makedirs(_places.local(name), exist_ok=True)
    if _places.is_network(name):
        raise UnsupportedError(f"{name}: a cache on a file system of the network; mapped files must lie on a disk of this machine")
    return name


def _fill_view(view: str, name: str, folder: str | None, wanted: list[ShardFile], allow_partial: bool) -> None:
    """Links to the files in a folder of their own: it is what a process sees of one generation."""
    for file in wanted:
        try:
            source = _places.join(name, file.file) if folder is None else _fetch(name, file, folder)
            _places.size(source)
            os.symlink(source, os.path.join(view, file.file))
        except CairnError:
            if not allow_partial:
                raise


def _fetch(name: str, file: ShardFile, folder: str) -> str:
    """A file of a place in the cache: fetched if it is not there, and then checked against the manifest."""
    if not file.sealed:
        raise UnsupportedError(f"{_places.join(name, file.file)}: is open for changes, and can be opened only where it lies")
    target = os.path.join(folder, file.xxh3 + ".cairn")  # the name that the place gives it may be that of others, too
    if os.path.exists(target) and os.stat(target).st_size == file.bytes:
        return target
    with _places.beside(target) as part:
        _places.download(_places.join(name, file.file), part)
        found = _core.describe_file(os.fsencode(part))
        if (found.bytes, found.xxh3) != (file.bytes, file.xxh3):
            raise damaged(
                f"{_places.join(name, file.file)}: {found.bytes} bytes with hash {found.xxh3},"
                f" but the manifest says {file.bytes} with {file.xxh3}"
            )
    return target


def _write_pointer(view: str, name: str | None, manifest: ShardManifest) -> None:
    """The manifest of a view, which is that of the folder `name` itself if it has one: whoever prunes sees that it is in use."""
    path = _manifest_path(view, manifest.generation)
    with _places.errors_at(view):
        if name is None:
            _write_new(path, manifest.text())
        else:
            os.symlink(_manifest_path(name, manifest.generation), path)
        _write_new(os.path.join(view, "CURRENT"), f"manifest-{manifest.generation}.json\n".encode())


def _write_new(path: str, data: bytes) -> None:
    with contextlib.closing(os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb")) as out:
        out.write(data)
