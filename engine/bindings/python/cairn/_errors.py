# SPDX-License-Identifier: Apache-2.0
"""Errors of the library as exceptions. Each has the code and name of cairn::ErrorCode, and is also what Python calls it."""

import io
from typing import Any


class CairnError(Exception):
    """What every failed call raises.

    Attributes:
        code: number of the error, stable over versions.
        name: its name, such as "key_exists".
    """

    code: int = 90
    name: str = "internal"

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (self.code, self.name, str(self))


class InvalidArgumentError(CairnError, ValueError):
    code = 1
    name = "invalid_argument"


class DimensionMismatchError(CairnError, ValueError): ...


class NotFiniteError(CairnError, ValueError): ...


class KeyExistsError(CairnError, KeyError): ...


class KeyNotFoundError(CairnError, KeyError): ...


class UnsupportedError(CairnError, io.UnsupportedOperation):
    code = 6
    name = "unsupported"


class ReadOnlyError(CairnError, io.UnsupportedOperation): ...


class NotEmptyError(CairnError, ValueError): ...


class IoError(CairnError, OSError): ...


class PathExistsError(CairnError, FileExistsError): ...


class PathNotFoundError(CairnError, FileNotFoundError): ...


class PathInUseError(CairnError, BlockingIOError): ...


class PermissionDeniedError(CairnError, PermissionError): ...


class OutOfMemoryError(CairnError, MemoryError): ...


class DamagedFileError(CairnError, ValueError):
    """not_a_cairn_file, version_unsupported, feature_unsupported, corrupt, truncated, data_loss."""


class CancelledError(CairnError): ...


class DeadlineExceededError(CairnError, TimeoutError): ...


class BusyError(CairnError, BlockingIOError): ...


_CLASSES: dict[str, type[CairnError]] = {
    "invalid_argument": InvalidArgumentError,
    "dimension_mismatch": DimensionMismatchError,
    "not_finite": NotFiniteError,
    "key_exists": KeyExistsError,
    "key_not_found": KeyNotFoundError,
    "unsupported": UnsupportedError,
    "read_only": ReadOnlyError,
    "not_empty": NotEmptyError,
    "io_error": IoError,
    "no_space": IoError,
    "path_exists": PathExistsError,
    "path_not_found": PathNotFoundError,
    "path_in_use": PathInUseError,
    "permission_denied": PermissionDeniedError,
    "out_of_memory": OutOfMemoryError,
    "not_a_cairn_file": DamagedFileError,
    "version_unsupported": DamagedFileError,
    "feature_unsupported": DamagedFileError,
    "corrupt": DamagedFileError,
    "truncated": DamagedFileError,
    "data_loss": DamagedFileError,
    "cancelled": CancelledError,
    "deadline_exceeded": DeadlineExceededError,
    "poisoned": IoError,
    "busy": BusyError,
}


def _make(code: int, name: str, message: str) -> CairnError:
    error = _CLASSES.get(name, CairnError)(message)
    error.code = code
    error.name = name
    return error
