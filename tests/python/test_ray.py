# SPDX-License-Identifier: Apache-2.0
"""Sets built and served on a Ray cluster whose workers are killed, stopped and replaced. One cluster for all tests."""
import dataclasses
import os
import pathlib
import signal
import threading
import time

import numpy as np
import pytest
from conftest import rows
from test_docs import run_page

import cairn
from cairn import shards

os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_worker_niceness="0", RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0")
ray = pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings("default")  # Ray's own

N, DIMS = 1200, 16
QUERIES = rows(12, DIMS, 9)


@pytest.fixture(scope="module")
def cluster():
    ray.init(num_cpus=8, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False)
    try:
        yield
    finally:
        ray.shutdown()


@pytest.fixture(scope="module")
def matrix():
    return rows(N, DIMS, 5)


@pytest.fixture(scope="module")
def folder(matrix, tmp_path_factory):
    """A set of two generations: 4 shards of all rows but the last 100, then 3 of all."""
    where = tmp_path_factory.mktemp("ray")
    np.save(where / "few.npy", matrix[:-100])
    np.save(where / "all.npy", matrix)
    shards.build(shards.plan(where / "few.npy", 4), where / "set")
    shards.build(dataclasses.replace(shards.plan(where / "all.npy", 3), begins_from=1), where / "set")
    return where / "set"


@pytest.fixture(scope="module")
def answers(folder):
    """The exact answers of both generations."""
    told = {}
    for generation in (1, 2):
        with shards.open(folder, generation=generation) as opened:
            told[generation] = opened.search(QUERIES, k=5, plan="exact").keys
    assert (told[1] != told[2]).any()
    return told


@pytest.fixture(scope="module")
def service(cluster, folder):
    """Generation 1, by two groups of two replicas; for all tests, since actors take seconds to begin. The last one switches."""
    made = cairn.ray.serve(folder, name="words", groups=2, replicas=2, generation=1, num_cpus=0.5, timeout=90)
    try:
        yield made
    finally:
        made.shutdown()


@pytest.fixture
def whole(service):
    """The service, with all of its actors there."""
    until(lambda: "gone" not in service.status()["actors"].values())
    assert service.generation == 1
    return service


def pids(service, group=None):
    found = service.status()["actors"]
    return [told["pid"] for name, told in found.items() if told != "gone" and group in (None, told["group"])]


def until(holds, seconds=60):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


class Load:
    """Threads that ask until told to stop, and look at each answer."""

    def __init__(self, client, answers, threads=2):
        self.client, self.answers = client, answers
        self.stop, self.errors, self.versions = threading.Event(), [], []
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def run(self):
        while not self.stop.is_set():
            try:
                answer = self.client.search(QUERIES, k=5, plan="exact")
                if answer.shards_answered != answer.shards_asked or (answer.keys != self.answers[answer.version]).any():
                    self.errors.append(answer)
                self.versions.append(answer.version)
            except Exception as error:
                self.errors.append(error)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        until(lambda: len(self.versions) > 20 or self.errors)
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


# Building.


def running(title):
    """Processes of Ray that work on a task of that name."""
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and entry.joinpath("cmdline").read_bytes().startswith(b"ray::" + title):
                yield int(entry.name)
        except OSError:
            continue


@pytest.mark.parametrize("partition", ["hash", "clusters"])
def test_tasks_make_the_files_that_one_process_makes(partition, cluster, folder, tmp_path):
    plan = shards.plan(folder.parent / "all.npy", 3, partition=partition, centroids=8)
    alone = shards.build(plan, tmp_path / "alone")
    done = []
    made = cairn.ray.build(plan, tmp_path / "set", timeout=100, progress=lambda n, of: done.append((n, of)))
    assert made.text() == alone.text() and done[-1] == (3, 3)
    with shards.open(tmp_path / "set") as opened:
        assert opened.verify() and sorted(opened) == list(range(N))


def test_workers_that_are_killed_in_a_build_lose_nothing(cluster, tmp_path):
    np.save(tmp_path / "rows.npy", rows(8000, 64))
    plan = shards.plan(tmp_path / "rows.npy", 4, ef_construction=300)
    killed, ended = [], threading.Event()

    def kill():
        while not ended.is_set() and len(killed) < 2:
            for pid in running(b"build_shard"):
                if pid not in killed and len(killed) < 2:
                    time.sleep(0.1)  # into its work
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)
            time.sleep(0.005)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        made = cairn.ray.build(plan, tmp_path / "set", timeout=100)
    finally:
        ended.set()
        killer.join()
    assert killed and made.text() == shards.build(plan, tmp_path / "alone").text()
    assert not [name for name in os.listdir(tmp_path / "set") if name.endswith(".part")] and len(made.shards) == 4


def test_a_build_that_cannot_succeed_says_where_and_shows_nothing(cluster, matrix, tmp_path):
    np.save(tmp_path / "double.npy", matrix.astype(float))
    with pytest.raises(cairn.InvalidArgumentError, match="shard [01] for .*float64"):
        cairn.ray.build(shards.plan(tmp_path / "double.npy", 2), tmp_path / "set", timeout=100)
    (tmp_path / "file").write_text("")
    np.save(tmp_path / "rows.npy", matrix)
    with pytest.raises(cairn.CairnError, match="shard [01] for .*file"):
        cairn.ray.build(shards.plan(tmp_path / "rows.npy", 2), tmp_path / "file" / "set", timeout=100)
    with pytest.raises(cairn.DeadlineExceededError, match="of 2 tasks"):
        cairn.ray.build(shards.plan(tmp_path / "rows.npy", 2), tmp_path / "set", memory=1 << 44, timeout=1)
    assert not (tmp_path / "set" / "CURRENT").exists()


def test_a_full_disk_on_one_node_costs_another_try_and_nothing_else(cluster, matrix, tmp_path, monkeypatch):
    np.save(tmp_path / "rows.npy", matrix)
    plan = shards.plan(tmp_path / "rows.npy", 3)
    (tmp_path / "tried").mkdir()
    tried, tries = str(tmp_path / "tried"), 2
    build_shard = shards.build_shard

    def full_at_first(task, name, threads):
        import errno

        from cairn import _places

        attempts = sum(one.startswith(f"{task.shard}-") for one in os.listdir(tried))
        open(f"{tried}/{task.shard}-{attempts}", "x").close()
        if task.shard == 1 and attempts < tries:
            with _places.errors_at(name):
                raise OSError(errno.ENOSPC, "No space left on device")
        return build_shard(task, name, threads=threads)

    with monkeypatch.context() as patched:
        patched.setattr(shards, "build_shard", full_at_first)
        made = cairn.ray.build(plan, tmp_path / "set", timeout=100)
        assert sorted(os.listdir(tried)) == ["0-0", "1-0", "1-1", "1-2", "2-0"]
        tries = 100
        again = dataclasses.replace(plan, begins_from=1)
        with pytest.raises(cairn.IoError, match="No space") as raised:
            cairn.ray.build(again, tmp_path / "set", max_retries=1, timeout=100)
        assert raised.value.name == "no_space"
    assert made.text() == shards.build(plan, tmp_path / "alone").text()
    assert shards.read_manifest(tmp_path / "set").generation == 1


def test_the_cluster_must_be_there(cluster):
    with pytest.raises(cairn.InvalidArgumentError, match="nothing is served"):
        cairn.ray.connect("nobody")
    with pytest.raises(cairn.InvalidArgumentError, match="nothing is served"):
        cairn.ray.Service("nobody")


# Serving.


def test_answers_are_those_of_the_set(whole, folder, answers):
    with cairn.ray.connect("words", timeout=60) as client, shards.open(folder, generation=1) as opened:
        found = client.search(QUERIES, k=5, plan="exact")
        assert (found.keys == answers[1]).all()
        assert (found.shards_asked, found.shards_answered, found.version, found.unanswered) == (4, 4, 1, ())
        one = client.search(QUERIES[3], k=5, plan="exact")
        assert one.keys.tolist() == answers[1][3].tolist() and one.counts == 5
        walked = client.search(QUERIES, k=5, ef=40)
        assert (walked.keys == opened.search(QUERIES, k=5, ef=40).keys).all()
        with pytest.raises(cairn.DimensionMismatchError):
            client.search(QUERIES[:, :3])
        with pytest.raises(cairn.InvalidArgumentError):
            client.search(QUERIES, k=0)
    with pytest.raises(cairn.PathInUseError, match="served already"):
        cairn.ray.serve(folder, name="words")


def test_filters_and_ranges_are_those_of_the_set(whole, folder):
    few = shards.KeyFilter(except_=list(range(0, N, 3)))
    ranges = shards.KeyFilter(between=[(0, 99), (700, 800)])
    with cairn.ray.connect("words", timeout=60) as client, shards.open(folder, generation=1) as opened:
        for given in (few, ranges, shards.KeyFilter(only=[3, 5])):
            wanted = opened.search(QUERIES, k=5, plan="exact", filter=given.prepare(opened))
            found = client.search(QUERIES, k=5, plan="exact", filter=given)
            assert (found.keys == wanted.keys).all() and (found.counts == wanted.counts).all()
            one = client.submit(QUERIES[2], k=5, plan="exact", filter=given).result(60)
            assert one.keys.tolist() == wanted[2].keys.tolist()
        radius = float(opened.search(QUERIES[0], k=40, plan="exact").distances[-1])
        for most, given in ((0, None), (7, None), (0, few)):
            wanted = opened.search_range(
                QUERIES[0], radius, max_results=most, plan="exact", filter=given and given.prepare(opened)
            )
            found = client.search_range(QUERIES[0], radius, max_results=most, plan="exact", filter=given)
            assert found.pairs() == wanted.pairs() and (found.shards_asked, found.shards_answered) == (4, 4)
        assert client.search_range(QUERIES[0], 0.0).pairs() == []
        with pytest.raises(TypeError, match="no cairn.shards.KeyFilter"):
            client.search(QUERIES, filter=[1, 2])
        with pytest.raises(cairn.InvalidArgumentError):
            client.search_range(QUERIES, radius)


def test_single_queries_go_together(whole, answers):
    with cairn.ray.connect("words", timeout=60, batch=64, linger=0.05) as client:
        asked = []
        ask = client._scatter.ask
        client._scatter.ask = lambda question, rows, k, **more: asked.append(rows) or ask(question, rows, k, **more)
        futures = [client.submit(QUERIES[i % len(QUERIES)], k=5, plan="exact") for i in range(128)]
        for i, future in enumerate(futures):
            assert future.result(60).keys.tolist() == answers[1][i % len(QUERIES)].tolist()
        assert sum(asked) == 128 and max(asked) > 8


def test_actors_that_are_killed_under_load_cost_no_answer(whole, answers):
    with cairn.ray.connect("words", timeout=60) as client:
        before = pids(whole)
        with Load(client, answers) as load:
            for victim in [pids(whole, group)[0] for group in (0, 1)]:
                os.kill(victim, signal.SIGKILL)
                asked = len(load.versions)
                until(lambda: len(load.versions) > asked + 20 or load.errors)
        assert not load.errors and set(load.versions) == {1}
        until(lambda: len(set(pids(whole)) - set(before)) == 2)  # they are back


def test_a_group_that_is_lost_as_a_whole_is_waited_for(whole, answers):
    with cairn.ray.connect("words", timeout=60) as client:
        for pid in pids(whole, 0):
            os.kill(pid, signal.SIGKILL)
        assert (client.search(QUERIES, k=5, plan="exact").keys == answers[1]).all()


def test_an_actor_that_does_not_answer_is_overtaken(whole, answers):
    with cairn.ray.connect("words", timeout=60) as client:
        for _ in range(30):
            client.search(QUERIES, k=5, plan="exact")
        stopped = pids(whole, 0)[0]
        os.kill(stopped, signal.SIGSTOP)
        try:
            found = [client.search(QUERIES, k=5, plan="exact")]
            while not found[-1].hedged and len(found) < 60:  # each asks either replica
                found.append(client.search(QUERIES, k=5, plan="exact"))
        finally:
            os.kill(stopped, signal.SIGCONT)
        assert all((one.keys == answers[1]).all() for one in found) and found[-1].hedged


def test_when_time_is_up_the_shards_that_are_missing_are_named(whole, folder):
    stopped = pids(whole, 1)
    held = next(told["shards"] for told in whole.status()["actors"].values() if told["group"] == 1)
    with cairn.ray.connect("words", timeout=60) as client:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(TimeoutError, match=f"{4 - len(held)} of 4 shards have answered"):
                client.search(QUERIES, k=5, timeout=1)
            found = client.search(QUERIES, k=5, timeout=1, allow_partial=True)
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
        assert found.shards_answered == 4 - len(held) and {name for name, _ in found.unanswered} == set(held)
        assert client.search(QUERIES, k=5).shards_answered == 4


def test_a_switch_to_a_damaged_generation_leaves_the_old_one(whole, folder, answers, tmp_path):
    lost = folder / shards.read_manifest(folder, 2).shards[1].file
    lost.rename(tmp_path / "aside.cairn")
    try:
        with cairn.ray.connect("words", timeout=60) as client:
            with pytest.raises(cairn.CairnError, match=lost.name):
                whole.switch(2, timeout=60)
            assert whole.generation == 1 and (client.search(QUERIES, k=5, plan="exact").keys == answers[1]).all()
    finally:
        (tmp_path / "aside.cairn").rename(lost)


def test_one_goes_over_at_a_time(whole):
    assert ray.get(whole._directory.claim.remote("another", 600))
    with pytest.raises(cairn.PathInUseError, match="somebody else"):
        whole.switch(2)
    ray.get(whole._directory.release.remote("another"))
    assert ray.get(whole._directory.claim.remote("dead", 0.0)) and whole.switch(1) == 1


def test_what_a_switch_that_died_has_left_is_cleared_away(whole, answers):
    manifest = shards.read_manifest(whole._options["place"], 2)
    whole._start(manifest, 60)  # and then its process dies
    assert whole.generation == 1
    with pytest.raises(cairn.DamagedFileError, match="agree in"):
        whole.switch(2, queries=QUERIES, least_overlap=1.0)
    with cairn.ray.connect("words", timeout=60) as client:
        assert (client.search(QUERIES, k=5, plan="exact").keys == answers[1]).all()


def test_a_directory_that_is_lost_finds_out_again(whole, answers):
    with cairn.ray.connect("words", timeout=60) as client:
        ray.kill(whole._directory, no_restart=False)
        assert (client.search(QUERIES, k=5, plan="exact").keys == answers[1]).all()
        until(lambda: whole.generation == 1)
        with cairn.ray.connect("words", timeout=60) as another:
            assert another.search(QUERIES, k=5).shards_asked == 4


def test_a_switch_fails_no_query_and_mixes_no_versions(whole, answers):
    with cairn.ray.connect("words", timeout=60) as client:
        with Load(client, answers) as load:
            assert whole.switch(2, queries=QUERIES, drain=10) == 2
            asked = len(load.versions)
            until(lambda: len(load.versions) > asked + 20 or load.errors)
        assert not load.errors and set(load.versions) == {1, 2} and set(load.versions[-10:]) == {2}
        assert client.search(QUERIES, k=5).shards_asked == 3
        assert whole.generation == 2 and len(whole.status()["actors"]) == 4
        assert cairn.ray.Service("words").switch(1) == 1  # as any other process may, and back
        until(lambda: client.search(QUERIES, k=5).shards_asked == 4)  # an idle client goes over when it looks again
        assert (client.search(QUERIES, k=5, plan="exact").keys == answers[1]).all()


def test_a_router_chooses_shards_over_all_groups(cluster, matrix, tmp_path):
    np.save(tmp_path / "rows.npy", matrix)
    shards.build(shards.plan(tmp_path / "rows.npy", 4, partition="clusters", centroids=8), tmp_path / "set")
    service = cairn.ray.serve(tmp_path / "set", name="routed", groups=2, num_cpus=0.5, timeout=90)
    try:
        with cairn.ray.connect("routed", timeout=60) as client, shards.open(tmp_path / "set") as opened:
            for query in QUERIES:
                wanted = opened.search(query, k=5, plan="exact", probe=1).keys.tolist()
                found = client.search(query, k=5, plan="exact", probe=1)
                assert found.keys.tolist() == wanted and found.complete and found.unanswered == ()
    finally:
        service.shutdown()


def test_the_page_is_true(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_page("docs/guide/shards.md", there={"ray_cluster"})
