# SPDX-License-Identifier: Apache-2.0
"""What is written about the package is true: docstrings, README, guide, stubs, types."""
import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cairn

ROOT = Path(__file__).parents[2]
PACKAGE = Path(cairn.__file__).parent


@pytest.mark.parametrize("name", ["cairn"] + [f"cairn.{module.name}" for module in pkgutil.iter_modules([str(PACKAGE)])])
def test_docstrings_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    try:
        module = importlib.import_module(name)
    except ImportError as error:  # an adapter whose package is missing
        pytest.skip(str(error))
    failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert failed == 0


def test_the_examples_count():
    assert doctest.DocTestFinder().find(cairn.Index) and ">>>" in cairn.__doc__


def run_page(page, there=frozenset()):
    """The blocks of a page run in order, as a notebook would; a line `# -> X` tells what the line before it prints.

    A block `# needs X` runs where the module X can be found, or is `there`.
    """
    text = (ROOT / page).read_text()
    names = {}
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    for block in blocks:
        needs = re.match(r"# needs ([\w, ]+)\n", block)
        if needs and not all(name in there or importlib.util.find_spec(name) for name in needs[1].split(", ")):
            continue
        lines = []
        for line in block.splitlines():
            told = re.match(r"# -> (.*)", line)
            if told:
                told_by = lines.pop()
                indent = " " * (len(told_by) - len(told_by.lstrip()))
                line = f"{indent}assert repr({told_by.strip()}) == {told[1]!r}"
            lines.append(line)
        exec(compile("\n".join(lines), page, "exec"), names)


@pytest.mark.parametrize("page", ["docs/guide/python.md", "docs/guide/shards.md", "engine/bindings/python/README.md"])
def test_pages_run(page, tmp_path, monkeypatch):
    if not (ROOT / page).exists():
        pytest.skip("not in a checkout")
    monkeypatch.chdir(tmp_path)
    run_page(page)


def test_the_stub_is_that_of_the_extension():
    stubgen = pytest.importorskip("nanobind.stubgen")
    generator = stubgen.StubGen(importlib.import_module("cairn._core"))
    generator.put(generator.module)
    assert generator.get() == (PACKAGE / "_core.pyi").read_text()


SAMPLE = """
import numpy as np
import cairn

index: cairn.Index = cairn.Index.create(dims=3, metric="l2sq", dtype=np.float16)
index.build(range(3), np.eye(3, dtype=np.float32), progress=lambda done, total: print(done, total))
index.add(4, [1.0, 2.0, 3.0])
keys, distances = index.search([1, 0, 0], k=2)
first: int = int(keys[0])
pairs: list[tuple[int, float]] = index.search([1, 0, 0]).pairs()
with cairn.Index.open("x", mode="r+", guard=True) as other:
    live: int = other.stats.live
    findings: list[str] = other.verify().findings
try:
    index.export("y", "hnswlib")
except cairn.CairnError as error:
    code: int = error.code
imported = cairn.import_index("z", source="faiss").import_report
reveal = imported.notes if imported else []
"""
WRONG = """
import cairn, numpy as np, numpy.typing
cairn.Index.create(3)
cairn.Index.open("x").search([1], 3, 4, 5)
cairn.Index.open("x").stats.lively
cairn.import_index("z").import_report.notes
fit: np.typing.NDArray[np.uint64] = cairn.Index.open("x").search([1]).keys
numbers: np.typing.NDArray[np.float32] = cairn.Index.open("x").search([1]).keys
"""


def mypy(*arguments, folder):
    pytest.importorskip("mypy")
    return subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(folder), *map(str, arguments)],
                          capture_output=True, text=True, cwd=folder)


def test_types_of_callers_are_checked(tmp_path):
    (tmp_path / "right.py").write_text(SAMPLE)
    (tmp_path / "wrong.py").write_text(WRONG)
    right = mypy("right.py", folder=tmp_path)
    assert right.returncode == 0, right.stdout
    wrong = mypy("wrong.py", folder=tmp_path)
    assert {int(line) for line in re.findall(r"wrong.py:(\d+): error", wrong.stdout)} == {3, 4, 5, 6, 8}, wrong.stdout


def test_the_package_itself_is_typed(tmp_path):
    # The stub's arrays have no element type where the extension takes several. What adapters import is theirs.
    found = mypy("--allow-any-generics", "--allow-subclassing-any", "--ignore-missing-imports", "-p", "cairn", folder=tmp_path)
    assert found.returncode == 0, found.stdout
