# SPDX-License-Identifier: Apache-2.0
"""Results of bench/peers as Markdown, JSON and a picture."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "compare.d"))
import picture  # noqa: E402
from workshop import cpu_model  # noqa: E402

picture.COLORS |= {"usearch": "#2a9d6f", "faiss": "#7b4fa3", "scann": "#e07b1a", "svs": "#0f8a8a", "rabitqlib": "#8a5a2b", "vsag": "#777777"}


def table(heads, rows):
    return "\n".join(["| " + " | ".join(map(str, row)) + " |" for row in (heads, ["---"] * len(heads), *rows)])


def best_variants(race):
    """Of each engine the variant that is fastest at this recall; those that do not reach it come last."""
    best = {}
    for row in race["systems"]:
        family = next((name for name in ("faiss IVF-PQ", "scann") if row["name"].startswith(name)), row["name"])
        speed = row["qps"]["median"] if "qps" in row else -1
        if family not in best or speed > best[family][0]:
            best[family] = (speed, row)
    return [row for _, row in sorted(best.values(), key=lambda pair: -pair[0])]


def span(value):
    return f"{value['median']:.2f} ({value['p10']:.2f} ... {value['p90']:.2f})"


def race_rows(race):
    for row in best_variants(race):
        at = f"{race['target']:g}"
        if "qps" not in row:
            yield [at, row["name"], "", f"never (top {row['top']:.4f})", ""]
            continue
        low, high = row["efforts"]
        effort = f"{low}-{high}" if low != high else f"{low} (recall {row['recalls'][0]:.4f} already)"
        yield [at, row["name"], effort, f"{row['qps']['median']:,.0f}", span(row["ratio"]) if "ratio" in row else ""]


def table_of(result):
    rows = f"{result['rows']:,} x {result['dims']}" + ("" if result["whole"] else " (prefix)")
    out = [f"\n### {result['dataset']}, {rows}, {result['metric']}: Python packages, one thread, {'one query a call' if result.get('single') else 'batches of 100'}\n",
           table(["recall@10", "system", "effort", "queries/s", "Cairn / it"], [row for race in result["targets"] for row in race_rows(race)]),
           f"\nMedian (10 % ... 90 %) of {result['rounds']} rounds; load of the machine {result['load']:.1f} before, {result['load_after']:.1f} after. "
           "Seconds are of the process's processor time, so that others on the machine count for less. Effort: ef and the like; lists probed of faiss IVF-PQ and ScaNN.\n",
           table(["system", "version", "build s", "CPU s", "peak MB of it", "file MB", "memory MB to search"],
                 [[s["name"], s["version"], f"{s['build_s']:.1f}", f"{s['cpu_s']:.1f}", f"{s['peak_bytes'] / 1e6:.0f}", f"{s['file_bytes'] / 1e6:.1f}",
                   f"{s['memory_bytes'] / 1e6:.0f}"] for s in result["systems"]])]
    out += ["", *(f"Left out: {text}." for text in result["left_out"])]
    return "\n".join(out) + "\n"


def curves(result):
    systems = {}
    for race in result["targets"]:
        for row in best_variants(race):
            if "qps" in row:
                name = row["name"] if not row["name"].startswith(("faiss IVF-PQ", "scann")) else row["name"].rsplit(" ", 2)[0]
                systems.setdefault(name, []).append({"recall": max(race["target"], row["recalls"][0] if row["efforts"][0] == row["efforts"][1] else 0),
                                                     "qps": row["qps"]["median"]})
    shown = [{"name": name, "curve": points} for name, points in systems.items()]
    return picture.curves({**result, "systems": shown, "pages": "own", "cpu": cpu_model()})


def write(folder, result):
    stem = os.path.join(folder, f"peers-{result['dataset']}-{result['metric']}" + ("" if result["whole"] else f"-{result['rows']}") + ("-single" if result.get("single") else ""))
    with open(stem + ".json", "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1, sort_keys=True)
        file.write("\n")
    with open(stem + ".md", "w", encoding="utf-8") as file:
        file.write(table_of(result).lstrip())
    with open(stem + ".svg", "w", encoding="utf-8") as file:
        file.write(curves(result))
