# SPDX-License-Identifier: Apache-2.0
"""All within a distance, and results page by page."""
import numpy as np
import pytest

import cairn
from conftest import rows


@pytest.fixture(scope="module")
def some():
    vectors = rows(3000, 8)
    index = cairn.Index.create(dims=8, metric="l2sq")
    index.build(np.arange(3000) * 2, vectors)
    query = rows(1, 8, 2)[0]
    distances = ((vectors.astype(np.float64) - query) ** 2).sum(1)
    return index, query, distances


def test_all_within_a_radius(some):
    index, query, distances = some
    radius = float(np.sort(distances)[200]) * 1.0001
    expected = [2 * i for i in np.argsort(distances) if distances[i] <= radius]
    found = index.search_range(query, radius, plan="exact")
    assert found.keys.tolist() == expected and found.counts == len(found) == 201 and found.report.complete
    assert (np.diff(found.distances) >= 0).all() and found.distances[-1] <= radius
    assert len(set(index.search_range(query, radius, 200).keys.tolist()) & set(expected)) >= 199
    assert index.search_range(query, radius, max_results=5).keys.tolist() == expected[:5]
    only = index.filter(only=expected[::2])
    assert index.search_range(query, radius, filter=only, plan="exact").keys.tolist() == expected[::2]
    assert len(index.search_range(query, 0.0)) == 0
    for wrong in (float("nan"), -1.0):
        with pytest.raises(ValueError):
            index.search_range(query, wrong)
    with pytest.raises(ValueError):
        index.search_range(rows(2, 8), radius)


@pytest.mark.parametrize("order", ["relaxed", "strict"])
def test_pages_follow_each_other(some, order):
    index, query, distances = some
    cursor = index.open_cursor(query, order=order)
    pages = [cursor.next(7) for _ in range(20)]
    keys = [key for page in pages for key in page.keys.tolist()]
    assert len(set(keys)) == len(keys) == 140 and all((np.diff(page.distances) >= 0).all() for page in pages)
    nearest = set((2 * np.argsort(distances)[:140]).tolist())
    assert len(nearest & set(keys)) >= 130
    if order == "strict":
        assert (np.diff(np.concatenate([page.distances for page in pages])) >= 0).all()
    with pytest.raises(ValueError):
        cursor.next(0)
    with pytest.raises(ValueError, match="order"):
        index.open_cursor(query, order="none")


def test_a_cursor_gives_everything_once(some):
    index, query, _ = some
    pairs = list(index.open_cursor(query))
    assert sorted(key for key, _ in pairs) == list(range(0, 6000, 2))
    odd = index.filter(where=lambda key: key % 4 == 0)
    assert sorted(key for key, _ in index.open_cursor(query, filter=odd)) == list(range(0, 6000, 4))


def test_a_cursor_outlives_what_it_was_made_from(vectors):
    index = cairn.Index.create(dims=16)
    index.build(None, vectors)
    cursor = index.open_cursor(vectors[0].copy(), filter=index.filter(only=range(50)))
    assert cursor.next(1).keys.tolist() == [0]
    index.remove(1)
    core = index._core
    del index
    assert 1 not in [key for key, _ in cursor]
    core.close()
    with pytest.raises(ValueError, match="closed"):
        cursor.next()
    with pytest.raises(TypeError):
        cairn.Cursor()


def test_a_range_is_ranked_by_the_callers_metric(some):
    index, query, distances = some
    radius = float(np.sort(distances)[200]) * 1.0001
    within = [2 * i for i in range(3000) if distances[i] <= radius]
    seen = {}
    found = index.search_range(query, radius, plan="exact", rerank=lambda key, vector: seen.setdefault(key, vector)[0] * 0 - key)
    assert found.keys.tolist() == within[::-1] and found.distances.tolist() == [-float(key) for key in within[::-1]]
    assert sorted(seen) == within and all((seen[key] == index[key]).all() for key in within[:20])
    nearest = [2 * int(i) for i in np.argsort(distances)[:50]]
    found = index.search_range(query, radius, 50, max_results=5, plan="exact", rerank=lambda key, vector: -key)
    assert found.keys.tolist() == sorted(nearest)[:-6:-1]


@pytest.mark.parametrize("order", ["relaxed", "strict"])
def test_a_page_is_ranked_by_the_callers_metric(some, order):
    index, query, _ = some
    plain, ranked = index.open_cursor(query, order=order), index.open_cursor(query, order=order, rerank=lambda key, vector: -key)
    for _ in range(10):
        keys = plain.next(9).keys.tolist()
        page = ranked.next(9)
        assert page.keys.tolist() == sorted(keys)[::-1] and page.distances.tolist() == [-float(key) for key in page.keys.tolist()]


def test_what_the_metric_of_a_range_or_a_page_raises_is_raised(some):
    index, query, _ = some

    def fails(key, vector):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        index.search_range(query, 5.0, rerank=fails)
    cursor = index.open_cursor(query, rerank=fails)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="mine"):
            cursor.next(3)
    for call in (lambda: index.search_range(query, 5.0, rerank=5), lambda: index.open_cursor(query, rerank=5)):
        with pytest.raises(TypeError, match="rerank"):
            call()


def test_the_metric_of_a_cursor_lives_as_long_as_it():
    index = cairn.Index.create(dims=2, metric="l2sq", dtype="bfloat16")
    index.build(None, np.array([[1, 2], [3, 4]], np.float32))
    cursor = index.open_cursor([1, 2], rerank=lambda key, vector: float(vector.sum()) * -1)
    import gc

    gc.collect()
    assert cursor.next(2).pairs() == [(1, -7.0), (0, -3.0)]
