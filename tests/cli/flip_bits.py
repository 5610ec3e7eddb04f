#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files with one flipped bit, given to the command: flip_bits.py CAIRN [FLIPS]

Each flip is one bit of a header, a superblock, a link, a degree, a level, an upper record, a bucket or any byte, of a
closed file, of one with a log or of one with a journal. search, verify, add, remove and compact then run on one copy.
Each must end by itself, with exit code 0, 1 or 3, within a minute. Prints how they ended; fails if one did not.
"""
import collections
import json
import pathlib
import random
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CAIRN = str(pathlib.Path(sys.argv[1]).resolve())
FLIPS = int(sys.argv[2]) if len(sys.argv) > 2 else 3000
RANDOM = random.Random(1)
SECONDS = 60
SUPERBLOCKS = (64 << 10, 128 << 10)
# Places in the header of a node (docs/format.md, "Node header"), from its first factor.
UPPER, LEVEL, DEGREE, LINKS = 8, 12, 16, 20


def run(*arguments):
    return subprocess.run([CAIRN, *map(str, arguments)], capture_output=True, timeout=SECONDS, check=False)


def vectors(path, count, dims):
    rows = b"".join(RANDOM.randrange(1 << 23).to_bytes(3, "little") + b"\x3e" for _ in range(count * dims))
    path.write_bytes(count.to_bytes(4, "little") + dims.to_bytes(4, "little") + rows)


class Base:
    """A sound file, and where in it is what."""

    def __init__(self, name, path, folder):
        self.name = name
        self.bytes = path.read_bytes()
        info = json.loads(run("info", path, "--json").stdout)
        self.header = info["header"]
        self.dims = self.header["dimensions"]
        self.nodes = info["counters"]["slots_used"]
        self.runs = {}
        for extent in info["extents"]:
            self.runs.setdefault(extent["section"], extent)
        self.row = folder / f"{name}.row.fbin"
        vectors(self.row, 1, self.dims)
        self.queries = folder / f"{name}.queries.fbin"
        vectors(self.queries, 5, self.dims)

    def places(self):
        node = self.runs["HOT"]["file_offset"] + RANDOM.randrange(self.nodes) * self.header["hot_stride"]
        node += self.header["hot_factor_offset"]
        return {
            "header": RANDOM.randrange(4096),
            "superblock": RANDOM.choice(SUPERBLOCKS) + RANDOM.randrange(1024),
            "link": node + LINKS + RANDOM.randrange(4 * self.header["m_max0"]),
            "degree": node + DEGREE + RANDOM.randrange(4),
            "level": node + LEVEL,
            "first upper": node + UPPER + RANDOM.randrange(4),
            "upper record": self.anywhere("UPPER"),
            "bucket": self.anywhere("HASH"),
            "any byte": RANDOM.randrange(len(self.bytes)),
        }

    def anywhere(self, section):
        if section not in self.runs:
            return RANDOM.randrange(len(self.bytes))
        extent = self.runs[section]
        return extent["file_offset"] + RANDOM.randrange(min(extent["length"], 8192))


def main():
    ended = collections.Counter()
    bad = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        closed = folder / "closed.cairn"
        rows = folder / "rows.fbin"
        vectors(rows, 400, 8)
        for command in (("build", rows, "-o", closed, "--m", 4, "--ef-construction", 40, "-q"),
                        ("remove", closed, *range(0, 400, 9), "-q")):
            if run(*command).returncode != 0:
                sys.exit(f"{command} fails")
        golden = HERE.parent / "golden"
        bases = [Base("closed", closed, folder), Base("log", golden / "forty_with_log.cairn", folder),
                 Base("journal", golden / "forty_with_journal.cairn", folder)]
        patient = folder / "patient.cairn"
        for flip in range(FLIPS):
            base = RANDOM.choice((bases[0], bases[0], bases[1], bases[2]))
            what, at = RANDOM.choice(sorted(base.places().items()))
            at = min(at, len(base.bytes) - 1)
            bit = RANDOM.randrange(8)
            image = bytearray(base.bytes)
            image[at] ^= 1 << bit
            patient.write_bytes(image)
            for command in (("search", patient, base.queries, "-k", 5), ("verify", patient),
                            ("add", patient, base.row, "--replace"), ("remove", patient, 1), ("compact", patient)):
                place = f"{base.name} file, {what}, bit {bit} of byte {at}: cairn {command[0]}"
                try:
                    code = run(*command).returncode
                except subprocess.TimeoutExpired:
                    bad.append(f"{place}: no end after {SECONDS} s")
                    continue
                ended[command[0], code] += 1
                if code not in (0, 1, 3):
                    bad.append(f"{place}: ended with {code}")
            if (flip + 1) % 500 == 0:
                print(f"{flip + 1} flips, {len(bad)} findings", flush=True)
    for (command, code), count in sorted(ended.items()):
        print(f"{command:8} exit code {code}: {count}")
    print(f"{FLIPS} flips, {sum(ended.values())} commands, {len(bad)} findings")
    for line in bad[:50]:
        print(line)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
