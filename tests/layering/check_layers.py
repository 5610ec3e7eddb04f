#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails on an include that docs/architecture.md does not allow: arrows point down, packages stay in their place."""
import pathlib
import re
import sys

LEAVES = {f"cairn/{name}.h" for name in ("error", "types", "params", "export", "version")}
# Rooms, lowest first: a room includes those below it and itself, never those that share its floor.
ENGINE = [["base"], ["store"], ["vectors"], ["search"], ["graph"], ["change", "verify", "transfer"], ["api"], ["shards"]]
FORMAT = [["bytes"], ["io"], ["pages"], ["log"], ["container"]]


def rooms(top, floors, below):
    """Folder -> what its files may include: what lies below `top`, lower floors, themselves."""
    allowed, lower = {}, set(below)
    for floor in floors:
        for room in floor:
            allowed[f"{top}/{room}"] = lower | {f"{top}/{room}/"}
        lower |= {f"{top}/{room}/" for room in floor}
    return allowed


# Folder -> project headers its files may include: prefixes (ending in /) or whole names. Longest folder wins.
LAYERS = {
    "engine/include/cairn": {"cairn/"},
    "simd": LEAVES | {"simd/"},
    **rooms("format", FORMAT, LEAVES | {"engine/base/"}),
    **rooms("engine", ENGINE, {"cairn/", "format/", "simd/"}),
    "engine/base": LEAVES | {"engine/base/"},  # format/ stands on it
    "engine/bindings": {"cairn/"},
    # A file that lies in none of the rooms may include nothing.
    "engine": set(),
    "format": set(),
    "tools": {"cairn/", "tools/"},
    "tools/files": {"cairn/", "tools/files/"},
}
FILES = {  # exceptions by file
    "engine/include/cairn/error.h": {"cairn/export.h"},
    "engine/include/cairn/types.h": set(),
    "tools/command/cmd_info.cc": {""},
}
PACKAGES = {  # header prefix -> where alone it may appear
    "xsimd/": {"simd/"},
    "immintrin.h": {"simd/"},
    "arm_neon.h": {"simd/"},
    "boost/": {"format/io/address_space.cc"},
    "xxhash.h": {"format/bytes/checksum.cc"},
    "CLI/": {"tools/", "tests/", "bench/"},
    "nlohmann/": {"engine/shards/manifest.cc", "tools/", "tests/", "bench/"},
    "gtest/": {"tests/"},
    "benchmark/": {"bench/"},
}
# What is compiled for an instruction set may hold no inline function that is also compiled for another.
ISA_FILE = re.compile(r"simd/(?!cpu\.|choice\.).*")
ISA_INCLUDES = re.compile(r"cstddef|cstdint|immintrin\.h|arm_neon\.h|xsimd/.*|simd/.*\.h")
PROJECT = re.compile(r"(cairn|simd|format|engine|tools|tests|bench|fuzz)/")
HIDDEN = re.compile(r"(^|/)(\.|violations/)")  # caches, and this check's own test
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)', re.MULTILINE)


def starts(name, allowed):
    return any(name == a or (a.endswith("/") or a == "") and name.startswith(a) for a in allowed)


def problems(path, text):
    layer = max((f for f in LAYERS if path.startswith(f + "/")), key=len, default=None)
    for quote, header in INCLUDE.findall(text):
        if layer and PROJECT.match(header) and not starts(header, FILES.get(path, LAYERS[layer])):
            yield f"{path}: {header} is not below it"
        # Bindings are packed without the folders around them.
        beside = "/" not in header and path.startswith("engine/bindings/")
        if quote == '"' and not PROJECT.match(header) and not path.startswith("bench/") and not beside:
            yield f"{path}: {header} is not written from the root of the repository"
        for package, places in PACKAGES.items():
            if header.startswith(package) and not starts(path, places):
                yield f"{path}: {header} belongs to {', '.join(sorted(places))}"
        if ISA_FILE.fullmatch(path) and not ISA_INCLUDES.fullmatch(header):
            yield f"{path}: {header} in a file that is compiled once per instruction set"


def main(root):
    files = [p for top in ("engine", "format", "simd", "tools", "tests", "bench", "fuzz")
             for p in sorted((root / top).rglob("*")) if p.suffix in (".h", ".cc", ".c", ".in")]
    files = [p for p in files if not HIDDEN.search(p.relative_to(root).as_posix())]
    found = [line for p in files for line in problems(p.relative_to(root).as_posix(), p.read_text())]
    print("\n".join(found + [f"{len(files)} files, {len(found)} violations"]))
    return 1 if found or not files else 0


sys.exit(main(pathlib.Path(sys.argv[1])))
