# SPDX-License-Identifier: Apache-2.0
"""Threads, signals, forks: what happens to one call while another one runs."""
import os
import signal
import sys
import threading
import time

import numpy as np
import pytest

import cairn
from conftest import rows


@pytest.fixture(scope="module")
def many():
    return rows(20_000, 64)


def count_until(done):
    """How often a loop of Python runs until the event."""
    n = 0
    while not done.is_set():
        n += 1
    return n


def run(call):
    """Starts call() in a thread; the event is set when it has ended."""
    done = threading.Event()

    def body():
        try:
            call()
        finally:
            done.set()

    thread = threading.Thread(target=body)
    thread.start()
    return thread, done


def test_a_build_does_not_hold_the_lock(many):
    index = cairn.Index.create(dims=64)
    begin = time.perf_counter()
    thread, done = run(lambda: index.build(None, many[:4000], threads=1))
    turns = count_until(done)
    seconds = time.perf_counter() - begin
    thread.join()
    # A call that holds the lock lets the loop run only before it and after it.
    assert len(index) == 4000 and turns > 1000 * seconds


def test_a_batch_does_not_hold_the_lock(many):
    index = cairn.Index.create(dims=64)
    index.build(None, many[:2000])
    thread, done = run(lambda: index.search(many, k=5, threads=1))
    turns = count_until(done)
    thread.join()
    assert turns > 1000


def test_threads_search_while_others_change(many):
    index = cairn.Index.create(dims=64)
    index.build(None, many[:1000])
    failures = []

    def search(seed):
        try:
            for i in np.random.default_rng(seed).integers(0, 1000, 300):
                found = index.search(many[i], k=3)
                assert len(found) == 3 and found.distances[0] <= 1e-6
        except BaseException as error:
            failures.append(error)

    def change():
        try:
            for i in range(1000, 1300):
                index.add(i, many[i])
                index.remove(i)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=search, args=(i,)) for i in range(3)] + [threading.Thread(target=change)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(index) == 1000


def interrupt_once(told):
    def report(done, total):
        told.append(done)
        if len(told) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    return report


def test_ctrl_c_ends_a_build_and_leaves_it_empty(many):
    index = cairn.Index.create(dims=64)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        index.build(None, many, threads=1)
        time.sleep(10)
    timer.join()
    assert len(index) == 0
    index.build(None, many[:100])
    assert index.search(many[5], k=1).keys.tolist() == [5]


@pytest.mark.parametrize("call", ["add", "compact"])
def test_ctrl_c_ends_other_long_calls(call, many):
    index = cairn.Index.create(dims=64)
    index.build(None, many[:3000])
    index.remove(5)
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        if call == "add":
            index.add(range(5000, 5000 + len(many)), many)
        else:
            while True:
                index.compact(threads=1)
    timer.join()
    assert index.verify()


def test_what_a_progress_callback_raises_ends_the_call(many):
    index = cairn.Index.create(dims=64)
    told = []

    def report(done, total):
        told.append((done, total))
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        index.build(None, many, threads=1, progress=report)
    assert len(told) == 1 and len(index) == 0
    index.build(None, many[:100])


def test_a_progress_callback_may_use_the_index(many):
    index = cairn.Index.create(dims=64)
    seen = []

    def report(done, total):
        seen.append((len(index), len(index.search(many[0], k=1)), threading.get_ident()))
        assert 0 <= done <= total

    index.build(None, many[:3000], threads=1, progress=report)
    assert {thread for _, _, thread in seen} == {threading.get_ident()}


def test_closing_in_a_progress_callback_is_an_error(many):
    index = cairn.Index.create(dims=64)
    with pytest.raises(ValueError, match="callback"):
        index.build(None, many, threads=1, progress=lambda done, total: index.close())
    assert not index.closed and len(index) == 0


def test_close_waits_for_calls_of_other_threads(tmp_path, many):
    path = tmp_path / "x"
    index = cairn.Index.create(path, dims=64, durability="none")
    thread, done = run(lambda: index.build(None, many[:3000], threads=1))
    time.sleep(0.05)
    index.close()
    thread.join(30)
    with cairn.Index.open(path, "r+") as again:
        assert len(again) in (0, 3000)


def test_ctrl_c_ends_a_close_that_waits(many):
    index = cairn.Index.create(dims=64)
    stop = threading.Event()

    def report(done, total):
        if stop.is_set():
            raise InterruptedError

    def build():
        with pytest.raises(InterruptedError):
            index.build(None, many, threads=1, progress=report)

    thread, done = run(build)
    time.sleep(0.2)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        index.close()
        time.sleep(10)
    assert not index.closed
    stop.set()
    thread.join(60)
    index.close()
    assert index.closed


def in_child(call):
    """Whether call() returns true in a forked process."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            status = 0 if call() else 1
        except BaseException as error:
            print(repr(error), file=sys.__stderr__)
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def refused(call):
    try:
        call()
    except cairn.UnsupportedError as error:
        return error.name == "unsupported"
    return False


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_readers_go_on_in_a_child(file, vectors):
    with cairn.Index.open(file) as index:
        assert in_child(lambda: index.search(vectors[3], k=1).keys.tolist() == [30])
        assert in_child(lambda: index.search(vectors[:9], k=1).keys[8, 0] == 80)
        assert in_child(lambda: index.close() is None and index.closed)
        assert index.search(vectors[3], k=1).keys.tolist() == [30]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_index_in_memory_goes_on_in_a_child(index, vectors):
    assert in_child(lambda: index.add(1, vectors[0]) is None and len(index) == 301)
    assert len(index) == 300


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_writers_refuse_in_a_child(path, vectors):
    with cairn.Index.create(path, dims=16) as index:
        index.add(1, vectors[1])
        for call in (lambda: index.add(2, vectors[2]), lambda: index.search(vectors[0]), lambda: index.remove(1), lambda: index.sync()):
            assert in_child(lambda: refused(call))
        assert in_child(lambda: index.close() is None)
        index.add(3, vectors[3])
    with cairn.Index.open(path, "r+") as index:
        assert len(index) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_can_close_what_another_thread_of_the_parent_uses(many):
    index = cairn.Index.create(dims=64)
    index.build(None, many[:2000])
    thread, done = run(lambda: index.search(many, k=5, threads=1))
    time.sleep(0.02)
    assert in_child(lambda: index.close() is None)
    thread.join()
    assert not index.closed


def test_ctrl_c_ends_a_batch(many):
    index = cairn.Index.create(dims=64)
    index.build(None, many[:2000])
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        while True:
            index.search(many, k=5, ef=500, threads=1)
    timer.join()
    assert index.search(many[5], k=1).keys.tolist() == [5]
