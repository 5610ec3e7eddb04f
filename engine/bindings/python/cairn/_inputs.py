# SPDX-License-Identifier: Apache-2.0
"""Files of vectors that sets of shards are built from: .npy, .fbin (.i8bin, .u8bin), .parquet, and .cairn itself.

A path may be a URL of any kind that fsspec knows ("s3://...", "memory://..."). Rows are read in ranges, and no more than a
range is in memory. Files on this machine are mapped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from . import _arrays, _arrow, _places
from ._arrays import KEYS, Array
from ._errors import DamagedFileError, DimensionMismatchError, InvalidArgumentError, UnsupportedError, damaged
from ._index import Index

BLOCK_ROWS = 16_384
PACKED = {".fbin": "<f4", ".i8bin": "|i1", ".u8bin": "|u1"}
MOST_HEADER = 65_536


@dataclasses.dataclass(frozen=True)
class Input:
    """A file of rows, as it was when it was looked at: a file that has another size by now is an error, not other vectors."""

    path: str
    kind: str  # "npy", "packed", "parquet", "cairn"
    rows: int
    dims: int
    bytes: int
    dtype: str  # of NumPy, as `ndarray.dtype.str` has it
    offset: int = 0  # of the first row, where rows lie one behind the other
    vectors: str | None = None  # columns of Parquet
    keys: str | None = None
    column_keys: bool = False  # it has keys of its own

    def read(self, first: int, last: int) -> Iterator[tuple[Array | None, Array]]:
        """Keys, if it has any, and vectors of rows `first` to `last`, at most BLOCK_ROWS at a time, in order."""
        if not 0 <= first <= last <= self.rows:
            raise InvalidArgumentError(f"{self.path}: rows {first} to {last} of {self.rows}")
        size = _places.size(self.path)
        if size != self.bytes:
            raise damaged(f"{self.path}: {size} bytes, but {self.bytes} when the plan was made")
        if self.kind == "parquet":
            yield from self._read_parquet(first, last)
        elif self.kind == "cairn":
            yield from self._read_cairn(first, last)
        else:
            yield from self._read_flat(first, last)

    def _read_flat(self, first: int, last: int) -> Iterator[tuple[None, Array]]:
        dtype = np.dtype(self.dtype)
        if not _places.is_remote(self.path):
            with open(self.path, "rb") as local:
                mapped = np.memmap(local, dtype, "r", self.offset, (self.rows, self.dims))
            for at in range(first, last, BLOCK_ROWS):
                yield None, _little(mapped[at : min(last, at + BLOCK_ROWS)])
            return
        width = self.dims * dtype.itemsize
        with _places.open_read(self.path) as file:
            file.seek(self.offset + first * width)
            for at in range(first, last, BLOCK_ROWS):
                count = min(last, at + BLOCK_ROWS) - at
                yield None, _little(np.frombuffer(_exactly(file, count * width, self.path), dtype).reshape(count, self.dims))

    def _read_parquet(self, first: int, last: int) -> Iterator[tuple[Array | None, Array]]:
        parquet = _arrow._pyarrow().parquet
        with _places.open_read(self.path) as source, parquet.ParquetFile(source) as file:
            wanted = [self.vectors] if self.keys is None else [self.vectors, self.keys]
            begins = np.cumsum([0] + [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)])
            groups = [i for i in range(file.num_row_groups) if begins[i] < last and begins[i + 1] > first]
            at = int(begins[groups[0]]) if groups else 0
            for batch in file.iter_batches(BLOCK_ROWS, row_groups=groups, columns=wanted):
                part = batch.slice(max(0, first - at), max(0, min(last, at + len(batch)) - max(first, at)))
                at += len(batch)
                if len(part):
                    numbers = None if self.keys is None else _arrow._integers(part.column(self.keys), self.path)
                    rows = _arrow.matrix(part.column(self.vectors), self.path)
                    if rows.shape[1] != self.dims:
                        raise DimensionMismatchError(f"{self.path}: rows of {rows.shape[1]} components, the first ones have {self.dims}")
                    yield numbers, rows

    def _read_cairn(self, first: int, last: int) -> Iterator[tuple[Array, Array]]:
        at = 0
        with _named_if_damaged(self.path), _opened(self.path) as index:
            for numbers, places in index._places(BLOCK_ROWS):
                part = slice(max(0, first - at), max(0, last - at))
                at += len(numbers)
                if len(numbers[part]):
                    yield index._rows(numbers[part], places[part])
                if at >= last:
                    return


@contextlib.contextmanager
def _named_if_damaged(name: str) -> Iterator[None]:
    """Errors of an index that is open already do not tell its file."""
    try:
        yield
    except DamagedFileError as error:
        raise error if name in str(error) else damaged(f"{name}: {error}") from None


@contextlib.contextmanager
def _opened(name: str) -> Iterator[Index]:
    """An index file; one of another machine is fetched, since it has to be mapped. What is read of it is checked: damage would
    be whole in the file that is built."""
    if not _places.is_remote(name):
        with Index.open(name, check="on_first_use") as index:
            yield index
        return
    with tempfile.TemporaryDirectory(prefix="cairn-") as folder:
        path = os.path.join(folder, "fetched.cairn")
        _places.download(name, path)
        with Index.open(path, check="on_first_use") as index:
            yield index


def _little(rows: Array) -> Array:
    return rows if rows.dtype.isnative else rows.astype(rows.dtype.newbyteorder("="))


def _exactly(file: Any, size: int, path: str) -> bytes:
    data: bytes = file.read(size)
    if len(data) != size:
        raise damaged(f"{path}: ends within a row")
    return data


def look(path: Any, *, vectors: str | None = None, keys: str | None = None) -> Input:
    """What a file holds, told by its name's end and its header.

    Args:
        path: ends in .npy, .fbin, .i8bin, .u8bin, .parquet or .cairn.
        vectors, keys: columns of Parquet; None: the only column of lists, and the one that is called "key".
    """
    name = _places.text(path)
    end = os.path.splitext(name)[1].lower()
    size = _places.size(name)
    if end == ".cairn":
        return _look_cairn(name, size)
    if end == ".parquet":
        return _look_parquet(name, size, vectors, keys)
    with _places.open_read(name) as file:
        if end == ".npy":
            return _look_npy(name, size, file)
        if end in PACKED:
            rows, dims = np.frombuffer(_exactly(file, 8, name), "<u4").tolist()
            return _checked(Input(name, "packed", rows, dims, size, PACKED[end], 8))
    raise UnsupportedError(f"{name}: ends neither in .npy, .parquet or .cairn nor in {', '.join(PACKED)}")


def _checked(given: Input) -> Input:
    wanted = given.offset + given.rows * given.dims * np.dtype(given.dtype).itemsize
    if given.bytes != wanted:
        raise damaged(f"{given.path}: {given.bytes} bytes, but {given.rows} rows of {given.dims} are {wanted}")
    return given


def _look_npy(name: str, size: int, file: Any) -> Input:
    head = io.BytesIO(file.read(MOST_HEADER))
    try:
        version = np.lib.format.read_magic(head)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(head)
    except ValueError as error:
        raise damaged(f"{name}: no .npy file: {error}") from None
    if len(shape) != 2 or (is_fortran and min(shape) > 1):
        order = "Fortran" if is_fortran else "C"
        raise UnsupportedError(f"{name}: an array of shape {shape} in {order} order, not rows in C order")
    if dtype.kind not in "fiu" or dtype.hasobject:
        raise UnsupportedError(f"{name}: an array of {dtype}, not of numbers")
    return _checked(Input(name, "npy", int(shape[0]), int(shape[1]), size, dtype.str, head.tell()))


def _look_parquet(name: str, size: int, vectors: str | None, keys: str | None) -> Input:
    arrow = _arrow._pyarrow()
    try:
        with _places.open_read(name) as source, arrow.parquet.ParquetFile(source) as file:
            column, key_column = _arrow._columns(file.schema_arrow, vectors, keys, name)
            first = next(file.iter_batches(1, columns=[column]), None)
            empty = file.schema_arrow.empty_table().column(column)
            rows = _arrow.matrix(empty if first is None else first.column(column), name)
            dtype = _arrow.component_type(file.schema_arrow, column, name)
            total = file.metadata.num_rows
    except (arrow.ArrowInvalid, OSError) as error:
        raise damaged(f"{name}: no Parquet file: {error}") from None
    return Input(name, "parquet", total, rows.shape[1], size, dtype.str, 0, column, key_column, key_column is not None)


def _look_cairn(name: str, size: int) -> Input:
    with _opened(name) as index:
        stats = index.stats
        if stats.live != stats.keys:
            raise UnsupportedError(f"{name}: {stats.live} vectors under {stats.keys} keys; a set of shards has one vector a key")
        return of_index(name, size, stats.live, index.params)


def of_index(name: str, size: int, rows: int, params: dict[str, Any]) -> Input:
    """An index file that is known to be of that size, and to have so many vectors."""
    kind = _arrays.kind_of(params["dtype"])
    dtype = _arrays.DTYPES[kind] if kind in ("f16", "i8", "b1") else np.dtype(np.float32)
    return Input(name, "cairn", rows, (params["dims"] + 7) // 8 if kind == "b1" else params["dims"], size, dtype.str, column_keys=True)


def look_all(paths: Any, *, vectors: str | None = None, keys: str | None = None) -> list[Input]:
    """Files that are one after the other the rows of one matrix, whose type holds the values of all of them."""
    several = paths if isinstance(paths, (list, tuple)) else [paths]
    if not several:
        raise InvalidArgumentError("no files of vectors")
    found = [one if isinstance(one, Input) else look(one, vectors=vectors, keys=keys) for one in several]
    for one in found[1:]:
        if one.dims != found[0].dims:
            raise DimensionMismatchError(f"{one.path}: rows of {one.dims} components, {found[0].path} has {found[0].dims}")
        if one.column_keys != found[0].column_keys:
            with_keys, without = (one, found[0]) if one.column_keys else (found[0], one)
            raise InvalidArgumentError(f"{with_keys.path} has keys, {without.path} has none")
    common_type(found)
    return found


def common_type(inputs: Sequence[Input]) -> np.dtype[Any]:
    """The type of the rows of all of them."""
    try:
        return _arrays.common_type([np.dtype(one.dtype) for one in inputs])
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{inputs[0].path} and others: {error}") from None


def blocks(inputs: Sequence[Input], first: int, last: int) -> Iterator[tuple[int, Array, Array]]:
    """Number of the first row, keys and vectors of the rows `first` to `last` of all inputs; without keys, these are the numbers."""
    begin = 0
    for one in inputs:
        low, high = max(first, begin), min(last, begin + one.rows)
        if low < high:
            at = low
            for numbers, rows in one.read(low - begin, high - begin):
                yield at, np.arange(at, at + len(rows), dtype=KEYS) if numbers is None else numbers, rows
                at += len(rows)
            if at != high:
                raise damaged(f"{one.path}: {at - low} rows, not {high - low}")
        begin += one.rows


