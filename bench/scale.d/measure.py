# SPDX-License-Identifier: Apache-2.0
"""Figures of sets of shards on this machine, with the installed Python package: everything is a ratio within one run."""
import os
import resource
import shutil
import statistics
import tempfile
import time


def add_arguments(parser):
    parser.add_argument("base", help="vectors: .fbin or .npy")
    parser.add_argument("queries", help="vectors that are not among them")
    parser.add_argument("--rows", type=int, default=0, help="of the vectors, evenly from all; 0: all")
    parser.add_argument("--shards", type=int, default=16)
    parser.add_argument("--metric", default="cosine")
    parser.add_argument("--ef", type=int, default=64)
    parser.add_argument("--copies", type=float, default=0.3)
    parser.add_argument("--centroids", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--what", nargs="+", choices=["clusters", "serve", "build"], default=["clusters", "serve", "build"])
    parser.set_defaults(run=run)


def run(options):
    import numpy as np
    from cairn import _inputs

    folder = tempfile.mkdtemp(prefix="cairn-scale-")
    try:
        def read(path, rows):
            (given,) = _inputs.look_all(path)
            # Evenly from all: files are often sorted, and queries come from anywhere.
            step = max(1, given.rows // rows) if rows else 1
            every = np.concatenate([some[-at % step :: step] for at, _, some in _inputs.blocks([given], 0, given.rows)])
            return every[: rows or len(every)]

        inputs = os.path.join(folder, "base.npy")
        np.save(inputs, read(options.base, options.rows))
        queries = read(options.queries, 0)
        for what in options.what:
            {"clusters": clusters, "serve": serve, "build": build}[what](options, inputs, queries, folder)
    finally:
        shutil.rmtree(folder)
    return 0


def recall(found, wanted):
    return sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), wanted.tolist())) / wanted.size


def clusters(options, inputs, queries, folder):
    import cairn

    plan = cairn.shards.plan(inputs, options.shards, partition="clusters", metric=options.metric, copies=options.copies,
                             centroids=options.centroids)
    place = os.path.join(folder, "clusters")
    built = cairn.shards.build(plan, place)
    held = [file.vectors for file in built.shards]
    print(f"{plan.rows:,} vectors, {len(held)} shards of clusters: {sum(held) / plan.rows:.3f} times as many stored, "
          f"the largest shard {max(held) * len(held) / sum(held):.3f} of the mean")
    with cairn.shards.open(place) as opened:
        wanted = opened.search(queries, k=10, plan="exact").keys
        whole = recall(opened.search(queries, k=10, ef=options.ef).keys, wanted)
        print(f"{len(queries):,} queries from outside, ef {options.ef}: recall@10 {whole:.4f} with all shards")
        print("| probe | coverage | shards a query | recall@10 | of that of all shards |")
        print("|---|---|---|---|---|")
        probes = [(probe, 1.0) for probe in (1, 2, 4, 6, 8)]
        probes += [(most, coverage) for most in (8, 12, 15) for coverage in (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998)]
        for probe, coverage in probes:
            found = opened.search(queries, k=10, ef=options.ef, probe=probe, coverage=coverage)
            share = recall(found.keys, wanted)
            print(f"| {probe} | {coverage} | {found.shards.shards_asked / len(queries):.2f} | {share:.4f} | {share / whole:.4f} |", flush=True)


def cpu_of_all():
    """Processor seconds of this process and of Ray's workers."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0.0
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit():
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    is_ray = file.read().startswith(b"ray::")
                if is_ray:
                    with open(f"/proc/{entry}/stat", "rb") as file:
                        fields = file.read().rpartition(b")")[2].split()
                    total += (int(fields[11]) + int(fields[12])) / ticks
        except OSError:
            continue
    used = resource.getrusage(resource.RUSAGE_SELF)
    return total + used.ru_utime + used.ru_stime


def start_ray():
    # Ray lets its workers run at niceness 15, which is for machines that do nothing else.
    os.environ.update(RAY_USAGE_STATS_ENABLED="0", RAY_worker_niceness="0")
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=200_000_000)
    return ray


def serve(options, inputs, queries, folder):
    """Batches of 256: two actors of one thread with half the shards each, and one process with two threads."""
    import numpy as np

    import cairn

    place = os.path.join(folder, "served")
    cairn.shards.build(cairn.shards.plan(inputs, 8, metric=options.metric), place)
    batch = np.ascontiguousarray(np.resize(queries, (256, queries.shape[1])))
    ray = start_ray()
    try:
        service = cairn.ray.serve(place, name="measured", groups=2, replicas=1, num_cpus=1)
        with cairn.ray.connect("measured") as client, cairn.shards.open(place, threads=2) as alone:
            alone.warm()
            for _ in range(3):
                assert (client.search(batch, k=10, ef=options.ef).keys == alone.search(batch, k=10, ef=options.ef).keys).all()
            wall, cpu = [], []
            for _ in range(options.rounds):
                took = []
                for asked in (client, alone):
                    begin, used = time.monotonic(), cpu_of_all()
                    for _ in range(4):
                        asked.search(batch, k=10, ef=options.ef)
                    took.append((time.monotonic() - begin, cpu_of_all() - used))
                wall.append(took[1][0] / took[0][0])
                cpu.append(took[1][1] / max(1e-9, took[0][1]))
            print(f"8 shards, batches of 256, ef {options.ef}: 2 Ray workers / one process with 2 threads: "
                  f"{statistics.median(wall):.3f} in time (quartiles {quartiles(wall)}), {statistics.median(cpu):.3f} in processor time")
        service.shutdown()
    finally:
        ray.shutdown()


def quartiles(values):
    low, _, high = statistics.quantiles(values, n=4)
    return f"{low:.3f} to {high:.3f}"


def build(options, inputs, queries, folder):
    """All shards: tasks on two workers of one thread, and one process with two threads."""
    import cairn

    plan = cairn.shards.plan(inputs, options.shards, partition="rows", metric=options.metric)
    ray = start_ray()
    try:
        begin_workers = cairn.shards.plan(inputs, 512, partition="rows", metric=options.metric).tasks()[:4]
        ray.get([ray.remote(cairn.shards.build_shard).remote(task, os.path.join(folder, "first")) for task in begin_workers])
        wall, cpu = [], []
        for i in range(3):
            took = []
            for name, builds in (("ray", lambda place: cairn.ray.build(plan, place, memory=1)),
                                 ("alone", lambda place: cairn.shards.build(plan, place, threads=2))):
                begin, used = time.monotonic(), cpu_of_all()
                made = builds(os.path.join(folder, f"{name}-{i}"))
                took.append((time.monotonic() - begin, cpu_of_all() - used, made.text()))
            assert took[0][2] == took[1][2]
            wall.append(took[0][0] / took[1][0])
            cpu.append(took[0][1] / took[1][1])
        print(f"building {options.shards} shards of {plan.rows:,}: 2 Ray workers / one process with 2 threads: {statistics.median(wall):.3f} in time "
              f"({min(wall):.3f} to {max(wall):.3f}), {statistics.median(cpu):.3f} in processor time")
    finally:
        ray.shutdown()
