# SPDX-License-Identifier: Apache-2.0
"""Questions to many groups of workers, simulated: a question has its answer when the last group has answered.

The policy is that of the client, cairn.ray: the replica with the fewest questions on it; a second one after the running
percentile, once it has a free slot; a budget. `Hedge` is the very class that the client uses; time alone is simulated.
"""
import dataclasses
import heapq
import importlib.util
import itertools
import math
import pathlib
import random

SOURCE = pathlib.Path(__file__).parents[2] / "engine/bindings/python/cairn/_hedge.py"


def _hedge_class():
    spec = importlib.util.spec_from_file_location("cairn_hedge", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Hedge


Hedge = _hedge_class()


@dataclasses.dataclass(frozen=True)
class World:
    """How workers behave. Times are in units of the mean answer of an idle, healthy worker."""

    groups: int = 32
    replicas: int = 2
    load: float = 0.4  # of the workers' time, by first questions
    spread: float = 0.25  # sigma of the logarithm of an answer's time
    straggles: float = 0.01  # part of the answers that take longer: a page from disk, another tenant
    by: float = 10.0  # so many times
    slow_nodes: float = 0.0  # part of the workers that are always slower
    slow_by: float = 3.0
    lost: int = 0  # workers, of different groups, that never answer from a third of the time on
    at_once: int = 2  # questions that a worker works on at the same time
    deadline: float = 100.0


@dataclasses.dataclass
class Outcome:
    times: list
    answered: list  # part of the groups, of each question, at its deadline
    first: int = 0
    second: int = 0

    def quantile(self, q):
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


class Simulation:
    """Events in order of time. A worker takes questions in the order in which they come, into so many slots."""

    def __init__(self, world, questions, hedges, seed):
        self.world = world
        self.random = random.Random(seed)
        self.hedge = Hedge(0.95, 0.1) if hedges else Hedge(1.0, 0.0)
        self.events = []
        self.order = itertools.count()
        workers = world.groups * world.replicas
        self.slots = [[0.0] * world.at_once for _ in range(workers)]
        self.waiting = [0] * workers
        self.slow = [self.random.random() < world.slow_nodes for _ in range(workers)]
        self.lost = [worker % world.replicas == 0 and worker // world.replicas < world.lost for worker in range(workers)]
        self.questions = questions
        mean = math.exp(world.spread**2 / 2) * (1 + world.straggles * (world.by - 1))
        self.gap = mean / (world.load * world.replicas * world.at_once)
        self.lost_from = questions * self.gap / 3
        self.open = {}
        self.began = {}
        self.outcome = Outcome([], [])

    def at(self, time, kind, *what):
        heapq.heappush(self.events, (time, next(self.order), kind, what))

    def run(self):
        time = 0.0
        for question in range(self.questions):
            time += self.random.expovariate(1 / self.gap)
            self.at(time, self.ask, question)
        while self.events:
            time, _, kind, what = heapq.heappop(self.events)
            kind(time, *what)
        return self.outcome

    def ask(self, time, question):
        self.open[question] = {group: set() for group in range(self.world.groups)}
        self.began[question] = time
        for group in range(self.world.groups):
            self.hedge.asked()
            self.outcome.first += 1
            self.send(time, question, group)
            delay = self.hedge.delay()
            if delay is not None and self.world.replicas > 1:
                self.at(time + delay, self.ask_again, question, group)
        self.at(time + self.world.deadline, self.give_up, question)

    def ask_again(self, time, question, group):
        if group not in self.open.get(question, ()):
            return
        if min(self.waiting[worker] for worker in self.not_asked(question, group)) >= self.world.at_once:
            self.at(time + self.hedge.delay() / 2, self.ask_again, question, group)
        elif self.hedge.spend():
            self.outcome.second += 1
            self.send(time, question, group)

    def not_asked(self, question, group):
        first = group * self.world.replicas
        return [worker for worker in range(first, first + self.world.replicas) if worker not in self.open[question][group]]

    def send(self, time, question, group):
        asked = self.open[question][group]
        choice = self.not_asked(question, group)
        self.random.shuffle(choice)
        worker = min(choice, key=lambda w: self.waiting[w])
        asked.add(worker)
        self.waiting[worker] += 1
        if self.lost[worker] and time > self.lost_from:
            return
        slots = self.slots[worker]
        slot = min(range(len(slots)), key=slots.__getitem__)
        slots[slot] = max(time, slots[slot]) + self.service(worker)
        self.at(slots[slot], self.answer, question, group, worker, time)

    def service(self, worker):
        took = self.random.lognormvariate(0, self.world.spread)
        if self.random.random() < self.world.straggles:
            took *= self.world.by
        return took * (self.world.slow_by if self.slow[worker] else 1)

    def answer(self, time, question, group, worker, asked_at):
        self.waiting[worker] -= 1
        self.hedge.record(time - asked_at)
        groups = self.open.get(question)
        if groups is None or group not in groups:
            return
        del groups[group]
        if not groups:
            self.close(time, question, 0)

    def close(self, time, question, missing):
        del self.open[question]
        self.outcome.answered.append(1 - missing / self.world.groups)
        self.outcome.times.append(time - self.began.pop(question))

    def give_up(self, time, question):
        if question in self.open:
            self.close(time, question, len(self.open[question]))


SCENES = [
    ("healthy", {"straggles": 0.0}),
    ("1 % of answers 10 times later", {}),
    ("5 % of workers 3 times slower, too", {"slow_nodes": 0.05}),
    ("a worker lost, too", {"lost": 1}),
]


def add_arguments(parser):
    parser.add_argument("--groups", type=int, nargs="+", default=[1, 8, 32, 128])
    parser.add_argument("--loads", type=float, nargs="+", default=[0.2, 0.4, 0.6])
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--questions", type=int, default=4_000)
    parser.add_argument("--deadline", type=float, default=50.0, help="in means of an answer")
    parser.add_argument("--seed", type=int, default=1)
    parser.set_defaults(run=run)


def run(options):
    head = ["what happens", "groups", "load", "p50", "p99", "p99.9", "hedged: p50", "p99", "p99.9", "second questions", "whole answers, without and with"]
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for name, scene in SCENES:
        for groups in options.groups:
            for load in options.loads:
                world = World(groups=groups, replicas=options.replicas, load=load, deadline=options.deadline, **scene)
                plain, hedged = (Simulation(world, options.questions, hedges, options.seed).run() for hedges in (False, True))
                cells = [name, f"{groups}", f"{load:.0%}"]
                cells += [f"{outcome.quantile(q):.1f}" for outcome in (plain, hedged) for q in (0.5, 0.99, 0.999)]
                cells += [f"{hedged.second / hedged.first:.1%}"]
                cells += [" and ".join(f"{sum(part == 1 for part in o.answered) / len(o.answered):.1%}" for o in (plain, hedged))]
                print("| " + " | ".join(cells) + " |", flush=True)
    return 0
