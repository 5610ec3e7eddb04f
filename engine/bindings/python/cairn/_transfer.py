# SPDX-License-Identifier: Apache-2.0
"""Indexes that other libraries have written."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _arrays, _core
from ._errors import InvalidArgumentError
from ._index import METRICS, SOURCES, Index, Path, Progress, _number, _path, _reporter, check_counts


def import_index(
    path: Path,
    *,
    source: str = "automatic",
    metric: str | None = None,
    dims: int = 0,
    keys: Any = None,
    rebuild: bool = False,
    several_per_key: bool = False,
    m: int | None = None,
    ef_construction: int | None = None,
    threads: int = 0,
    progress: Progress = None,
) -> Index:
    """An index in memory with the keys and vectors of a file of hnsw_rs, hnswlib, USearch or faiss; save() it where you want it.

    The file is only read. Its graph is kept where it is worth it; `Index.import_report` tells, and what else is not as it was.

    Args:
        path: the file; of hnsw_rs either of its two, or what their names have in common.
        source: "automatic" (what it looks like), "hnsw_rs", "hnswlib", "usearch" or "faiss".
        metric: "cosine", "l2sq", "inner_product" or "hamming", where the file does not say it (hnswlib).
        dims: of hnswlib files of bytes, and of an empty dump of hnsw_rs; elsewhere 0 or what the file says.
        keys: instead of the file's, one for each of its vectors in file order; None: the file's.
        rebuild: build the graph anew.
        several_per_key: a key that the file has several times gets all of its vectors; else the first.
        m, ef_construction: instead of what follows from the file.
        progress: True for a bar, or a callable that is given (done, total).
    """
    given = {"m": m, "ef_construction": ef_construction}
    check_counts("import_index", dims=dims, threads=threads, **{name: number for name, number in given.items() if number is not None})
    own = None if keys is None else _arrays.keys(keys, "import_index")
    core, report = _core.import_file(
        _path(path),
        _number(SOURCES, source, "source"),
        None if metric is None else _number(METRICS, metric, "metric"),
        dims,
        np.empty(0, _arrays.KEYS) if own is None else own,
        bool(rebuild),
        bool(several_per_key),
        m,
        ef_construction,
        threads,
        _reporter(progress, "vectors"),
    )
    rows = report.vectors + report.skipped
    if own is not None and len(own) != rows:  # to the core no keys are none given
        raise InvalidArgumentError(f"import_index: {len(own)} keys for {rows} vectors")
    index = Index._wrap(core)
    index._imported = report
    return index
