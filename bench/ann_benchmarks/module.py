# SPDX-License-Identifier: Apache-2.0
"""Cairn for ann-benchmarks: this folder becomes its ann_benchmarks/algorithms/cairn."""
import cairn
import numpy as np

from ..base.module import BaseANN

METRICS = {"angular": "cosine", "euclidean": "l2sq", "ip": "inner_product", "hamming": "hamming"}


class Cairn(BaseANN):
    def __init__(self, metric, method_param):
        if metric not in METRICS:
            raise NotImplementedError(f"Cairn has no metric {metric}")
        self._metric = METRICS[metric]
        self._m = method_param["M"]
        self._ef_construction = method_param["efConstruction"]
        self._dtype = "b1" if metric == "hamming" else method_param.get("dtype", "float32")
        self._ef = 64
        self._index = None
        self.name = self._name()

    def _name(self):
        return f"cairn (M={self._m}, efConstruction={self._ef_construction}, dtype={self._dtype}, ef={self._ef})"

    def _rows(self, rows):
        return np.asarray(rows, bool if self._dtype == "b1" else np.float32)

    def fit(self, X):
        rows = self._rows(X)
        self._index = cairn.Index.create(
            dims=rows.shape[1], metric=self._metric, dtype=self._dtype, m=self._m, ef_construction=self._ef_construction
        )
        self._index.build(None, rows)

    def set_query_arguments(self, ef):
        self._ef = ef
        self.name = self._name()

    def query(self, q, n):
        return self._index.search(self._rows(q), n, self._ef).keys

    def batch_query(self, X, n):
        self._found = self._index.search(self._rows(X), n, self._ef)

    def get_batch_results(self):
        return [self._found[i].keys for i in range(len(self._found))]

    def done(self):
        if self._index is not None:
            self._index.close()

    def __str__(self):
        return self.name
