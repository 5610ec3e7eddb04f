# SPDX-License-Identifier: Apache-2.0
"""cairn.langchain: the suite of langchain-tests, and what it does not ask."""
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
