# SPDX-License-Identifier: Apache-2.0
"""Single queries that are gathered into batches."""
import threading

import numpy as np
import pytest

import cairn
from cairn._batches import Batches


def doubled(rows, kind):
    return rows * kind


def test_queries_that_come_together_go_together():
    sizes = []

    def ask(rows, kind):
        sizes.append(len(rows))
        return rows * kind

    batches = Batches(ask, most=4, linger=60, at_once=1)
    futures = [batches.submit(np.array([float(i)]), 2) for i in range(8)]
    assert [float(future.result(30)[0]) for future in futures] == [2.0 * i for i in range(8)]
    assert sizes == [4, 4]
    batches.close()


def test_what_is_not_full_goes_after_a_moment():
    batches = Batches(doubled, most=1000, linger=0.001)
    assert batches.submit(np.array([3.0]), 2).result(30)[0] == 6
    batches.close()


def test_different_questions_do_not_mix():
    kinds = []
    batches = Batches(lambda rows, kind: kinds.append((kind, len(rows))) or rows, most=10, linger=60, at_once=1)
    futures = [batches.submit(np.array([1.0]), i % 2) for i in range(20)]
    for future in futures:
        future.result(30)
    assert sorted(kinds) == [(0, 10), (1, 10)]
    batches.close()


def test_an_error_is_that_of_its_batch_alone():
    def ask(rows, kind):
        if kind == "bad":
            raise cairn.InvalidArgumentError("bad")
        return rows

    batches = Batches(ask, linger=0)
    bad, good = batches.submit(np.array([1.0]), "bad"), batches.submit(np.array([1.0]), "good")
    with pytest.raises(cairn.InvalidArgumentError):
        bad.result(30)
    assert good.result(30)[0] == 1
    batches.close()


def test_what_was_submitted_is_answered_at_the_end():
    batches = Batches(doubled, most=1000, linger=3600, at_once=1)
    futures = [batches.submit(np.array([1.0]), 3) for _ in range(5)]
    batches.close()
    assert [float(future.result(0)[0]) for future in futures] == [3.0] * 5
    with pytest.raises(cairn.InvalidArgumentError, match="closed"):
        batches.submit(np.array([1.0]), 3)


def test_too_many_are_refused_not_kept():
    go = threading.Event()
    batches = Batches(lambda rows, kind: go.wait(30) and rows, most=1, linger=0, at_once=1, waiting=3)
    first = batches.submit(np.array([0.0]), 0)
    refused = 0
    futures = [first]
    for _ in range(10):
        try:
            futures.append(batches.submit(np.array([0.0]), 0))
        except cairn.BusyError:
            refused += 1
    assert refused >= 6
    go.set()
    for future in futures:
        future.result(30)
    batches.close()


def test_a_cancelled_query_is_not_asked():
    go, asked = threading.Event(), []

    def ask(rows, kind):
        go.wait(30)
        asked.extend(rows[:, 0].tolist())
        return rows

    batches = Batches(ask, most=1, linger=0, at_once=1)
    first = batches.submit(np.array([1.0]), 0)
    second = batches.submit(np.array([2.0]), 0)
    assert second.cancel() or not first.done()
    go.set()
    first.result(30)
    batches.close()
    assert (2.0 in asked) == (not second.cancelled())
