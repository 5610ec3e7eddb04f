# SPDX-License-Identifier: Apache-2.0
"""What a set of so many vectors takes: bytes as in docs/guide/sizing.md, times from one measured search and one measured build."""
import dataclasses
import math

GB = 1e9
FILE_OVERHEAD = 1.03  # upper levels, key table, checksums: docs/guide/sizing.md
BUILD_BYTES = 50  # a vector, beside rows and index: the same page


@dataclasses.dataclass(frozen=True)
class Machine:
    """What is rented: memory and cores as a cloud sells them in one ratio of 8 GB a core."""

    cores: int = 16
    memory: float = 128 * GB
    disk: float = 2_000 * GB
    usable: float = 0.8  # of its memory: the rest is the system's, Ray's object store, and room to switch
    dollars_an_hour: float = 1.0  # a round number, to be replaced by a price


@dataclasses.dataclass(frozen=True)
class Measured:
    """One search and one build on one core, of a set of `vectors` that fits into memory."""

    vectors: float
    queries_a_second: float
    built_a_second: float  # vectors, one core


def hot_bytes(dims, m):
    return math.ceil((math.ceil(dims / 4) * 4 + 20 + 12 * m) / 64) * 64


def exact_bytes(dims, scalar):
    return dims * {"f32": 4, "f16": 2, "bf16": 2}[scalar]


def growth(measured, vectors):
    """How many times longer a walk through `vectors` takes than one through what was measured.

    What a walk looks at grows like the logarithm of the number of vectors. What a look costs grows as caches and tables of
    pages hold less of them: sqrt(2) for each tenfold is a guess, and to be measured with a shard of the size that is planned.
    """
    looks = math.log(vectors) / math.log(measured.vectors)
    return looks * 2 ** (0.5 * max(0.0, math.log10(vectors / measured.vectors)))


@dataclasses.dataclass(frozen=True)
class Estimate:
    shards: int
    machines: int
    file_bytes: float
    hot_bytes: float
    cpu_seconds_a_query: float
    queries_a_second: float
    dollars_a_million: float
    build_core_hours: float
    build_memory: float
    fetched: float  # by all replicas, from where the set lies


def estimate(vectors, dims, scalar, m, per_shard, share, replicas, copies, machine, measured):
    """`share`: the part of the shards that a query visits: 1 of random ones."""
    held = vectors * (1 + copies)
    shards = math.ceil(held / per_shard)
    rows = held / shards
    hot, exact = hot_bytes(dims, m), exact_bytes(dims, scalar)
    file = (hot + exact + 8) * rows * FILE_OVERHEAD
    resident = hot * rows * FILE_OVERHEAD
    by_memory = math.ceil(shards * resident / (machine.memory * machine.usable))
    by_disk = math.ceil(shards * file * 2 / machine.disk)  # two generations while one is replaced
    machines = max(by_memory, by_disk)
    cpu = growth(measured, rows) / measured.queries_a_second * shards * share
    capacity = machines * replicas * machine.cores * 0.6 / cpu  # beyond 60 % of the cores, queues grow
    hours_a_query = machines * replicas / (capacity * 3600)
    return Estimate(
        shards=shards,
        machines=machines * replicas,
        file_bytes=file,
        hot_bytes=resident,
        cpu_seconds_a_query=cpu,
        queries_a_second=capacity,
        dollars_a_million=hours_a_query * machine.dollars_an_hour * 1e6,
        build_core_hours=held * growth(measured, rows) / measured.built_a_second / 3600,
        build_memory=rows * (hot + 2 * exact + 8 + BUILD_BYTES),
        fetched=shards * file * replicas,
    )


def add_arguments(parser):
    parser.add_argument("--vectors", type=float, nargs="+", default=[1e8, 1e9, 1e10])
    parser.add_argument("--dims", type=int, default=128)
    parser.add_argument("--scalar", choices=["f32", "f16", "bf16"], default="f16")
    parser.add_argument("--m", type=int, default=16)
    parser.add_argument("--per-shard", type=float, default=2e7, help="vectors of a shard")
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--share", type=float, default=8 / 16, help="part of the shards that a query visits, of clusters")
    parser.add_argument("--copies", type=float, default=0.3, help="part of the vectors in a second shard, of clusters")
    parser.add_argument("--cores", type=int, default=16, help="of a machine")
    parser.add_argument("--memory", type=float, default=128, help="GB of a machine")
    parser.add_argument("--disk", type=float, default=2000, help="GB of a machine")
    parser.add_argument("--price", type=float, default=1.0, help="dollars an hour of a machine")
    parser.add_argument("--measured", type=float, nargs=3, default=[1e6, 17_576, 4_800], metavar=("N", "QPS", "BUILT"),
                        help="vectors, queries a second and vectors built a second, on one core")
    parser.set_defaults(run=run)


def run(options):
    machine = Machine(options.cores, options.memory * GB, options.disk * GB, dollars_an_hour=options.price)
    measured = Measured(*options.measured)
    hot, exact = hot_bytes(options.dims, options.m), exact_bytes(options.dims, options.scalar)
    print(f"a vector: hot {hot} + exact {exact} + key 8 = {hot + exact + 8} bytes, of which {hot} should be in memory")
    print(f"a machine: {machine.cores} cores, {machine.memory / GB:.0f} GB, {machine.disk / GB:.0f} GB of disk,"
          f" ${machine.dollars_an_hour:g} an hour; {options.replicas} replicas")
    head = ["vectors", "shards", "how", "file a shard", "hot in all", "machines", "visited", "CPU ms a query", "queries/s",
            "$ a million", "build, core hours", "memory a build", "fetched"]
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for vectors in options.vectors:
        for how, share, copies in (("random", 1.0, 0.0), ("clusters", options.share, options.copies)):
            e = estimate(vectors, options.dims, options.scalar, options.m, min(options.per_shard, vectors), share, options.replicas,
                         copies, machine, measured)
            cells = [f"{vectors:.0e}".replace("e+", "e"), f"{e.shards:,}", how, f"{e.file_bytes / GB:.1f} GB",
                     f"{e.hot_bytes * e.shards / 1e12:.2f} TB", f"{e.machines:,}", f"{max(1, math.ceil(e.shards * share)):,}",
                     f"{e.cpu_seconds_a_query * 1e3:.2f}", f"{e.queries_a_second:,.0f}", f"{e.dollars_a_million:.2f}",
                     f"{e.build_core_hours:,.0f}", f"{e.build_memory / GB:.0f} GB", f"{e.fetched / 1e12:.1f} TB"]
            print("| " + " | ".join(cells) + " |")
    return 0
