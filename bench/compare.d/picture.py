# SPDX-License-Identifier: Apache-2.0
"""The recall/QPS curves as one small SVG file: QPS on a logarithmic scale upward, recall to the right, on a logarithmic
scale of what is missing to 1, which is where systems differ."""
import math

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
