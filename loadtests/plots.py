"""The pictures, and the page that holds everything."""

from __future__ import annotations

import base64
import html
from pathlib import Path
from typing import Any

from loadtests.report import Summary
from loadtests.run import LIMITS_MS
from loadtests.scenario import Scenario

_SIZE = (7.0, 3.4)  # inches, at 90 dots each: under 60 kB
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}pre{overflow-x:auto}"
)


def draw(summary: Summary, scenario: Scenario, out: Path) -> list[Path]:
    """Raises `ImportError` without matplotlib."""
    import matplotlib

    matplotlib.use("Agg")
    drawn = []
    for measure in scenario.measures:
        arms = {arm: figures for arm, figures in summary.get(measure.name, {}).items() if arm != "direct"}
        title = measure.title or measure.name
        if measure.load == "frontier":
            drawn.append(_frontier(summary[measure.name], title, out / f"{measure.name}.png"))
        elif measure.stream:
            drawn.append(_bars(arms, ("cpu_us_token",), title, "CPU µs a token", out / f"{measure.name}.png"))
        elif measure.load == "closed" and measure.connections > 1:
            drawn.append(_bars(arms, ("rps",), title, "requests/s", out / f"{measure.name}.png"))
        elif any("added_p50" in figures for figures in arms.values()):
            names = ("added_p50", "added_p95", "added_p99")
            drawn.append(_bars(arms, names, title, "added ms", out / f"{measure.name}.png"))
    return drawn


def _bars(arms: dict[str, dict[str, float]], names: tuple[str, ...], title: str, unit: str, path: Path) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, dpi=90, layout="constrained")
    axes = figure.subplots()
    height = 0.8 / len(names)
    for number, name in enumerate(names):
        places = [place + number * height for place in range(len(arms))]
        values = [max(figures.get(name, 0.0), 0.0) for figures in arms.values()]
        bars = axes.barh(places, values, height, label=name.removeprefix("added_"))
        labels = [f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" for value in values]
        axes.bar_label(bars, labels, fontsize=7, padding=2)
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(arms))], list(arms))
    axes.invert_yaxis()
    axes.set_xlabel(unit)
    axes.set_title(title, fontsize=10)
    axes.margins(x=0.12)
    if len(names) > 1:
        axes.legend(fontsize=8)
    figure.savefig(path)
    return path


def _frontier(arms: dict[str, dict[str, float]], title: str, path: Path) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=_SIZE, dpi=90, layout="constrained")
    axes = figure.subplots()
    for arm, figures in arms.items():
        rates = [figures[f"rps_p99_{limit}ms"] for limit in LIMITS_MS]
        axes.plot(LIMITS_MS, rates, marker="o", label=arm)
    axes.set_xscale("log")
    axes.set_xticks(LIMITS_MS, [f"{limit}" for limit in LIMITS_MS])
    axes.set_xlabel("99 % of answers within ms")
    axes.set_ylabel("requests/s")
    axes.set_ylim(bottom=0)
    axes.set_title(title, fontsize=10)
    axes.legend(fontsize=8)
    figure.savefig(path)
    return path


def page(table: str, pictures: list[Path], result: dict[str, Any]) -> str:
    """HTML that needs no other file."""
    images = "\n".join(
        f'<img alt="{html.escape(path.stem)}" src="data:image/png;base64,{_base64(path)}">' for path in pictures
    )
    return (
        f'<!doctype html><meta charset="utf-8"><title>rememberd load test</title><style>{_STYLE}</style>\n'
        f"<h1>rememberd load test, {html.escape(result['at'])}</h1>\n<pre>{html.escape(table)}</pre>\n{images}\n"
    )


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
