"""The pictures, as SVG within the page that holds everything: for light and dark screens, with no other file."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from loadtests.report import Summary
from loadtests.run import LIMITS_MS
from loadtests.scenario import Scenario

WIDTH, LABELS, ROW, TOP = 760, 190, 22, 34  # pixels
_NUMBERS = 70  # pixels right of the longest bar
_COLOURS = ("#2563a8", "#c2571a", "#3d8361", "#7a4fa3", "#b0283c", "#8a6d1f", "#2a8ba8", "#666666", "#c04f8f")
_FAR = 20.0  # from this ratio of largest to smallest on, the scale is logarithmic

STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c1c1e;--faint:#8a8a8e;--a:#2563a8;--b:#c2571a;--c:#3d8361;--d:#7a4fa3}
@media (prefers-color-scheme:dark){:root{--paper:#18191b;--ink:#ececec;--faint:#9a9aa0;--a:#6fa8e8;--b:#f0935a;--c:#74c49a;--d:#b595dd}}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;background:var(--paper);color:var(--ink)}
table{border-collapse:collapse;display:block;overflow-x:auto}td,th{padding:.2rem .7rem;text-align:right;white-space:nowrap}
td:first-child,th:first-child{text-align:left}tr+tr{border-top:1px solid color-mix(in srgb,var(--faint) 40%,transparent)}
svg{max-width:100%;height:auto}svg text{fill:var(--ink);font:12px system-ui,sans-serif}.faint{fill:var(--faint)!important}
.b0{fill:var(--a)}.b1{fill:var(--b)}.b2{fill:var(--c)}.b3{fill:var(--d)}.verdict{font-size:1.1em}
"""  # noqa: E501 - one rule a line


def pictures(summary: Summary, scenario: Scenario) -> list[str]:
    drawn = []
    for measure in scenario.measures:
        arms = {arm: figures for arm, figures in summary.get(measure.name, {}).items() if arm != "direct"}
        title = measure.title or measure.name
        if measure.load == "frontier":
            names = [f"rps_p99_{limit}ms" for limit in LIMITS_MS]
            drawn.append(bars(arms, names, title, "requests/s with a p99 of at most 5, 10, 50, 100 ms"))
        elif measure.stream:
            drawn.append(bars(arms, ["cpu_us_token"], title, "CPU µs a token"))
        elif measure.load == "closed" and measure.connections > 1:
            drawn.append(bars(arms, ["rps"], title, "requests/s"))
        elif any("added_p50" in figures for figures in arms.values()):
            drawn.append(bars(arms, ["added_p50", "added_p95", "added_p99"], title, "added ms: p50, p95, p99"))
    return [each for each in drawn if each]


def bars(arms: Mapping[str, Mapping[str, float]], names: Sequence[str], title: str, unit: str) -> str:
    """A row for each arm and figure. Peers that are far apart stand on one logarithmic scale. "" of no figures."""
    rows = [(arm, place, figures.get(name, 0.0)) for arm, figures in arms.items() for place, name in enumerate(names)]
    shown = [value for *_, value in rows if value > 0 and math.isfinite(value)]
    if not shown:
        return ""
    logarithmic = max(shown) / min(shown) > _FAR
    height = TOP + ROW * len(rows) + 8
    scale = " (logarithmic)" if logarithmic else ""
    head = (
        f'<svg role="img" viewBox="0 0 {WIDTH} {height}" aria-label="{html.escape(title)}">'
        f'<text x="0" y="14" font-weight="600">{html.escape(title)}</text>'
        f'<text x="{WIDTH}" y="14" text-anchor="end" class="faint">{html.escape(unit + scale)}</text>'
    )
    return head + "".join(_bars(rows, min(shown), max(shown), logarithmic)) + "</svg>"


def _bars(rows: Sequence[tuple[str, int, float]], least: float, most: float, logarithmic: bool) -> Iterator[str]:
    room, low = WIDTH - LABELS - _NUMBERS, 10 ** math.floor(math.log10(least))
    for number, (arm, place, value) in enumerate(rows):
        y = TOP + ROW * number
        if not (value > 0 and math.isfinite(value)):
            share = 0.0
        elif logarithmic:
            share = math.log(value / low) / math.log(most / low)
        else:
            share = value / most
        width = max(1.0, share * room)
        if place == 0:
            yield f'<text x="{LABELS - 8}" y="{y + 14}" text-anchor="end">{html.escape(arm)}</text>'
        yield f'<rect class="b{place % 4}" x="{LABELS}" y="{y + 3}" width="{width:.1f}" height="{ROW - 6}" rx="2"/>'
        yield f'<text x="{LABELS + width + 5:.1f}" y="{y + 14}">{_number(value)}</text>'


def curves(drawn: Mapping[str, Sequence[tuple[float, float]]], dashed: AbstractSet[str], across: str, up: str) -> str:
    """A file of its own: a curve through each name's points (x, percent), its name at the side."""
    left, right, top, bottom, height = 46, 190, 12, 40, 380
    most = max((x for points in drawn.values() for x, _ in points), default=1) or 1
    room, tall = WIDTH - left - right, height - top - bottom

    def at(x: float, percent: float) -> str:
        return f"{left + room * x / most:.1f},{top + tall * (1 - percent / 100):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {height}" aria-label="{up}">'
        "<style>text{font:12px system-ui,sans-serif}</style>"
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    ]
    for percent in range(0, 101, 20):
        parts.append(f'<path d="M{at(0, percent)} L{at(most, percent)}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{left - 6}" y="{top + tall * (1 - percent / 100) + 4:.0f}" text-anchor="end">{percent}</text>'
        )
    for place, (name, points) in enumerate(drawn.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        dash = ' stroke-dasharray="5 4"' if name in dashed else ""
        line = " L".join(at(*point) for point in points)
        parts.append(f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        y = top + 14.0 + 20 * place
        parts.append(f'<path d="M{WIDTH - right + 12},{y - 4} h26" stroke="{colour}" stroke-width="2"{dash}/>')
        parts.append(f'<text x="{WIDTH - right + 44}" y="{y}">{html.escape(name)}</text>')
    parts.append(
        f'<text x="{left}" y="{height - 8}">{html.escape(f"{up}, by {across}; right edge: {most:,.0f}")}</text>'
    )
    return "".join(parts) + "</svg>"


def page(markdown: str, drawn: Sequence[str], result: Mapping[str, Any]) -> str:
    verdict = "".join(f"<p class=verdict>{_inline(each)}</p>" for each in result.get("verdict", ()))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>rememberd load test</title><style>{STYLE}</style>\n"
        f"<h1>rememberd load test, {html.escape(result['at'])}</h1>\n{verdict}\n"
        + "\n".join(drawn)
        + "\n".join(_blocks(markdown))
        + "</html>\n"
    )


def _blocks(markdown: str) -> Iterator[str]:
    """The tables and lines of `report.markdown`."""
    for block in re.split(r"\n{2,}", markdown):
        lines = block.strip().split("\n")
        if lines[0].startswith("|"):
            cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines if "---" not in line]
            cells[0] = [cell.strip() for cell in lines[0].strip().removeprefix("|").removesuffix("|").split(" | ")]
            rows = ("".join(f"<td>{_inline(cell)}</td>" for cell in row) for row in cells)
            yield "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"
        else:
            yield "<p>" + "<br>".join(map(_inline, lines)) + "</p>"


def _inline(text: str) -> str:
    text = re.sub(r"\*\*?(.+?)\*\*?", r"<b>\1</b>", html.escape(text))
    return re.sub(r"`(.+?)`", r"<code>\1</code>", text)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
