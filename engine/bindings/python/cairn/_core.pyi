from collections.abc import Sequence
from typing import Annotated, overload

import numpy
from numpy.typing import NDArray


VERSION: str = '0.1.0'

class Stats:
    """Numbers of an index; see cairn/params.h for each."""

    @property
    def live(self) -> int: ...

    @property
    def keys(self) -> int: ...

    @property
    def deleted(self) -> int: ...

    @property
    def slots(self) -> int: ...

    @property
    def dimensions(self) -> int: ...

    @property
    def max_level(self) -> int: ...

    @property
    def generation(self) -> int: ...

    @property
    def file_bytes(self) -> int: ...

    @property
    def hot_bytes(self) -> int: ...

    @property
    def exact_bytes(self) -> int: ...

    @property
    def private_bytes(self) -> int: ...

    @property
    def log_bytes(self) -> int: ...

    @property
    def log_frames(self) -> int: ...

    @property
    def last_lsn(self) -> int: ...

    @property
    def durable_lsn(self) -> int: ...

    @property
    def dirty_pages(self) -> int: ...

    @property
    def checkpoints(self) -> int: ...

    @property
    def failed_checkpoints(self) -> int: ...

    @property
    def poisoned(self) -> bool: ...

    @property
    def adds(self) -> int: ...

    @property
    def upserts(self) -> int: ...

    @property
    def removes(self) -> int: ...

    @property
    def searches(self) -> int: ...

    @property
    def compactions(self) -> int: ...

    @property
    def open_ns(self) -> int: ...

    @property
    def recovery_ns(self) -> int: ...

    @property
    def recovered_frames(self) -> int: ...

    @property
    def lost_frames(self) -> int: ...

    @property
    def first_lost_lsn(self) -> int: ...

    @property
    def last_lost_lsn(self) -> int: ...

    @property
    def live_before_loss(self) -> int: ...

    @property
    def advised_ef(self) -> int: ...

    @property
    def timed_searches(self) -> int: ...

    @property
    def p50_ns(self) -> int: ...

    @property
    def p90_ns(self) -> int: ...

    @property
    def p99_ns(self) -> int: ...

    @property
    def p999_ns(self) -> int: ...

    @property
    def simd(self) -> str: ...

class VerifyReport:
    """What verify() found; true if nothing."""

    @property
    def pages_checked(self) -> int: ...

    @property
    def nodes_checked(self) -> int: ...

    @property
    def unreachable(self) -> int: ...

    @property
    def findings(self) -> list[str]: ...

    def __bool__(self) -> bool: ...

class SearchOptions:
    def __init__(self, filter: object | None, plan: int, max_distances: int, deadline: float, rerank: object | None) -> None: ...

class SearchReport:
    """What a search has done; of a batch: the sums of its rows."""

    @property
    def plan(self) -> str:
        """"walk" or "exact"; of a batch whose rows differ "automatic\""""

    @property
    def complete(self) -> bool:
        """false: a limit has ended it, and the matches are those found by then"""

    @property
    def distances(self) -> int:
        """computed while candidates were looked for"""

    @property
    def lists(self) -> int:
        """neighbor lists that were read for that"""

    def __getstate__(self) -> tuple[int, bool, int, int]: ...

    def __setstate__(self, arg: tuple[int, bool, int, int], /) -> None: ...

class Index:
    def search_quick(self, query: object | None, k: int, ef: int) -> object: ...

    def search_any(self, query: Annotated[NDArray, dict(device='cpu', writable=False)], k: int, ef: int, options: SearchOptions, keys: object, distances: object) -> tuple[int, SearchReport]: ...

    def search_documents(self, rows: Annotated[NDArray, dict(device='cpu', writable=False)], k: int, ef: int, options: SearchOptions, keys: Annotated[NDArray[numpy.uint64], dict(order='C', device='cpu')], distances: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]) -> tuple[int, SearchReport]: ...

    def search_batch(self, queries: Annotated[NDArray, dict(device='cpu', writable=False)], k: int, ef: int, options: SearchOptions, threads: int, keys: Annotated[NDArray[numpy.uint64], dict(order='C', device='cpu')], distances: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')], counts: Annotated[NDArray[numpy.uint64], dict(order='C', device='cpu')]) -> SearchReport: ...

    def measure_recall(self, queries: Annotated[NDArray, dict(device='cpu', writable=False)], k: int, ef: int, options: SearchOptions, threads: int, progress: object | None) -> RecallReport: ...

    def ef_for(self, recall: float, queries: Annotated[NDArray, dict(device='cpu', writable=False)], k: int, threads: int, progress: object | None) -> int: ...

    def set_advised_ef(self, ef: int) -> None: ...

    def record_latency(self, on: bool) -> None: ...

    def latency(self) -> LatencyHistogram: ...

    def prometheus_text(self, labels: Sequence[tuple[str, str]]) -> str: ...

    def export_file(self, path: bytes, kind: int) -> None: ...

    def search_range(self, query: Annotated[NDArray, dict(device='cpu', writable=False)], radius: float, ef: int, max_results: int, options: SearchOptions) -> tuple[object, object, SearchReport]: ...

    def open_cursor(self, query: Annotated[NDArray, dict(device='cpu', writable=False)], ef: int, options: SearchOptions, order: int) -> Cursor: ...

    @staticmethod
    def create(path: bytes | None, dims: int, metric: int, scalar: int, m: int, ef_construction: int, seed: int, traversal: int, several_per_key: bool, durability: int, group_ms: int, max_vectors: int) -> Index: ...

    @staticmethod
    def open(path: bytes, writes: bool, load: bool, verify_all: bool, durability: int, group_ms: int, max_vectors: int, salvage: bool, guard: bool, check: int, progress: object | None) -> Index: ...

    def close(self) -> None: ...

    @property
    def closed(self) -> bool: ...

    def build(self, keys: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], rows: Annotated[NDArray, dict(device='cpu', writable=False)], threads: int, progress: object | None) -> None: ...

    def put_rows(self, keys: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], rows: Annotated[NDArray, dict(device='cpu', writable=False)], replaces: bool) -> None: ...

    def remove(self, key: int) -> None: ...

    def contains(self, key: int) -> bool: ...

    def get(self, key: int, i: int, out: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]) -> int: ...

    def count(self, key: int) -> int: ...

    def keys(self, position: int, out: Annotated[NDArray[numpy.uint64], dict(order='C', device='cpu')]) -> tuple[int, int, bool]: ...

    def get_rows(self, keys: Annotated[NDArray[numpy.uint64], dict(order='C', device='cpu')], numbers: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]) -> int: ...

    def __len__(self) -> int: ...

    def save(self, path: bytes, replaces: bool) -> None: ...

    def backup(self, path: bytes, replaces: bool) -> None: ...

    def sync(self) -> None: ...

    def checkpoint(self) -> None: ...

    def refresh(self) -> None: ...

    def compact(self, threads: int, erase: bool, progress: object | None) -> None: ...

    def verify(self, threads: int, progress: object | None) -> VerifyReport: ...

    def warm(self) -> None: ...

    def release(self) -> None: ...

    def applied_up_to(self) -> int: ...

    def set_applied_up_to(self, lsn: int) -> None: ...

    def stats(self) -> Stats: ...

    def params(self) -> tuple[int, int, int, int, int, int, int, bool]: ...

def use_numpy(array_type: object, empty: object, matches: object, f32: object, keys: object) -> bool: ...

class RecallReport:
    """How much of the true answers searches find."""

    @property
    def recall(self) -> float:
        """the part of the k nearest that was found, 0 to 1"""

    @property
    def lower(self) -> float:
        """
        it lies between this and `upper` with 95 % certainty, for queries drawn at random
        """

    @property
    def upper(self) -> float:
        """see `lower`"""

    @property
    def queries(self) -> int:
        """how many were searched"""

class LatencyHistogram:
    """The times of searches."""

    @property
    def count(self) -> int:
        """of searches that were timed"""

    def quantile_us(self, q: float) -> float:
        """Microseconds in which the part q, 0 to 1, of them ended."""

class ImportReport:
    """What became of a file of another library."""

    @property
    def vectors(self) -> int:
        """in the index"""

    @property
    def links_kept(self) -> int:
        """of the source's level 0"""

    @property
    def links_dropped(self) -> int:
        """of it: to removed or missing vectors, twice, to itself, no room"""

    @property
    def skipped(self) -> int:
        """vectors of the file that are not in the index: removed, or key taken"""

    @property
    def graph_kept(self) -> bool:
        """false: built anew, and a note says why"""

    @property
    def notes(self) -> list[str]:
        """what is not as it was, a sentence each"""

def import_file(path: bytes, source: int, metric: int | None, dims: int, keys: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], rebuild: bool, several_per_key: bool, m: int | None, ef_construction: int | None, threads: int, progress: object | None) -> tuple[Index, ImportReport]: ...

class Filter:
    @staticmethod
    def of_keys(index: Index, keys: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], excludes: bool) -> Filter: ...

    @staticmethod
    def of_bits(index: Index, words: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], first: int) -> Filter: ...

    @staticmethod
    def where(index: Index, passes: object) -> Filter: ...

    def count(self) -> int: ...

class Cursor:
    def next(self, keys: Annotated[NDArray[numpy.uint64], dict(order='C', device='cpu')], distances: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]) -> tuple[int, SearchReport]: ...

def simd_info() -> tuple[list[str], list[str], str]: ...

class ShardFile:
    """A file of a set."""

    def __init__(self) -> None: ...

    @property
    def file(self) -> str:
        """its name"""

    @file.setter
    def file(self, arg: str, /) -> None: ...

    @property
    def vectors(self) -> int:
        """that it held when it was published"""

    @vectors.setter
    def vectors(self, arg: int, /) -> None: ...

    @property
    def bytes(self) -> int:
        """its size then"""

    @bytes.setter
    def bytes(self, arg: int, /) -> None: ...

    @property
    def sealed(self) -> bool:
        """it never changes"""

    @sealed.setter
    def sealed(self, arg: bool, /) -> None: ...

    @property
    def xxh3(self) -> str:
        """its hash, if it is sealed"""

    @xxh3.setter
    def xxh3(self, arg: str, /) -> None: ...

    def __getstate__(self) -> tuple[str, int, int, bool, str]: ...

    def __setstate__(self, arg: tuple[str, int, int, bool, str], /) -> None: ...

class ShardManifest:
    """What a set is made of, as of one generation."""

    @overload
    def __init__(self) -> None: ...

    @overload
    def __init__(self, other: ShardManifest) -> None: ...

    @property
    def generation(self) -> int:
        """0: not published yet"""

    @generation.setter
    def generation(self, arg: int, /) -> None: ...

    @property
    def seed(self) -> int:
        """of hash"""

    @seed.setter
    def seed(self, arg: int, /) -> None: ...

    @property
    def gaps(self) -> list[float]:
        """of clusters"""

    @gaps.setter
    def gaps(self, arg: Sequence[float], /) -> None: ...

    @property
    def shards(self) -> list[ShardFile]:
        """ShardFile each"""

    @shards.setter
    def shards(self, arg: Sequence[ShardFile], /) -> None: ...

    @property
    def router(self) -> ShardFile | None:
        """of clusters"""

    @router.setter
    def router(self, arg: ShardFile | None, /) -> None: ...

    @property
    def fresh(self) -> ShardFile | None:
        """searched with every query"""

    @fresh.setter
    def fresh(self, arg: ShardFile | None, /) -> None: ...

    @property
    def partition(self) -> int: ...

    @partition.setter
    def partition(self, arg: int, /) -> None: ...

    def params(self) -> tuple[int, int, int, int, int, int, int, bool]: ...

    def set_params(self, dims: int, metric: int, scalar: int, m: int, ef_construction: int, seed: int, traversal: int, several_per_key: bool) -> None: ...

    def text(self) -> bytes: ...

def read_manifest(folder: bytes) -> ShardManifest: ...

def parse_manifest(text: bytes, name: str) -> ShardManifest: ...

def publish(folder: bytes, manifest: ShardManifest) -> ShardManifest: ...

def prune(folder: bytes, keep: int, also: Sequence[int], unnamed_after: int | None) -> tuple[list[int], list[int], int, int, int]: ...

def describe_file(path: bytes) -> ShardFile: ...

def add_file(folder: bytes, index: Index) -> ShardFile: ...

def shards_of_keys(keys: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], seed: int, shards: int) -> object: ...

def cluster(metric: int, sample: Annotated[NDArray, dict(device='cpu', writable=False)], scalar: int, dims: int, shards: int, centroids: int, copies: float, largest: float, seed: int, threads: int, progress: object | None) -> tuple[Index, list[float]]: ...

def assign(router: Index, gaps: Sequence[float], rows: Annotated[NDArray, dict(device='cpu', writable=False)], scalar: int, dims: int, threads: int) -> tuple[object, object]: ...

class ShardSet:
    def search_batch(self, queries: Annotated[NDArray, dict(device='cpu', writable=False)], k: int, ef: int, options: SearchOptions, filter: object | None, probe: int, coverage: float, keys: Annotated[NDArray[numpy.uint64], dict(order='C', device='cpu')], distances: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')], counts: Annotated[NDArray[numpy.uint64], dict(order='C', device='cpu')]) -> tuple[SearchReport, ShardReport]: ...

    def search_range(self, query: Annotated[NDArray, dict(device='cpu', writable=False)], radius: float, ef: int, max_results: int, options: SearchOptions, filter: object | None, probe: int, coverage: float) -> tuple[object, object, SearchReport, ShardReport]: ...

    def open_cursor(self, query: Annotated[NDArray, dict(device='cpu', writable=False)], ef: int, options: SearchOptions, filter: object | None, probe: int, coverage: float, order: int) -> ShardCursor: ...

    @staticmethod
    def open_files(paths: Sequence[bytes], allow_partial: bool, threads: int, guard: bool) -> ShardSet: ...

    @staticmethod
    def open_folder(path: bytes, allow_partial: bool, threads: int, guard: bool, writes: bool, only: Sequence[int]) -> ShardSet: ...

    def close(self) -> None: ...

    @property
    def closed(self) -> bool: ...

    def upsert_rows(self, keys: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], rows: Annotated[NDArray, dict(device='cpu', writable=False)]) -> None: ...

    def remove(self, key: int) -> None: ...

    def contains(self, key: int) -> bool: ...

    def get(self, key: int, out: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]) -> int: ...

    def keys(self, shard: int, position: int, out: Annotated[NDArray[numpy.uint64], dict(order='C', device='cpu')]) -> tuple[int, int, int, bool]: ...

    def __len__(self) -> int: ...

    def sync(self) -> None: ...

    def checkpoint(self) -> None: ...

    def refresh(self) -> None: ...

    def warm(self) -> None: ...

    def release(self) -> None: ...

    def verify(self, threads: int, progress: object | None) -> VerifyReport: ...

    def stats(self) -> Stats: ...

    def shards(self) -> int: ...

    def problems(self) -> list[tuple[str, str]]: ...

    def publish(self, manifest: ShardManifest) -> ShardManifest: ...

    def manifest(self) -> ShardManifest: ...

class ShardFilter:
    @staticmethod
    def of_keys(set: ShardSet, keys: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], excludes: bool) -> ShardFilter: ...

    @staticmethod
    def of_bits(set: ShardSet, words: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)], first: int) -> ShardFilter: ...

    @staticmethod
    def of_ranges(set: ShardSet, bounds: Annotated[NDArray[numpy.uint64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> ShardFilter: ...

    @staticmethod
    def where(set: ShardSet, passes: object) -> ShardFilter: ...

    def count(self) -> int: ...

class ShardReport:
    """Which shards of a set have answered a search."""

    @property
    def shards_asked(self) -> int:
        """of a batch: for all rows together"""

    @property
    def shards_answered(self) -> int:
        """the same"""

    @property
    def missing(self) -> list[str]:
        """names of those that have not, each once"""

    def __getstate__(self) -> tuple[int, int, list[str]]: ...

    def __setstate__(self, arg: tuple[int, int, Sequence[str]], /) -> None: ...

class ShardCursor:
    @property
    def shards(self) -> ShardReport: ...

    def next(self, keys: Annotated[NDArray[numpy.uint64], dict(order='C', device='cpu')], distances: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]) -> tuple[int, SearchReport]: ...
