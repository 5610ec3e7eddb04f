# SPDX-License-Identifier: Apache-2.0
"""How gdb shows Cairn's types: `source tools/gdb/cairn_printers.py` (docs/debugging.md)."""
import gdb
import gdb.printing

SCALARS = {1: ("f32", "float", 4), 2: ("f16", "unsigned short", 2), 3: ("bf16", "unsigned short", 2), 4: ("i8", "signed char", 1),
           5: ("b1", "unsigned char", None)}
SHOWN = 8  # components of a vector


def components(data, scalar, dims):
    """The first components of a vector at `data`, as text."""
    if scalar not in SCALARS:
        return f"scalar {scalar}?"
    name, c_type, size = SCALARS[scalar]
    count = dims if size else (dims + 7) // 8
    pointer = data.cast(gdb.lookup_type(c_type).pointer())
    try:
        values = [str(int(pointer[i])) if name != "f32" else f"{float(pointer[i]):g}" for i in range(min(count, SHOWN))]
    except gdb.MemoryError as error:
        values = [f"<{error}>"]
    return f"{name}[{dims}] {{{', '.join(values)}{', ...' if count > SHOWN else ''}}}"


class VectorView:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return components(self.value["data_"], int(self.value["scalar_"]), int(self.value["dims_"]))


class MatrixView:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        v = self.value
        name = SCALARS.get(int(v["scalar"]), ("?",))[0]
        return f"{name}[{int(v['rows'])} x {int(v['dims'])}], {int(v['stride_bytes'])} bytes a row, at {v['data']}"

    def children(self):
        v = self.value
        start = v["data"].cast(gdb.lookup_type("char").pointer())
        for i in range(min(int(v["rows"]), 4)):
            yield f"[{i}]", components(start + i * int(v["stride_bytes"]), int(v["scalar"]), int(v["dims"]))


class NodeId:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        number = int(self.value["index"])
        return "no node" if number == 0xFFFFFFFF else f"node {number}"


class Match:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return f"key {int(self.value['key'])} at {float(self.value['distance']):g}"


class Error:
    def __init__(self, value):
        self.value = value

    def to_string(self):
        return f"{self.value['code_']}: {self.value['message_']}"


printers = gdb.printing.RegexpCollectionPrettyPrinter("cairn")
for printed in (VectorView, MatrixView, NodeId, Match, Error):
    printers.add_printer(printed.__name__, f"^cairn::{printed.__name__}$", printed)
gdb.printing.register_pretty_printer(gdb.current_objfile(), printers, replace=True)
