#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the annotated dump in docs/format.md ("An example") from a golden file and the document's own tables:
example_dump.py FILE.cairn docs/format.md"""
import re
import struct
import sys

SLOTS = (0x10000, 0x20000)
NAMES = ["", "HOT", "EXACT", "KEY", "UPPER", "HASH", "OVERFLOW", "CHECKSUM"]
ROW = re.compile(r"^\| (\d+) \| (\d+) \| ([^|]+) \| (\w+) \|")


def tables(document):
    """Heading -> [(offset, size, name)] for each table of fields."""
    found, heading = {}, None
    for line in document.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ").strip()
        match = ROW.match(line)
        if match:
            found.setdefault(heading, []).append((int(match[1]), int(match[2]), match[4]))
    return found


class Dump:
    def __init__(self, data, fields):
        self.data, self.tables, self.lines = data, fields, []

    def piece(self, at, size, note):
        """Bytes with a note, sixteen to a line; nothing if all are zero, no zero lines at the end."""
        piece = self.data[at:at + size].rstrip(b"\0")
        if not piece:
            return
        end = min(size, (len(piece) + 7) // 8 * 8)
        for row in range(0, end, 16):
            text = self.data[at + row:at + min(row + 16, end)].hex(" ")
            self.lines.append("%08x  %-47s  %s" % (at + row, text, note if row == 0 else "") if note and row == 0
                              else "%08x  %s" % (at + row, text))

    def struct(self, heading, base, prefix="", skip=()):
        for offset, size, name in self.tables[heading]:
            if name not in skip:
                self.piece(base + offset, size, prefix + name)

    def title(self, text):
        self.lines.append("")
        self.lines.append(text)


def extents(data):
    count = struct.unpack_from("<I", data, SLOTS[0] + 100)[0]
    keys = ("section", "flags", "logical", "length", "offset", "tree", "root")
    return [dict(zip(keys, struct.unpack_from("<HHxxxxQQQQQ", data, SLOTS[0] + 512 + 64 * i))) for i in range(count)]


def dump(data, fields):
    out = Dump(data, fields)
    out.lines.append("%08x bytes in all" % len(data))
    out.title("static header")
    out.struct("Static header", 0, skip=("sections", "checksum"))
    for i in range(7):
        _, _, stride = struct.unpack_from("<HHI", data, 128 + 16 * i)
        out.piece(128 + 16 * i, 16, "section %d %s, stride %d" % (i + 1, NAMES[i + 1], stride))
    out.struct("Static header", 0, skip=[name for _, _, name in fields["Static header"] if name != "checksum"])
    out.title("superblock, slot 0")
    out.struct("Superblock", SLOTS[0], skip=("counters", "extents", "checksum"))
    out.struct("Counters", SLOTS[0] + 128, "counters: ")
    for i, run in enumerate(extents(data)):
        out.struct("Extent entry", SLOTS[0] + 512 + 64 * i, NAMES[run["section"]] + " run: ")
    out.struct("Superblock", SLOTS[0], skip=[name for _, _, name in fields["Superblock"] if name != "checksum"])
    out.title("superblock, slot 1")
    out.lines.append("%08x  = %08x bytes at %08x" % (SLOTS[1], 16384, SLOTS[0]))
    sections(out, data, fields)
    return out.lines


def sections(out, data, fields):
    factor_offset = struct.unpack_from("<I", data, 60)[0]
    for run in extents(data):
        at = run["offset"]
        out.title(NAMES[run["section"]])
        if run["section"] == 1:
            out.piece(at, factor_offset, "code")
            out.struct("Node header", at + factor_offset)
        elif run["section"] == 5:
            out.struct("Bucket", at)
        elif run["section"] == 7:
            for page in range(0, run["length"], 4096):
                covered = next(NAMES[r["section"]] for r in extents(data) if r["section"] != 7 and r["tree"] == page)
                out.piece(at + page, 4096, "level 1 of the tree of " + covered)
        else:
            out.piece(at, run["length"], "record 0")


def main():
    data = open(sys.argv[1], "rb").read()
    text = open(sys.argv[2], encoding="utf-8").read()
    lines = "\n".join(line.rstrip() for line in dump(data, tables(text)))
    begin = text.index("```\n", text.index("## An example")) + 4
    end = text.index("```", begin)
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        out.write(text[:begin] + lines + "\n" + text[end:])


if __name__ == "__main__":
    main()
