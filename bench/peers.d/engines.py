# SPDX-License-Identifier: Apache-2.0
"""One class a kind of index. Vectors are float32 rows, of length 1 under cosine for libraries that know no cosine.

An engine is built in a process of its own, saved to a folder, and loaded from there to be searched. `efforts` are values of
the one number that trades speed for recall, in rising order; an engine with a second number is several variants, which
share what was built.
"""
import json
import os

import numpy as np

K = 10
EFS = [10, 12, 14, 17, 20, 24, 28, 34, 40, 48, 56, 68, 80, 96, 112, 136, 160, 192, 224, 272, 320, 384, 448, 544, 640, 768, 896, 1088, 1280,
       1536, 1792, 2176]
PROBES = [1, 2, 3, 4, 6, 8, 11, 16, 22, 32, 45, 64, 90, 128, 181, 256, 362, 512, 724, 1024]


class Engine:
    package = ""  # on PyPI
    efforts = EFS
    metrics = ("cosine", "l2")
    variants = {"": None}  # name added -> second number
    normalises = True  # cosine by this file, because the library does not know it

    def __init__(self, metric, dims, threads):
        self.metric, self.dims, self.threads = metric, dims, threads

    def prepared(self, rows):
        if self.metric != "cosine" or not self.normalises:
            return np.ascontiguousarray(rows, np.float32)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.ascontiguousarray(rows / np.where(norms == 0, 1, norms), np.float32)

    def build(self, rows):
        raise NotImplementedError

    def save(self, folder):
        raise NotImplementedError

    def load(self, folder):
        raise NotImplementedError

    def set(self, effort, variant):
        raise NotImplementedError

    def search(self, queries):
        """(n, K) row numbers, by one thread."""
        raise NotImplementedError

    def search_one(self, query):
        """K row numbers, by the call that a library has for a single query; the batch of one if it has none."""
        return self.search(query[None])[0]


class Cairn(Engine):
    package, normalises = "cairn", False
    efforts = [4, 5, 6, 8] + EFS  # below K it expands so many

    def build(self, rows):
        import cairn

        self.index = cairn.Index.create(dims=self.dims, metric={"cosine": "cosine", "l2": "l2sq"}[self.metric])
        self.index.build(None, rows, threads=self.threads)

    def save(self, folder):
        self.index.save(os.path.join(folder, "index.cairn"))

    def load(self, folder):
        import cairn

        self.index = cairn.Index.open(os.path.join(folder, "index.cairn"))

    def set(self, effort, variant):
        self.ef = effort

    def search(self, queries):
        return self.index.search(queries, k=K, ef=self.ef, threads=1).keys

    def search_one(self, query):
        return self.index.search(query, k=K, ef=self.ef).keys


class Hnswlib(Engine):
    package, m = "hnswlib", 16

    def _empty(self):
        import hnswlib

        return hnswlib.Index({"cosine": "ip", "l2": "l2"}[self.metric], self.dims)

    def build(self, rows):
        self.index = self._empty()
        self.index.init_index(len(rows), ef_construction=200, M=self.m)
        self.index.add_items(rows, num_threads=self.threads)

    def save(self, folder):
        self.index.save_index(os.path.join(folder, "index"))

    def load(self, folder):
        self.index = self._empty()
        self.index.load_index(os.path.join(folder, "index"))

    def set(self, effort, variant):
        self.index.set_ef(effort)

    def search(self, queries):
        return self.index.knn_query(queries, K, num_threads=1)[0]


class Hnswlib32(Hnswlib):
    m = 32


class Usearch(Engine):
    package, normalises, scalar = "usearch", False, "f32"

    def build(self, rows):
        from usearch.index import Index

        self.index = Index(ndim=self.dims, metric={"cosine": "cos", "l2": "l2sq"}[self.metric], dtype=self.scalar, connectivity=16,
                           expansion_add=200)
        self.index.add(np.arange(len(rows), dtype=np.uint64), rows, threads=self.threads)

    def save(self, folder):
        self.index.save(os.path.join(folder, "index"))

    def load(self, folder):
        from usearch.index import Index

        self.index = Index.restore(os.path.join(folder, "index"))

    def set(self, effort, variant):
        self.index.expansion_search = effort

    def search(self, queries):
        return self.index.search(queries, K, threads=1).keys


class UsearchI8(Usearch):
    scalar, metrics = "i8", ("cosine",)


class Faiss(Engine):
    package = "faiss-cpu"

    def factory(self, n):
        raise NotImplementedError

    def build(self, rows):
        import faiss

        faiss.omp_set_num_threads(self.threads)
        metric = faiss.METRIC_INNER_PRODUCT if self.metric == "cosine" else faiss.METRIC_L2
        self.index = faiss.index_factory(self.dims, self.factory(len(rows)), metric)
        self.tune()
        self.index.train(rows)
        self.index.add(rows)

    def tune(self):
        pass

    def save(self, folder):
        import faiss

        faiss.write_index(self.index, os.path.join(folder, "index"))

    def load(self, folder):
        import faiss

        self.index = faiss.read_index(os.path.join(folder, "index"))

    def search(self, queries):
        import faiss

        faiss.omp_set_num_threads(1)
        return self.index.search(queries, K, params=self.parameters)[1]


class FaissHnsw(Faiss):
    def factory(self, n):
        return "HNSW32,Flat"

    def tune(self):
        self.index.hnsw.efConstruction = 200

    def set(self, effort, variant):
        import faiss

        self.parameters = faiss.SearchParametersHNSW(efSearch=effort)


class FaissIvfPq(Faiss):
    efforts = PROBES
    variants = {"refine 40": 4, "refine 100": 10, "refine 250": 25}

    def factory(self, n):
        lists = 2 ** round(np.log2(4 * np.sqrt(n)))
        return f"IVF{lists},PQ{self.dims // 2}x4fs,RFlat"

    def set(self, effort, variant):
        import faiss

        self.parameters = faiss.IndexRefineSearchParameters(k_factor=variant, base_index_params=faiss.SearchParametersIVF(nprobe=effort))


class Scann(Engine):
    package, efforts = "scann", PROBES
    variants = {"reorder 40": 40, "reorder 100": 100, "reorder 250": 250}

    def build(self, rows):
        import scann

        leaves = int(np.sqrt(len(rows)))
        measure = "dot_product" if self.metric == "cosine" else "squared_l2"
        builder = scann.scann_ops_pybind.builder(rows, K, measure).set_n_training_threads(self.threads)
        self.index = builder.tree(num_leaves=leaves, num_leaves_to_search=leaves // 20 + 1, training_sample_size=len(rows)).score_ah(
            2, anisotropic_quantization_threshold=0.2).reorder(100).build()

    def save(self, folder):
        self.index.serialize(folder)

    def load(self, folder):
        import scann

        self.index = scann.scann_ops_pybind.load_searcher(folder)

    def set(self, effort, variant):
        self.leaves, self.reorder = effort, variant

    def search(self, queries):
        return self.index.search_batched(queries, K, pre_reorder_num_neighbors=self.reorder, leaves_to_search=self.leaves)[0]

    def search_one(self, query):
        return self.index.search(query, K, pre_reorder_num_neighbors=self.reorder, leaves_to_search=self.leaves)[0]


class Svs(Engine):
    """Vamana on LVQ codes of 4 bits and 8 more: squared L2 throughout, which ranks vectors of length 1 as cosine does."""

    package, bits = "scalable-vs", (4, 8)

    def _loader(self, folder):
        import svs

        base = svs.VectorDataLoader(os.path.join(folder, "base.svs"), svs.DataType.float32, self.dims)
        return svs.LVQLoader(base, primary=self.bits[0], residual=self.bits[1], strategy=svs.LVQStrategy.Auto)

    def build(self, rows):
        import tempfile

        import svs

        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "base.fvecs")
            with open(path, "wb") as file:
                whole = np.empty((len(rows), self.dims + 1), np.float32)
                whole[:, 0] = np.array([self.dims], np.int32).view(np.float32)[0]
                whole[:, 1:] = rows
                file.write(whole.tobytes())
            svs.convert_vecs_to_svs(path, os.path.join(folder, "base.svs"), dtype=svs.DataType.float32)
            parameters = svs.VamanaBuildParameters(alpha=1.2, graph_max_degree=64, window_size=200)
            self.index = svs.Vamana.build(parameters, self._loader(folder), svs.DistanceType.L2, num_threads=self.threads)

    def save(self, folder):
        self.index.save(*(os.path.join(folder, name) for name in ("config", "graph", "data")))

    def load(self, folder):
        import svs

        names = [os.path.join(folder, name) for name in ("config", "graph", "data")]
        self.index = svs.Vamana(names[0], svs.GraphLoader(names[1]), svs.SerializedObject(names[2]), svs.DistanceType.L2, num_threads=1)

    def set(self, effort, variant):
        self.index.search_window_size = effort

    def search(self, queries):
        return self.index.search(queries, K)[0]


class SvsLvq8(Svs):
    bits = (8, 0)


class SvsF16(Svs):
    """What SVS has for processors that are not Intel's: it refuses LVQ there."""

    def build(self, rows):
        import svs

        parameters = svs.VamanaBuildParameters(alpha=1.2, graph_max_degree=64, window_size=200)
        self.index = svs.Vamana.build(parameters, rows.astype(np.float16), svs.DistanceType.L2, num_threads=self.threads)

    def load(self, folder):
        import svs

        names = [os.path.join(folder, name) for name in ("config", "graph", "data")]
        data = svs.VectorDataLoader(names[2], svs.DataType.float16, self.dims)
        self.index = svs.Vamana(names[0], svs.GraphLoader(names[1]), data, svs.DistanceType.L2, num_threads=1)


class Symqg(Engine):
    package, degree = "rabitqlib", 32

    def build(self, rows):
        import rabitqlib

        self.index = rabitqlib.SymqgIndex(self.dims, self.degree, "l2")
        self.index.build(rows, 200, self.threads)

    def save(self, folder):
        self.index.save(os.path.join(folder, "index"))

    def load(self, folder):
        import rabitqlib

        self.index = rabitqlib.SymqgIndex.load(os.path.join(folder, "index"))

    def set(self, effort, variant):
        self.ef = effort

    def search(self, queries):
        return self.index.search_batch(queries, K, self.ef, 1)[0]


class HnswRabitq(Engine):
    package = "rabitqlib"

    def build(self, rows):
        import rabitqlib

        clusters = 16
        generator = np.random.default_rng(1)
        centroids = rows[generator.choice(len(rows), clusters, replace=False)]
        for _ in range(10):  # k-means on a sample, as its examples do with faiss
            sample = rows[generator.choice(len(rows), min(len(rows), 20_000), replace=False)]
            nearest = np.argmin((centroids**2).sum(1) - 2 * sample @ centroids.T, axis=1)
            centroids = np.stack([sample[nearest == i].mean(0) if (nearest == i).any() else centroids[i] for i in range(clusters)])
        nearest = np.argmin((centroids**2).sum(1) - 2 * rows @ centroids.T, axis=1)
        self.index = rabitqlib.HnswIndex(self.dims, len(rows), M=16, ef_construction=200, nbits=8, metric="l2")
        self.index.build(rows, np.ascontiguousarray(centroids, np.float32), nearest.astype(np.uint32), self.threads)

    def save(self, folder):
        self.index.save(os.path.join(folder, "index"))

    def load(self, folder):
        import rabitqlib

        self.index = rabitqlib.HnswIndex.load(os.path.join(folder, "index"))

    def set(self, effort, variant):
        self.ef = effort

    def search(self, queries):
        return self.index.search(queries, K, self.ef, 1)[0]


class Vsag(Engine):
    """HGraph on 8-bit codes with float32 for reordering. It takes one query a call, so a batch is a loop."""

    package, normalises = "pyvsag", False
    efforts = [ef for ef in EFS if ef <= 1000]

    def _empty(self):
        import pyvsag

        return pyvsag.Index("hgraph", json.dumps({
            "dtype": "float32", "metric_type": {"cosine": "cosine", "l2": "l2"}[self.metric], "dim": self.dims,
            "index_param": {"base_quantization_type": "sq8_uniform", "use_reorder": True, "precise_quantization_type": "fp32",
                            "max_degree": 32, "ef_construction": 200, "build_thread_count": self.threads}}))

    def build(self, rows):
        self.index = self._empty()
        self.index.build(rows.ravel(), np.arange(len(rows), dtype=np.int64), len(rows), self.dims)

    def save(self, folder):
        self.index.save(os.path.join(folder, "index"))

    def load(self, folder):
        self.index = self._empty()
        self.index.load(os.path.join(folder, "index"))

    def set(self, effort, variant):
        self.parameters = json.dumps({"hgraph": {"ef_search": effort}})

    def search(self, queries):
        return np.stack([self.index.knn_search(query, K, self.parameters)[0] for query in queries])


ENGINES = {
    "cairn": Cairn,
    "hnswlib M16": Hnswlib,
    "hnswlib M32": Hnswlib32,
    "usearch f32": Usearch,
    "usearch i8": UsearchI8,
    "faiss HNSW32": FaissHnsw,
    "faiss IVF-PQ": FaissIvfPq,
    "scann": Scann,
    "svs LVQ4x8": Svs,
    "svs LVQ8": SvsLvq8,
    "svs f16": SvsF16,
    "rabitqlib SymphonyQG": Symqg,
    "rabitqlib HNSW": HnswRabitq,
    "vsag HGraph": Vsag,
}
