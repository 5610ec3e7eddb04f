# SPDX-License-Identifier: Apache-2.0
"""Builds, loads and races the engines; runs in the environment that cli.py has made."""
import argparse
import hashlib
import importlib.metadata
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import time

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import report  # noqa: E402
from engines import ENGINES, K  # noqa: E402

SLICE = 100  # queries that are timed at a time


def say(text):
    print(f"peers: {text}", file=sys.stderr, flush=True)


def read_fbin(path, rows=0):
    with open(path, "rb") as file:
        total, dims = (int(n) for n in np.fromfile(file, "<u4", 2))
        count = min(rows, total) if rows else total
        return np.fromfile(file, "<f4", count * dims).reshape(count, dims)


def truth_of(base, queries, metric, path):
    """The K nearest of each query by brute force, kept in a file."""
    if not os.path.exists(path):
        say("exact neighbors")
        if metric == "cosine":
            base = base / np.maximum(np.linalg.norm(base, axis=1, keepdims=True), 1e-30)
        squares = (base.astype(np.float64) ** 2).sum(1)
        found = np.empty((len(queries), K), np.int64)
        for at in range(0, len(queries), 200):
            scores = squares - 2 * (queries[at : at + 200].astype(np.float64) @ base.T.astype(np.float64))
            some = np.argpartition(scores, K, axis=1)[:, :K]
            found[at : at + 200] = np.take_along_axis(some, np.argsort(np.take_along_axis(scores, some, 1), axis=1), 1)
        np.save(path, found)
    return np.load(path)


def memory(what="VmRSS"):
    """Bytes that this process has in memory: its own, and of mapped files. VmHWM: at most so far."""
    with open("/proc/self/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(what + ":"))


def size_of(folder):
    return sum(os.path.getsize(os.path.join(where, name)) for where, _, names in os.walk(folder) for name in names)


def build(args):
    """In a process of its own: builds one engine, saves it, and writes what it took."""
    base = read_fbin(args.base, args.rows)
    engine = ENGINES[args.build](args.metric, base.shape[1], args.threads)
    rows = engine.prepared(base)
    del base
    with open("/proc/self/clear_refs", "w", encoding="utf-8") as file:
        file.write("5")  # the peak begins anew
    before, load = memory(), os.getloadavg()[0]
    begin, used = time.perf_counter(), time.process_time()
    engine.build(rows)
    record = {"build_s": time.perf_counter() - begin, "cpu_s": time.process_time() - used, "load": load,
              "peak_bytes": max(0, memory("VmHWM") - before)}
    engine.save(args.folder)
    record["file_bytes"] = size_of(args.folder)
    with open(os.path.join(args.folder, "record.json"), "w", encoding="utf-8") as file:
        json.dump(record, file)


def weigh(args):
    """In a process of its own: what it grows by while an index is loaded and searched."""
    queries = read_fbin(os.path.join(os.path.dirname(args.base), "query.fbin"), 1000)
    engine = ENGINES[args.weigh](args.metric, queries.shape[1], 1)
    prepared = engine.prepared(queries)
    before = memory()
    engine.load(args.folder)
    engine.set(engine.efforts[8], next(iter(engine.variants.values())))
    for at in range(0, len(prepared), SLICE):
        engine.search(prepared[at : at + SLICE])
    kept = os.path.join(args.folder, "record.json")
    with open(kept, encoding="utf-8") as file:
        record = json.load(file)
    record["memory_bytes"] = memory() - before
    with open(kept, "w", encoding="utf-8") as file:
        json.dump(record, file)


def version_of(name):
    package = ENGINES[name].package
    if package != "cairn":
        return importlib.metadata.version(package)
    import cairn._core as core

    with open(core.__file__, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:10]


def built(args, name):
    """The folder of a built index and its record, or why there is none."""
    if args.metric not in ENGINES[name].metrics:
        return None, f"does not do {args.metric}"
    try:
        mark = f"{name.replace(' ', '-')}-{version_of(name)}"
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        return None, f"is not installed: {error}"
    folder = os.path.join(args.cache, "peers", "indexes", f"{args.set}-{args.metric}-{args.rows or 'all'}", mark)
    kept = os.path.join(folder, "record.json")
    if args.rebuild and "cairn" not in name or not os.path.exists(kept):
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        say(f"building {name}, {args.threads} threads")
        for step in ("--build", "--weigh"):
            done = subprocess.run([sys.executable, "-B", os.path.abspath(__file__), step, name, "--folder", folder, "--base", args.base,
                                   "--rows", str(args.rows), "--metric", args.metric, "--threads", str(args.threads)],
                                  stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, check=False)
            if done.returncode != 0 or not os.path.exists(kept):
                lines = [line for line in done.stderr.strip().splitlines() if line]
                shutil.rmtree(folder, ignore_errors=True)
                return None, f"cannot be used here: {lines[-1].rstrip('.') if lines else f'exit {done.returncode}'}"
    with open(kept, encoding="utf-8") as file:
        return folder, json.load(file)


class Runner:
    """A variant of a loaded engine, and what is known of it: recall by effort."""

    def __init__(self, name, engine, second, queries, truth, is_single):
        self.name, self.engine, self.second, self.is_single = name, engine, second, is_single
        self.queries, self.truth, self.known = queries, truth, {}

    def search(self, queries):
        if not self.is_single:
            return self.engine.search(queries)
        return [self.engine.search_one(query) for query in queries]

    def recall(self, effort):
        if effort not in self.known:
            self.engine.set(effort, self.second)
            # Rows of single searches may be shorter than K: few lists hold few vectors.
            found = [np.asarray(row).tolist() for at in range(0, len(self.queries), SLICE)
                     for row in self.search(self.queries[at : at + SLICE])]
            hits = sum(len(set(a) & set(b)) for a, b in zip(found, self.truth.tolist()))
            self.known[effort] = hits / self.truth.size
        return self.known[effort]

    def around(self, target):
        """Neighboring efforts below and above a recall; the same twice if the least exceeds it; None if none reaches it."""
        efforts = self.engine.efforts
        low, high = 0, len(efforts) - 1
        if self.recall(efforts[low]) >= target:
            return efforts[low], efforts[low]
        # From below, so that nothing is searched with an effort far beyond what is needed.
        while low < high and self.recall(efforts[min(low + 4, high)]) < target:
            low = min(low + 4, high)
        high = min(low + 4, high)
        if self.recall(efforts[high]) < target:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            if self.recall(efforts[middle]) < target:
                low = middle
            else:
                high = middle
        return efforts[low], efforts[high]

    def slice_seconds(self, effort, at):
        self.engine.set(effort, self.second)
        self.search(self.queries[at : at + 10])
        begin = time.process_time()
        self.search(self.queries[at : at + SLICE])
        return time.process_time() - begin


def at_target(runner, efforts, seconds, target):
    """Queries a second at exactly a recall, between two efforts: logarithm of the speed linear in recall."""
    low, high = efforts
    speed = [SLICE / s for s in seconds]
    below, above = runner.known[low], runner.known[high]
    if low == high or above == below:
        return speed[-1]
    part = (target - below) / (above - below)
    return math.exp(math.log(speed[0]) * (1 - part) + math.log(speed[1]) * part)


def race(runners, target, rounds, generator):
    """Speeds of every round at one recall, by the runner's name."""
    placed = {runner: runner.around(target) for runner in runners}
    taking_part = [runner for runner in runners if placed[runner]]
    speeds = {runner: [] for runner in taking_part}
    places = len(runners[0].queries) // SLICE
    for _ in range(rounds):
        order = generator.permutation(len(taking_part))
        starts = generator.permutation(places)
        for turn, i in enumerate(order):
            runner = taking_part[i]
            at = int(starts[turn % places]) * SLICE
            seconds = [runner.slice_seconds(effort, at) for effort in dict.fromkeys(placed[runner])]
            speeds[runner].append(at_target(runner, placed[runner], seconds, target))
    return placed, speeds


def quantiles(values):
    values = sorted(values)
    return {"median": statistics.median(values), "p10": values[len(values) // 10], "p90": values[len(values) * 9 // 10]}


def compare(args):
    data = os.path.join(args.cache, "data", args.set)
    args.base = os.path.join(data, "base.fbin")
    base, queries = read_fbin(args.base, args.rows), read_fbin(os.path.join(data, "query.fbin"))
    queries = queries[: max(SLICE, args.checked // SLICE * SLICE)]
    os.makedirs(os.path.join(args.cache, "peers", "indexes"), exist_ok=True)
    exact = truth_of(base, queries, args.metric, os.path.join(args.cache, "peers", f"{args.set}-{args.metric}-{len(base)}-{len(queries)}.npy"))
    wanted = [part.strip() for part in args.engines.split(",") if part.strip()]
    result = {"dataset": args.set, "metric": args.metric, "rows": len(base), "dims": base.shape[1], "whole": not args.rows, "threads": args.threads,
              "rounds": args.rounds, "single": args.single, "load": os.getloadavg()[0], "systems": [], "targets": [], "left_out": []}
    del base
    runners = []
    for name in [name for name in ENGINES if not wanted or any(part in name for part in wanted)]:
        folder, record = built(args, name)
        if folder is None:
            say(f"{name} {record}")
            result["left_out"].append(f"{name} {record}")
            continue
        engine = ENGINES[name](args.metric, queries.shape[1], 1)
        engine.load(folder)
        prepared = engine.prepared(queries)
        result["systems"].append({"name": name, "version": version_of(name), **record})
        runners += [Runner(f"{name} {variant}".strip(), engine, second, prepared, exact, args.single) for variant, second in engine.variants.items()]
    generator = np.random.default_rng(1)
    for target in (float(text) for text in args.targets.split(",")):
        say(f"racing at recall {target}")
        placed, speeds = race(runners, target, args.rounds, generator)
        cairn = next((s for runner, s in speeds.items() if runner.name == "cairn"), None)
        rows = []
        for runner in runners:
            row = {"name": runner.name, "top": max(runner.known.values())}
            if runner in speeds:
                row |= {"efforts": placed[runner], "recalls": [runner.known[effort] for effort in placed[runner]], "qps": quantiles(speeds[runner])}
                if cairn:
                    row["ratio"] = quantiles([ours / theirs for ours, theirs in zip(cairn, speeds[runner])])
            rows.append(row)
        result["targets"].append({"target": target, "systems": rows})
    result["load_after"] = os.getloadavg()[0]
    print(report.table_of(result), flush=True)
    if args.out:
        report.write(args.out, result)


def main():
    p = argparse.ArgumentParser()
    for name in ("--cache", "--set", "--metric", "--engines", "--targets", "--out", "--build", "--weigh", "--folder", "--base"):
        p.add_argument(name, default="")
    for name in ("--rows", "--threads", "--rounds", "--checked"):
        p.add_argument(name, type=int, default=0)
    p.add_argument("--rebuild", action="store_true")
    p.add_argument("--single", action="store_true")
    args = p.parse_args()
    if args.build:
        build(args)
    elif args.weigh:
        weigh(args)
    else:
        compare(args)


if __name__ == "__main__":
    main()
