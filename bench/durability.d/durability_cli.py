# SPDX-License-Identifier: Apache-2.0
"""Command line, measurements and tables of bench/durability."""
import argparse
import os

import report
from measure import frame, label
from workshop import BENCH, ROOT, Failure, Workshop, read_json, run_logged, say, write_json

PARTS = ["inserts", "readers", "recovery", "checkpoint"]
FRACTIONS = [0.0001, 0.001, 0.01, 0.1]

EPILOG = """\
parts:
  inserts     bytes written, inserts a second, p50 and p99 of an acknowledged insert: sync, group of 5 ms, none; 1, 2 and 8 threads
  readers     p50 and p99 of a search, and of an insert, while a checkpoint runs and while none does; the reader in the
              writer's process, and in another one
  recovery    time to open a file whose writer ended without closing it, with logs of 0, 16 and 128 MiB
  checkpoint  time and bytes of a checkpoint after adding 0.01 %, 0.1 %, 1 % and 10 %, beside the rivals' save and fsync

The working copy lies in the cache: the disk there is what is measured.
"""


def parser():
    p = argparse.ArgumentParser(prog="bench/durability", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
                                description="Measures durable inserts, checkpoints and recovery on real data.")
    p.add_argument("dataset", nargs="?", default="glove", metavar="SET[:METRIC]", help="default: glove")
    p.add_argument("--parts", type=lambda t: t.split(","), default=PARTS, metavar="LIST", help="default: all")
    p.add_argument("--rows", type=int, default=0, metavar="N", help="an index of the first N rows (default: all)")
    p.add_argument("--count", type=int, default=4000, help="inserts: vectors a run (default 4000)")
    p.add_argument("--rounds", type=int, default=10, help="readers: checkpoints a run (default 10)")
    p.add_argument("--runs", type=int, default=3, help="recovery, checkpoint: the median of so many (default 3)")
    p.add_argument("--engines", type=lambda t: t.split(","), default=["cairn", "hnswlib", "usearch-f32"], metavar="LIST",
                   help="checkpoint: beside whom (default: hnswlib and usearch-f32)")
    p.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="for building (default 2)")
    p.add_argument("--keep-cairn", action="store_true", help="use the last built Cairn index although the sources have changed")
    p.add_argument("--cache", default=os.environ.get("CAIRN_BENCH_CACHE", os.path.join(BENCH, ".cache")))
    p.add_argument("--out", default=os.path.join(ROOT, "docs", "performance"), help="for JSON and Markdown")
    p.add_argument("--no-out", action="store_true", help="print only")
    return p


class Bench:
    def __init__(self, shop, args, name, metric):
        self.shop, self.args, self.metric = shop, args, metric
        self.data = shop.dataset(name, args.rows)
        self.work = shop.path("work", "index")

    def run(self, command, config):
        return self.shop.run(command, config, self.shop.path("build", "compare", "durability"))

    def config(self, engine="cairn", **more):
        spec = {"engine": engine, "m": 16, "ef_construction": 200}
        index = self.shop.index(self.data, self.metric, spec)
        return {"spec": {**spec, "metric": self.metric}, "index": index["path"], "work": self.work, "base": self.data["base"],
                "rows": self.data["rows"], "queries": self.data["queries"], **more}

    def inserts(self):
        rows = []
        for durability in ("sync", "group", "none"):
            for threads in (1, 2, 8):
                say(f"inserts: {durability}, {threads} threads")
                run = self.run("inserts", self.config(durability=durability, threads=threads, count=self.args.count))
                rows.append({"durability": durability, "threads": threads, "count": self.args.count, **run})
        return rows

    def readers(self):
        rows = []
        for process in ("same", "other"):
            say(f"readers: {process} process")
            count = max(50, self.data["total"] // 500)
            rows.append({"process": process, "between": count, "ef": 64,
                         **self.run("readers", self.config(process=process, rounds=self.args.rounds, count=count, ef=64))})
        return rows

    def recovery(self):
        rows = []
        for log_mib in (0, 16, 128):
            for mode in ("read_write", "read_only"):
                say(f"recovery: {log_mib} MiB, {mode}")
                run = self.run("recovery", self.config(log_mib=log_mib, mode=mode, runs=self.args.runs))
                rows.append({"log_mib": log_mib, "mode": mode, **run})
        return rows

    def checkpoint(self):
        rows = []
        for fraction in FRACTIONS:
            count = max(1, round(self.data["total"] * fraction))
            for engine in self.args.engines:
                say(f"checkpoint: {fraction:.2%}, {engine}")
                runs = [self.run("checkpoint", self.config(engine, count=count)) for _ in range(self.args.runs)]
                middle = sorted(runs, key=lambda r: r["seconds"])[len(runs) // 2]
                rows.append({"fraction": fraction, "count": count, "engine": label({"engine": engine, "m": 16, "ef_construction": 200}),
                             "seconds_all": [r["seconds"] for r in runs], **middle})
        return rows


def kb(size):
    return f"{size / 1024:,.1f}"


def tables(result):
    text = ""
    if "inserts" in result:
        heads = ["durability", "threads", "inserts/s", "p50 us", "p99 us", "log: KiB given an insert", "KiB written",
                 "checkpoint: KiB written an insert", "automatic checkpoints"]
        rows = []
        for r in result["inserts"]:
            n, m = r["count"], r["micros"]
            rows.append([r["durability"], r["threads"], f"{r['per_second']:,.0f}", f"{m['p50']:,.0f}", f"{m['p99']:,.0f}",
                         kb(r["log_io"]["given_bytes"] / n), kb(r["log_io"]["written_bytes"] / n),
                         kb(r["checkpoint_io"]["written_bytes"] / n), r["automatic_checkpoints"]])
        text += report.title(result, "inserts") + "\n" + report.table(heads, rows)
        text += "\n\nGiven: to write calls; written: pages that this made dirty. Checkpoint: one at the end; where there were automatic ones " \
                "before, those are in the log's columns.\n"
    if "readers" in result:
        heads = ["reader", "calls", "", "number", "p50 us", "p99 us", "max us", "over 1 ms", "over 5 ms"]
        rows = []
        for r in result["readers"]:
            for calls in ("searches", "adds"):
                for when in ("without", "during"):
                    t = r[calls][when]
                    rows.append([f"{r['process']} process", calls, f"{when} a checkpoint", f"{t['count']:,}",
                                 *[f"{t[f]:,.0f}" if f in t else "" for f in ("p50", "p99", "max")], t["over_1ms"], t["over_5ms"]])
        text += report.title(result, "searches and inserts beside checkpoints") + "\n" + report.table(heads, rows) + "\n\n"
        for r in result["readers"]:
            c = r["checkpoint_ms"]
            text += f"{r['process']} process: {c['count']} checkpoints of about {r['between']:,} inserts or more, " + \
                    (f"{c['p50']:.0f} ms each (median); " if "p50" in c else "") + f"{r['failed_searches']} searches failed.\n"
        text += "One writer without syncs, one reader at ef 64. Inserts that touch a checkpoint are those that its two freezes can stall.\n"
    if "recovery" in result:
        rows = [[r["log_mib"], r["mode"], f"{r['open_ms']:,.2f}", f"{r['worst_ms']:,.2f}", f"{r['frames']:,}" if r["mode"] == "read_write" else ""] for r in result["recovery"]]
        text += report.title(result, "opening a file that was not closed") + "\n"
        text += report.table(["log MiB", "mode", "open ms", "worst ms", "frames"], rows)
        text += "\n\nThe file is in the page cache. 0 MiB: closed. Opening for writing makes a checkpoint of what was recovered.\n"
    if "checkpoint" in result:
        heads = ["changed", "vectors", "system", "seconds", "MB written", "automatic checkpoints before", "MB written before"]
        rows = []
        for r in result["checkpoint"]:
            before = r.get("adding_io", {}).get("written_bytes")
            rows.append([f"{r['fraction']:.2%}", f"{r['count']:,}", r["engine"], f"{r['seconds']:.3f}", report.mb(r["io"]["written_bytes"]),
                         r.get("automatic_checkpoints", ""), "" if before is None else report.mb(before)])
        text += report.title(result, "making a change durable") + "\n" + report.table(heads, rows)
        text += "\n\nCairn: checkpoint(), on disk when it returns. The others: save of the whole file and fsync. The log of Cairn's inserts, and " \
                "checkpoints that its length set off, are in the last two columns.\n"
    return text


def write(folder, result):
    os.makedirs(folder, exist_ok=True)
    stem = os.path.join(folder, f"durability-{result['dataset']}-{result['metric']}" +
                        ("" if result["whole"] else f"-{result['rows']}"))
    whole = {**read_json(stem + ".json", {}), **result}
    write_json(stem + ".json", whole)
    with open(stem + ".md", "w", encoding="utf-8") as file:
        file.write(f"# {os.path.basename(stem)}\n\n{whole['cpu']}, Linux {whole['kernel']}. Written by `bench/durability`; "
                   "what the columns mean: [bench/README.md](../../bench/README.md).\n" + tables(whole))


def main():
    args = parser().parse_args()
    name, _, metric = args.dataset.partition(":")
    try:
        shop = Workshop(args.cache, args.threads, rivals_only=False, keep_cairn=args.keep_cairn)
        os.makedirs(shop.path("work"), exist_ok=True)
        shop.build_program()
        run_logged(["cmake", "--build", shop.path("build", "compare"), "--target", "durability"],
                   shop.path("build", "durability.log"))
        bench = Bench(shop, args, name, metric or ("l2" if name.startswith("synth") else "cosine"))
        result = frame(shop, args, bench.data, bench.metric)
        for part in args.parts:
            if part not in PARTS:
                raise Failure(f"no part '{part}'; there are {', '.join(PARTS)}")
            result[part] = getattr(bench, part)()
        print(tables(result), flush=True)
        if not args.no_out:
            write(args.out, result)
    except Failure as failure:
        say(f"error: {failure}")
        return 1
    finally:
        work = os.path.join(os.path.abspath(args.cache), "work", "index")
        if os.path.exists(work):
            os.remove(work)
    return 0
