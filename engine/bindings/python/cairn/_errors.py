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


class DimensionMismatchError(CairnError, ValueError):
    code = 2
    name = "dimension_mismatch"


class NotFiniteError(CairnError, ValueError):
    code = 3
    name = "not_finite"


class KeyExistsError(CairnError, KeyError):
    code = 4
    name = "key_exists"


class KeyNotFoundError(CairnError, KeyError):
    code = 5
    name = "key_not_found"


class UnsupportedError(CairnError, io.UnsupportedOperation):
    code = 6
    name = "unsupported"


class ReadOnlyError(CairnError, io.UnsupportedOperation):
    code = 7
    name = "read_only"


class NotEmptyError(CairnError, ValueError):
    code = 8
    name = "not_empty"


class IoError(CairnError, OSError):
    code = 20
    name = "io_error"


class PathExistsError(CairnError, FileExistsError):
    code = 22
    name = "path_exists"


class PathNotFoundError(CairnError, FileNotFoundError):
    code = 23
    name = "path_not_found"


class PathInUseError(CairnError, BlockingIOError):
    code = 24
    name = "path_in_use"


class PermissionDeniedError(CairnError, PermissionError):
    code = 25
    name = "permission_denied"


class OutOfMemoryError(CairnError, MemoryError):
    code = 26
    name = "out_of_memory"


class DamagedFileError(CairnError, ValueError):
    """not_a_cairn_file, version_unsupported, feature_unsupported, corrupt, truncated, data_loss."""


class CancelledError(CairnError):
    code = 60
    name = "cancelled"


class DeadlineExceededError(CairnError, TimeoutError):
    code = 61
    name = "deadline_exceeded"


class BusyError(CairnError, BlockingIOError):
    code = 63
    name = "busy"


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


def damaged(message: str) -> CairnError:
    """A file that is not what it should be."""
    return _make(43, "corrupt", message)


def _make(code: int, name: str, message: str) -> CairnError:
    error = _CLASSES.get(name, CairnError)(message)
    error.code = code
    error.name = name
    return error
