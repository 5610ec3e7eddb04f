# SPDX-License-Identifier: Apache-2.0
"""The measurements: each makes what it needs, runs the program and returns one JSON-able result."""
import math
import os
import statistics

import filtered
from workshop import RIVALS, cpu_model, quotable, read_json, say, thp_mode, write_json

EFS = [4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 800]
BUILD_EFS = [32, 64, 128, 256]


def label(spec):
    extra = "".join(f" {k}={spec[k]}" for k in ("traversal", "seed") if k in spec)
    if spec["engine"] == "cairn" and spec["ef_construction"] != 200:
        extra += f" ef_construction={spec['ef_construction']}"
    return f"{spec['engine']} m{spec['m']}{extra}"


def specs(args, metric):
    """The variants to compare, Cairn first. USearch i8 normalizes its input, so it can do cosine only."""
    out = list(args.cairn) if "cairn" in args.engines else []
    for engine in args.engines:
        ms = [] if engine == "cairn" or (engine == "usearch-i8" and metric != "cosine") else args.rival_m
        out += [{"engine": engine, "m": m, "ef_construction": args.ef_construction}
                for m in (ms[:1] if engine == "usearch-i8" else ms)]
    return out


def wants_rebuild(args, spec):
    return args.rebuild == "all" or args.rebuild == ("cairn" if spec["engine"] == "cairn" else "rivals")


def frame(shop, args, data, metric):
    """What every result begins with."""
    return {"dataset": data["name"], "metric": metric, "rows": data["total"], "whole": not data["rows"], "cpu": cpu_model(),
            "kernel": os.uname().release, "thp": thp_mode(), "threads": shop.threads, "rivals": RIVALS,
            "load_before": os.getloadavg()[0]}


def build_all(shop, args, data, metric):
    return [(spec, shop.index(data, metric, spec, wants_rebuild(args, spec))) for spec in specs(args, metric)]


def prepare(shop, args, name, metric):
    data = shop.dataset(name, args.rows)
    shop.truth(data, metric)
    build_all(shop, args, data, metric)


def search(shop, args, name, metric):
    data = shop.dataset(name, args.rows)
    truth = shop.truth(data, metric)
    built = build_all(shop, args, data, metric)
    systems, records = [], []
    for spec, index in built:
        for residency in ("map", "load") if spec["engine"] == "cairn" else ("load",):
            tail = " in memory" if spec["engine"] == "cairn" and residency == "load" else ""
            systems.append({"name": label(spec) + tail, "spec": {**spec, "metric": metric}, "path": index["path"],
                            "residency": residency, "recalls": index["record"]["recalls"]})
            records.append(index)
    result = frame(shop, args, data, metric)
    result["pages"] = args.pages
    say(f"{name} {metric}: {len(systems)} systems in turns")
    result.update(shop.run("search", {
        "queries": data["queries"], "truth": truth, "metric": metric, "k": 10, "pages": args.pages, "systems": systems,
        "efs": EFS, "targets": args.targets, "slice": 100, "rounds": args.rounds, "max_seconds": args.max_seconds,
        "curve_rounds": 0 if args.quick else 10, "two_threads": not args.quick}))
    for system, index in zip(result["systems"], records):
        system["file_bytes"] = os.path.getsize(index["path"])
        system["build_s"] = index["record"]["build_s"]
        system["build_quotable"] = quotable(index["record"])
        record = read_json(index["record_path"])
        record["recalls"].update(system["recalls"])
        write_json(index["record_path"], record)
    return result


def files(shop, args, name, metric):
    data = shop.dataset(name, args.rows)
    result = frame(shop, args, data, metric)
    result["systems"] = []
    for spec, index in build_all(shop, args, data, metric):
        entry = {"name": label(spec), "spec": spec, "file_bytes": os.path.getsize(index["path"]),
                 "build_s": index["record"]["build_s"], "build_quotable": quotable(index["record"]), "opens": {}}
        for residency in ("load",) if spec["engine"] == "hnswlib" else ("map", "load"):
            for state in ("warm", "cold"):
                say(f"{name} {metric}: {label(spec)}, {residency}, {state}")
                entry["opens"][f"{residency} {state}"] = opened(shop, data, metric, spec, index, residency, state)
        result["systems"].append(entry)
    return result


def opened(shop, data, metric, spec, index, residency, state):
    """Fresh processes; the medians, since one open is a short event. The last one saves, too."""
    runs = 5 if state == "warm" else 9 if residency == "map" else 3
    copy = index["path"] + ".saved"
    probes = []
    for i in range(runs):
        config = {"spec": {**spec, "metric": metric}, "path": index["path"], "residency": residency, "cold": state == "cold",
                  "queries": data["queries"], "ef": 64, "searches": 10000 if i == runs - 1 else 0}
        if i == runs - 1 and state == "warm" and (residency == "load" or spec["engine"] == "cairn"):
            config["save_to"] = copy
        probes.append(shop.run("probe", config))
    if os.path.exists(copy):
        os.remove(copy)
    out = probes[-1]
    for field in ("open_s", "first_answer_s"):
        out[field] = statistics.median(p[field] for p in probes)
        out[field + "_worst"] = max(p[field] for p in probes)
    return out


def build(shop, args, name, metric):
    """Builds in alternation, in fresh processes; the ratios are those of neighbors in time."""
    data = shop.dataset(name, args.rows)
    truth = shop.truth(data, metric)
    wanted = [s for s in specs(args, metric) if s["engine"] == "cairn" or s["m"] == args.rival_m[0]]
    runs = {label(s): [] for s in wanted}
    for i in range(args.alternations):
        for spec in wanted if i % 2 == 0 else reversed(wanted):
            say(f"{name} {metric}: building {label(spec)}, {i + 1} of {args.alternations}")
            run = shop.run("build", {"spec": {**spec, "metric": metric}, "base": data["base"], "rows": data["rows"],
                                     "threads": shop.threads, "queries": data["queries"], "truth": truth, "efs": BUILD_EFS})
            runs[label(spec)].append(run)
    result = frame(shop, args, data, metric)
    result["systems"] = []
    for spec in wanted:
        mine = runs[label(spec)]
        entry = {"name": label(spec), "spec": spec, "seconds": [r["build_s"] for r in mine], "cpu_s": [r["cpu_s"] for r in mine],
                 "busy": [r["busy"] for r in mine], "recalls": mine[-1]["recalls"], "over": {}}
        for rival, others in runs.items():
            if rival != label(spec):
                ratios = [a["build_s"] / b["build_s"] for a, b in zip(mine, others)]
                entry["over"][rival] = {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}
        result["systems"].append(entry)
    return result


def add(shop, args, name, metric):
    data = shop.dataset(name, args.rows)
    systems = []
    for spec in specs(args, metric):
        if spec["m"] != args.rival_m[0] and spec["engine"] != "cairn":
            continue
        system = {"name": label(spec), "spec": {**spec, "metric": metric}}
        if spec["engine"] != "cairn":
            system["path"] = shop.index(data, metric, spec)["path"]
        systems.append(system)
    say(f"{name} {metric}: adding {args.count} vectors in turns (Cairn is built in memory first)")
    result = frame(shop, args, data, metric)
    result.update(shop.run("add", {"base": data["base"], "rows": data["rows"], "threads": shop.threads,
                                   "added": data["queries"], "count": args.count, "slice": 25, "systems": systems}))
    return result


def cells_of(args):
    """All but those that cannot be: a hole leaves half of the rows, and of two clusters another one is about half."""
    out = [{"kind": "all", "percent": 100.0}]
    for kind in args.kinds:
        out += [{"kind": kind, "percent": p} for p in args.percents if not (kind in ("NH", "C") and p > 50)]
    return out


def filter(shop, args, name, metric):  # the subcommand's name
    data = shop.dataset(name, args.rows)
    efs = [16, 32, 64, 100, 200, 400, 800]
    systems = []
    for spec, index in build_all(shop, args, data, metric):
        is_cairn = spec["engine"] == "cairn"
        systems.append({"name": label(spec), "spec": {**spec, "metric": metric}, "path": index["path"],
                        "residency": "map" if is_cairn else "load", "efs": ([0] if is_cairn else []) + [ef for ef in efs if ef >= args.k]})
    result = frame(shop, args, data, metric)
    result["k"] = args.k
    say(f"{name} {metric}: {len(systems)} systems in turns")
    result.update(shop.run("filter", {
        "base": data["base"], "rows": data["rows"], "queries": data["queries"], "metric": metric, "k": args.k, "slice": 20,
        "slices": 3 if args.quick else args.slices, "enough": 0.97, "judged_at": filtered.judged_at(args.k), "most_seconds": args.max_seconds, "systems": systems,
        "cells": cells_of(args)}))
    return result


def slope(points):
    """Least-squares exponent b of y = a x^b."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    mx, my = statistics.mean(xs), statistics.mean(ys)
    return sum((x - mx) * (y - my) for x, y in zip(xs, ys)) / sum((x - mx) ** 2 for x in xs)


def grow(shop, args, name, metric):
    whole = shop.dataset(name, args.rows)
    sizes = [n for n in (10000, 30000, 100000, 300000, 1000000) if n < whole["total"]] + [whole["total"]]
    result = frame(shop, args, whole, metric)
    result["points"] = {}
    for rows in sizes:
        data = shop.dataset(name, rows)
        built = [(s, shop.index(data, metric, s, wants_rebuild(args, s))) for s in specs(args, metric)
                 if s["engine"] == "cairn" or s["m"] == args.rival_m[0]]
        systems = [{"name": label(s), "spec": {**s, "metric": metric}, "path": i["path"],
                    "residency": "map" if s["engine"] == "cairn" else "load", "recalls": i["record"]["recalls"]}
                   for s, i in built]
        say(f"{name} {metric}: {rows:,} rows")
        run = shop.run("search", {
            "queries": data["queries"], "truth": shop.truth(data, metric), "metric": metric, "k": 10, "pages": args.pages,
            "systems": systems, "efs": EFS, "targets": [0.95], "slice": 100, "rounds": args.rounds,
            "max_seconds": args.max_seconds, "curve_rounds": 0, "two_threads": False})
        for (spec, index), row in zip(built, run["targets"][0]["systems"]):
            if "qps" in row:
                result["points"].setdefault(label(spec), []).append(
                    {"rows": rows, "qps": row["qps"]["median"], "ef": row["ef"], "build_s": index["record"]["build_s"],
                     "build_quotable": quotable(index["record"])})
    result["exponents"] = {who: {"qps": slope([(p["rows"], p["qps"]) for p in points]),
                                 "build": slope([(p["rows"], p["build_s"]) for p in points])}
                           for who, points in result["points"].items() if len(points) > 1}
    return result
