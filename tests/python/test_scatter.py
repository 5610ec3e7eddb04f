# SPDX-License-Identifier: Apache-2.0
"""A question to workers that answer late, twice, wrongly or never."""
import concurrent.futures
import threading

import numpy as np
import pytest

import cairn
from cairn import _hedge, _scatter
from cairn._scatter import Group, Layout, Part, Scatter, Worker

ROWS, K = 3, 4


class Lost(Exception):
    """A worker that is gone."""


def part(shards, version=1, *, seed=0, **more):
    generator = np.random.default_rng(seed)
    distances = np.sort(generator.random((ROWS, K), np.float32), axis=1)
    keys = generator.integers(0, 1000, (ROWS, K)).astype(np.uint64)
    return Part(version, keys, distances, np.full(ROWS, K, np.uint64), shards, **more)


class Fake:
    """Answers with what it is told to: a Part, an exception, or None for not at all. It keeps what it was asked."""

    def __init__(self, name, *answers):
        self.name = name
        self.answers = list(answers)
        self.futures = []
        self.left = []

    def call(self, question, left):
        future = concurrent.futures.Future()
        self.futures.append(future)
        self.left.append(left)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            future.set_exception(answer)
        elif callable(answer):
            answer(future)
        elif answer is not None:
            future.set_result(answer)
        return future

    @property
    def asked(self):
        return len(self.futures)


def layout_of(*groups, version=1):
    return Layout(version, tuple(Group(shards, tuple(Worker(f.name, f.call) for f in fakes)) for shards, fakes in groups))


def scatter_of(*groups, **options):
    layout = layout_of(*groups)
    return Scatter(lambda: layout, lambda error: isinstance(error, Lost), **options)


@pytest.fixture
def quick(monkeypatch):
    """Second questions after a hundredth of a second, until there is experience."""
    monkeypatch.setattr(_hedge, "UNKNOWN_S", 0.01)
    monkeypatch.setattr(_scatter, "PAUSE_S", 0.001)


def test_all_groups_are_asked_once_and_merged():
    a, b = Fake("a", part(("s0",), seed=1)), Fake("b", part(("s1", "s2"), seed=2))
    answer = scatter_of((("s0",), [a]), (("s1", "s2"), [b])).ask("q", ROWS, K, timeout=5)
    assert a.asked == b.asked == 1 and 4 < a.left[0] <= 5
    assert (answer.shards_asked, answer.shards_answered, answer.version, answer.hedged) == (3, 3, 1, 0)
    both = sorted(zip(np.concatenate([a.answers[0].distances[1], b.answers[0].distances[1]]).tolist(),
                      np.concatenate([a.answers[0].keys[1], b.answers[0].keys[1]]).tolist()))[:K]
    assert [(distance, key) for key, distance in answer[1].pairs()] == both


def group_workers(*fakes):
    return [Worker(fake.name, fake.call) for fake in fakes]


def test_a_worker_that_is_late_is_overtaken_by_its_replica(quick):
    late, other = Fake("late", None), Fake("other", part(("s0",), seed=2))
    scatter = scatter_of((("s0",), [late, other]))
    scatter._pick = lambda group, avoid, most=None, pick=iter(group_workers(late, other)): next(pick)
    answer = scatter.ask("q", ROWS, K, timeout=30)
    assert answer.hedged == 1 and late.asked == other.asked == 1
    late.futures[0].set_result(part(("s0",), seed=1))  # too late: nobody looks
    assert (answer.keys == other.answers[0].keys).all()


def test_an_answer_that_comes_twice_counts_once(quick):
    first = Fake("first", None)
    second = Fake("second", lambda future: (first.futures[0].set_result(part(("s0",), seed=1)), future.set_result(part(("s0",), seed=1))))
    other = Fake("other", part(("s1",), seed=2))
    scatter = scatter_of((("s0",), [first, second]), (("s1",), [other]))
    turns = {("s0",): iter(group_workers(first, second)), ("s1",): iter(group_workers(other))}
    scatter._pick = lambda group, avoid, most=None: next(turns[group.shards])
    answer = scatter.ask("q", ROWS, 2 * K, timeout=30)
    assert answer.counts.tolist() == [2 * K] * ROWS and answer.shards_answered == 2
    assert all(len(set(row.tolist())) == 2 * K for row in answer.keys)


def test_a_worker_that_never_answers_is_named_when_time_is_up():
    silent, other = Fake("silent", None), Fake("other", part(("s1",)))
    scatter = scatter_of((("s0",), [silent]), (("s1",), [other]))
    with pytest.raises(TimeoutError, match=r"1 of 2 shards have answered; not s0 \(no answer within 0.05 s, asked 1 times\)"):
        scatter.ask("q", ROWS, K, timeout=0.05)
    answer = scatter.ask("q", ROWS, K, timeout=0.05, allow_partial=True)
    assert (answer.shards_asked, answer.shards_answered) == (2, 1) and answer.unanswered[0][0] == "s0"
    assert (answer.keys == other.answers[0].keys).all()


def test_nobody_answering_is_an_error_even_if_partial_answers_will_do():
    with pytest.raises(cairn.DeadlineExceededError, match="0 of 1"):
        scatter_of((("s0",), [Fake("a", None)])).ask("q", ROWS, K, timeout=0.02, allow_partial=True)


def test_a_worker_that_hangs_is_left_alone(quick):
    hangs, works = Fake("hangs", None), Fake("works", part(("s0",)))
    scatter = scatter_of((("s0",), [hangs, works]))
    for _ in range(50):
        scatter.ask("q", ROWS, K, timeout=30)
    assert hangs.asked <= 1 and works.asked >= 50


def test_a_lost_worker_is_replaced_at_once():
    gone, other = Fake("gone", Lost("died")), Fake("other", part(("s0",)))
    scatter = scatter_of((("s0",), [gone, other]))
    for _ in range(40):
        assert scatter.ask("q", ROWS, K, timeout=5).shards_answered == 1
    assert gone.asked >= 1 and other.asked == 40


def test_replicas_take_turns():
    groups = [((f"s{i}",), [Fake(f"{i}a", part((f"s{i}",))), Fake(f"{i}b", part((f"s{i}",)))]) for i in range(2)]
    scatter = scatter_of(*groups)
    for _ in range(200):
        scatter.ask("q", ROWS, K, timeout=5)
    assert all(50 < fake.asked < 150 for _, fakes in groups for fake in fakes)


def test_workers_that_are_all_lost_are_asked_until_they_are_back(quick):
    back = Fake("a", Lost("died"), Lost("restarting"), Lost("restarting"), part(("s0",)))
    assert scatter_of((("s0",), [back])).ask("q", ROWS, K, timeout=30).shards_answered == 1
    assert back.asked == 4


def test_a_version_that_is_gone_is_asked_anew_as_a_whole(quick):
    old_a, old_b = Fake("old-a", part(("s0",))), Fake("old-b", Lost("killed"))
    new = Fake("new", part(("t0",), version=2, seed=5))
    layouts = [layout_of((("s0",), [old_a]), (("s1",), [old_b])), layout_of((("t0",), [new]), version=2)]
    scatter = Scatter(lambda: layouts.pop(0), lambda error: isinstance(error, Lost))
    answer = scatter.ask("q", ROWS, K, timeout=30)
    assert answer.version == 2 and answer.shards_asked == 1
    assert (answer.keys == new.answers[0].keys).all()


def test_the_callers_mistakes_are_not_asked_twice():
    wrong, other = Fake("a", cairn.DimensionMismatchError("3, not 4")), Fake("b", part(("s0",)))
    scatter = scatter_of((("s0",), [wrong]), (("s1",), [other]))
    with pytest.raises(cairn.DimensionMismatchError, match="3, not 4"):
        scatter.ask("q", ROWS, K, timeout=30)
    assert wrong.asked == 1


def test_a_damaged_file_on_one_machine_is_answered_by_another():
    damaged, whole = Fake("a", cairn.IoError("s0.cairn: page 3")), Fake("b", part(("s0",)))
    for _ in range(2):
        assert scatter_of((("s0",), [damaged, whole])).ask("q", ROWS, K, timeout=30).shards_answered == 1
    with pytest.raises(cairn.IoError, match="page 3"):
        scatter_of((("s0",), [damaged])).ask("q", ROWS, K, timeout=30)


@pytest.mark.parametrize("wrong, told", [
    (part(("s1",)), "answers for shards"), (part(("s0",), version=7), "answers for version 7"), ("nonsense", "a str instead of an answer")])
def test_answers_to_another_question_are_refused(wrong, told):
    with pytest.raises(cairn.IoError, match=f"worker a: {told}"):
        scatter_of((("s0",), [Fake("a", wrong)])).ask("q", ROWS, K, timeout=30)


def test_shards_that_a_worker_could_not_search_are_told():
    fake = Fake("a", part(("s0",), unanswered=(("s1", "truncated"),)))
    scatter = scatter_of((("s0", "s1"), [fake]))
    answer = scatter.ask("q", ROWS, K, timeout=30, allow_partial=True)
    assert answer.shards_answered == 1 and answer.unanswered == (("s1", "truncated"),)
    with pytest.raises(cairn.CairnError, match="truncated"):
        scatter.ask("q", ROWS, K, timeout=30)


def test_a_second_question_waits_for_a_replica_that_has_time(quick):
    busy, hangs = Fake("busy", None), Fake("hangs", None)
    scatter = scatter_of((("s0",), [busy, hangs]))
    for worker in ("busy", "hangs"):
        scatter._unanswered[worker] = 2
    with pytest.raises(TimeoutError):
        scatter.ask("q", ROWS, K, timeout=0.2)
    assert busy.asked + hangs.asked == 1
    scatter._unanswered.clear()
    with pytest.raises(TimeoutError):
        scatter.ask("q", ROWS, K, timeout=0.2)
    assert busy.asked + hangs.asked == 3


def test_second_questions_are_limited():
    hedge = _hedge.Hedge(0.95, 0.1)
    while hedge.spend():
        pass
    for _ in range(30):
        hedge.asked()
    assert sum(hedge.spend() for _ in range(30)) in (2, 3)


def test_the_percentile_runs():
    hedge = _hedge.Hedge()
    assert hedge.delay() == _hedge.UNKNOWN_S
    for i in range(100):
        hedge.record(i / 100)
    assert hedge.delay() == 0.95
    for _ in range(_hedge.WINDOW):
        hedge.record(2.0)
    assert hedge.delay() == 2.0
    assert _hedge.Hedge(1.0).delay() is None


@pytest.mark.parametrize("most_parts, values", [(5, 4), (60, 4), (60, 1000)])
def test_merging_is_that_of_one_sorted_list(most_parts, values):
    generator = np.random.default_rng(3)
    for _ in range(50):
        parts, rows, k = [], int(generator.integers(1, 5)), int(generator.integers(1, 8))
        for _ in range(int(generator.integers(1, most_parts))):
            width = int(generator.integers(1, 8))
            counts = generator.integers(0, width + 1, rows).astype(np.uint64)
            keys = np.stack([generator.choice(12 if most_parts == 5 else 300, width, replace=False) for _ in range(rows)]).astype(np.uint64)
            distances = generator.integers(0, values, (rows, width)).astype(np.float32)
            order = np.lexsort((keys, distances))
            keys, distances = np.take_along_axis(keys, order, 1), np.take_along_axis(distances, order, 1)
            parts.append(Part(1, keys, distances, counts, ()))
        merged = _scatter.merge(parts, rows, k)
        for row in range(rows):
            best = {}
            for one in parts:
                for key, distance in list(zip(one.keys[row].tolist(), one.distances[row].tolist()))[: int(one.counts[row])]:
                    best[key] = min(distance, best.get(key, np.inf))
            wanted = [(key, distance) for distance, key in sorted((distance, key) for key, distance in best.items())][:k]
            assert merged[row].pairs() == wanted


def test_many_threads_ask_at_once():
    a, b = Fake("a", part(("s0",), seed=1)), Fake("b", part(("s1",), seed=2))
    scatter = scatter_of((("s0",), [a]), (("s1",), [b]))
    wanted = scatter.ask("q", ROWS, K, timeout=30)
    wrong = []

    def ask():
        for _ in range(100):
            if (scatter.ask("q", ROWS, K, timeout=30).keys != wanted.keys).any():
                wrong.append(1)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and a.asked == 401
