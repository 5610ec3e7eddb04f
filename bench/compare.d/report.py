# SPDX-License-Identifier: Apache-2.0
"""Results as Markdown tables, JSON and a picture."""
import os
import statistics

import filtered
import picture
from workshop import read_json, write_json


def table(heads, rows):
    widths = [max(len(str(r[i])) for r in [heads, *rows]) for i in range(len(heads))]
    line = lambda cells: "| " + " | ".join(str(c).ljust(w) for c, w in zip(cells, widths)) + " |"  # noqa: E731
    return "\n".join([line(heads), "|" + "|".join("-" * (w + 2) for w in widths) + "|", *map(line, rows)])


def title(result, what):
    rows = f"{result['rows']:,} rows" + ("" if result["whole"] else " (prefix)")
    return f"\n### {result['dataset']}, {result['metric']}, {rows}: {what}\n"


def mb(size):
    return f"{size / 1e6:.1f}"


def span(value):
    return f"{value['median']:.2f} ({value['p10']:.2f} ... {value['p90']:.2f})"


def best_rivals(race):
    """Of each rival family the variant that is fastest at this recall."""
    best = {}
    for row in race["systems"]:
        family = row["name"].split(" ")[0]
        if family != "cairn" and "qps" in row and row["state"] == "ok":
            if family not in best or row["qps"]["median"] > best[family]["qps"]["median"]:
                best[family] = row
    return best


def race_rows(race):
    out = []
    rivals = best_rivals(race)
    for row in race["systems"]:
        ef = f"{row['ef'][0]}-{row['ef'][1]}" if row["ef"][0] != row["ef"][1] else str(row["ef"][0])
        state = {"ok": "", "exceeded": f" (recall {row['recall'][1]:.4f} already)", "never": ""}[row["state"]]
        speed = f"{row['qps']['median']:,.0f}" if "qps" in row else f"never (top {row['recall'][1]:.4f})"
        cells = [f"{race['target']:.4f}".rstrip("0"), row["name"], ef + state, speed]
        for family in ("hnswlib", "usearch-f32", "usearch-i8"):
            rival = rivals.get(family)
            found = [r for r in race["ratios"] if rival and r["of"] == row["name"] and r["over"] == rival["name"]]
            cells.append(span(found[0]) if found and row["name"].startswith("cairn") else "")
        out.append(cells)
    return out


def filter(result):  # the subcommand's name
    ef = filtered.judged_at(result["k"])
    heads = ["passing", "rows", "QPS", "/ hnswlib", "/ usearch", f"recall at ef {ef}", "distances / true", "exact plan: QPS",
             "p99 / exact's", "short answers: cairn, hnswlib, usearch"]
    families = ("hnswlib", "usearch-f32")
    rows = []
    for cell in result["cells"]:
        cairn, mine = filtered.best(cell, "cairn")
        name = cairn or next(lane["system"] for lane in cell["lanes"] if lane["system"].startswith("cairn"))
        at_100, exact = filtered.lane_at(cell, name, ef), filtered.exact_lane(cell, name)
        worst = max((lane["p99_us"] for lane in filtered.lanes_of(cell, name) if lane["ef"] <= ef), default=None)
        cells = [filtered.name_of(cell), f"{cell['passing']:,}", f"{statistics.median(mine):,.0f}" if mine else "never"]
        for family in families:
            of = filtered.ratio(mine, filtered.best(cell, family)[1])
            takes_part = any(lane["system"].startswith(family) for lane in cell["lanes"])
            cells.append(f"{of:.2f}" if of else "rival never" if takes_part else "")
        few = [max((lane["few"] for lane in cell["lanes"] if lane["system"].startswith(f)), default=0) for f in ("cairn", *families)]
        cells += [f"{at_100['recall']:.4f}", f"{at_100['distance_ratio']:.4f}", f"{statistics.median(exact['slice_qps']):,.0f}",
                  f"{worst / exact['p99_us']:.2f}", ", ".join(map(str, few))]
        rows.append(cells)
    text = title(result, f"filters, k = {result['k']}, one thread") + "\n" + table(heads, rows) + "\n\n"
    for lane in result["cells"][0]["lanes"]:
        bare = next((b for b in result["cells"][0]["lanes"] if not b["filtered"] and (b["system"], b["ef"]) == (lane["system"], lane["ef"])), None)
        if lane["filtered"] and bare and len(lane["slice_qps"]) == len(bare["slice_qps"]):
            text += f"All pass / no filter, {lane['system']}, ef {lane['ef']}: {filtered.ratio(lane['slice_qps'], bare['slice_qps']):.3f}\n"
    return text


def search(result):
    heads = ["recall@10", "system", "ef", "QPS", "/ best hnswlib", "/ best usearch-f32", "/ usearch-i8"]
    rows = [row for race in result["targets"] for row in race_rows(race)]
    if "i8" in result:
        rows += race_rows(result["i8"])
    text = title(result, f"one thread, pages: {result['pages']}") + "\n" + table(heads, rows) + "\n\n"
    text += "Ratios: median (10 % ... 90 %) of the rounds. A rival already above a recall at ef 10 is not a base for it.\n\n"
    text += mapped_ratio(result)
    for entry in result.get("two_threads", []):
        text += f"Two threads / one, {entry['name']}, ef {entry['ef']}: {span(entry)}\n"
    text += hot_ratio(result)
    rows = []
    for s in result["systems"]:
        f, m = s["facts"], s["memory"]
        rows.append([s["name"], f["isa"], mb(s["file_bytes"]), f"{f['hot_bytes'] / max(1, f['size']):.0f}",
                     mb(m["anon_huge"]), mb(m["file_huge"]),
                     f"{s['build_s']:.1f}" + ("" if s["build_quotable"] else " (contended)")])
    text += "\n" + table(["system", "kernels", "file MB", "hot bytes/node", "anonymous huge MB", "mapped huge MB",
                          "cached build s"], rows)
    if "curve" in result["systems"][0]:
        heads = ["ef"] + [s["name"] for s in result["systems"]]
        rows = []
        for i, point in enumerate(result["systems"][0]["curve"]):
            cells = [s["curve"][i] for s in result["systems"]]
            rows.append([point["ef"]] + [f"{c['recall']:.4f} {c['qps']:,.0f} {c['p50_us']:.0f}/{c['p99_us']:.0f}"
                                         for c in cells])
        text += "\n\nRecall, QPS, p50/p99 in microseconds:\n\n" + table(heads, rows)
    return text + codes(result) + "\n"


def hot_ratio(result):
    """Of every Cairn variant, the bytes a node that traversal touches over those of hnswlib with M 16."""
    per_node = {s["name"]: s["facts"]["hot_bytes"] / max(1, s["facts"]["size"]) for s in result["systems"]}
    rival = per_node.get("hnswlib m16")
    return "".join(f"Hot bytes a node / hnswlib's at M 16, {name}: {size / rival:.2f}\n" for name, size in per_node.items()
                   if rival and name.startswith("cairn") and not name.endswith("in memory"))


def codes(result):
    """Recall on codes with rerank minus recall on exact vectors, in points, at equal ef: two builds, see bench/README.md."""
    recalls = {s["name"]: s["recalls"] for s in result["systems"]}
    text = ""
    for name, mine in recalls.items():
        exact = recalls.get(name + " traversal=exact")
        if name.startswith("cairn") and exact:
            common = sorted(set(mine) & set(exact), key=int)
            rows = [[ef, f"{mine[ef]:.4f}", f"{exact[ef]:.4f}", f"{100 * (mine[ef] - exact[ef]):+.2f}"] for ef in common]
            text += f"\n\nCodes and rerank against exact traversal, {name}:\n\n"
            text += table(["ef", "recall, codes", "recall, exact", "points"], rows)
    return text


def mapped_ratio(result):
    text = ""
    for race in result["targets"]:
        for r in race["ratios"]:
            if r["over"] == r["of"] + " in memory":
                text += f"{r['of']}, mapped / in memory at {race['target']:.2f}: {span(r)}\n"
    return text


def files(result):
    heads = ["system", "file MB", "open", "open ms", "first answer ms", "asked KB", "from disk KB", "faults minor/major in open + first answer",
             "file MB/anon MB/shmem MB after open", "after 10,000 queries", "file pages of 2 MiB, MB", "save s + fsync s"]
    rows = []
    for s in result["systems"]:
        for how, o in s["opens"].items():
            io, first = o["open_io"], o["answer_io"]
            delta = lambda m: "/".join(mb(max(0, m[k] - o["memory_before"][k])) for k in ("rss_file", "rss_anon", "rss_shmem"))  # noqa: E731
            rows.append([s["name"], mb(s["file_bytes"]), how, f"{o['open_s'] * 1e3:.3f}", f"{o['first_answer_s'] * 1e3:.3f}",
                         f"{io['asked_bytes'] / 1024:.1f}", f"{io['disk_bytes'] / 1024:,.0f} + {first['disk_bytes'] / 1024:,.0f}",
                         f"{io['minor_faults']}/{io['major_faults']} + {first['minor_faults']}/{first['major_faults']}",
                         delta(o["memory_open"]), delta(o["memory_searched"]), mb(o["memory_searched"]["file_huge"]),
                         f"{o['save_s']:.3f} + {o['sync_s']:.3f}" if "save_s" in o else ""])
    notes = "\nMedians of five fresh processes (mapped cold: nine, loaded cold: three). Memory is beyond what the process had before the open. "
    notes += "From disk: during the open + during the first answer, read-ahead included.\n"
    for s in result["systems"]:
        cold = [o["cached_before"] for how, o in s["opens"].items() if how.endswith("cold")]
        if max(cold) > 0.01:
            notes += f"{s['name']}: {max(cold):.0%} of the file could not be dropped from the page cache before a cold open.\n"
    notes += private_ratio(result)
    return title(result, "files") + "\n" + table(heads, rows) + "\n" + notes


def private_ratio(result):
    """RssAnon + RssShmem of a mapped index after the queries over hnswlib's after load."""
    def private(o, when):
        return max(0, sum(o[when][k] - o["memory_before"][k] for k in ("rss_anon", "rss_shmem")))

    rival = [private(s["opens"]["load warm"], "memory_open") for s in result["systems"] if s["name"] == "hnswlib m16"]
    return "".join(f"Private memory, mapped, after 10,000 queries / hnswlib's after load, {s['name']}: "
                   f"{private(s['opens']['map warm'], 'memory_searched') / rival[0]:.3f}\n"
                   for s in result["systems"] if rival and s["name"].startswith("cairn"))


def build(result):
    names = [s["name"] for s in result["systems"]]
    efs = sorted(result["systems"][0]["recalls"], key=int)
    heads = ["system", "seconds", "busy", *[f"recall ef {ef}" for ef in efs], *[f"/ {n}" for n in names]]
    rows = []
    for s in result["systems"]:
        over = [f"{s['over'][n]['median']:.2f} ({s['over'][n]['min']:.2f} ... {s['over'][n]['max']:.2f})" if n in s["over"] else ""
                for n in names]
        rows.append([s["name"], " ".join(f"{t:.1f}" for t in s["seconds"]), f"{min(s['busy']):.2f}",
                     *[f"{s['recalls'][ef]:.4f}" for ef in efs], *over])
    return title(result, f"build, {result['threads']} threads") + "\n" + table(heads, rows) + \
        "\n\nRatios of build times: median (lowest ... highest) of the alternations. busy: CPU time / (time * threads).\n"


def add(result):
    first = result["systems"][0]["name"]
    rows = [[s["name"], span(s["micros"]), span(s["first_over_this"])] for s in result["systems"]]
    return title(result, "adding one vector at a time") + "\n" + table(["system", "microseconds", f"{first} / this"], rows) + "\n"


def grow(result):
    rows = []
    for who, points in result["points"].items():
        for p in points:
            build = f"{p['build_s']:.1f}" + ("" if p["build_quotable"] else " (contended)")
            rows.append([who, f"{p['rows']:,}", f"{p['qps']:,.0f}", f"{p['ef'][0]}-{p['ef'][1]}", build])
        if who in result["exponents"]:
            e = result["exponents"][who]
            rows.append([who, "exponent", f"{e['qps']:.2f}", "", f"{e['build']:.2f}"])
    return title(result, "growth, QPS at recall 0.95") + "\n" + table(["system", "rows", "QPS", "ef", "build s"], rows) + "\n"


def write(folder, kind, result):
    """One JSON file a data set and metric, one entry a table; Markdown and picture beside it."""
    os.makedirs(folder, exist_ok=True)
    stem = os.path.join(folder, f"{result['dataset']}-{result['metric']}" + ("" if result["whole"] else f"-{result['rows']}"))
    entry = f"{kind}-{result['pages']}" if "pages" in result else kind
    everything = read_json(stem + ".json", {})
    everything[entry] = result
    write_json(stem + ".json", everything)
    makers = {"search": search, "files": files, "build": build, "add": add, "grow": grow, "filter": filter}
    with open(stem + ".md", "w", encoding="utf-8") as file:
        machine = next(iter(everything.values()))
        file.write(f"# {os.path.basename(stem)}\n\n{machine['cpu']}, Linux {machine['kernel']}. Written by `bench/compare`; "
                   "what the columns mean: [bench/README.md](../../bench/README.md).\n")
        for name in sorted(everything):
            file.write(makers[name.split("-")[0]](everything[name]))
    if kind == "search" and "curve" in result["systems"][0]:
        with open(stem + ("" if result["pages"] == "own" else "-huge") + ".svg", "w", encoding="utf-8") as file:
            file.write(picture.curves(result))
    if kind == "filter":
        with open(stem + "-filter.svg", "w", encoding="utf-8") as file:
            file.write(picture.filters(result))
    if kind == "grow":
        with open(stem + "-grow.svg", "w", encoding="utf-8") as file:
            file.write(picture.growth(result))
