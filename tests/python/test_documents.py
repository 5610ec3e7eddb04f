# SPDX-License-Identifier: Apache-2.0
"""Several vectors a key."""
import numpy as np
import pytest

import cairn
from conftest import rows


def documents(path=None):
    """Forty keys with one to nine vectors each, and what they are."""
    index = cairn.Index.create(path, dims=8, metric="l2sq", several_per_key=True)
    vectors = rows(200, 8)
    keys = np.arange(200, dtype=np.uint64) ** 2 % 40
    index.add(keys, vectors)
    return index, keys, vectors


def test_results_name_a_key_once_with_its_nearest_vector(tmp_path):
    index, keys, vectors = documents(tmp_path / "a")
    assert len(index) == 200 and index.stats.keys == len(set(keys.tolist()))
    for query in rows(10, 8, seed=3):
        truth = {}
        for key, distance in zip(keys.tolist(), ((vectors - query) ** 2).sum(axis=1).tolist()):
            truth[key] = min(distance, truth.get(key, distance))
        best = sorted(truth.items(), key=lambda item: item[1])[:5]
        for plan in ("automatic", "exact"):
            found = index.search(query, k=5, plan=plan)
            assert found.keys.tolist() == [key for key, _ in best]
            assert np.allclose(found.distances, [distance for _, distance in best], rtol=1e-5)


def test_all_vectors_of_a_key_come_in_their_order():
    index, keys, vectors = documents()
    for key in set(keys.tolist()):
        assert index.count(key) == (keys == key).sum()
        assert (index.get_all(key) == vectors[keys == key]).all()
        assert (index[key] == vectors[keys == key][0]).all()
    assert index.count(99) == 0 and index.get_all(99).shape == (0, 8)
    index.upsert(1, vectors[0])
    assert (index.get_all(1) == vectors[:1]).all()
    del index[1]
    assert 1 not in index and index.count(1) == 0


def test_documents_are_ranked_by_the_sum_of_best_matches():
    index, keys, vectors = documents()
    query = rows(4, 8, seed=5)
    distances = ((vectors[None, :, :] - query[:, None, :]) ** 2).sum(axis=2)
    truth = sorted((sum(distances[:, keys == key].min(axis=1)), key) for key in set(keys.tolist()))[:6]
    for plan in ("automatic", "exact"):
        found = index.search_documents(query, k=6, plan=plan)
        assert found.keys.tolist() == [key for _, key in truth]
        assert np.allclose(found.distances, [distance for distance, _ in truth], rtol=1e-5)
    few = index.search_documents(query, k=6, filter=index.filter(only=[0, 1]))
    assert set(few.keys.tolist()) == {0, 1}
    with pytest.raises(cairn.InvalidArgumentError):
        index.search_documents(query, k=0)
