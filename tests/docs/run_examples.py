#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the commands of a page: run_examples.py CAIRN PAGE.md

What stands in its blocks marked `sh` is run by bash, as one script that ends at the first failure, in a folder that has
what the pages speak of: tests/data, words.fbin and words.txt (the sample), words.cairn (an index of it, unless the page
builds it), queries.fbin (100 rows), more.fbin and keys.txt (100 rows with keys of their own). Blocks whose first word
is a tool of the sources (tools/, cmake) are left out.
"""
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
ROWS = 100


def commands_of(page):
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    blocks = [block for block in blocks if not re.match(r"tools/|cmake ", block)]
    if not blocks:
        sys.exit(f"{page}: no commands")
    return "".join(blocks)


def prepare(folder, cairn, builds_it):
    (folder / "tests").mkdir()
    (folder / "tests" / "data").symlink_to(DATA)
    for name in ("words.fbin", "words.txt"):
        (folder / name).symlink_to(DATA / name)
    if not builds_it:
        subprocess.run([cairn, "build", "words.fbin", "-o", "words.cairn", "--quiet"], cwd=folder, check=True)
    sample = (DATA / "words.fbin").read_bytes()
    rows, dims = struct.unpack("<II", sample[:8])
    some = struct.pack("<II", ROWS, dims) + sample[8:8 + ROWS * dims * 4]
    (folder / "queries.fbin").write_bytes(some)
    (folder / "more.fbin").write_bytes(some)
    (folder / "keys.txt").write_text("".join(f"{rows + i}\n" for i in range(ROWS)))


def main():
    cairn, page = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    script = commands_of(page)
    with tempfile.TemporaryDirectory(prefix="cairn-examples-") as scratch:
        tools, folder = pathlib.Path(scratch, "bin"), pathlib.Path(scratch, "work")
        tools.mkdir()
        folder.mkdir()
        (tools / "cairn").symlink_to(cairn)
        prepare(folder, cairn, "-o words.cairn" in script)
        result = subprocess.run(
            ["bash", "-c", "set -eux -o pipefail\n" + script], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, env=dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}", LC_ALL="C"))
    if result.returncode != 0:
        sys.exit(f"{page}: exit code {result.returncode}\n{result.stdout}{result.stderr}")
    print(f"{page}: ok\n{result.stdout}")


main()
