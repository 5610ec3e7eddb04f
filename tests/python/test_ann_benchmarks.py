# SPDX-License-Identifier: Apache-2.0
"""bench/ann_benchmarks/module.py, called as ann-benchmarks calls it."""
import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from conftest import rows

MODULE = Path(__file__).parents[2] / "bench/ann_benchmarks/module.py"


@pytest.fixture
def Cairn(monkeypatch):
    if not MODULE.exists():
        pytest.skip("not in a checkout")
    base = types.ModuleType("algorithms.base.module")
    base.BaseANN = object
    for name in ("algorithms", "algorithms.base", "algorithms.cairn"):
        package = types.ModuleType(name)
        package.__path__ = []
        monkeypatch.setitem(sys.modules, name, package)
    monkeypatch.setitem(sys.modules, "algorithms.base.module", base)
    spec = importlib.util.spec_from_file_location("algorithms.cairn.module", MODULE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Cairn


@pytest.mark.parametrize("metric", ["angular", "euclidean", "hamming"])
def test_fit_query_batch(Cairn, metric):
    given = rows(400, 24)
    if metric == "hamming":
        given = given > 0
    one = Cairn(metric, {"M": 8, "efConstruction": 100})
    one.fit(given)
    one.set_query_arguments(50)
    assert "ef=50" in str(one)
    first = [one.query(row, 5) for row in given[:10]]
    one.batch_query(given[:10], 5)
    batch = one.get_batch_results()
    assert all((a == b).all() for a, b in zip(first, batch)) and [a[0] for a in first] == list(range(10))
    one.done()


def test_other_metrics_are_not_there(Cairn):
    with pytest.raises(NotImplementedError):
        Cairn("jaccard", {"M": 8, "efConstruction": 100})
