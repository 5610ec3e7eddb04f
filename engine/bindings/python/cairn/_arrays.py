# SPDX-License-Identifier: Apache-2.0
"""What callers hand over, as the arrays that the core takes: one rule for all calls.

A cast that keeps every value is made silently (float16 to float32). One that would not is an error that names type and shape:
float64 is refused, not rounded. Python's own numbers have no type: lists of them are rounded to float32.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _arrow
from ._errors import DimensionMismatchError, InvalidArgumentError

Array = NDArray[Any]
KEYS = np.dtype(np.uint64)
# Kind of an index -> type of the arrays that hold its vectors. bf16 has no type of NumPy's: its bit patterns.
DTYPES: dict[str, np.dtype[Any]] = {
    "f32": np.dtype(np.float32),
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(np.uint16),
    "i8": np.dtype(np.int8),
    "b1": np.dtype(np.uint8),
}
NAMES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16", "int8": "i8", "bit": "b1", "b1": "b1"}


def kind_of(dtype: Any) -> str:
    """The kind that a dtype, or its name, stands for: "float32", np.float16, "bfloat16", "int8", "b1", or "f32" and so on."""
    name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    name = NAMES.get(name, name)
    if name not in DTYPES:
        raise InvalidArgumentError(f"dtype {dtype!r}: not one of float32, float16, bfloat16, int8, b1")
    return name


def _unmasked(array: Array, what: str) -> Array:
    """Refuses an array with masked elements: what lies under a mask is no value."""
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise InvalidArgumentError(f"{what}: an array with masked elements")
    return array


def vectors(values: Any, kind: str, dims: int, what: str, ndim: tuple[int, ...] = (2,)) -> Array:
    """`values` as an array of the kind's type whose last axis is contiguous; no copy where it is one already."""
    array = _unmasked(values, what) if isinstance(values, np.ndarray) else _from_any(values, what)
    if array.dtype == object and array.ndim == 1:  # a column of pandas, an array or a list in each row
        array = _from_any(list(array), what)
    wanted = DTYPES[kind]
    if array.ndim not in ndim:
        raise InvalidArgumentError(f"{what}: an array of shape {array.shape}, not of {' or '.join(map(str, ndim))} dimensions")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if kind == "b1" and array.dtype == bool:
        if array.shape[-1] != dims:
            raise DimensionMismatchError(f"{what}: {array.shape[-1]} truths for vectors of {dims} bits")
        array = np.packbits(array, axis=-1, bitorder="little")
    if array.dtype != wanted:
        array = _cast(array, kind, wanted, what)
    # Rows that overlap, as those of a broadcast or of a sliding window do, the core does not take.
    overlaps = array.ndim == 2 and array.strides[0] < array.shape[1] * array.itemsize
    if array.shape[-1] > 1 and array.strides[-1] != array.itemsize or overlaps:
        array = array.copy(order="C")  # NumPy calls one row contiguous, whatever its stride
    return array if array.flags.aligned else array.copy()


def _from_any(values: Any, what: str) -> Array:
    if _arrow.is_arrow(values):
        return _arrow.matrix(values, what)
    if hasattr(values, "__array__"):
        return np.asarray(values)
    if hasattr(values, "__dlpack__"):
        return np.from_dlpack(values)
    if not isinstance(values, (list, tuple)):
        try:
            return np.asarray(memoryview(values))
        except TypeError:
            raise TypeError(f"{what}: {type(values).__name__} is no array, list or tuple") from None
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise InvalidArgumentError(f"{what}: rows of different lengths, or no numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        raise InvalidArgumentError(f"{what}: a list of {array.dtype}, not of numbers")
    # Python's numbers have no type of their own; NumPy's have.
    if array.dtype == np.float64 and not _has_float64(values):
        with np.errstate(over="ignore"):
            rounded = array.astype(np.float32)
        beyond = np.isinf(rounded) & np.isfinite(array)
        if beyond.any():
            raise InvalidArgumentError(f"{what}: {array[beyond][0]} is beyond float32")
        return rounded
    return array


def _has_float64(values: Iterable[Any]) -> bool:
    """Whether there is a float64 of NumPy's, or an array of such, in a list or in the lists in it."""
    while True:
        level = list(values)
        kinds = set(map(type, level))
        lists = tuple(kind for kind in kinds if issubclass(kind, (list, tuple)))
        typed = tuple(kind for kind in kinds if issubclass(kind, np.generic) or not issubclass(kind, (int, float, list, tuple)))
        if typed and any(np.asarray(value).dtype == np.float64 for value in level if type(value) in typed):
            return True
        if not lists:
            return False
        values = itertools.chain.from_iterable(value for value in level if type(value) in lists)


def _cast(array: Array, kind: str, wanted: np.dtype[Any], what: str) -> Array:
    if array.dtype.name == "bfloat16":  # ml_dtypes
        if kind == "bf16":
            return array.view(np.uint16)
        if kind == "f32":
            return array.astype(np.float32)
    if kind in ("f32", "f16", "bf16") and array.dtype == np.float32:
        return array  # queries may be f32; what is stored is converted by the core
    if kind == "f32" and (array.dtype == np.float16 or array.dtype.kind in "iu" and array.dtype.itemsize <= 2):
        return array.astype(np.float32)
    if array.dtype.kind in "iu" and kind in ("f32", "f16", "bf16", "i8"):
        cast = array.astype(np.int8 if kind == "i8" else np.float32)
        if _are_equal(cast, array):
            return cast
    raise InvalidArgumentError(
        f"{what}: an array of {array.dtype} and shape {array.shape}; the index stores {kind}, which wants {wanted}."
        " Convert it yourself if rounding is what you want"
    )


def _are_equal(cast: Array, integers: Array) -> bool:
    """Whether all is as it was. A float beyond the integers has become so by rounding; what a cast back makes of it, machines differ."""
    if cast.dtype.kind == "f":
        bits = integers.itemsize * 8 - (integers.dtype.kind == "i")
        if (cast >= np.float32(2.0**bits)).any():
            return False
    return np.array_equal(cast.astype(integers.dtype), integers)


def common_type(kinds: Sequence[np.dtype[Any]]) -> np.dtype[Any]:
    """The least type that holds every value of all of these; InvalidArgumentError if there is none."""
    common = np.result_type(*kinds)
    for kind in kinds:
        if common.kind == "f" and kind.kind in "iu":  # NumPy holds a float64 to be good enough for any integer
            holds = kind.itemsize * 8 - (kind.kind == "i") <= np.finfo(common).nmant + 1
        else:
            holds = np.can_cast(kind, common, "safe")
        if not holds:
            names = ", ".join(sorted({kind.name for kind in kinds}))
            raise InvalidArgumentError(f"vectors of {names}: no type holds all of their values")
    return common


def keys(values: Any, what: str) -> Array:
    """Keys as uint64, one-dimensional and contiguous. A negative one, or one that is no integer, is an error."""
    if isinstance(values, np.ndarray):
        array = _unmasked(values, what)
    elif hasattr(values, "__array__"):
        array = np.asarray(values)
    elif isinstance(values, (list, tuple, range)):
        array = np.asarray(values) if len(values) else np.empty(0, KEYS)
        if array.dtype.kind not in "iu":  # integers beyond 2^63, which NumPy takes for objects or floats
            return np.array([key(value, f"{what}: at {i}") for i, value in enumerate(values)], KEYS)
    else:
        raise TypeError(f"{what}: keys in a {type(values).__name__}, not in an array, list, tuple or range")
    if array.ndim != 1:
        raise InvalidArgumentError(f"{what}: keys of shape {array.shape}, not of one dimension")
    if array.dtype.kind == "O":
        return np.array([key(value, f"{what}: at {i}") for i, value in enumerate(array)], KEYS)
    if array.dtype.kind not in "iu":
        raise InvalidArgumentError(f"{what}: keys of {array.dtype}, not integers")
    if array.dtype.kind == "i" and array.size and array.min() < 0:
        raise InvalidArgumentError(f"{what}: key {array.min()} at {int(array.argmin())} is negative")
    return np.ascontiguousarray(array, KEYS)


def key(value: Any, what: str) -> int:
    """A key as an integer of 0 ... 2^64 - 1."""
    try:
        number: int = operator.index(value)
    except TypeError:
        raise TypeError(f"{what}: key {value!r} is no integer") from None
    if not 0 <= number < 1 << 64:
        raise InvalidArgumentError(f"{what}: key {number} is negative or beyond 2^64 - 1")
    return number


def words(values: Any, what: str) -> Array:
    """Bits as uint64, the lowest first: from such words, or from an array or a list of bools."""
    array = _unmasked(values, what) if isinstance(values, np.ndarray) else np.asarray(values, None if len(values) else bool)
    if array.ndim == 1 and array.dtype == bool:
        packed = np.packbits(array, bitorder="little")
        return np.concatenate([packed, np.zeros(-len(packed) % 8, np.uint8)]).view("<u8").astype(KEYS)
    if array.ndim != 1 or array.dtype != KEYS:
        raise InvalidArgumentError(f"{what}: bits of {array.dtype} and shape {array.shape}, not bools or uint64 words of one dimension")
    return np.ascontiguousarray(array, KEYS)
