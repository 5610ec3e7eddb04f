# SPDX-License-Identifier: Apache-2.0
"""Command line of bench/compare."""
import argparse
import os

import measure
import report
from workshop import BENCH, METRICS, ROOT, Failure, Workshop, say

EPILOG = """\
tables:
  search   recall@10 against one-thread QPS for ef 4 ... 800, p50 and p99; QPS at recall 0.90, 0.95, 0.99, every system in
           one process, in turns of 100 queries: median, 10 % and 90 % of the per-round ratios; 2 threads over 1
  files    size, save, open (warm and cold), bytes read, faults, memory after open and after 10,000 queries
  build    build time in alternation, and recall at equal ef, on the first --rows rows
  add      adding one vector at a time to a full index in memory, in turns
  grow     build time and QPS at recall 0.95 from 10,000 rows to all, with the exponents
  filter   searches of what a filter lets pass: sets of --percents, random (U), near the query (R), far from it (NR),
           around it with a hole (NH), or another cluster (C); QPS at recall 0.95, recalls, p99 against the exact plan
  prepare  only fetch, compile and build what the others need

data sets: glove, fashion (cosine and l2; one of them: fashion:l2), synth1m, synth100k, openai100k

examples:
  bench/compare search glove                     # the main table and docs/performance/glove-cosine.svg
  bench/compare search glove --pages huge        # rivals on 2 MiB pages, too
  bench/compare build glove --rows 100000        # three alternations
  bench/compare build glove --rows 0 --alternations 1
  bench/compare search glove --cairn m=16 --cairn m=16,traversal=exact
  bench/compare filter glove --rows 100000 --rival-m 16 --engines cairn,hnswlib,usearch-f32
  bench/compare search synth100k --quick         # a look, not a measurement
"""


def cairn_spec(text):
    spec = {"engine": "cairn", "m": 16}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        if name not in ("m", "ef_construction", "traversal", "seed") or not value:
            raise argparse.ArgumentTypeError(f"'{part}': expected m=, ef_construction=, traversal= or seed=")
        spec[name] = value if name == "traversal" else int(value)
    return spec


def numbers(kind):
    return lambda text: [kind(part) for part in text.split(",") if part]


def parser():
    p = argparse.ArgumentParser(prog="bench/compare", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
                                description="Compares Cairn with hnswlib and USearch on real and generated data.")
    p.add_argument("table", choices=["search", "files", "build", "add", "grow", "filter", "prepare"])
    p.add_argument("datasets", nargs="+", metavar="SET[:METRIC]")
    p.add_argument("--pages", choices=["own", "huge"], default="own",
                   help="own: every system as people run it; huge: rivals' memory on 2 MiB pages as well")
    p.add_argument("--cairn", type=cairn_spec, action="append", metavar="SPEC",
                   help="a Cairn variant, e.g. m=24,traversal=exact; repeatable (default: m=16)")
    p.add_argument("--rival-m", type=numbers(int), default=[16, 32], metavar="LIST", help="default: 16,32; the better counts")
    p.add_argument("--engines", type=lambda t: t.split(","), default=["cairn", "hnswlib", "usearch-f32", "usearch-i8"],
                   metavar="LIST", help="default: all four (usearch-i8 with the first --rival-m, cosine only)")
    p.add_argument("--ef-construction", type=int, default=200, help="of all systems (default 200)")
    p.add_argument("--rows", type=int, default=None, metavar="N",
                   help="only the first N rows, 0: all (default: all; build: 100000)")
    p.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="for building (default 2)")
    p.add_argument("--targets", type=numbers(float), default=[0.90, 0.95, 0.99], metavar="LIST")
    p.add_argument("--rounds", type=int, default=100, help="of a race (default 100)")
    p.add_argument("--max-seconds", type=float, default=120, help="of a race, after 20 rounds (default 120)")
    p.add_argument("--quick", action="store_true", help="20 rounds, no curves, nothing written to --out")
    p.add_argument("--alternations", type=int, default=3, help="build: how often each system builds (default 3)")
    p.add_argument("--count", type=int, default=2000, help="add: vectors to add (default 2000)")
    p.add_argument("--kinds", type=lambda t: t.split(","), default=["U", "R", "NR", "NH"], metavar="LIST", help="filter: default U,R,NR,NH")
    p.add_argument("--percents", type=numbers(float), default=[90, 50, 20, 10, 5, 2, 1, 0.5, 0.1, 0.01], metavar="LIST",
                   help="filter: of the rows that pass (default: 90,50,20,10,5,2,1,0.5,0.1,0.01)")
    p.add_argument("-k", type=int, default=10, help="filter: results wanted (default 10)")
    p.add_argument("--slices", type=int, default=10, help="filter: of 20 queries each (default 10)")
    p.add_argument("--rebuild", choices=["rivals", "cairn", "all"], help="build cached indexes anew (and time that)")
    p.add_argument("--keep-cairn", action="store_true",
                   help="search the last built Cairn index although the library's sources have changed")
    p.add_argument("--cache", default=os.environ.get("CAIRN_BENCH_CACHE", os.path.join(BENCH, ".cache")))
    p.add_argument("--out", default=os.path.join(ROOT, "docs", "performance"), help="for JSON, Markdown and SVG")
    p.add_argument("--no-out", action="store_true", help="print only")
    return p


def expand(names):
    for name in names:
        name, _, metric = name.partition(":")
        for m in [metric] if metric else METRICS.get(name, ["cosine"]):
            yield name, m


def main():
    args = parser().parse_args()
    args.cairn = args.cairn or [cairn_spec("")]
    for spec in args.cairn:
        spec.setdefault("ef_construction", args.ef_construction)
    if args.quick:
        args.rounds, args.no_out = min(args.rounds, 20), True
    if args.rows is None:
        args.rows = 100000 if args.table == "build" else 0
    try:
        shop = Workshop(args.cache, args.threads, rivals_only="cairn" not in args.engines, keep_cairn=args.keep_cairn)
        shop.build_program()
        for name, metric in expand(args.datasets):
            result = getattr(measure, args.table)(shop, args, name, metric)
            if result is None:
                continue
            print(getattr(report, args.table)(result), flush=True)
            if not args.no_out:
                report.write(args.out, args.table, result)
    except Failure as failure:
        say(f"error: {failure}")
        return 1
    except KeyboardInterrupt:
        say("stopped; what was built is kept")
        return 130
    return 0
