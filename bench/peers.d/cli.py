# SPDX-License-Identifier: Apache-2.0
"""Command line of bench/peers: makes the environment with all packages, and runs the rest in it."""
import argparse
import glob
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.dirname(HERE)
ROOT = os.path.dirname(BENCH)
METRICS = {"fashion": "l2", "synth100k": "l2", "synth1m": "l2"}  # others: cosine

EPILOG = """\
Every library is built by --threads threads in a process of its own and saved. Then all are loaded into one process and
searched by one thread in turns of a batch of 100 queries, in an order that changes from round to round. For each recall
an engine's speed is that between its two neighboring settings, of its fastest variant. What a package cannot do on this
machine is said, and left out.

examples:
  bench/peers glove
  bench/peers glove --rows 50000 --quick
  bench/peers fashion:cosine --engines cairn,scann
"""


def say(text):
    print(f"peers: {text}", file=sys.stderr, flush=True)


def parser():
    p = argparse.ArgumentParser(prog="bench/peers", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
                                description="Compares Cairn's Python package with hnswlib, faiss, ScaNN, SVS, RaBitQ-Library, VSAG, USearch.")
    p.add_argument("datasets", nargs="+", metavar="SET[:METRIC]", help="of bench/datasets; metric: cosine or l2")
    p.add_argument("--rows", type=int, default=0, metavar="N", help="only the first N rows (default: all)")
    p.add_argument("--engines", default="", metavar="LIST", help="parts of names, separated by commas (default: all)")
    p.add_argument("--targets", default="0.9,0.95,0.99", metavar="LIST", help="of recall@10")
    p.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1), help="for building (default 2)")
    p.add_argument("--rounds", type=int, default=60, help="for each recall (default 60)")
    p.add_argument("--single", action="store_true", help="one query a call, by what each library has for that; else batches of 100")
    p.add_argument("--quick", action="store_true", help="15 rounds, 1,000 queries for recall: a look, not a measurement")
    p.add_argument("--rebuild", action="store_true", help="build the indexes of other libraries anew")
    p.add_argument("--wheel", metavar="FILE", help="Cairn's wheel (default: built from this tree)")
    p.add_argument("--cache", default=os.environ.get("CAIRN_BENCH_CACHE", os.path.join(BENCH, ".cache")))
    p.add_argument("--out", default=os.path.join(ROOT, "docs", "performance"), help="for JSON, Markdown and SVG")
    p.add_argument("--no-out", action="store_true", help="print only")
    return p


def environment(cache, wheel):
    """The Python of an environment with everything in it."""
    folder = os.path.join(cache, "peers", "venv")
    python = os.path.join(folder, "bin", "python")
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    if not os.path.exists(python):
        subprocess.run(["python3", "-m", "venv", folder], check=True)
    with open(os.path.join(HERE, "packages.txt"), encoding="utf-8") as file:
        wanted = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    have = subprocess.run([python, "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout.split()
    for package in [package for package in wanted if package not in have]:
        say(f"installing {package}")
        if subprocess.run([*pip, package], check=False).returncode != 0:
            say(f"{package} does not install here; it is left out")
    if not wheel:
        say("building Cairn's wheel")
        subprocess.run([*pip, "build", "scikit-build-core>=1.0", "nanobind>=2.4"], check=True)
        dist = os.path.join(cache, "peers", "dist")
        subprocess.run([os.path.join(ROOT, "tools", "packaging", "python"), dist, python], check=True, stdout=subprocess.DEVNULL)
        wheel = max(glob.glob(os.path.join(dist, "cairn-*.whl")), key=os.path.getmtime)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", wheel], check=True)
    return python


def main():
    args = parser().parse_args()
    args.cache = os.path.abspath(args.cache)
    python = environment(args.cache, args.wheel)
    for name in args.datasets:
        dataset, _, metric = name.partition(":")
        metric = metric or METRICS.get(dataset, "cosine")
        subprocess.run([os.path.join(BENCH, "datasets"), "--cache", args.cache, dataset], check=True)
        command = [python, "-B", os.path.join(HERE, "race.py"), "--cache", args.cache, "--set", dataset, "--metric", metric,
                   "--rows", str(args.rows), "--engines", args.engines, "--targets", args.targets, "--threads", str(args.threads),
                   "--rounds", str(min(args.rounds, 15) if args.quick else args.rounds), "--checked", "1000" if args.quick else "5000",
                   "--out", "" if args.no_out else args.out, *(["--rebuild"] if args.rebuild else []),
                   *(["--single"] if args.single else [])]
        done = subprocess.run(command, check=False).returncode
        if done:
            return done
    return 0
