# SPDX-License-Identifier: Apache-2.0
"""cairn.langchain: the suite of langchain-tests, and what it does not ask."""
import subprocess
import sys

import pytest

pytest.importorskip("langchain_core")
suite = pytest.importorskip("langchain_tests.integration_tests")
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding

import cairn
from cairn.langchain import CairnVectorStore

EMBEDDING = DeterministicFakeEmbedding(size=16)


class TestInMemory(suite.VectorStoreIntegrationTests):
    @pytest.fixture()
    def vectorstore(self):
        store = CairnVectorStore(self.get_embeddings())
        yield store
        store.close()


class TestInAFolder(suite.VectorStoreIntegrationTests):
    @pytest.fixture()
    def vectorstore(self, tmp_path):
        store = CairnVectorStore(self.get_embeddings(), folder=tmp_path / "store")
        yield store
        store.close()


def test_a_folder_keeps_what_was_added(tmp_path):
    store = CairnVectorStore.from_texts(["a", "b"], EMBEDDING, [{"n": 1}, {"n": [2]}], ids=["x", "y"], folder=tmp_path)
    store.delete(["x"])
    store.close()
    store = CairnVectorStore(EMBEDDING, folder=tmp_path)
    assert store.similarity_search("b", k=5) == [Document(id="y", page_content="b", metadata={"n": [2]})]
    store.close()


def test_filters_find_all_that_pass():
    store = CairnVectorStore.from_texts([str(i) for i in range(300)], EMBEDDING, [{"n": i} for i in range(300)])
    found = store.similarity_search("7", k=3, filter=lambda document: document.metadata["n"] > 296)
    assert sorted(document.metadata["n"] for document in found) == [297, 298, 299]
    assert store.similarity_search("7", k=1, filter=lambda document: False) == []


def test_scores():
    for metric in ("cosine", "l2sq", "inner_product"):
        store = CairnVectorStore.from_texts(["a", "b"], EMBEDDING, metric=metric)
        (first, distance), _ = store.similarity_search_with_score("a", k=2)
        assert first.page_content == "a" and (metric == "inner_product" or distance == 0)
        if metric != "inner_product":  # of vectors that are not of norm 1 it says nothing
            relevance = store.similarity_search_with_relevance_scores("a", k=2)
            assert relevance[0][1] == 1 and 0 <= relevance[1][1] < 1


def test_marginal_relevance_passes_over_copies():
    store = CairnVectorStore.from_texts(["a", "a", "a", "b"], EMBEDDING)
    assert {one.page_content for one in store.max_marginal_relevance_search("a", k=2, lambda_mult=0.1)} == {"a", "b"}


def test_the_last_of_one_id_stays():
    store = CairnVectorStore.from_texts(["a", "b"], EMBEDDING, ids=["x", "x"])
    assert [one.page_content for one in store.similarity_search("a", k=4)] == ["b"] and len(store.index) == 1


def test_a_failed_add_leaves_nothing(tmp_path):
    store = CairnVectorStore(EMBEDDING, folder=tmp_path)
    store.add_texts(["a"])

    class Spoilt:
        def embed_documents(self, texts):
            return [[float("nan")] * 16 for _ in texts]

        def embed_query(self, text):
            return EMBEDDING.embed_query(text)

    store._embedding = Spoilt()
    with pytest.raises(cairn.NotFiniteError):
        store.add_texts(["b"], ids=["b"])
    assert store.get_by_ids(["b"]) == [] and len(store.similarity_search("a", k=5)) == 1
    with pytest.raises(ValueError):
        store.add_texts(["a", "b"], ids=["one"])
    store.close()


def test_a_deletion_cut_in_two_is_finished(tmp_path):
    store = CairnVectorStore.from_texts(["a", "b"], EMBEDDING, ids=["x", "y"], folder=tmp_path)
    store.index.remove(1)
    store.close()
    store = CairnVectorStore(EMBEDDING, folder=tmp_path)
    assert store.get_by_ids(["x", "y"])[0].id == "y"
    store.close()


def test_texts_without_their_vectors_are_damage(tmp_path):
    CairnVectorStore.from_texts(["a"], EMBEDDING, folder=tmp_path).close()
    (tmp_path / "vectors.cairn").unlink()
    with pytest.raises(cairn.DamagedFileError):
        CairnVectorStore(EMBEDDING, folder=tmp_path)


def test_two_stores_do_not_share_a_folder(tmp_path):
    store = CairnVectorStore.from_texts(["a"], EMBEDDING, folder=tmp_path)
    with pytest.raises(cairn.PathInUseError):
        CairnVectorStore(EMBEDDING, folder=tmp_path)
    store.close()


class Given:
    """Embeddings of texts that are given."""

    def __init__(self, **vectors):
        self.vectors = vectors

    def embed_documents(self, texts):
        return [self.vectors[text] for text in texts]

    def embed_query(self, text):
        return self.vectors[text]


def test_the_relevance_by_inner_product_is_the_product():
    store = CairnVectorStore.from_texts(["b", "c"], Given(a=[1, 0], b=[1, 0], c=[0.5, 0.75]), metric="ip")
    found = store.similarity_search_with_relevance_scores("a", k=2)
    assert [(one.page_content, score) for one, score in found] == [("b", 1.0), ("c", 0.5)]
    found = store.similarity_search_with_relevance_scores("a", k=2, score_threshold=0.9)
    assert [one.page_content for one, _ in found] == ["b"]


def test_a_folder_is_scored_by_its_own_metric(tmp_path):
    store = CairnVectorStore.from_texts(["a", "b"], Given(a=[4, 0], b=[0, 4]), folder=tmp_path, metric="l2sq")
    expected = store.similarity_search_with_relevance_scores("a", k=2)
    store.close()
    store = CairnVectorStore(Given(a=[4, 0]), folder=tmp_path)
    assert store.metric == "l2sq" and store.similarity_search_with_relevance_scores("a", k=2) == expected
    assert [score for _, score in expected] == [1, 1 / 33]
    store.close()


def test_a_folder_is_not_opened_with_another_metric(tmp_path):
    CairnVectorStore.from_texts(["a"], EMBEDDING, folder=tmp_path, metric="l2sq").close()
    for options in ({"metric": "cosine"}, {"options": {"metric": "ip"}}):
        with pytest.raises(cairn.InvalidArgumentError, match="l2sq"):
            CairnVectorStore(EMBEDDING, folder=tmp_path, **options)
    with pytest.raises(cairn.InvalidArgumentError, match="euclid"):
        CairnVectorStore(EMBEDDING, metric="euclid")
    CairnVectorStore(EMBEDDING, folder=tmp_path, metric="l2sq").close()


def all_of(store, query):
    return [(one.id, one.page_content, distance) for one, distance in store.similarity_search_with_score(query, k=9)]


def test_a_failed_replacement_leaves_texts_and_vectors_as_they_were(tmp_path):
    given = Given(a=[1, 0], b=[0, 1], c=[-1, 0], bad=[float("nan"), 0])
    store = CairnVectorStore.from_texts(["a", "b"], given, ids=["x", "y"], folder=tmp_path)
    before = all_of(store, "a")
    with pytest.raises(cairn.NotFiniteError):
        store.add_texts(["c", "bad"], ids=["x", "y"])
    assert all_of(store, "a") == before and len(store.index) == 2
    store.close()
    store = CairnVectorStore(given, folder=tmp_path)
    assert all_of(store, "a") == before
    store.add_texts(["c", "a"], ids=["x", "y"])
    assert all_of(store, "a") == [("y", "a", 0), ("x", "c", 2)] and len(store.index) == 2
    store.close()


REPLACES = """
import os, sys
from cairn.langchain import CairnVectorStore
class Given:
    def embed_documents(self, texts):
        return [{"a": [1, 0], "b": [0, 1], "c": [-1, 0]}[text] for text in texts]
store = CairnVectorStore(Given(), folder=sys.argv[1])
store._texts.set_trace_callback(lambda statement: os._exit(7) if statement.startswith(sys.argv[2]) else None)
store.add_texts(["c", "a"], ids=["x", "y"])
"""


@pytest.mark.parametrize("statement, is_replaced", [("COMMIT", False), ("DELETE FROM replaced", True)])
def test_a_replacement_that_a_crash_cuts_off_is_all_or_nothing(statement, is_replaced, tmp_path):
    given = Given(a=[1, 0], b=[0, 1], c=[-1, 0])
    CairnVectorStore.from_texts(["a", "b"], given, ids=["x", "y"], folder=tmp_path).close()
    assert subprocess.run([sys.executable, "-c", REPLACES, tmp_path, statement], timeout=60).returncode == 7
    store = CairnVectorStore(given, folder=tmp_path)
    expected = [("y", "a", 0), ("x", "c", 2)] if is_replaced else [("x", "a", 0), ("y", "b", 1)]
    assert all_of(store, "a") == expected
    if is_replaced:
        assert len(store.index) == 2
    store.add_texts(["b"], ids=["x"])
    assert [one for one in all_of(store, "b") if one[0] == "x"] == [("x", "b", 0)]
    store.close()


def test_a_text_that_is_replaced_again_and_again_is_always_found(tmp_path):
    import threading

    given = Given(a=[1, 0], b=[0, 1])
    store = CairnVectorStore.from_texts(["a", "b"], given, ids=["x", "y"], folder=tmp_path)
    ended = threading.Event()

    def replace():
        for i in range(60):
            store.add_texts(["a"], ids=["x"], metadatas=[{"n": i}])
        ended.set()

    thread = threading.Thread(target=replace)
    thread.start()
    while not ended.is_set():
        assert sorted(one.id for one in store.similarity_search("a", k=2)) == ["x", "y"]
        assert len(store.max_marginal_relevance_search("a", k=2)) >= 1
    thread.join()
    assert len(store.index) == 2
    store.close()
