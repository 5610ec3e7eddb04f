# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

import cairn


def rows(n, dims, seed=1):
    return np.random.default_rng(seed).standard_normal((n, dims), dtype=np.float32)


@pytest.fixture
def vectors():
    return rows(300, 16)


@pytest.fixture
def index(vectors):
    """Keys 0, 10, 20 ... of 300 vectors."""
    made = cairn.Index.create(dims=16)
    made.build(np.arange(300) * 10, vectors)
    return made


@pytest.fixture
def path(tmp_path):
    return tmp_path / "some.cairn"


@pytest.fixture
def file(index, path):
    index.save(path)
    return path
