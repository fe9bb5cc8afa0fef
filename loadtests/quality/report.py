"""The answers as a table, as JSON and as a plot."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from loadtests.quality.locomo import CATEGORIES
from loadtests.quality.measure import BUDGETS, KINDS, Answered


def summary(answers: Sequence[Answered]) -> dict[str, Any]:
    """Per way and budget: percent of gold in the block (mean over questions) and tokens used."""
    ways = dict.fromkeys(each.way for each in answers)
    return {way: {str(budget): _cell(_of(answers, way, budget)) for budget in BUDGETS} for way in ways}


def _of(answers: Iterable[Answered], way: str, budget: int) -> list[Answered]:
    return [each for each in answers if (each.way, each.budget) == (way, budget)]


def _cell(answers: Sequence[Answered]) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "found": _percent(answers),
        "tokens": round(statistics.fmean(each.tokens for each in answers)),
    }
    by_name = {name: [each for each in answers if each.category == name] for name in CATEGORIES.values()}
    return cell | {name: _percent(some) for name, some in by_name.items() if some}


def _percent(answers: Sequence[Answered]) -> float:
    return round(100 * statistics.fmean(each.found for each in answers), 1)


def timing(answers: Iterable[Answered]) -> dict[str, float]:
    """Milliseconds of the product's first, uncached recall of each question."""
    taken = sorted(each.ms for each in answers if (each.way, each.budget) == ("product", BUDGETS[0]))
    return {"p50": round(_quantile(taken, 0.5), 1), "p95": round(_quantile(taken, 0.95), 1)}


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(figures: dict[str, Any]) -> str:
    """Markdown: one row a way, one column a budget, then the categories at 1,000 tokens."""
    names = list(CATEGORIES.values())
    rows = [
        [
            "% of gold in the block",
            *(f"{budget:,}" for budget in BUDGETS),
            *(f"{name} @1,000" for name in names),
        ]
    ]
    rows.append(["---"] * len(rows[0]))
    for way, cells in figures.items():
        shares = [str(cells[str(budget)]["found"]) for budget in BUDGETS]
        rows.append([way, *shares, *(str(cells["1000"].get(name, "")) for name in names)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def plot(figures: dict[str, Any], path: Path) -> bool:
    """False if matplotlib is not installed."""
    try:
        figures_of = import_module("matplotlib.figure")
    except ImportError:
        return False
    figure = figures_of.Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for way, cells in figures.items():
        used = [cells[str(budget)]["tokens"] for budget in BUDGETS]
        found = [cells[str(budget)]["found"] for budget in BUDGETS]
        axes.plot(used, found, marker="o", linestyle="-" if way in KINDS else "--", label=way)
    axes.set(xlabel="tokens in the block", ylabel="% of gold turns in it", ylim=(0, 100))
    axes.legend()
    figure.savefig(path, dpi=150)
    return True
