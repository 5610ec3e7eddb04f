# SPDX-License-Identifier: Apache-2.0
"""A vector store of LangChain: vectors in a cairn.Index, texts beside it in SQLite; in memory, or in a folder.

>>> from cairn.langchain import CairnVectorStore
>>> from langchain_core.embeddings import DeterministicFakeEmbedding
>>> store = CairnVectorStore(DeterministicFakeEmbedding(size=8))
>>> store.add_texts(["one", "two"], ids=["a", "b"])
['a', 'b']
>>> store.similarity_search("two", k=1)[0].id
'b'
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from langchain_core.vectorstores.utils import maximal_marginal_relevance

from ._errors import CairnError, DamagedFileError, InvalidArgumentError
from ._index import METRICS, Index, _number

TEXTS = "CREATE TABLE IF NOT EXISTS texts (key INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, text TEXT NOT NULL, metadata TEXT NOT NULL)"
# Keys of vectors that were replaced, and are still to be removed.
REPLACED = "CREATE TABLE IF NOT EXISTS replaced (key INTEGER PRIMARY KEY)"
Filter = Callable[[Document], bool] | None


class CairnVectorStore(VectorStore):
    """Documents, found by the nearness of their embeddings.

    Args:
        embedding: makes vectors of texts.
        folder: keeps `vectors.cairn` and `texts.sqlite` there; None: in memory.
        metric: "cosine", "l2sq" or "inner_product"; None: the folder's, "cosine" for a new one. InvalidArgumentError if the
            folder has another.
        ef: candidates that a search keeps.
        options: more of `cairn.Index.create`: m, ef_construction, dtype ... A folder that there is keeps its own.

    What a call has added or deleted is on disk when it returns. One that adds or replaces does all of it or nothing, also if the
    process ends meanwhile. One process at a time may have a folder open.

    Relevance scores, 1 the best: of cosine 1 - distance / 2, of l2sq 1 / (1 + distance), of inner_product the product itself, which
    lies between 0 and 1 if the embeddings have norm 1 and are not opposed.
    """

    def __init__(
        self,
        embedding: Embeddings,
        *,
        folder: str | os.PathLike[str] | None = None,
        metric: str | None = None,
        ef: int = 64,
        options: dict[str, Any] | None = None,
    ) -> None:
        self._embedding = embedding
        self._folder = None if folder is None else Path(folder)
        self._options = dict(options or {})
        if metric is not None:
            self._options["metric"] = metric
        if "metric" in self._options:
            _number(METRICS, self._options["metric"], "metric")
        self._ef = ef
        self._lock = threading.RLock()
        self._changes = 0  # texts that were added, or got other vectors, so many times
        self._index: Index | None = None
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            if self._vectors.exists():
                self._index = Index.open(self._vectors, "r+", durability="none")
                self._check_metric(self._index)
        self._texts = sqlite3.connect(
            ":memory:" if self._folder is None else self._folder / "texts.sqlite", check_same_thread=False, isolation_level=None
        )
        try:
            self._texts.execute(TEXTS)
            self._texts.execute(REPLACED)
            self._drop_texts_without_vectors()
            self._remove_replaced()
        except BaseException:
            self.close()
            raise

    @property
    def _vectors(self) -> Path:
        assert self._folder is not None
        return self._folder / "vectors.cairn"

    def _check_metric(self, index: Index) -> None:
        found = index.metric
        wanted = self._options.get("metric", found)
        if METRICS[wanted] != METRICS[found]:
            index.close()
            raise InvalidArgumentError(f"{self._folder}: its metric is {found!r}, not {wanted!r}")

    @property
    def metric(self) -> str:
        """Of the index, or of the one that the first text makes."""
        return self._index.metric if self._index is not None else str(self._options.get("metric", "cosine"))

    def _drop_texts_without_vectors(self) -> None:
        """A deletion that a crash has cut in two is finished."""
        keys = [key for (key,) in self._texts.execute("SELECT key FROM texts")]
        index = self._index
        if keys and index is None:
            raise DamagedFileError(f"{self._folder}: texts without vectors.cairn")
        lost = [(key,) for key in keys if index is not None and key not in index]
        self._texts.executemany("DELETE FROM texts WHERE key = ?", lost)

    def _remove_replaced(self) -> None:
        """Vectors whose texts have got others. They are not shown; what cannot be removed now is so later."""
        keys = [key for (key,) in self._texts.execute("SELECT key FROM replaced")]
        if self._index is not None and keys:
            self._remove_vectors(keys)
            self._index.sync()
            self._texts.execute("DELETE FROM replaced")

    def _remove_vectors(self, keys: Iterable[int]) -> None:
        for key in keys:
            if self._index is not None and key in self._index:
                self._index.remove(key)

    def close(self) -> None:
        """Closes both files."""
        with self._lock:
            if self._index is not None:
                self._index.close()
            self._texts.close()

    @property
    def embeddings(self) -> Embeddings:
        return self._embedding

    @property
    def index(self) -> Index | None:
        """The index itself; None as long as it is empty."""
        return self._index

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **kwargs: Any,
    ) -> list[str]:
        """Adds texts, or replaces those whose ids there are. Metadata is what JSON can hold. Returns the ids."""
        all_texts = list(texts)
        names = [name or str(uuid.uuid4()) for name in (ids if ids is not None else [None] * len(all_texts))]
        details = metadatas if metadatas is not None else [{} for _ in all_texts]
        if not len(all_texts) == len(names) == len(details):
            raise InvalidArgumentError(f"{len(all_texts)} texts, {len(names)} ids, {len(details)} metadatas")
        if not all_texts:
            return []
        rows = np.asarray(self._embedding.embed_documents(all_texts), np.float32)
        packed = [json.dumps(one) for one in details]
        last = {name: i for i, name in enumerate(names)}  # of those that have one id the last is what stays
        chosen = list(last.values())
        with self._lock:
            index = self._index_of(rows.shape[1])
            keys: list[int] = []
            self._texts.execute("BEGIN IMMEDIATE")
            try:
                # Each text gets a key that no text has had, also where it takes the place of another: until the texts are
                # committed the vectors of before stay, and a vector without a text is never shown.
                keys += [self._put(names[i], all_texts[i], packed[i]) for i in chosen]
                index.upsert(keys, rows[chosen])
                index.sync()
                self._texts.execute("COMMIT")
            except BaseException:
                self._texts.execute("ROLLBACK")
                with contextlib.suppress(CairnError):  # they are not shown, and their keys are given out again
                    self._remove_vectors(keys)
                raise
            self._changes += 1
            with contextlib.suppress(CairnError, sqlite3.Error):  # what was added is there in any case
                self._remove_replaced()
        return names

    def _index_of(self, dims: int) -> Index:
        if self._index is None:
            path = None if self._folder is None else self._vectors
            self._index = Index.create(path, dims=dims, durability="none", **{"metric": "cosine", **self._options})
        return self._index

    def _put(self, name: str, text: str, metadata: str) -> int:
        """The key of a text that is new, or takes the place of the one with that id."""
        ((key,),) = self._texts.execute(
            "SELECT 1 + max(coalesce((SELECT max(key) FROM texts), 0), coalesce((SELECT max(key) FROM replaced), 0))"
        ).fetchall()
        self._texts.execute("INSERT INTO replaced SELECT key FROM texts WHERE id = ?", (name,))
        self._texts.execute(
            "INSERT INTO texts (key, id, text, metadata) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET key = excluded.key, text = excluded.text, metadata = excluded.metadata",
            (key, name, text, metadata),
        )
        return int(key)

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        """As add_texts, of documents; an id of `ids` comes before the document's own."""
        ids = kwargs.pop("ids", None) or [document.id for document in documents]
        return self.add_texts([one.page_content for one in documents], [one.metadata for one in documents], ids=ids, **kwargs)

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool | None:
        """Deletes documents by their ids; None: all. Unknown ids are passed over."""
        with self._lock:
            self._texts.execute("BEGIN IMMEDIATE")
            try:
                if ids is None:
                    keys = [key for (key,) in self._texts.execute("DELETE FROM texts RETURNING key").fetchall()]
                else:
                    one = "DELETE FROM texts WHERE id = ? RETURNING key"
                    keys = [key for name in ids for (key,) in self._texts.execute(one, (name,)).fetchall()]
                self._remove_vectors(keys)
                if self._index is not None:
                    self._index.sync()
                self._texts.execute("COMMIT")
            except BaseException:
                self._texts.execute("ROLLBACK")
                self._drop_texts_without_vectors()
                raise
        return True

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents of ids, those that there are."""
        with self._lock:
            found = (self._texts.execute("SELECT id, text, metadata FROM texts WHERE id = ?", (name,)).fetchone() for name in ids)
            return [_document(row) for row in found if row]

    def similarity_search(self, query: str, k: int = 4, filter: Filter = None, **kwargs: Any) -> list[Document]:
        """The k nearest documents; `filter`: only those for which it is true."""
        return [document for document, _ in self.similarity_search_with_score(query, k, filter, **kwargs)]

    def similarity_search_with_score(self, query: str, k: int = 4, filter: Filter = None, **kwargs: Any) -> list[tuple[Document, float]]:
        """With their distances."""
        return self.similarity_search_with_score_by_vector(self._embedding.embed_query(query), k, filter, **kwargs)

    def similarity_search_by_vector(self, embedding: list[float], k: int = 4, filter: Filter = None, **kwargs: Any) -> list[Document]:
        return [document for document, _ in self.similarity_search_with_score_by_vector(embedding, k, filter, **kwargs)]

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, filter: Filter = None, **kwargs: Any
    ) -> list[tuple[Document, float]]:
        return [(document, distance) for _, document, distance in self._nearest(embedding, k, filter)]

    def _nearest(self, embedding: list[float], k: int, filter: Filter) -> list[tuple[int, Document, float]]:
        if k < 1:
            raise InvalidArgumentError(f"k {k}: at least 1")
        if self._index is None:
            return []
        query = np.asarray(embedding, np.float32)
        wanted = k
        while True:  # more and more, until enough pass the filter
            before = self._changes
            pairs = self._index.search(query, k=wanted, ef=max(self._ef, wanted)).pairs()
            found = []
            lost = False
            for key, distance in pairs:
                with self._lock:
                    row = self._texts.execute("SELECT id, text, metadata FROM texts WHERE key = ?", (key,)).fetchone()
                lost = lost or row is None
                if row and (filter is None or filter(_document(row))):
                    found.append((key, _document(row), distance))
            if lost and self._changes != before:  # a text may have got another vector since
                continue
            if len(found) >= k or wanted >= len(self._index):
                return found[:k]
            wanted = min(2 * wanted, len(self._index))

    def max_marginal_relevance_search(
        self, query: str, k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, filter: Filter = None, **kwargs: Any
    ) -> list[Document]:
        """k of the fetch_k nearest, near to the query (lambda_mult 1) and unlike each other (0)."""
        return self.max_marginal_relevance_search_by_vector(self._embedding.embed_query(query), k, fetch_k, lambda_mult, filter)

    def max_marginal_relevance_search_by_vector(
        self, embedding: list[float], k: int = 4, fetch_k: int = 20, lambda_mult: float = 0.5, filter: Filter = None, **kwargs: Any
    ) -> list[Document]:
        found = self._nearest(embedding, fetch_k, filter)
        if not found or self._index is None:
            return []
        there = [(self._index.get(key), document) for key, document, _ in found]
        there = [(row, document) for row, document in there if row is not None]  # replaced or deleted meanwhile
        rows = [row.tolist() for row, _ in there]
        chosen = maximal_marginal_relevance(np.asarray(embedding, np.float32), rows, lambda_mult, k)
        return [there[i][1] for i in chosen]

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        if self.metric == "cosine":
            return lambda distance: 1 - distance / 2
        if self.metric == "l2sq":
            return lambda distance: 1 / (1 + distance)
        return lambda distance: 1 - distance  # LangChain's own expects another distance

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: list[str] | None = None,
        **kwargs: Any,
    ) -> CairnVectorStore:
        """A store of texts; the rest as for the class itself."""
        store = cls(embedding, **kwargs)
        store.add_texts(texts, metadatas, ids=ids)
        return store


def _document(row: tuple[str, str, str]) -> Document:
    return Document(id=row[0], page_content=row[1], metadata=json.loads(row[2]))
