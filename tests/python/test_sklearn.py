# SPDX-License-Identifier: Apache-2.0
"""cairn.sklearn: what KNeighborsTransformer does."""
import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")
from sklearn.cluster import DBSCAN
from sklearn.manifold import Isomap
from sklearn.neighbors import KNeighborsTransformer
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from cairn.sklearn import CairnTransformer
from conftest import rows


@parametrize_with_checks([CairnTransformer(), CairnTransformer(mode="connectivity", metric="cosine", n_neighbors=3)])
def test_it_passes_the_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.parametrize("metric", ["euclidean", "sqeuclidean", "cosine"])
@pytest.mark.parametrize("mode", ["distance", "connectivity"])
def test_it_is_the_exact_one(metric, mode):
    points, others = rows(300, 6), rows(40, 6, 2)
    ours = CairnTransformer(metric=metric, mode=mode, n_neighbors=7, ef=300).fit(points)
    theirs = KNeighborsTransformer(metric=metric, mode=mode, n_neighbors=7, algorithm="brute").fit(points)
    for given in (points, others):
        a, b = ours.transform(given), theirs.transform(given)
        assert a.shape == b.shape and a.nnz == b.nnz
        assert ((a != 0).astype(int) != (b != 0).astype(int)).nnz <= 0.01 * a.nnz + len(given) * (mode == "distance")
        assert np.allclose(a.toarray(), b.toarray(), atol=2e-3)


def test_pipelines_take_it():
    points = np.concatenate([rows(50, 4), rows(50, 4, 2) + 20])
    labels = make_pipeline(CairnTransformer(n_neighbors=20), DBSCAN(eps=3, metric="precomputed")).fit_predict(points)
    assert labels[0] != labels[60]
    assert make_pipeline(CairnTransformer(n_neighbors=30), Isomap(n_neighbors=5, metric="precomputed")).fit_transform(rows(60, 4)).shape == (60, 2)


def test_a_fitted_one_is_pickled_with_its_index():
    points = rows(100, 5)
    fitted = CairnTransformer().fit(points)
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(fitted))))
    assert (again.transform(points) != fitted.transform(points)).nnz == 0


def test_wrong_parameters_are_value_errors():
    for wrong in ({"mode": "x"}, {"metric": "manhattan"}, {"m": 1}):
        with pytest.raises(ValueError):
            CairnTransformer(**wrong).fit(rows(10, 3))
    with pytest.raises(ValueError, match="n_samples_fit"):
        CairnTransformer(n_neighbors=10).fit_transform(rows(10, 3))
