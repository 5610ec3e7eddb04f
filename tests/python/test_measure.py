# SPDX-License-Identifier: Apache-2.0
"""How good and how fast searches are."""
import numpy as np
import pytest

import cairn
from conftest import rows


@pytest.fixture(scope="module")
def some():
    index = cairn.Index.create(dims=24, m=6, ef_construction=30)
    index.build(None, rows(5000, 24))
    return index, rows(200, 24, 2)


def test_recall_is_measured(some):
    index, queries = some
    told = []
    low = index.measure_recall(queries, k=10, ef=10, plan="walk", progress=lambda done, total: told.append((done, total)))
    high = index.measure_recall(queries, k=10, ef=300, plan="walk", threads=1)
    assert low.queries == 200 and low.lower <= low.recall <= low.upper and low.recall < high.recall > 0.99
    assert told and index.measure_recall(queries, plan="exact").recall == 1
    found = index.search(queries, k=10, ef=10, plan="walk").keys
    true = index.search(queries, k=10, plan="exact").keys
    hits = sum(len(set(a) & set(b)) for a, b in zip(found.tolist(), true.tolist()))
    assert low.recall == pytest.approx(hits / 2000, abs=2e-3)
    assert index.measure_recall(queries, filter=index.filter(only=range(50))).recall == 1
    with pytest.raises(ValueError):
        index.measure_recall(queries[:0])


def test_ef_is_advised_for_a_recall(some, tmp_path):
    index, queries = some
    ef = index.ef_for(0.9, queries, k=10)
    assert index.measure_recall(queries, k=10, ef=ef).recall >= 0.9 and 10 <= ef < 300
    with pytest.raises(ValueError):
        index.ef_for(1.5, queries)
    assert index.advised_ef == 0
    index.set_advised_ef(ef)
    assert index.advised_ef == index.stats.advised_ef == ef
    assert index.search(queries[0], ef=0).pairs() == index.search(queries[0], ef=ef).pairs()
    index.save(tmp_path / "some")
    with cairn.Index.open(tmp_path / "some") as reader:
        assert reader.advised_ef == ef
        with pytest.raises(cairn.ReadOnlyError):
            reader.set_advised_ef(3)
    index.set_advised_ef(0)
    with pytest.raises(ValueError):
        index.set_advised_ef(10**6)


def test_latencies_are_recorded_when_asked(some):
    index, queries = some
    index.search(queries)
    assert index.latency().count == 0 and index.latency().quantile_us(0.5) == 0
    index.record_latency()
    index.search(queries)
    index.search(queries[0])
    index.record_latency(False)
    index.search(queries[0])
    told = index.latency()
    assert told.count == 201 and 0 < told.quantile_us(0.1) <= told.quantile_us(0.99)
    assert index.stats.timed_searches == 201
    assert 'shard="a b"' in index.prometheus_text({"shard": "a b"}) and "cairn_" in index.prometheus_text()
