# SPDX-License-Identifier: Apache-2.0
"""What a race of filtered searches says: speeds at a recall, slice by slice, and their ratios."""
import math
import statistics

TARGET = 0.95


def judged_at(k):
    """The ef at which recalls are told, and up to which tails are."""
    return 100 if k <= 25 else 4 * k


def lanes_of(cell, system, filtered=True):
    """Those of a system that answered all slices, by ef; without the exact plan."""
    lanes = [lane for lane in cell["lanes"] if lane["system"] == system and lane["filtered"] == filtered and lane["ef"] > 0]
    most = max(len(lane["slice_qps"]) for lane in cell["lanes"])
    return sorted((lane for lane in lanes if len(lane["slice_qps"]) == most), key=lambda lane: lane["ef"])


def exact_lane(cell, system):
    return next((lane for lane in cell["lanes"] if lane["system"] == system and lane["ef"] == 0), None)


def lane_at(cell, system, ef):
    return next((lane for lane in lanes_of(cell, system) if lane["ef"] == ef), None)


def speeds(cell, system, target=TARGET):
    """Queries a second at that recall, one a slice (log-linear between two ef); None: never."""
    lanes = lanes_of(cell, system)
    for i, lane in enumerate(lanes):
        if lane["recall"] < target:
            continue
        if i == 0 or lane["recall"] <= lanes[i - 1]["recall"]:
            return lane["slice_qps"]
        low = lanes[i - 1]
        share = (target - low["recall"]) / (lane["recall"] - low["recall"])
        return [math.exp((1 - share) * math.log(a) + share * math.log(b)) for a, b in zip(low["slice_qps"], lane["slice_qps"])]
    return None


def ratio(these, those):
    """The median of the slices' ratios."""
    return statistics.median(a / b for a, b in zip(these, those)) if these and those else None


def best(cell, family):
    """Of a family's systems the fastest at the target: its name and speeds."""
    found = [(name, speeds(cell, name)) for name in sorted({lane["system"] for lane in cell["lanes"]}) if name.split(" ")[0] == family]
    found = [(name, s) for name, s in found if s]
    return max(found, key=lambda one: statistics.median(one[1]), default=(None, None))


def name_of(cell):
    return "all pass" if cell["kind"] == "all" else f"{cell['kind']} {cell['percent']:g} %"
