#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares two outputs of `cross_results search`: the same keys, but for ties within the kernels' stated bound.

The bound (simd/kernels.h): each side is within gamma(n + 8) of the exact sum of n terms. For l2sq the terms are
positive, so two sides differ by at most 2 gamma times the distance; for cosine, whose terms cancel, by 2 gamma times 1,
the greatest |a| |b| / (|a| |b|), and as much again for each of the two norms.
"""
import sys

DIMENSIONS = 67
UNIT = 2.0 ** -24
GAMMA = (DIMENSIONS + 8) * UNIT / (1 - (DIMENSIONS + 8) * UNIT)


def read(path):
    queries = {}
    for line in open(path):
        query, _, key, distance = line.split()
        queries.setdefault(int(query), []).append((int(key), float(distance)))
    return queries


def main(left_path, right_path):
    left, right = read(left_path), read(right_path)
    if len(left) != 200 or left.keys() != right.keys():
        return f"{len(left)} and {len(right)} queries were answered, not 200"
    ties = 0
    for query, matches in left.items():
        others = right[query]
        if len(matches) != 10 or len(others) != 10:
            return f"query {query}: {len(matches)} and {len(others)} matches, not 10"
        for rank, ((key, distance), (other_key, other)) in enumerate(zip(matches, others)):
            bound = 6 * GAMMA * max(1.0, distance)
            if abs(distance - other) > bound:
                return f"query {query}, rank {rank}: {distance} and {other} differ by more than {bound}"
            ties += key != other_key
    if ties > 20:
        return f"{ties} of 2000 keys differ: these are no ties"
    print(f"2000 distances within the bound, {ties} ties")
    return 0


sys.exit(main(sys.argv[1], sys.argv[2]))
