# SPDX-License-Identifier: Apache-2.0
"""Columns of Arrow as matrices, and Parquet files: what needs pyarrow, which is imported when it is used."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._errors import DimensionMismatchError, InvalidArgumentError, PathNotFoundError

if TYPE_CHECKING:
    from ._index import Path

Array = NDArray[Any]
BATCH_ROWS = 16_384


def _pyarrow() -> Any:
    try:
        import pyarrow  # type: ignore[import-untyped,import-not-found,unused-ignore]
        import pyarrow.parquet  # type: ignore[import-untyped,import-not-found,unused-ignore]  # noqa: F401
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install 'cairn[arrow]'") from error
    return pyarrow


def is_arrow(values: Any) -> bool:
    """Whether these are arrays of pyarrow; without importing it."""
    return type(values).__module__.partition(".")[0] == "pyarrow" and hasattr(values, "type") and hasattr(values, "null_count")


def matrix(column: Any, what: str) -> Array:
    """An Array or ChunkedArray of lists of one length as (n, dims); without a copy if it is one chunk of fixed size."""
    if hasattr(column, "chunks"):
        parts = [matrix(chunk, what) for chunk in column.chunks if len(chunk)]
        if not parts:
            return np.empty((0, max(0, getattr(column.type, "list_size", 0))), np.float32)
        if len({part.shape[1] for part in parts}) != 1:
            raise DimensionMismatchError(f"{what}: lists of different lengths")
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
    column = getattr(column, "storage", column)  # of an extension type, such as a tensor
    if not hasattr(column, "flatten") or not hasattr(column.type, "value_type"):
        raise InvalidArgumentError(f"{what}: a column of {column.type}, not of lists of numbers")
    if column.null_count:
        raise InvalidArgumentError(f"{what}: {column.null_count} rows of the column are null")
    values = column.flatten()
    if values.null_count:
        raise InvalidArgumentError(f"{what}: {values.null_count} components are null")
    dims = getattr(column.type, "list_size", None)
    if dims is None:
        lengths = np.diff(column.offsets.to_numpy())
        dims = int(lengths[0]) if len(lengths) else 0
        if (lengths != dims).any():
            other = int(np.argmax(lengths != dims))
            raise DimensionMismatchError(f"{what}: row {other} has {lengths[other]} components, row 0 has {dims}")
    numbers = values.to_numpy(zero_copy_only=False)
    if numbers.dtype.kind not in "fiub":
        raise InvalidArgumentError(f"{what}: a column of {column.type}, not of lists of numbers")
    rows: Array = numbers.reshape(len(column), dims)
    return rows


def _integers(column: Any, what: str) -> Array:
    if column.null_count:
        raise InvalidArgumentError(f"{what}: {column.null_count} keys are null")
    numbers = column.to_numpy(zero_copy_only=False) if not hasattr(column, "chunks") else column.to_numpy()
    from ._arrays import keys

    if numbers.dtype.kind not in "iu":
        raise InvalidArgumentError(f"{what}: keys of {column.type}, not integers")
    return keys(numbers, what)


def _columns(schema: Any, vectors: str | None, keys: str | None, name: str) -> tuple[str, str | None]:
    """The names of both columns; what is not given is looked for."""
    for given in (vectors, keys):
        if given is not None and given not in schema.names:
            raise InvalidArgumentError(f"{name}: no column {given!r}; there are {', '.join(schema.names)}")
    if vectors is None:
        lists = [field.name for field in schema if hasattr(getattr(field.type, "storage_type", field.type), "value_type")]
        if len(lists) != 1:
            raise InvalidArgumentError(f"{name}: columns of lists are {', '.join(lists) or 'none'}; say which one with vectors=")
        vectors = lists[0]
    if keys is None and "key" in schema.names:
        keys = "key"
    return vectors, keys


def component_type(schema: Any, column: str, what: str) -> np.dtype[Any]:
    """The type of the components of a column of lists."""
    kind = schema.field(column).type
    kind = getattr(kind, "storage_type", kind)
    found = np.dtype(kind.value_type.to_pandas_dtype()) if hasattr(kind, "value_type") else np.dtype(object)
    if found.kind not in "fiub":
        raise InvalidArgumentError(f"{what}: a column of {kind}, not of lists of numbers")
    return found


def _batches(files: Sequence[Any], vectors: str | None, keys: str | None) -> Iterator[tuple[Array, Array | None]]:
    parquet = _pyarrow().parquet
    for path in files:
        name = os.fsdecode(path)
        with parquet.ParquetFile(name, memory_map=True) as file:
            column, key_column = _columns(file.schema_arrow, vectors, keys, name)
            wanted = [column] if key_column is None else [column, key_column]
            for batch in file.iter_batches(BATCH_ROWS, columns=wanted):
                numbers = None if key_column is None else _integers(batch.column(key_column), name)
                yield matrix(batch.column(column), name), numbers


def read_parquet(
    path: Path | Sequence[Path], *, vectors: str | None = None, keys: str | None = None, dtype: Any = None
) -> tuple[Array | None, Array]:
    """Keys and vectors of a Parquet file, or of several one after the other. Needs pyarrow.

    ``index.build(*cairn.read_parquet("words.parquet"))``. Besides what is returned, no more than some thousand rows are in
    memory at a time.

    Args:
        path: a file, or a list of files.
        vectors: the column of vectors, lists of one length; None: the only column of lists.
        keys: the column of keys, integers from 0; None: the one named "key", if there is one.
        dtype: what vectors are converted to, such as numpy.float32 where they are double; None: as they are, and of files of
            different types the least type that holds all of their values.

    Returns:
        keys (n,) uint64, or None without such a column, and vectors (n, dims).

    Raises:
        PathNotFoundError: there is no such file.
        ValueError: it is no Parquet file, has no such column, or rows of different lengths, null, or with a negative key; or
            no type holds what several files have, as of int64 and double.
    """
    from ._arrays import common_type
    from ._index import _path

    files = [_path(one) for one in ([path] if isinstance(path, (str, bytes, os.PathLike)) else path)]
    parquet = _pyarrow().parquet
    if not files:
        raise InvalidArgumentError("read_parquet: no files")
    total = 0
    kinds = []
    for file in files:
        if not os.path.exists(file):
            raise PathNotFoundError(f"{os.fsdecode(file)}: no such file")
        if not os.path.isfile(file):  # of a pipe the other end may never come
            raise InvalidArgumentError(f"{os.fsdecode(file)}: is not a regular file")
        try:
            total += parquet.read_metadata(os.fsdecode(file)).num_rows
            schema = parquet.read_schema(os.fsdecode(file))
        except (_pyarrow().ArrowInvalid, OSError) as error:
            raise InvalidArgumentError(f"{os.fsdecode(file)}: no Parquet file: {error}") from None
        kinds.append(component_type(schema, _columns(schema, vectors, keys, os.fsdecode(file))[0], os.fsdecode(file)))
    wanted = common_type(kinds) if dtype is None else np.dtype(dtype)
    rows: Array | None = None
    numbers: Array | None = None
    done = 0
    for some, some_keys in _batches(files, vectors, keys):
        if rows is None:
            rows = np.empty((total, some.shape[1]), wanted)
            numbers = None if some_keys is None else np.empty(total, np.uint64)
        if some.shape[1] != rows.shape[1]:
            raise DimensionMismatchError(f"rows {done} on have {some.shape[1]} components, those before {rows.shape[1]}")
        if (some_keys is None) != (numbers is None):
            raise InvalidArgumentError("a file with keys and one without")
        rows[done : done + len(some)] = some
        if numbers is not None:
            numbers[done : done + len(some)] = some_keys
        done += len(some)
    if rows is None:  # of no rows the schema alone tells
        schema = parquet.read_schema(os.fsdecode(files[0]))
        column, key_column = _columns(schema, vectors, keys, os.fsdecode(files[0]))
        rows = matrix(schema.empty_table().column(column), column).astype(wanted)
        numbers = None if key_column is None else np.empty(0, np.uint64)
    return numbers, rows


def write_parquet(rows: Iterator[tuple[Array, Array]], path: str, params: dict[str, Any]) -> None:
    """Keys and vectors, a row group for each pair, as a new file that takes the place of what is there."""
    arrow = _pyarrow()
    if os.path.exists(path) and not os.path.isfile(path):  # as of a save
        raise InvalidArgumentError(f"{path}: is {'a directory' if os.path.isdir(path) else 'not a regular file'}")
    path = os.path.realpath(path)  # a link is followed
    folder, name = os.path.split(path)
    if not os.path.isdir(folder):
        raise PathNotFoundError(f"{path}: no such folder")
    part = os.path.join(folder, f".{name}.{os.getpid()}.tmp")
    writer = None
    try:
        for keys, vectors in rows:
            if writer is None:
                column = arrow.list_(arrow.from_numpy_dtype(vectors.dtype), vectors.shape[1])
                told = {f"cairn.{name}": str(params[name]) for name in ("dims", "metric", "dtype")}
                schema = arrow.schema([arrow.field("key", arrow.uint64(), False), arrow.field("vector", column, False)], told)
                writer = arrow.parquet.ParquetWriter(part, schema)
            if len(keys):
                listed = arrow.FixedSizeListArray.from_arrays(arrow.array(vectors.ravel()), vectors.shape[1])
                writer.write_table(arrow.table([arrow.array(keys), listed.cast(column)], schema))
        if writer is not None:
            writer.close()
        os.replace(part, path)
    except BaseException:
        if writer is not None:
            writer.close()
        if os.path.exists(part):
            os.unlink(part)
        raise
