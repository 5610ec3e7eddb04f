# SPDX-License-Identifier: Apache-2.0
"""Small SVG files. Growth: queries a second and seconds of a build against rows, both logarithmic. Curves: QPS on a logarithmic scale upward, recall to the right, on a logarithmic
scale of what is missing to 1, which is where systems differ."""
import math
import statistics

import filtered

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 46, 50
# Cairn in blue, rivals in other hues; the second variant of a family is dashed.
COLORS = {"cairn": "#1f5fbf", "hnswlib": "#d1495b", "usearch-f32": "#2a9d6f", "usearch-i8": "#b07d1a"}
TICKS = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999]
INK, GRID, PAPER = "#333333", "#dddddd", "#ffffff"


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def text(x, y, words, anchor="start", size=12, color=INK, extra=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}"{extra}>'
            f"{escape(words)}</text>")


def curves(result):
    shown = [s for s in result["systems"] if not s["name"].endswith("in memory")]
    best = max(p["recall"] for s in shown for p in s["curve"])
    worst = min(s["curve"][0]["recall"] for s in shown)
    low = max([t for t in TICKS if t <= worst], default=TICKS[0])
    high = min([t for t in TICKS if t >= best], default=TICKS[-1])
    scale = math.log((1 - low) / (1 - high)) or 1.0
    points = [p["qps"] for s in shown for p in s["curve"] if low <= p["recall"] <= high]
    bottom, top = math.floor(math.log10(min(points)) * 4) / 4, math.ceil(math.log10(max(points)) * 4) / 4

    def x(recall):
        return LEFT + math.log((1 - low) / (1 - recall)) / scale * (WIDTH - LEFT - RIGHT)

    def y(qps):
        return TOP + (top - math.log10(qps)) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
           'font-family="sans-serif">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
           text(LEFT, 20, f"{result['dataset']}, {result['metric']}, {result['rows']:,} vectors", size=15),
           text(LEFT, 37, f"one thread, k = 10, pages: {result['pages']}; {result['cpu']}", size=11)]
    for at in [t for t in TICKS if low <= t <= high]:
        out.append(f'<line x1="{x(at):.1f}" y1="{TOP}" x2="{x(at):.1f}" y2="{HEIGHT - BOTTOM}" stroke="{GRID}"/>')
        out.append(text(x(at), HEIGHT - BOTTOM + 18, f"{at:g}", "middle"))
    for power in range(math.floor(bottom), math.ceil(top) + 1):
        for digit in (1, 2, 5):
            value = digit * 10 ** power
            if bottom <= math.log10(value) <= top:
                out.append(f'<line x1="{LEFT}" y1="{y(value):.1f}" x2="{WIDTH - RIGHT}" y2="{y(value):.1f}" stroke="{GRID}"/>')
                out.append(text(LEFT - 8, y(value) + 4, f"{value:,}", "end"))
    out.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, "recall@10", "middle"))
    out.append(text(16, (TOP + HEIGHT - BOTTOM) / 2, "queries a second", "middle",
                    extra=f' transform="rotate(-90 16 {(TOP + HEIGHT - BOTTOM) / 2:.1f})"'))
    seen = {}
    for i, system in enumerate(shown):
        family = system["name"].split(" ")[0]
        color, nth = COLORS.get(family, INK), seen.get(family, 0)
        seen[family] = nth + 1
        dash = f' stroke-dasharray="{6 - nth} {2 + nth}"' if nth else ""
        kept = [p for p in system["curve"] if low <= p["recall"] <= high]
        path = " ".join(f"{x(p['recall']):.1f},{y(p['qps']):.1f}" for p in kept)
        out.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dash}/>')
        out += [f'<circle cx="{x(p["recall"]):.1f}" cy="{y(p["qps"]):.1f}" r="2.5" fill="{color}"/>' for p in kept]
        row = TOP + 14 + i * 20
        out.append(f'<line x1="{WIDTH - RIGHT + 12}" y1="{row - 4}" x2="{WIDTH - RIGHT + 36}" y2="{row - 4}" '
                   f'stroke="{color}" stroke-width="2"{dash}/>')
        out.append(text(WIDTH - RIGHT + 42, row, system["name"]))
    return "\n".join(out) + "\n</svg>\n"


def ticks(low, high):
    """1, 2 and 5 times powers of ten from low to high."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [d * 10.0 ** p for p in powers for d in (1, 2, 5) if low <= d * 10.0 ** p * 1.0001 and d * 10.0 ** p <= high * 1.0001]


def growth_panel(result, field, words, left, width):
    """One panel: every system's points as a line, on logarithmic axes."""
    top, bottom = 66, HEIGHT - 50
    rows = [p["rows"] for points in result["points"].values() for p in points]
    values = [p[field] for points in result["points"].values() for p in points]
    low, high = min(values) / 1.2, max(values) * 1.2
    span = math.log(max(rows) / min(rows)) or 1.0

    def x(at):
        return left + math.log(at / min(rows)) / span * width

    def y(at):
        return top + math.log(high / at) / math.log(high / low) * (bottom - top)

    out = [text(left + width / 2, top - 8, words, "middle")]
    for at in sorted(set(rows)):
        out.append(f'<line x1="{x(at):.1f}" y1="{top}" x2="{x(at):.1f}" y2="{bottom}" stroke="{GRID}"/>')
        out.append(text(x(at), bottom + 18, f"{at // 1000:,} k" if at < 1000000 else f"{at / 1e6:g} M", "middle", 11))
    for at in ticks(low, high):
        out.append(f'<line x1="{left}" y1="{y(at):.1f}" x2="{left + width}" y2="{y(at):.1f}" stroke="{GRID}"/>')
        out.append(text(left - 6, y(at) + 4, f"{at:,g}", "end", 11))
    for who, points in result["points"].items():
        color = COLORS.get(who.split(" ")[0], INK)
        path = " ".join(f"{x(p['rows']):.1f},{y(p[field]):.1f}" for p in points)
        out.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        out += [f'<circle cx="{x(p["rows"]):.1f}" cy="{y(p[field]):.1f}" r="2.5" fill="{color}"/>' for p in points]
    out.append(text(left + width / 2, HEIGHT - 12, "rows", "middle"))
    return out


def growth(result):
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 {HEIGHT}" width="860" height="{HEIGHT}" '
           'font-family="sans-serif">', f'<rect width="860" height="{HEIGHT}" fill="{PAPER}"/>',
           text(LEFT, 20, f"{result['dataset']}, {result['metric']}: growth", size=15),
           text(LEFT, 37, f"build with {result['threads']} threads; {result['cpu']}", size=11)]
    out += growth_panel(result, "qps", "queries a second at recall 0.95, one thread", LEFT, 240)
    out += growth_panel(result, "build_s", "seconds of a build", LEFT + 310, 240)
    for i, who in enumerate(result["points"]):
        row, left = 80 + i * 36, LEFT + 310 + 240 + 14
        color = COLORS.get(who.split(" ")[0], INK)
        out.append(f'<line x1="{left}" y1="{row - 4}" x2="{left + 24}" y2="{row - 4}" stroke="{color}" stroke-width="2"/>')
        out.append(text(left + 30, row, who))
        if who in result["exponents"]:
            e = result["exponents"][who]
            out.append(text(left + 30, row + 15, f"n^{e['qps']:.2f}, n^{e['build']:.2f}", size=11))
    return "\n".join(out) + "\n</svg>\n"


def filter_panel(cells, families, low, high, words, left, width):
    """One kind of passing sets: every family's speed at the target by the share that passes, both logarithmic."""
    top, bottom = 66, HEIGHT - 50
    percents = sorted({cell["percent"] for cell in cells})
    span = math.log(percents[-1] / percents[0]) or 1.0

    def x(percent):
        return left + math.log(percents[-1] / percent) / span * width

    def y(qps):
        return top + math.log(high / qps) / math.log(high / low) * (bottom - top)

    out = [text(left + width / 2, top - 8, words, "middle")]
    for percent in percents:
        out.append(f'<line x1="{x(percent):.1f}" y1="{top}" x2="{x(percent):.1f}" y2="{bottom}" stroke="{GRID}"/>')
        out.append(text(x(percent), bottom + 16, f"{percent:g}", "middle", 10))
    for at in ticks(low, high):
        out.append(f'<line x1="{left}" y1="{y(at):.1f}" x2="{left + width}" y2="{y(at):.1f}" stroke="{GRID}"/>')
    for family in families:
        found = [(cell["percent"], filtered.best(cell, family)[1]) for cell in cells]
        points = [(x(percent), y(statistics.median(speeds))) for percent, speeds in sorted(found) if speeds]
        color = COLORS.get(family, INK)
        out.append(f'<polyline points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}" fill="none" stroke="{color}" stroke-width="2"/>')
        out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="2.5" fill="{color}"/>' for a, b in points]
    out.append(text(left + width / 2, HEIGHT - 14, "% that pass", "middle"))
    return out, y


def filters(result):
    kinds = {"U": "anywhere", "R": "near the query", "NR": "far from it", "NH": "not near it"}
    cells = [cell for cell in result["cells"] if cell["kind"] in kinds]
    families = sorted({lane["system"].split(" ")[0] for cell in cells for lane in cell["lanes"]})
    speeds = [statistics.median(s) for cell in cells for s in (filtered.best(cell, f)[1] for f in families) if s]
    low, high = min(speeds) / 1.2, max(speeds) * 1.2
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1120 {HEIGHT}" width="1120" height="{HEIGHT}" '
           'font-family="sans-serif">', f'<rect width="1120" height="{HEIGHT}" fill="{PAPER}"/>',
           text(LEFT, 20, f"{result['dataset']}, {result['metric']}, {result['rows']:,} vectors, filtered", size=15),
           text(LEFT, 37, f"queries a second at recall@{result['k']} {filtered.TARGET}, one thread; {result['cpu']}", size=11)]
    shown = [kind for kind in kinds if any(cell["kind"] == kind for cell in cells)]
    for i, kind in enumerate(shown):
        panel, y = filter_panel([c for c in cells if c["kind"] == kind], families, low, high, kinds[kind], LEFT + i * 235, 200)
        out += panel
        if i == 0:
            out += [text(LEFT - 6, y(at) + 4, f"{at:,g}", "end", 11) for at in ticks(low, high)]
    for i, family in enumerate(families):
        at = 660 + i * 140
        out.append(f'<line x1="{at}" y1="24" x2="{at + 24}" y2="24" stroke="{COLORS.get(family, INK)}" stroke-width="2"/>')
        out.append(text(at + 30, 28, family))
    return "\n".join(out) + "\n</svg>\n"
