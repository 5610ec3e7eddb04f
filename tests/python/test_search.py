# SPDX-License-Identifier: Apache-2.0
"""What a search can be asked for beyond k and ef."""

import pickle
import subprocess
import sys
import time

import numpy as np
import pytest

import cairn
from conftest import rows


@pytest.fixture(scope="module")
def many():
    """20,000 vectors, key i for row i."""
    vectors = rows(20_000, 16)
    index = cairn.Index.create(dims=16, m=8, ef_construction=40)
    index.build(None, vectors)
    return index, vectors


def nearest(vectors, query, k):
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.argsort(1 - unit @ (query / np.linalg.norm(query)), kind="stable")[:k]


def test_the_exact_plan_finds_the_nearest(many):
    index, vectors = many
    queries = rows(5, 16, 2)
    found = index.search(queries, k=50, ef=1, plan="exact")
    assert all(found.keys[i].tolist() == nearest(vectors, queries[i], 50).tolist() for i in range(5))
    assert index.search(queries[0], k=50, ef=1, plan="exact").keys.tolist() == found.keys[0].tolist()


def test_a_report_tells_what_was_done(many):
    index, vectors = many
    assert index.search(vectors[0]).report is None and index.search(vectors[:2]).report is None
    walked = index.search(vectors[0], plan="walk").report
    assert (walked.plan, walked.complete) == ("walk", True) and walked.distances > walked.lists > 0
    exact = index.search(vectors[0], plan="exact").report
    assert (exact.plan, exact.complete, exact.lists) == ("exact", True, 0) and exact.distances >= 20_000
    both = index.search(np.stack([vectors[0], vectors[0]]), plan="walk").report
    assert (both.distances, both.lists) == (2 * walked.distances, 2 * walked.lists)
    assert index.search(vectors[0].tolist(), report=True).report.complete
    with pytest.raises(ValueError, match="plan"):
        index.search(vectors[0], plan="fast")


def test_answers_with_a_report_can_be_pickled(many):
    index, vectors = many
    query = vectors[5]
    cursor = index.open_cursor(query)
    for found in (index.search(query, report=True), index.search_range(query, 0.5), cursor.next(5)):
        again = pickle.loads(pickle.dumps(found))
        assert again.pairs() == found.pairs()
        for name in ("plan", "complete", "distances", "lists"):
            assert getattr(again.report, name) == getattr(found.report, name)


def test_counts_below_zero_are_value_errors(many):
    index, vectors = many
    query, two = vectors[5], vectors[:2]
    wrong = [
        lambda: index.search(query, k=-1),
        lambda: index.search(query, ef=-1),
        lambda: index.search(two, k=-1),
        lambda: index.search(two, threads=-1),
        lambda: index.search(query, max_distances=-1),
        lambda: index.search_range(query, 0.5, ef=-1),
        lambda: index.search_range(query, 0.5, max_results=-1),
        lambda: index.open_cursor(query, ef=-1),
        lambda: index.measure_recall(two, k=-1),
        lambda: index.ef_for(0.9, two, threads=-1),
        lambda: index.set_advised_ef(-1),
        lambda: cairn.Index.create(dims=-1),
        lambda: cairn.Index.create(dims=8, m=-1),
        lambda: cairn.Index.create(dims=8, max_vectors=-1),
        lambda: index.search(query, timeout=float("nan")),
        lambda: index.search(query, deadline=float("nan")),
    ]
    for call in wrong:
        with pytest.raises(cairn.InvalidArgumentError):
            call()


def test_a_limit_of_distances_ends_a_search(many):
    index, vectors = many
    found = index.search(vectors[0], k=10, ef=2000, max_distances=300, plan="walk")
    assert not found.report.complete and found.report.distances <= 300 and len(found) == 10
    assert index.search(vectors[0], max_distances=10**6).report.complete


def test_time_ends_a_search(many):
    index, vectors = many
    for late in ({"timeout": 0}, {"timeout": -1.0}, {"deadline": time.monotonic() - 1}, {"deadline": -5}, {"timeout": 60, "deadline": 1}):
        with pytest.raises(TimeoutError) as caught:
            index.search(vectors[0], **late)
        assert caught.value.name == "deadline_exceeded"
    for early in ({"timeout": 60}, {"deadline": time.monotonic() + 60}, {"timeout": 1e300}, {"timeout": float("inf")}):
        assert index.search(vectors[0], **early).report.complete
        assert index.search(vectors[:3], **early).report.complete


def test_a_metric_of_the_callers_ranks_the_candidates(many):
    index, vectors = many
    asked = []

    def largest_key(key, vector):
        assert vector.dtype == np.float32 and (vector == vectors[key]).all()
        asked.append(key)
        return -key

    found = index.search(vectors[0], k=5, ef=40, rerank=largest_key)
    assert len(set(asked)) >= 40 and found.keys.tolist() == sorted(set(asked))[::-1][:5]
    assert found.distances.tolist() == [-float(key) for key in found.keys.tolist()]
    batch = index.search(vectors[:4], k=5, ef=40, threads=2, rerank=lambda key, vector: -key)
    assert batch[0].pairs() == found.pairs()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int8"])
def test_the_callers_metric_gets_vectors_as_they_are_stored(dtype):
    index = cairn.Index.create(dims=3, dtype=dtype, metric="l2sq")
    index.build([4], np.array([[1, 2, 3]], np.int8))
    seen = []
    query = [1, 2, 3]
    index.search(query, k=1, rerank=lambda key, vector: seen.append(vector.tolist()) or 0.5)
    assert seen[0] == [1, 2, 3]


def test_what_the_callers_metric_raises_is_raised(many):
    index, vectors = many

    def fails(key, vector):
        raise ZeroDivisionError("mine")

    for query in (vectors[0], vectors[:30]):
        with pytest.raises(ZeroDivisionError, match="mine"):
            index.search(query, rerank=fails)
    with pytest.raises(TypeError):
        index.search(vectors[0], rerank=lambda key, vector: None)
    with pytest.raises(TypeError):
        index.search(vectors[0], rerank=5)
    with pytest.raises(ValueError, match="callback"):
        index.search(vectors[0], rerank=lambda key, vector: index.close())
    assert len(index.search(vectors[0])) == 10


def test_callbacks_may_search(many):
    index, vectors = many
    found = index.search(vectors[0], k=3, ef=5, rerank=lambda key, vector: index.search(vector, k=1).distances[0] + key)
    assert found.keys.tolist() == sorted(found.keys.tolist())


def test_filters_of_each_kind(many):
    index, vectors = many
    query = rows(1, 16, 5)[0]
    ranks = nearest(vectors, query, 20_000)
    truths = np.zeros(20_000, bool)
    truths[::3] = True
    words = np.packbits(truths, bitorder="little")
    words = np.concatenate([words, np.zeros(-len(words) % 8, np.uint8)]).view(np.uint64)
    given = [
        (index.filter(only=np.flatnonzero(truths)), lambda key: key % 3 == 0),
        (index.filter(except_=range(0, 20_000, 2)), lambda key: key % 2 == 1),
        (index.filter(bits=truths), lambda key: key % 3 == 0),
        (index.filter(bits=words), lambda key: key % 3 == 0),
        (index.filter(bits=truths[:100].tolist(), first=1000), lambda key: 1000 <= key < 1100 and (key - 1000) % 3 == 0),
        (index.filter(where=lambda key: key % 7 == 0), lambda key: key % 7 == 0),
        (index.filter(only=[5, 6, 10**9]), lambda key: key in (5, 6)),
        (index.filter(only=[]), lambda key: False),
    ]
    for one, passes in given:
        expected = [key for key in ranks.tolist() if passes(key)]
        assert one.count == len(expected)
        assert index.search(query, k=10, filter=one, plan="exact").keys.tolist() == expected[:10]
        found = index.search(query, k=10, ef=200, filter=one)
        assert all(passes(key) for key in found.keys.tolist()) and len(set(found.keys.tolist()) & set(expected[:10])) >= min(9, len(expected))
        assert found.report.complete and index.search(np.stack([query, query]), k=10, ef=200, filter=one)[1].pairs() == found.pairs()


def test_a_filter_for_each_query(many):
    index, vectors = many
    even, none = index.filter(where=lambda key: key % 2 == 0), index.filter(only=[])
    found = index.search(vectors[[1, 1, 1]], k=3, filter=[even, None, none])
    assert all(key % 2 == 0 for key in found[0].keys.tolist()) and found.keys[1, 0] == 1 and found.counts.tolist() == [3, 3, 0]
    for wrong, error in (([even], ValueError), ([even, 3, None], TypeError), ("ab", TypeError), (7, TypeError)):
        with pytest.raises(error):
            index.search(vectors[:3], filter=wrong)
    with pytest.raises(TypeError):
        index.search(vectors[0], filter=[even])


def test_a_filter_follows_the_index(index, vectors):
    odd, mine = index.filter(where=lambda key: key % 2 == 1), index.filter(only=[7, 20])
    assert odd.count == 0 and mine.count == 1 and "1 vectors" in repr(mine)
    index.add(7, vectors[3])
    assert index.search(vectors[3], filter=odd).keys.tolist() == [7]
    assert index.search(vectors[3], filter=mine).keys.tolist() == [7, 20]
    index.remove(20)
    index.compact()
    assert index.search(vectors[3], filter=mine).keys.tolist() == [7]


def test_what_can_be_wrong_with_filters(index, vectors):
    for wrong in ({}, {"only": [1], "except_": [2]}, {"where": 5}):
        with pytest.raises(TypeError):
            index.filter(**wrong)
    for wrong in ({"only": [-1]}, {"bits": np.zeros(3)}, {"bits": np.zeros((2, 2), bool)}, {"bits": [True], "first": -1}):
        with pytest.raises(ValueError):
            index.filter(**wrong)
    with pytest.raises(TypeError):
        cairn.Filter()
    other = cairn.Index.create(dims=16)
    with pytest.raises(cairn.InvalidArgumentError):
        other.search(vectors[0], filter=index.filter(only=[1]))
    mine = index.filter(only=[10])
    index.close()
    assert mine.count == 0
    for call in (lambda: index.filter(only=[1]), lambda: index.search(vectors[0], filter=mine)):
        with pytest.raises(ValueError, match="closed"):
            call()


def test_what_a_filters_function_raises_is_raised(index, vectors):
    def fails(key):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        index.filter(where=fails)
    seen = []

    def fails_later(key):
        seen.append(key)
        if key == 5:
            raise ZeroDivisionError("mine")
        return True

    late = index.filter(where=fails_later)
    assert sorted(set(seen)) == sorted(index)
    index.add(5, vectors[0])
    for query in (vectors[0], vectors[:3]):
        with pytest.raises(ZeroDivisionError, match="mine"):
            index.search(query, filter=late)
    assert len(index.search(vectors[0])) == 10


def test_a_filter_may_go_before_its_index_and_after(file, vectors):
    with cairn.Index.open(file) as index:
        one = index.filter(where=lambda key: key > 100)
        assert index.search(vectors[0], filter=one).keys.min() > 100
        del one
    one = index = None


def test_a_filters_function_that_refers_to_its_filter_is_collected():
    script = """
import cairn
index = cairn.Index.create(dims=2)
index.build([7, 8], [[1, 0], [0, 1]])
mine = index.filter(where=lambda key: mine is None or key != 7)
"""
    script = script.replace("mine =", "mine = None\nmine =")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
