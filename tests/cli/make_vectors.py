#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes small vector files: make_vectors OUT ROWS DIMS

The format follows the suffix of OUT: .fbin, .u8bin, .i8bin, .fvecs, .bvecs, .npy; "-" is .fbin on standard output. Row i is
(i, i^2 mod 97, i^3 mod 97, ...), so that all rows are different and all runs alike; up to 128 rows fit into bytes.
"""
import array
import struct
import sys


def main():
    out, rows, dims = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    kind = "b" if out.endswith(".i8bin") else "B" if out.endswith((".u8bin", ".bvecs")) else "f"
    matrix = [array.array(kind, [row if d == 0 else pow(row, d + 1, 97) for d in range(dims)]) for row in range(rows)]
    if out.endswith("vecs"):
        data = b"".join(struct.pack("<I", dims) + row.tobytes() for row in matrix)
    else:
        data = b"".join(row.tobytes() for row in matrix)
        if out.endswith(".npy"):
            text = "{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }" % (rows, dims)
            text = text.ljust((10 + len(text) + 64) // 64 * 64 - 11) + "\n"
            data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + data
        else:
            data = struct.pack("<II", rows, dims) + data
    if out == "-":
        sys.stdout.buffer.write(data)
    else:
        with open(out, "wb") as stream:
            stream.write(data)


main()
