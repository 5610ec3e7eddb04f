# SPDX-License-Identifier: Apache-2.0
"""A transformer of scikit-learn: the graph of nearest neighbours, for whatever takes a precomputed one.

>>> import numpy as np
>>> from cairn.sklearn import CairnTransformer
>>> points = np.array([[0, 0], [0, 1], [5, 5], [5, 6]], np.float32)
>>> CairnTransformer(n_neighbors=1).fit_transform(points).toarray()
array([[0., 1., 0., 0.],
       [1., 0., 0., 0.],
       [0., 0., 0., 1.],
       [0., 0., 1., 0.]], dtype=float32)
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from scipy.sparse import csr_matrix
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ._index import Index

# Name of scikit-learn's -> ours, and whether its distances are the roots of ours.
METRICS = {"euclidean": ("l2sq", True), "l2": ("l2sq", True), "sqeuclidean": ("l2sq", False), "cosine": ("cosine", False)}


class CairnTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Transforms X into the sparse matrix of distances to its nearest neighbours, as KNeighborsTransformer does, quicker and
    approximately.

    Args:
        mode: "distance" or "connectivity". With "distance" each sample of the fit counts itself: n_neighbors + 1 entries a row.
        n_neighbors: neighbours of a sample.
        metric: "euclidean" ("l2"), "sqeuclidean" or "cosine".
        m, ef_construction: of the graph, as for `cairn.Index.create`.
        ef: candidates that a search keeps; None: 64, or twice the neighbours if that is more.
        n_jobs: threads; -1: all cores. The result does not depend on it.
        random_state: the seed of the graph, an integer.

    Attributes:
        index_: the cairn.Index of the fit; row i has key i.
        n_samples_fit_: its number of vectors.
    """

    def __init__(
        self,
        *,
        mode: str = "distance",
        n_neighbors: int = 5,
        metric: str = "euclidean",
        m: int = 16,
        ef_construction: int = 200,
        ef: int | None = None,
        n_jobs: int | None = None,
        random_state: int = 42,
    ) -> None:
        self.mode = mode
        self.n_neighbors = n_neighbors
        self.metric = metric
        self.m = m
        self.ef_construction = ef_construction
        self.ef = ef
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> CairnTransformer:
        """Indexes the rows of X."""
        if self.mode not in ("distance", "connectivity"):
            raise ValueError(f"mode {self.mode!r}: not 'distance' or 'connectivity'")
        if self.metric not in METRICS:
            raise ValueError(f"metric {self.metric!r}: not one of {', '.join(METRICS)}")
        rows = self._rows(X, reset=True)
        index = Index.create(
            dims=rows.shape[1],
            metric=METRICS[self.metric][0],
            m=self.m,
            ef_construction=self.ef_construction,
            seed=self.random_state,
        )
        index.build(None, rows, threads=effective_n_jobs(self.n_jobs))
        self.index_ = index
        self.n_samples_fit_ = self._n_features_out = len(rows)
        return self

    def transform(self, X: Any) -> csr_matrix:
        """(rows of X, rows of the fit): distances (mode "distance") or ones, zero elsewhere."""
        check_is_fitted(self)
        rows = self._rows(X, reset=False)
        k = self.n_neighbors + (self.mode == "distance")
        if not 1 <= k <= self.n_samples_fit_:
            raise ValueError(f"Expected n_neighbors <= n_samples_fit, but n_neighbors = {k}, n_samples_fit = {self.n_samples_fit_}")
        found = self.index_.search(rows, k=k, ef=self.ef or max(64, 2 * k), threads=effective_n_jobs(self.n_jobs))
        there = np.arange(k) < found.counts[:, None]
        distances = found.distances[there]
        if METRICS[self.metric][1]:
            distances = np.sqrt(distances)
        if self.mode == "connectivity":
            distances = np.ones_like(distances)
        starts = np.concatenate([[0], np.cumsum(found.counts, dtype=np.int64)])
        kind = self._kind(X)
        return csr_matrix(
            (distances.astype(kind), found.keys[there].astype(np.int64), starts), shape=(len(rows), self.n_samples_fit_)
        )

    def fit_transform(self, X: Any, y: Any = None) -> csr_matrix:
        """The graph of X itself."""
        return self.fit(X).transform(X)

    def _rows(self, X: Any, *, reset: bool) -> Any:
        rows = validate_data(self, X, reset=reset, dtype=[np.float32, np.float64])
        with np.errstate(over="ignore"):  # what float32 does not hold is refused as not finite
            return np.ascontiguousarray(rows, np.float32)

    @staticmethod
    def _kind(X: Any) -> Any:
        return np.float32 if getattr(X, "dtype", None) == np.float32 else np.float64

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = super().__getstate__()
        if "index_" in state:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "index")
                state["index_"].save(path)
                with open(path, "rb") as file:
                    state = {**state, "index_": file.read()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "index_" in state:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "index")
                with open(path, "wb") as file:
                    file.write(state["index_"])
                # The file stays mapped when its name is gone.
                state = {**state, "index_": Index.open(path)}
        super().__setstate__(state)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
