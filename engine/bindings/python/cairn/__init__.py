# SPDX-License-Identifier: Apache-2.0
"""Vector search in one file: an HNSW graph that is searched from the memory map.

>>> import numpy as np, cairn, tempfile, os
>>> path = os.path.join(tempfile.mkdtemp(), "few.cairn")
>>> index = cairn.Index.create(dims=3)
>>> index.build([7, 8, 9], np.eye(3, dtype=np.float32))
>>> index.save(path)
>>> with cairn.Index.open(path) as few:
...     keys, distances = few.search([1, 0.1, 0], k=2)
>>> keys.tolist()
[7, 8]
"""

import importlib as _importlib
from typing import Any as _Any

from ._arrow import read_parquet
from ._core import VERSION as __version__
from ._core import ImportReport, LatencyHistogram, RecallReport, SearchReport, ShardReport, Stats, VerifyReport, simd_info
from ._errors import (
    BusyError,
    CairnError,
    CancelledError,
    DamagedFileError,
    DeadlineExceededError,
    DimensionMismatchError,
    InvalidArgumentError,
    IoError,
    KeyExistsError,
    KeyNotFoundError,
    NotEmptyError,
    NotFiniteError,
    OutOfMemoryError,
    PathExistsError,
    PathInUseError,
    PathNotFoundError,
    PermissionDeniedError,
    ReadOnlyError,
    UnsupportedError,
)
from ._index import Cursor, Filter, Index, Matches
from ._shard_set import SetMatches, ShardFilter, ShardSet
from ._transfer import import_index
from . import shards  # isort: skip

__all__ = [
    "BusyError",
    "CairnError",
    "CancelledError",
    "Cursor",
    "DamagedFileError",
    "DeadlineExceededError",
    "DimensionMismatchError",
    "Filter",
    "ImportReport",
    "Index",
    "InvalidArgumentError",
    "IoError",
    "KeyExistsError",
    "KeyNotFoundError",
    "LatencyHistogram",
    "Matches",
    "NotEmptyError",
    "NotFiniteError",
    "OutOfMemoryError",
    "PathExistsError",
    "PathInUseError",
    "PathNotFoundError",
    "PermissionDeniedError",
    "ReadOnlyError",
    "RecallReport",
    "SearchReport",
    "SetMatches",
    "ShardFilter",
    "ShardReport",
    "ShardSet",
    "Stats",
    "UnsupportedError",
    "VerifyReport",
    "__version__",
    "import_index",
    "read_parquet",
    "shards",
    "simd_info",
]


def __getattr__(name: str) -> _Any:
    """What needs packages of others is imported when it is asked for."""
    if name in ("langchain", "ray", "sklearn"):
        return _importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
