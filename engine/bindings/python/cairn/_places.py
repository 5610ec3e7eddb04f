# SPDX-License-Identifier: Apache-2.0
"""Where files of a set lie: a folder of this machine, or a URL that fsspec knows. Index files are mapped from local disks alone."""

from __future__ import annotations

import contextlib
import errno
import inspect
import os
import stat
import uuid
from collections.abc import Iterator
from typing import Any

from ._errors import CairnError, InvalidArgumentError, IoError, PathExistsError, PathNotFoundError, UnsupportedError, _make
from ._index import _path

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
# What is mapped must not change or vanish under a reader, and a page fault must not wait for another machine.
NETWORK = ("nfs", "cifs", "smb", "9p", "ceph", "lustre", "gpfs", "beegfs", "afs", "fuse", "glusterfs", "ocfs2", "virtiofs")
LOCAL_FUSE = ("fuseblk", "fuse.fuse-overlayfs", "fusectl")


def text(path: Any) -> str:
    """A path as an absolute one, or a URL as it is."""
    name = os.fsdecode(_path(path))
    if name.startswith("file://"):
        name = name[len("file://") :]
    return name.rstrip("/") if is_remote(name) else os.path.abspath(name)


def is_remote(name: str) -> bool:
    return "://" in name


def local(name: str) -> str:
    if is_remote(name):
        raise UnsupportedError(f"{name}: an index file is opened from a folder of this machine; fetch it first")
    return name


def join(place: str, name: str) -> str:
    return f"{place}/{name}"


def is_network(path: str) -> bool:
    """Whether a local path lies on a file system of the network."""
    path = os.path.realpath(path)
    kind, longest = "", -1
    with contextlib.suppress(OSError), open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as mounts:
        for line in mounts:
            _, point, fstype, *_ = line.split(" ")
            point = point.encode("latin-1", "surrogateescape").decode("unicode_escape")
            inside = path == point or path.startswith(point.rstrip("/") + "/")
            if inside and len(point) >= longest:
                kind, longest = fstype, len(point)
    return kind.startswith(NETWORK) and kind not in LOCAL_FUSE


def _filesystem(name: str) -> tuple[Any, str]:
    try:
        import fsspec  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError as error:
        raise ImportError(f"{name}: URLs need fsspec: pip install 'cairn[ray]'") from error
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(name)
    except ValueError as error:
        raise InvalidArgumentError(f"{name}: {error}") from None
    return found


@contextlib.contextmanager
def errors_at(name: str) -> Iterator[None]:
    """What the system or fsspec raises, as the package's errors with the place."""
    try:
        yield
    except CairnError:
        raise
    except FileNotFoundError:
        raise PathNotFoundError(f"{name}: no such file") from None
    except FileExistsError:
        raise PathExistsError(f"{name}: there is one already") from None
    except OSError as error:
        if error.errno in NO_SPACE:
            raise _make(21, "no_space", f"{name}: {error.strerror}") from None
        raise IoError(f"{name}: {error}") from None


def open_read(name: str) -> Any:
    """A binary file; PathNotFoundError, IoError, InvalidArgumentError (a directory, or a pipe, whose other end may never come)."""
    with errors_at(name):
        if not is_remote(name):
            mode = os.stat(name).st_mode
            if not stat.S_ISREG(mode):
                raise InvalidArgumentError(f"{name}: is {'a directory, ' if stat.S_ISDIR(mode) else ''}not a regular file")
            return open(name, "rb")
        filesystem, path = _filesystem(name)
        return filesystem.open(path, "rb")


def size(name: str) -> int:
    with errors_at(name):
        if not is_remote(name):
            return os.stat(name).st_size
        filesystem, path = _filesystem(name)
        filesystem.invalidate_cache()
        return int(filesystem.info(path)["size"])


def exists(name: str) -> bool:
    try:
        size(name)
    except PathNotFoundError:
        return False
    return True


def read(name: str, most: int) -> bytes:
    """All of a small file; more than `most` bytes is an error."""
    with open_read(name) as file, errors_at(name):
        data: bytes = file.read(most + 1)
    if len(data) > most:
        raise InvalidArgumentError(f"{name}: more than {most} bytes")
    return data


def create(name: str, data: bytes) -> None:
    """A new remote file, whole or not at all; PathExistsError if there is one, also if it came at the same moment."""
    filesystem, path = _filesystem(name)
    if "mode" not in inspect.signature(filesystem.pipe_file).parameters and not _is_async(filesystem):
        raise UnsupportedError(f"{name}: this place cannot create a file only if there is none, so nothing can be published there")
    with errors_at(name):
        filesystem.pipe_file(path, data, mode="create")


def _is_async(filesystem: Any) -> bool:
    inner = getattr(filesystem, "_pipe_file", None)
    return inner is not None and "mode" in inspect.signature(inner).parameters


def replace(name: str, data: bytes) -> None:
    """A small remote file, new or instead of one."""
    filesystem, path = _filesystem(name)
    with errors_at(name):
        filesystem.pipe_file(path, data)


def remove(name: str) -> bool:
    """A remote file; False: it was not there."""
    filesystem, path = _filesystem(name)
    try:
        with errors_at(name):
            filesystem.rm_file(path)
    except PathNotFoundError:
        return False
    return True


def names(name: str) -> list[str]:
    """What lies in a remote place, by its last name."""
    filesystem, path = _filesystem(name)
    with errors_at(name):
        filesystem.invalidate_cache()
        return [str(one).rsplit("/", 1)[-1] for one in filesystem.ls(path, detail=False)]


def upload(source: str, name: str) -> None:
    """A local file under a name that tells its contents; one that is there already with that size is the same."""
    filesystem, path = _filesystem(name)
    with errors_at(name):
        if exists(name) and size(name) == os.stat(source).st_size:
            return
        filesystem.makedirs(filesystem._parent(path), exist_ok=True)
        filesystem.put_file(source, path)
        if size(name) != os.stat(source).st_size:
            raise IoError(f"{name}: {size(name)} bytes have arrived of {os.stat(source).st_size}")


@contextlib.contextmanager
def beside(target: str) -> Iterator[str]:
    """A name for a file that becomes `target` when the block ends, and is removed if it fails."""
    part = f"{target}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part"
    try:
        yield part
        with errors_at(target):
            with open(part, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(part, target)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(part)


def download(name: str, target: str) -> None:
    """A file of any place as a local one."""
    block = 1 << 22
    with open_read(name) as source, errors_at(target), open(target, "wb") as out:
        while True:
            with errors_at(name):
                data = source.read(block)
            if not data:
                return
            out.write(data)
