"""The answers as a table, as JSON and as a plot."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.plots import curves
from loadtests.quality.measure import BUDGETS, KINDS, Answered

RESAMPLED = 1000  # bootstrap: questions are drawn again, with replacement


def summary(answers: Sequence[Answered]) -> dict[str, Any]:
    """Per way and budget: percent of gold in the block (mean over questions) and tokens used."""
    ways = dict.fromkeys(each.way for each in answers)
    return {way: {str(budget): _cell(_of(answers, way, budget)) for budget in BUDGETS} for way in ways}


def _of(answers: Iterable[Answered], way: str, budget: int) -> list[Answered]:
    return [each for each in answers if (each.way, each.budget) == (way, budget)]


def _cell(answers: Sequence[Answered]) -> dict[str, Any]:
    cell: dict[str, Any] = {
        "found": _percent(answers),
        "interval": interval([each.found for each in answers]),
        "tokens": round(statistics.fmean(each.tokens for each in answers)),
    }
    by_name = {name: [each for each in answers if each.category == name] for name in _categories(answers)}
    return cell | {"categories": {name: _percent(some) for name, some in by_name.items()}}


def _categories(answers: Iterable[Answered]) -> list[str]:
    return sorted({each.category for each in answers})


def _percent(answers: Sequence[Answered]) -> float:
    return round(100 * statistics.fmean(each.found for each in answers), 1)


def interval(shares: Sequence[float]) -> list[float]:
    """The 95 % confidence interval of the mean, in percent, by bootstrap over the questions with a fixed seed."""
    values, chance = np.array(shares), np.random.default_rng(0)
    means = [values[chance.integers(0, len(values), len(values))].mean() for _ in range(RESAMPLED)]
    return [round(100 * float(each), 1) for each in np.quantile(means, (0.025, 0.975))]


def timing(answers: Iterable[Answered], way: str = "product") -> dict[str, float]:
    """Milliseconds of the first, uncached recall of each question."""
    taken = sorted(each.ms for each in answers if (each.way, each.budget) == (way, BUDGETS[0]))
    return {"p50": round(_quantile(taken, 0.5), 1), "p95": round(_quantile(taken, 0.95), 1)}


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def table(figures: dict[str, Any]) -> str:
    """Markdown: a row a way, a column a budget, then the categories at 1,000 tokens and the tokens used of 1,000."""
    names = sorted(next(iter(figures.values()))["1000"]["categories"])
    columns = [f"{budget:,}" for budget in BUDGETS] + [f"{name} @1,000" for name in names]
    rows = [["% of gold in the block, or right choices", *columns, "tokens used of 1,000"]]
    rows.append(["---"] * len(rows[0]))
    for way, cells in figures.items():
        at_1000 = cells["1000"]
        shares = [_with_interval(cells[str(budget)]) for budget in BUDGETS]
        by_name = [str(at_1000["categories"].get(name, "")) for name in names]
        rows.append([way, *shares, *by_name, f"{at_1000['tokens']:,}"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def agreement(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Do two runs agree: is what each found, by way and budget, in the other's interval? Of the ways of both."""
    both = [(way, budget) for way, cells in before.items() if way in now for budget in cells]
    apart = [
        f"{way} at {budget} tokens: {before[way][budget]['found']} % before, {now[way][budget]['found']} % now"
        for way, budget in both
        if not (_holds(before[way][budget], now[way][budget]) and _holds(now[way][budget], before[way][budget]))
    ]
    return f"{len(both) - len(apart)} of {len(both)} figures agree within their intervals" + "".join(
        f"\n- {each}" for each in apart
    )


def _holds(cell: dict[str, Any], other: dict[str, Any]) -> bool:
    low, high = cell["interval"]
    return bool(low <= other["found"] <= high)


def _with_interval(cell: dict[str, Any]) -> str:
    low, high = cell["interval"]
    return f"{cell['found']} ({low:.0f}–{high:.0f})"


def plot(figures: dict[str, Any], path: Path) -> None:
    """An SVG file: evidence against tokens, a curve a way; the baselines' curves are dashed."""
    drawn = {
        way: [(cells[str(budget)]["tokens"], cells[str(budget)]["found"]) for budget in BUDGETS]
        for way, cells in figures.items()
    }
    dashed = set(figures) - set(KINDS)
    path.write_text(curves(drawn, dashed, "tokens in the block", "% of the gold turns in it") + "\n")
