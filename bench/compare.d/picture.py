# SPDX-License-Identifier: Apache-2.0
"""The recall/QPS curves as one small SVG file: recall to the right, QPS on a logarithmic scale upward."""
import math

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 46, 50
# Cairn in blue, rivals in other hues; the second variant of a family is dashed.
COLORS = {"cairn": "#1f5fbf", "hnswlib": "#d1495b", "usearch-f32": "#2a9d6f", "usearch-i8": "#b07d1a"}
INK, GRID, PAPER = "#333333", "#dddddd", "#ffffff"


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def text(x, y, words, anchor="start", size=12, color=INK, extra=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}"{extra}>'
            f"{escape(words)}</text>")


def curves(result):
    shown = [s for s in result["systems"] if not s["name"].endswith("in memory")]
    low = max(0.5, math.floor(min(max(min(p["recall"] for p in s["curve"]), 0.7) for s in shown) * 20) / 20)
    points = [p["qps"] for s in shown for p in s["curve"] if p["recall"] >= low]
    bottom, top = math.floor(math.log10(min(points)) * 4) / 4, math.ceil(math.log10(max(points)) * 4) / 4

    def x(recall):
        return LEFT + (recall - low) / (1 - low) * (WIDTH - LEFT - RIGHT)

    def y(qps):
        return TOP + (top - math.log10(qps)) / (top - bottom) * (HEIGHT - TOP - BOTTOM)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
           'font-family="sans-serif">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="{PAPER}"/>',
           text(LEFT, 20, f"{result['dataset']}, {result['metric']}, {result['rows']:,} vectors", size=15),
           text(LEFT, 37, f"one thread, k = 10, pages: {result['pages']}; {result['cpu']}", size=11)]
    step = 0.05 if 1 - low > 0.15 else 0.01
    for i in range(round((1 - low) / step) + 1):
        at = low + i * step
        out.append(f'<line x1="{x(at):.1f}" y1="{TOP}" x2="{x(at):.1f}" y2="{HEIGHT - BOTTOM}" stroke="{GRID}"/>')
        out.append(text(x(at), HEIGHT - BOTTOM + 18, f"{at:.2f}", "middle"))
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
        kept = [p for p in system["curve"] if p["recall"] >= low]
        path = " ".join(f"{x(p['recall']):.1f},{y(p['qps']):.1f}" for p in kept)
        out.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"{dash}/>')
        out += [f'<circle cx="{x(p["recall"]):.1f}" cy="{y(p["qps"]):.1f}" r="2.5" fill="{color}"/>' for p in kept]
        row = TOP + 14 + i * 20
        out.append(f'<line x1="{WIDTH - RIGHT + 12}" y1="{row - 4}" x2="{WIDTH - RIGHT + 36}" y2="{row - 4}" '
                   f'stroke="{color}" stroke-width="2"{dash}/>')
        out.append(text(WIDTH - RIGHT + 42, row, system["name"]))
    return "\n".join(out) + "\n</svg>\n"
