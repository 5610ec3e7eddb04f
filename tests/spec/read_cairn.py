#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A second reader of Cairn files, written from docs/format.md alone.

  read_cairn.py FILE... [--queries QUERIES.fbin] [-k 10] [--pages] [--salvage]

Checks each file as the document says, every checksum and the structure of key table and graph included, and prints what
it holds as a line of JSON: parameters, counters, keys, vectors as bit patterns of f32, and for each query the k nearest
keys with their distances, found by comparing it with every vector. Queries are f32; for hamming, a component that is
not 0 is a bit that is set. --pages looks no further than at pages: it prints counters and the page checksums of each
section, with journal and log. A file that is not good gives {"error": CODE, "message": ...} and exit code 1; --salvage
reads a log from which frames are missing, up to the first of them."""
import argparse
import ctypes
import fcntl
import json
import os
import struct
import sys

import numpy as np

from xxh3 import xxh3_128, xxh3_64, xxh3_64_rows

PAGE, HUGE, NONE = 4096, 2 << 20, 0xFFFFFFFF
FIRST_RUN = 256 << 10
SLOTS = (64 << 10, 128 << 10)
RUNTIME = 192 << 10
LOCK_BYTE = 1 << 62
TRIES = 20
MASK = (1 << 64) - 1
HOT, EXACT, KEY, UPPER, HASH, OVERFLOW, CHECKSUM = range(1, 8)
NAMES = {1: "HOT", 2: "EXACT", 3: "KEY", 4: "UPPER", 5: "HASH", 6: "OVERFLOW", 7: "CHECKSUM"}
METRICS = {1: "cosine", 2: "l2sq", 3: "inner_product", 4: "hamming"}


class Bad(Exception):
    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def must(condition, message, code="corrupt"):
    if not condition:
        raise Bad(code, message)


def round_up(value, unit):
    return (value + unit - 1) // unit * unit


def stored128(data):
    return struct.unpack("<QQ", data)


# Static header

def read_header(data):
    if len(data) < PAGE:
        must(data[:8] == b"\x89CAR\r\n\x1a\n", "no magic", "not_a_cairn_file")
        raise Bad("truncated", "header")
    must(data[:8] == b"\x89CAR\r\n\x1a\n", "no magic", "not_a_cairn_file")
    must(stored128(data[4080:4096]) == xxh3_128(data[:4080]), "header checksum")
    major, minor, endian = struct.unpack_from("<HHI", data, 8)
    must((major, minor) == (0, 1), "version", "version_unsupported")
    must(endian == 0x01020304, "endian_tag")
    page, huge, dimensions, metric, scalar, traversal, several = struct.unpack_from("<IIIBBBB", data, 32)
    must(page == PAGE and huge == HUGE, "page sizes")
    must(1 <= dimensions <= 65535, "dimensions")
    must(1 <= metric <= 4 and 1 <= scalar <= 5 and 1 <= traversal <= 2, "unknown kind", "feature_unsupported")
    must(several <= 1, "several_per_key")
    must((metric == 4) == (scalar == 5), "metric for that scalar")
    must(traversal == 2 or scalar <= 3, "traversal for that scalar")
    m, m_max0, ef_construction, factor_offset, seed = struct.unpack_from("<IIIIQ", data, 48)
    hot_stride, exact_stride, upper_stride, sections, hash_seed = struct.unpack_from("<IIIIQ", data, 72)
    must(2 <= m <= 256 and 1 <= ef_construction <= 65536, "m, ef_construction")
    must(7 <= sections <= 16, "section_count")
    vector_bytes = {1: 4 * dimensions, 2: 2 * dimensions, 3: 2 * dimensions, 4: dimensions,
                    5: (dimensions + 7) // 8}[scalar]
    code_bytes = dimensions if traversal == 1 else vector_bytes
    must(factor_offset == round_up(code_bytes, 4), "hot_factor_offset")
    must(hot_stride == round_up(factor_offset + 20 + 12 * m, 64), "hot_stride")
    must(m_max0 == (hot_stride - factor_offset - 20) // 4, "m_max0")
    must(exact_stride == (vector_bytes if traversal == 1 else 0), "exact_stride")
    must(upper_stride == 8 + 4 * m, "upper_stride")
    strides = {HOT: hot_stride, EXACT: exact_stride, KEY: 8, UPPER: upper_stride, HASH: 64, OVERFLOW: 64, CHECKSUM: 8}
    for i in range(sections):
        ident, flags, stride = struct.unpack_from("<HHI", data, 128 + 16 * i)
        must(ident == i + 1, "section id")
        if ident > 7:
            must(flags & 4, "unknown section", "feature_unsupported")
            continue
        must(flags == (0 if ident == CHECKSUM else 3), "section flags")
        must(stride == strides[ident], "section stride")
    return {"uuid": data[16:32], "dimensions": dimensions, "metric": metric, "scalar": scalar, "traversal": traversal,
            "several": several, "m": m, "m_max0": m_max0, "ef_construction": ef_construction, "seed": seed, "hash_seed": hash_seed, "hot_stride": hot_stride,
            "hot_factor_offset": factor_offset, "exact_stride": exact_stride, "upper_stride": upper_stride,
            "sections": sections, "strides": strides, "vector_bytes": vector_bytes}


# Superblock

def read_slot(data, uuid):
    """The superblock, or None if the slot is not valid."""
    if len(data) < 16384 or data[:8] != b"CRNSUPER" or data[16:32] != uuid:
        return None
    if stored128(data[16368:]) != xxh3_128(data[:16368]):
        return None
    block = dict(zip(("generation",), struct.unpack_from("<Q", data, 8)))
    block["incompat"], block["ro_compat"], block["compat"], block["file_size"] = struct.unpack_from("<4Q", data, 32)
    block.update(zip(("checkpoint_lsn", "log_offset", "log_salt", "log_first_lsn"), struct.unpack_from("<4Q", data, 64)))
    block["flags"], count = struct.unpack_from("<II", data, 96)
    block.update(zip(("journal_offset", "journal_bytes", "journal_checksum"), struct.unpack_from("<3Q", data, 104)))
    block["identity"], block["closed_size"] = struct.unpack_from("<QQ", data, 384)
    if count > 240:
        return None
    block["counters"] = read_counters(data[128:384])
    block["extents"] = [read_extent(data[512 + 64 * i:576 + 64 * i]) for i in range(count)]
    return block


def read_counters(data):
    names = ("slots_used", "live", "deleted", "upper_used", "hash_buckets", "overflow_used", "applied_up_to",
             "overflow_free", "entry_point", "max_level", "slot_free")
    counters = dict(zip(names, struct.unpack_from("<7Q4I", data)))
    counters["upper_free"] = list(struct.unpack_from("<16I", data, 72))
    counters["advised_ef"], = struct.unpack_from("<I", data, 136)
    counters["keys"], = struct.unpack_from("<Q", data, 144)
    return counters


def read_extent(data):
    return dict(zip(("section", "flags", "logical", "length", "offset", "tree", "root"),
                    struct.unpack_from("<HHxxxxQQQQQ", data)))


def tree_levels(pages):
    levels = []
    while True:
        pages = (pages + 511) // 512
        levels.append(pages)
        if pages == 1:
            return levels


def disjoint(claims, what):
    claims = sorted(claims)
    for (_, end), (begin, _) in zip(claims, claims[1:]):
        must(end <= begin, what + " overlap")


def check_extents(runs, sections, file_size):
    must(len(runs) <= 240, "extent_count")
    for run in runs:
        must(1 <= run["section"] <= sections and run["flags"] == 0, "extent section, flags")
        must(run["length"] > 0 and run["length"] % PAGE == 0, "extent length")
        must(run["offset"] % PAGE == 0 and run["offset"] >= FIRST_RUN, "extent file_offset")
        must(run["offset"] + run["length"] <= file_size, "extent beyond file_size")
        must(run["length"] < HUGE or (run["offset"] - run["logical"]) % HUGE == 0, "extent alignment")
    disjoint([(run["offset"], run["offset"] + run["length"]) for run in runs], "runs")
    lengths = {section: 0 for section in range(1, sections + 1)}
    must([run["section"] for run in runs] == sorted(run["section"] for run in runs), "extent order")
    for run in runs:
        must(run["logical"] == lengths[run["section"]], "extent logical_offset")
        lengths[run["section"]] += run["length"]
    trees = []
    for run in runs:
        if run["section"] == CHECKSUM:
            must(run["tree"] == 0 and run["root"] == 0, "CHECKSUM has a tree")
            continue
        size = PAGE * sum(tree_levels(run["length"] // PAGE))
        must(run["tree"] % PAGE == 0 and run["tree"] + size <= lengths[CHECKSUM], "tree outside CHECKSUM")
        trees.append((run["tree"], run["tree"] + size))
    disjoint(trees, "trees")
    return lengths


def check_counters(header, counters, lengths):
    c = counters
    for name in ("slots_used", "upper_used", "overflow_used"):
        must(c[name] <= 0xFFFFFFFE, name)
    must(c["hash_buckets"] <= 1 << 32 and (c["hash_buckets"] >= 1 or c["live"] == 0), "hash_buckets")
    must(c["live"] + c["deleted"] <= c["slots_used"], "live, deleted")
    counts = {HOT: "slots_used", EXACT: "slots_used", KEY: "slots_used", UPPER: "upper_used", HASH: "hash_buckets",
              OVERFLOW: "overflow_used"}
    for section, name in counts.items():
        must(c[name] * header["strides"][section] <= lengths[section], name + " and length of " + NAMES[section])
    for name, end in [("overflow_free", "overflow_used"), ("slot_free", "slots_used"), ("entry_point", "slots_used")]:
        must(c[name] == NONE or c[name] < c[end], name)
    must(c["upper_free"][0] == NONE, "upper_free")
    must(all(x == NONE or x < c["upper_used"] for x in c["upper_free"]), "upper_free")
    must(c["entry_point"] != NONE or c["live"] == 0, "entry_point")
    must(c["max_level"] <= (0 if c["entry_point"] == NONE else 15), "max_level")
    must(c["advised_ef"] <= 65536, "advised_ef")
    if header["several"]:
        must(min(c["live"], 1) <= c["keys"] <= c["live"], "keys")


def newest_slot(slots, uuid):
    """The valid one with the highest generation, the first one if they are equal, or None."""
    valid = [block for block in (read_slot(data, uuid) for data in slots) if block]
    return max(valid, key=lambda block: block["generation"], default=None)


def check_block(block, header, size):
    must(block, "no valid superblock", "truncated" if size < SLOTS[1] + 16384 else "corrupt")
    must(block["incompat"] & ~15 == 0, "incompatible features", "feature_unsupported")
    must(bool(block["incompat"] & 4) == bool(header["several"]), "several_per_key")
    must(1 <= block["generation"] <= 1 << 63, "generation")
    must(block["checkpoint_lsn"] <= 1 << 63, "checkpoint_lsn")
    must(FIRST_RUN <= block["file_size"] <= 1 << 62 and block["file_size"] % PAGE == 0, "file_size")
    must(block["file_size"] <= size, "file_size", "truncated")
    check_log_place(block)
    block["lengths"] = check_extents(block["extents"], header["sections"], block["file_size"])
    check_log_space(block, [])
    check_counters(header, block["counters"], block["lengths"])


def check_log_space(block, segments):
    """Runs, journal and log segments share no byte."""
    used = [(run["offset"], run["length"]) for run in block["extents"]] + segments
    if block["journal_bytes"]:
        used.append((block["journal_offset"], block["journal_bytes"]))
    used.sort()
    must(all(a + size <= b for (a, size), (b, _) in zip(used, used[1:])), "runs, journal and segments overlap")


def check_log_place(block):
    has_log = block["incompat"] & 1
    must(block["flags"] == (0 if has_log else 1), "flags")
    must(has_log or block["journal_bytes"] == 0, "journal without feature")
    if not has_log:
        return
    if block["log_offset"] or not block["journal_bytes"]:
        must(block["log_offset"] >= FIRST_RUN and block["log_offset"] % PAGE == 0 and
             block["log_offset"] + 2 * PAGE <= block["file_size"], "log_offset")
    must(block["log_first_lsn"] == block["checkpoint_lsn"] + 1, "log_first_lsn")
    must(block["closed_size"] % PAGE == 0 and block["closed_size"] <= block["file_size"], "closed_size")
    if block["journal_bytes"]:
        at, size = block["journal_offset"], block["journal_bytes"]
        must(at >= FIRST_RUN and at % PAGE == 0 and size % PAGE == 0 and at + size <= block["file_size"], "journal")


# Recovery

def lay_journal_over(data, block):
    """The file as if the images of its journal were in place."""
    size = block["journal_bytes"]
    if not size:
        return data
    journal = data[block["journal_offset"]:block["journal_offset"] + size]
    generation, pages = struct.unpack_from("<QQ", journal, 8)
    must(journal[:8] == b"CRNJOURN" and generation == block["generation"], "journal header")
    head = round_up(64 + 16 * pages, PAGE)
    must(head + PAGE * pages == size, "pages of the journal")
    must(xxh3_64(journal[:head]) == block["journal_checksum"], "checksum of the journal")
    whole, last = bytearray(data), -1
    for i in range(pages):
        at, checksum = struct.unpack_from("<QQ", journal, 64 + 16 * i)
        image = journal[head + PAGE * i:head + PAGE * (i + 1)]
        must(at > last and at % PAGE == 0 and
             any(run["offset"] <= at < run["offset"] + run["length"] for run in block["extents"]), "place of an image")
        must(page_checksums(image) == [checksum], "checksum of an image")
        whole[at:at + PAGE] = image
        last = at
    return bytes(whole)


def frame_length(data, at, end, salt, lsn, previous):
    """The length of the frame that begins there, whole or not, or None if none does."""
    if at + 64 > end:
        return None
    magic, length, its_lsn, its_salt, its_previous = struct.unpack_from("<IIQQQ", data, at)
    if magic != 0x4D524643 or not 64 <= length <= 1 << 28 or length % 8 or at + length > end:
        return None
    return length if (its_lsn, its_salt) == (lsn, salt) and previous in (None, its_previous) else None


def read_frame(data, at, end, salt, lsn, previous):
    """The bytes of the frame, or None if there is none."""
    length = frame_length(data, at, end, salt, lsn, previous)
    frame = data[at:at + length] if length else b""
    return frame if frame and struct.unpack_from("<Q", frame, 56)[0] == xxh3_64(frame[:56] + frame[64:]) else None


def read_segment(data, at, salt, lsn):
    """What its first page says, or None if that is none."""
    page = data[at:at + PAGE]
    if len(page) < PAGE or at % PAGE or at < FIRST_RUN or page[:8] != b"CRNLOGSG":
        return None
    its_salt, first, length, number, checksum = struct.unpack_from("<5Q", page, 8)
    if checksum != xxh3_64(page[:40]) or (its_salt, first) != (salt, lsn):
        return None
    if length == 0 or length % PAGE or at + length > len(data):
        return None
    return {"end": at + length, "number": number, "checksum": checksum}


def unused_page(salt, number):
    return b"CRNUNUSD" + struct.pack("<QQ", salt, number) + bytes(PAGE - 24)


def records_of(frame):
    at = 64
    for _ in range(struct.unpack_from("<I", frame, 40)[0]):
        must(at + 16 <= len(frame), "record")
        kind, section, length, offset = struct.unpack_from("<HHIQ", frame, at)
        must(1 <= kind <= 5 and at + 16 + round_up(length, 8) <= len(frame), "record")
        yield kind, section, offset, frame[at + 16:at + 16 + length]
        at += 16 + round_up(length, 8)


def patches_of(end, data):
    """Place and bytes of each patch: a number of bytes to skip, one of bytes that follow, and these."""
    def number():
        nonlocal data
        value = 0
        for i in range(9):
            must(i < len(data), "number of a patch")
            value |= (data[i] & 127) << 7 * i
            if data[i] < 128:
                data = data[i + 1:]
                return value
        must(False, "number of a patch")

    while data:
        gap, length = number(), number()
        must(0 < length <= len(data), "patch")
        must(end < 1 << 63, "end of a patch")
        yield end + gap, data[:length]
        end, data = end + gap + length, data[length:]


class Log:
    """The log, read frame by frame from the segment that the superblock names up to the first frame that is none."""
    def __init__(self, data, block):
        self.data, self.salt, self.lsn = data, block["log_salt"], block["log_first_lsn"]
        self.segments = []
        self.enter(block["log_offset"])

    def enter(self, at):
        self.at, self.segment = at, read_segment(self.data, at, self.salt, self.lsn)
        if self.segment:
            self.segments.append((at, self.segment["end"] - at))
            self.at, self.chain = at + PAGE, self.segment["checksum"]

    def frames(self):
        """The records of each frame that is no jump."""
        replayed = 0
        while self.segment:
            frame = read_frame(self.data, self.at, self.segment["end"], self.salt, self.lsn, self.chain)
            if frame is None:
                return
            self.at, self.lsn = self.at + len(frame), self.lsn + 1
            self.chain = struct.unpack_from("<Q", frame, 56)[0]
            replayed += len(frame)
            must(replayed <= len(self.data), "log frames overlap")
            records = list(records_of(frame))
            if any(kind == 4 for kind, _, _, _ in records):
                must(len(records) == 1 and records[0][1] == 0 and not records[0][3], "jump")
                self.enter(records[0][2])
            else:
                yield records

    def misses_frames(self, used):
        """Whether the frame that was not found had been on disk, as one says that lies outside the used stretches."""
        missed, begin = False, FIRST_RUN
        for place, length in sorted(used) + [(len(self.data), 0)]:
            missed |= self.misses_frames_in(begin, place)
            begin = max(begin, place + length)
        return missed

    def misses_frames_in(self, begin, end):
        missed, left = False, 2 * (end - begin)
        for at in range(round_up(begin, PAGE), end - 63, PAGE):
            if self.data[at:at + 4] != b"CFRM":
                continue
            lsn, _, _, durable = struct.unpack_from("<4Q", self.data, at + 8)
            length = frame_length(self.data, at, end, self.salt, lsn, None) if lsn > self.lsn else None
            if length:
                left -= length
                must(left >= 0, "frames overlap")
                if read_frame(self.data, at, end, self.salt, lsn, None) is not None:
                    must(durable < lsn <= 1 << 63, "durable_lsn")
                    missed |= durable >= self.lsn
        return missed

    def ends_unwritten(self):
        """Whether nothing had been written behind the last frame when the page behind it was copied."""
        if not self.segment:
            return False
        page, end = round_up(self.at, PAGE), self.segment["end"]
        length = frame_length(self.data, self.at, end, self.salt, self.lsn, self.chain)
        if length:
            page = (self.at + length - 1) // PAGE * PAGE
        return page < end and self.data[page:page + PAGE] == unused_page(self.salt, self.segment["number"])


def replay(log, header, block, section):
    """Applies the log to sections (bytearrays), extents and counters; returns the runs that it added."""
    runs = []
    for records in log.frames():
        runs += apply_runs(records, header, block, section, len(log.data))
        for kind, number, offset, data in records:
            if kind == 1:
                must(1 <= number <= 6 and data and offset + len(data) <= len(section[number]), "bytes")
                section[number][offset:offset + len(data)] = data
            elif kind == 5:
                must(1 <= number <= 6 and data, "patches")
                for at, piece in patches_of(offset, data):
                    must(at + len(piece) <= len(section[number]), "patch")
                    section[number][at:at + len(piece)] = piece
            elif kind == 2:
                must(number == 0 and offset == 0 and len(data) == 256, "counters")
                block["counters"] = read_counters(data)
                check_counters(header, block["counters"], block["lengths"])
    return runs


def apply_runs(records, header, block, section, size):
    """The runs of one frame: they may need each other, so the table is checked with all of them."""
    runs = []
    for kind, number, offset, data in records:
        if kind == 3:
            must(offset == 0 and len(data) == 64, "run")
            runs.append(read_extent(data))
            must(1 <= number <= 7 and runs[-1]["section"] == number and runs[-1]["root"] == 0, "run")
    if runs:
        block["extents"] = sorted(block["extents"] + runs, key=lambda run: (run["section"], run["logical"]))
        block["lengths"] = check_extents(block["extents"], header["sections"], size)
        for run in runs:
            section[run["section"]] += bytes(run["length"])
    return runs


# Copies

def identity_of(file):
    """XXH3-64 of inode number and time of birth of an open file."""
    buffer = ctypes.create_string_buffer(256)
    # With AT_EMPTY_PATH; STATX_INO and STATX_BTIME.
    if ctypes.CDLL(None, use_errno=True).statx(file.fileno(), b"", 0x1000, 0x900, buffer) != 0:
        raise OSError(ctypes.get_errno(), "statx")
    mask, inode = struct.unpack_from("<I28xQ", buffer)
    seconds, nanoseconds = struct.unpack_from("<qI", buffer, 80)
    birth = seconds * 10 ** 9 + nanoseconds if mask & 0x800 else 0
    return xxh3_64(struct.pack("<QQ", inode, birth & MASK)) or 1


def may_be_mixed(block, identity, size):
    return block["identity"] != identity and (block["incompat"] & 1 == 1 or size > block["file_size"])


def check_new_space(data, old, added, checksum_section):
    """Runs that the log added are zero in the file, and so is all of CHECKSUM but the trees of the old runs."""
    for run in added:
        must(not any(data[run["offset"]:run["offset"] + run["length"]]), "page of a new run")
    rest = bytearray(checksum_section)
    for run in old:
        if run["section"] != CHECKSUM:
            size = PAGE * sum(tree_levels(run["length"] // PAGE))
            rest[run["tree"]:run["tree"] + size] = bytes(size)
    must(not any(rest), "page of CHECKSUM without a tree")


# Pages

def page_checksums(data):
    rows = np.frombuffer(data, dtype=np.uint8).reshape(-1, PAGE)
    zero = ~rows.any(axis=1)
    return [0 if is_zero else (value or 1) for value, is_zero in zip(xxh3_64_rows(rows), zero)]


def check_pages(data, runs, checksum_section):
    for run in runs:
        if run["section"] == CHECKSUM:
            continue
        below = page_checksums(data[run["offset"]:run["offset"] + run["length"]])
        at = run["tree"]
        for pages in tree_levels(run["length"] // PAGE):
            level = checksum_section[at:at + pages * PAGE]
            stored = np.frombuffer(level, dtype="<u8")
            must(list(stored[:len(below)]) == below and not stored[len(below):].any(),
                 "checksum of " + NAMES.get(run["section"], "?"))
            below = page_checksums(level)
            at += pages * PAGE
        must(below == [run["root"]], "root of " + NAMES.get(run["section"], "?"))


# Sections

def mix64(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


def key_hash(key, seed):
    return mix64(key ^ mix64(seed))


def seeded_key_hash(key, hash_seed):
    return mix64(key_hash(key, hash_seed) ^ mix64(hash_seed ^ 0x726F756E64320000))


def level_hash(key, seed):
    return mix64(key_hash(key, seed) ^ 0x6C6576656C000000)


def level_of(value, m):
    return sum(value < (1 << 64) // m ** level for level in range(1, 16))


def is_wild(norm):
    """Whether a vector is out of range."""
    return bool(norm != 0 and not 1e-15 <= norm <= 1e15)


def components(records, scalar, d):
    """Vectors of any kind as f32."""
    if scalar == 5:
        bits = np.unpackbits(records, axis=1, bitorder="little")
        must(not bits[:, d:].any(), "bits behind the last component")
        return bits[:, :d].astype("<f4")
    if scalar == 3:
        return (records.view("<u2").astype("<u4") << 16).view("<f4")
    return records.view({1: "<f4", 2: "<f2", 4: "i1"}[scalar]).astype("<f4")


# Readers

def in_place(file):
    """Salt and number of the runtime block: what a writer may have put in place. The number is read first."""
    number = struct.unpack("<Q", os.pread(file.fileno(), 8, RUNTIME + 8))[0]
    return struct.unpack("<Q", os.pread(file.fileno(), 8, RUNTIME))[0], number


def is_locked(file):
    """Whether somebody has the file open for writing."""
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, LOCK_BYTE, 1, 0)
    return struct.unpack_from("h", fcntl.fcntl(file, fcntl.F_OFD_GETLK, lock))[0] != fcntl.F_UNLCK


class View:
    """A file as its newest superblock, its journal and its log say."""
    def __init__(self, file):
        self.identity, self.data = identity_of(file), file.read()
        self.header = read_header(self.data[:PAGE])
        self.block = newest_slot([self.data[at:at + 16384] for at in SLOTS], self.header["uuid"])

    def read(self, salvage):
        check_block(self.block, self.header, len(self.data))
        runs, pages = self.block["extents"], lay_journal_over(self.data, self.block)
        self.section = {}
        for number in range(1, self.header["sections"] + 1):
            own = [run for run in runs if run["section"] == number]
            self.section[number] = bytearray().join(pages[run["offset"]:run["offset"] + run["length"]] for run in own)
        log, added = self.read_log(salvage)
        check_pages(pages, runs, self.section[CHECKSUM])
        if may_be_mixed(self.block, self.identity, len(self.data)):
            check_new_space(self.data, runs, added, self.section[CHECKSUM])
            must(salvage or not log or log.ends_unwritten(), "the log goes on, but cannot be read", "data_loss")

    def read_log(self, salvage):
        """The log, if there is one, and the runs that it added."""
        block = self.block
        self.replayed = block["checkpoint_lsn"]
        if not block["incompat"] & 1 or block["log_offset"] == 0:
            return None, []
        used = [(run["offset"], run["length"]) for run in block["extents"]]
        used.append((block["journal_offset"], block["journal_bytes"]))
        log = Log(self.data, block)
        must(salvage or log.segment, "first segment of the log", "data_loss")
        added = replay(log, self.header, block, self.section)
        check_log_space(block, log.segments)
        missed = log.misses_frames(used)
        must(salvage or not missed, "frame %d was on disk" % log.lsn, "data_loss")
        self.replayed = log.lsn - 1
        return log, added

    def is_whole(self, file):
        salt, number = in_place(file)
        return number <= self.block["checkpoint_lsn"] or salt == self.block["log_salt"] and number <= self.replayed

    def is_old(self, file):
        """Whether it is worth reading the file again: there is a newer superblock, or a writer."""
        newest = newest_slot([os.pread(file.fileno(), 16384, at) for at in SLOTS], self.header["uuid"])
        return is_locked(file) or newest and newest["generation"] > (self.block["generation"] if self.block else 0)


def read_view(path, salvage):
    """The view of a file; read again if a writer overwrote what was being read."""
    must(os.path.isfile(path), "no regular file", "invalid_argument")
    failure = Bad("busy", "a writer changes the file too fast")
    for _ in range(TRIES):
        with open(path, "rb") as file:
            view = View(file)
            try:
                view.read(salvage)
                if view.is_whole(file) or not view.is_old(file):
                    return view
            except Bad as bad:
                failure = bad
                if not view.is_old(file):
                    break
    raise failure


class Index:
    def __init__(self, path, salvage=False):
        view = read_view(path, salvage)
        self.header, self.block, self.counters = view.header, view.block, view.block["counters"]
        self.section = {number: bytes(content) for number, content in view.section.items()}
        self.read_nodes()

    def read_nodes(self):
        h, used = self.header, self.counters["slots_used"]
        self.keys = np.frombuffer(self.section[KEY], dtype="<u8", count=used)
        d = h["dimensions"]
        hot = np.frombuffer(self.section[HOT], dtype=np.uint8, count=used * h["hot_stride"])
        hot = hot.reshape(used, h["hot_stride"])
        self.codes = hot[:, :d].view(np.int8)
        exact = hot[:, :h["vector_bytes"]]
        if h["exact_stride"]:
            exact = np.frombuffer(self.section[EXACT], dtype=np.uint8, count=used * h["exact_stride"])
            exact = exact.reshape(used, h["exact_stride"])
        self.vectors = components(np.ascontiguousarray(exact), h["scalar"], d)
        self.nodes = []
        for record in hot:
            words = record[h["hot_factor_offset"]:].tobytes()
            a, b, upper, level, flags, generation, degree = struct.unpack_from("<ffIBBHI", words)
            links = struct.unpack_from("<%dI" % h["m_max0"], words, 20)
            self.nodes.append({"a": a, "b": b, "upper": upper, "level": level, "flags": flags, "degree": degree,
                               "links": links})
        self.live = [n for n, node in enumerate(self.nodes) if node["flags"] & 1]
        self.removed = [n for n, node in enumerate(self.nodes) if node["flags"] & 2]
        self.free = [n for n, node in enumerate(self.nodes) if node["flags"] & 3 == 0]

    def check_structure(self):
        self.check_levels()
        self.check_free()
        self.check_key_table()
        self.check_reachability()
        must(np.isfinite(self.vectors[self.live + self.removed]).all(), "finite components")
        if self.header["traversal"] == 1:
            self.check_codes()
        else:
            self.check_exact_factors()

    def check_levels(self):
        h, c = self.header, self.counters
        must(len(self.live) == c["live"] and len(self.removed) == c["deleted"], "live and deleted nodes")
        must(len(self.live) + len(self.removed) + len(self.free) == c["slots_used"], "both live and deleted")
        free = set(self.free)
        for n, node in enumerate(self.nodes):
            must(node["flags"] in (0, 1, 2, 5, 6), "flags of node %d" % n)
            must(node["degree"] <= h["m_max0"], "degree")
            links = node["links"][:node["degree"]]
            must(all(link < c["slots_used"] and link != n for link in links), "links of node %d" % n)
            must(len(set(links)) == len(links), "double links of node %d" % n)
            must(free.isdisjoint(links), "links of node %d to free slots" % n)
            must(not any(node["links"][node["degree"]:]), "unused links of node %d" % n)
        self.upper_owned = 0
        for n in self.live + self.removed:
            node = self.nodes[n]
            self.upper_owned += node["level"]
            must(node["level"] == level_of(self.level_hash(n), h["m"]), "level of node %d" % n)
            if node["level"] == 0:
                must(node["upper"] == NONE, "upper of node %d" % n)
            for level in range(1, node["level"] + 1):
                self.check_upper(n, node, level)
        if c["entry_point"] != NONE:
            must(c["max_level"] == self.nodes[c["entry_point"]]["level"], "max_level")
            must(c["max_level"] >= max([self.nodes[n]["level"] for n in self.live], default=0), "entry_point")
            must(c["entry_point"] not in free, "entry_point")

    def level_hash(self, n):
        value = level_hash(int(self.keys[n]), self.header["seed"])
        return mix64(value ^ xxh3_64(self.stored_vector(n))) if self.header["several"] else value

    def stored_vector(self, n):
        section, stride = (EXACT, "exact_stride") if self.header["exact_stride"] else (HOT, "hot_stride")
        begin = n * self.header[stride]
        return self.section[section][begin:begin + self.header["vector_bytes"]]

    def check_upper(self, n, node, level):
        h = self.header
        record = node["upper"] + level - 1
        must(record < self.counters["upper_used"], "upper of node %d" % n)
        owner, degree, stored_level = struct.unpack_from("<IHH", self.section[UPPER], record * h["upper_stride"])
        links = struct.unpack_from("<%dI" % h["m"], self.section[UPPER], record * h["upper_stride"] + 8)
        must((owner, stored_level) == (n, level), "UPPER record of node %d" % n)
        must(degree <= h["m"] and not any(links[degree:]), "degree of node %d" % n)
        must(all(link < self.counters["slots_used"] and link != n and self.nodes[link]["level"] >= level
                 for link in links[:degree]), "upper links of node %d" % n)
        must(len(set(links[:degree])) == degree, "double upper links of node %d" % n)

    def check_free(self):
        h, c = self.header, self.counters
        chain, slot = [], c["slot_free"]
        while slot != NONE and len(chain) <= len(self.free):
            chain.append(slot)
            slot = self.nodes[slot]["upper"] if slot < c["slots_used"] else NONE
        must(sorted(chain) == self.free, "chain of free slots")
        for n in self.free:
            record = bytearray(self.section[HOT][n * h["hot_stride"]:(n + 1) * h["hot_stride"]])
            at = h["hot_factor_offset"]
            record[at + 8:at + 12], record[at + 14:at + 16] = bytes(4), bytes(2)
            exact = self.section[EXACT][n * h["exact_stride"]:(n + 1) * h["exact_stride"]]
            must(not any(record) and not any(exact) and self.keys[n] == 0, "free slot %d" % n)
        records = self.upper_owned
        for level in range(1, 16):
            first = c["upper_free"][level]
            while first != NONE and records <= c["upper_used"]:
                records += level
                must(first + level <= c["upper_used"], "free upper block")
                begin = first * h["upper_stride"]
                node, degree, size, following = struct.unpack_from("<IHHI", self.section[UPPER], begin)
                must((node, degree, size) == (NONE, 0, level), "free upper block %d" % first)
                must(not any(self.section[UPPER][begin + 12:begin + level * h["upper_stride"]]), "free upper block")
                first = following
        must(records == c["upper_used"], "upper records")

    def bucket(self, section, number):
        data = self.section[section][64 * number:64 * number + 64]
        return struct.unpack("<10I10HI", data)

    def hash_of(self, key):
        if self.block["incompat"] & 2:
            return seeded_key_hash(key, self.header["hash_seed"])
        return key_hash(key, self.header["seed"])

    def find(self, key):
        """The first node of a key, or None."""
        return next(self.find_all(key), None)

    def find_all(self, key):
        """The nodes of a key, as the document tells to look it up."""
        buckets = self.counters["hash_buckets"]
        if buckets == 0:
            return
        value, bits = self.hash_of(key), buckets.bit_length() - 1
        number = value % (2 << bits)
        if number >= buckets:
            number = value % (1 << bits)
        words = self.bucket(HASH, number)
        for _ in range(self.counters["overflow_used"] + 1):
            for entry, tag in zip(words[:10], words[10:20]):
                if entry and tag == value >> 48 and int(self.keys[entry - 1]) == key:
                    yield entry - 1
            if words[20] == 0:
                return
            must(words[20] - 1 < self.counters["overflow_used"], "overflow bucket")
            words = self.bucket(OVERFLOW, words[20] - 1)
        raise Bad("corrupt", "endless chain of buckets")

    def check_key_table(self):
        c, seen, chained = self.counters, [], set()
        for number in range(c["hash_buckets"]):
            words = self.bucket(HASH, number)
            while True:
                used = [entry for entry in words[:10] if entry]
                must(not any(words[len(used):10]) and not any(words[10 + len(used):20]), "gap in a bucket")
                seen += used
                if words[20] == 0:
                    break
                must(words[20] <= c["overflow_used"] and words[20] not in chained, "overflow bucket")
                chained.add(words[20])
                words = self.bucket(OVERFLOW, words[20] - 1)
        must(sorted(seen) == [n + 1 for n in self.live], "entries of the key table")
        free, number = set(), c["overflow_free"]
        while number != NONE and number not in free:
            must(number < c["overflow_used"], "free overflow bucket")
            free.add(number)
            number = (self.bucket(OVERFLOW, number)[20] or NONE + 1) - 1
        must(free.isdisjoint(number - 1 for number in chained), "free overflow bucket in use")
        must(len(free) + len(chained) == c["overflow_used"], "overflow buckets")
        for n in self.live:
            found = list(self.find_all(int(self.keys[n])))
            must(n in found if self.header["several"] else found == [n], "key of node %d" % n)
        if self.header["several"]:
            must(len({int(self.keys[n]) for n in self.live}) == c["keys"], "keys")
        must(self.find(self.absent_key()) is None, "a key that is not there")

    def absent_key(self):
        there = {int(key) for key in self.keys}
        return next(key for key in range(1 << 40, 1 << 41) if key not in there)

    def check_reachability(self):
        if not self.live:
            return
        seen, front = {self.counters["entry_point"]}, [self.counters["entry_point"]]
        while front:
            node = self.nodes[front.pop()]
            new = set(node["links"][:node["degree"]]) - seen
            seen |= new
            front.extend(new)
        must(seen.issuperset(self.live), "reachability")

    def check_codes(self):
        metric = METRICS[self.header["metric"]]
        for n in self.live + self.removed:
            v, c, node = self.vectors[n].astype(np.float64), self.codes[n].astype(np.float64), self.nodes[n]
            norm, length = np.sqrt((v * v).sum()), np.sqrt((c * c).sum())
            step = 0.0 if is_wild(norm) else np.abs(v).max() / 127
            must((np.abs(v / step - c) <= 0.5 + 1e-4).all() if step else not c.any(), "code of node %d" % n)
            lost = is_wild(norm) or 2 * ((v != 0) & (c == 0)).sum() > (v != 0).sum()
            must(bool(node["flags"] & 4) == bool(lost) == bool(np.isnan(node["a"])), "flag 4 of node %d" % n)
            a, b = {"cosine": (1 / length if length else 0.0, 1 / norm if norm else 0.0),
                    "l2sq": (step, step * step * length * length), "inner_product": (step, 0.0)}[metric]
            must(lost or np.isclose(node["a"], a, rtol=1e-6) and np.isclose(node["b"], b, rtol=1e-6),
                 "factors of node %d" % n)

    def check_exact_factors(self):
        metric = METRICS[self.header["metric"]]
        for n in self.live + self.removed:
            v, node = self.vectors[n].astype(np.float64), self.nodes[n]
            norm = np.sqrt((v * v).sum())
            wild = metric != "hamming" and is_wild(norm)
            must(bool(node["flags"] & 4) == wild == bool(np.isnan(node["a"])), "flag 4 of node %d" % n)
            a = (1 / norm if norm else 0.0) if metric == "cosine" else 1.0
            must(wild or np.isclose(node["a"], a, rtol=1e-6) and node["b"] == 0, "factors of node %d" % n)

    def search(self, query, k):
        q = query.astype(np.float64)
        v = self.vectors[self.live].astype(np.float64)
        metric = METRICS[self.header["metric"]]
        if metric == "l2sq":
            distance = ((v - q) ** 2).sum(axis=1)
        elif metric == "inner_product":
            distance = 1 - v @ q
        elif metric == "hamming":
            distance = (v != (q != 0)).sum(axis=1).astype(np.float64)
        else:
            norms = np.sqrt((v * v).sum(axis=1)) * np.sqrt((q * q).sum())
            distance = np.where(norms > 0, 1 - (v @ q) / np.where(norms > 0, norms, 1), 1.0)
        keys = [int(key) for key in self.keys[self.live]]
        best = {}  # a key that has several vectors counts with its nearest
        for value, key in sorted(zip(distance.tolist(), keys)):
            best.setdefault(key, value)
        return [[key, value] for key, value in list(best.items())[:k]]


def read_fbin(path):
    with open(path, "rb") as file:
        rows, dims = struct.unpack("<II", file.read(8))
        return np.frombuffer(file.read(), dtype="<f4").reshape(rows, dims)


def describe(index, queries, k):
    header = {name: index.header[name] for name in (
        "dimensions", "m", "m_max0", "ef_construction", "seed", "hot_stride", "hot_factor_offset", "exact_stride",
        "upper_stride", "metric", "scalar", "traversal", "several")}
    return {"uuid": index.header["uuid"].hex(), "parameters": header, "generation": index.block["generation"],
            "file_size": index.block["file_size"], "counters": index.counters,
            "keys": [int(index.keys[n]) for n in index.live],
            "vectors": [[int(bits) for bits in index.vectors[n].view("<u4")] for n in index.live],
            "levels": [index.nodes[n]["level"] for n in index.live],
            "results": [index.search(query, k) for query in queries]}


def describe_pages(view):
    return {"counters": view.block["counters"],
            "pages": {NAMES[number]: page_checksums(view.section[number]) for number in range(HOT, CHECKSUM)}}


def read(path, queries, arguments):
    try:
        if arguments.pages:
            return describe_pages(read_view(path, arguments.salvage))
        index = Index(path, arguments.salvage)
        index.check_structure()
        return describe(index, queries, arguments.k)
    except Bad as bad:
        return {"error": bad.code, "message": str(bad)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", metavar="FILE", nargs="+")
    parser.add_argument("--queries")
    parser.add_argument("-k", type=int, default=10)
    parser.add_argument("--pages", action="store_true")
    parser.add_argument("--salvage", action="store_true")
    arguments = parser.parse_args()
    queries = read_fbin(arguments.queries) if arguments.queries else []
    status = 0
    for path in arguments.files:
        seen = read(path, queries, arguments)
        print(json.dumps(seen))
        status |= "error" in seen
    return status


if __name__ == "__main__":
    sys.exit(main())
