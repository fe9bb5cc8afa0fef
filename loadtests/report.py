"""From rows to what people read: medians over the rounds, differences to `direct` in the same round."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from loadtests.run import LIMITS_MS, Figures, Row
from loadtests.scenario import Arm, Measure, Scenario

Summary = dict[str, dict[str, Figures]]  # measure, arm

_ADDED = ("p50", "p95", "p99", "first_p50", "first_p99", "delay_p50", "delay_p99", "gap_p99")

Columns = Sequence[tuple[str, str, str]]  # heading, figure, format

_LATENCY: Columns = [
    ("p50 ms", "p50", ".2f"),
    ("added p50", "added_p50", "+.2f"),
    ("added p95", "added_p95", "+.2f"),
    ("added p99", "added_p99", "+.2f"),
]
_COST: Columns = [("CPU µs/request", "cpu_us", ",.0f"), ("RSS MB", "rss_mb", ",.0f")]
_LEARNING: Columns = [
    ("learned/s", "learned_s", ",.0f"),
    ("writer CPU ms/turn", "learn_cpu_ms", ".1f"),
    ("writer behind s", "queue_drain_s", ".1f"),
]
_STREAM: Columns = [
    ("tokens/s", "tokens_s", ",.0f"),
    ("CPU µs/token", "cpu_us_token", ".1f"),
    ("added first token p50 ms", "added_first_p50", "+.2f"),
    ("added token delay p50", "added_delay_p50", "+.2f"),
    ("p99", "added_delay_p99", "+.2f"),
    ("added gap p99", "added_gap_p99", "+.2f"),
    ("lost or reordered", "lost", ",.0f"),
]
_COLUMNS: dict[str, Columns] = {
    "closed": [
        ("requests/s", "rps", ",.0f"),
        *_LATENCY,
        *_COST,
        ("core", "core", ".0%"),
        ("processes", "processes", ",.0f"),
        ("hits", "status_hit", ".0%"),
    ],
    "open": [*_LATENCY, *_COST, ("hits", "status_hit", ".0%"), ("sent late p99 ms", "late_p99", ".2f")],
    "frontier": [(f"p99 ≤ {limit} ms: requests/s", f"rps_p99_{limit}ms", ",.0f") for limit in LIMITS_MS],
    "sustained": [("streams", "streams", ",.0f"), *_STREAM],
}
_STAGES = ("read", "understand", "recall", "embed", "search", "rank", "fetch", "inject", "remember")


def summarise(rows: Iterable[Row]) -> Summary:
    rounds: dict[tuple[str, str], dict[int, Figures]] = {}
    for measure, arm, number, figures in rows:
        rounds.setdefault((measure, arm), {})[number] = dict(figures)
    for (measure, _), found in rounds.items():
        for number, figures in found.items():
            _add_differences(figures, rounds.get((measure, "direct"), {}).get(number, {}))
    summary: Summary = {}
    for (measure, arm), found in rounds.items():
        summary.setdefault(measure, {})[arm] = _medians(list(found.values()))
    return summary


def _add_differences(figures: Figures, direct: Figures) -> None:
    figures |= {
        f"added_{name}": figures[name] - direct[name] for name in _ADDED if name in figures and name in direct
    }


def _medians(rounds: Sequence[Figures]) -> Figures:
    names = dict.fromkeys(name for figures in rounds for name in figures)
    together = {name: median(figures.get(name, 0.0) for figures in rounds) for name in names}
    worst = {name: max(f.get(name, 0.0) for f in rounds) for name in ("errors", "lost", "rss_mb") if name in names}
    return together | worst


def markdown(scenario: Scenario, summary: Summary, machine: dict[str, Any]) -> str:
    """GitHub's dialect."""
    parts = [_heading(scenario, machine), _filled(scenario.arms.values())]
    for measure in scenario.measures:
        if measure.name in summary:
            title = measure.title or measure.name
            parts.append(f"**{title}**\n\n" + _table(_columns(measure), summary[measure.name]))
    parts.append(_stages(summary))
    return "\n\n".join(part for part in parts if part) + "\n"


def _filled(arms: Iterable[Arm]) -> str:
    """Whose the memories are: a store of many users is another question than one user's many."""
    lines = []
    for arm in arms:
        whose = f"shared by {arm.users} users, one of whom asks" if arm.users > 1 else "all of the user who asks"
        if arm.memories > 1:
            lines.append(f"- `{arm.name}`: {arm.memories:,} memories in the store, {whose}")
    return "\n".join(lines)


def _heading(scenario: Scenario, machine: dict[str, Any]) -> str:
    place = f"{machine['cores']} cores ({machine['cpu']}), Python {machine['python']}"
    alone = "; the measured server has cores of its own, load and model the rest" if scenario.pinned else ""
    peers = "".join(f" {name} is {version}." for name, version in machine.get("peers", {}).items())
    lent = f" {machine['stolen']:.1%} of a core went to the host's other guests meanwhile."
    rounds = f"medians of {scenario.rounds} interleaved rounds"
    return f"Scenario `{scenario.name}`, {rounds}, {place}{alone}.{lent}{peers}"


def _columns(measure: Measure) -> Columns:
    if measure.stream and measure.load in ("closed", "open"):
        return [*_STREAM, ("RSS MB", "rss_mb", ",.0f")]
    return [*_COLUMNS[measure.load], *(_LEARNING if measure.drain else [])]


def _table(columns: Columns, arms: dict[str, Figures]) -> str:
    used = [column for column in columns if any(column[1] in figures for figures in arms.values())]
    failed = any(figures.get("errors") for figures in arms.values())
    used += [("errors", "errors", ",.0f")] if failed else []
    lines = ["| | " + " | ".join(heading for heading, _, _ in used) + " |", "|---" * (len(used) + 1) + "|"]
    for arm, figures in arms.items():
        cells = (_cell(figures.get(name), how) for _, name, how in used)
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(value: float | None, how: str) -> str:
    return "" if value is None or math.isnan(value) else format(value, how)


def _stages(summary: Summary) -> str:
    """Of the measure that shows most arms with all stages."""
    shown = {name: {a: f for a, f in arms.items() if "stage_rank_ms" in f} for name, arms in summary.items()}
    best = max(shown.values(), key=len, default={})
    columns = [(f"{stage} ms", f"stage_{stage}_ms", ".2f") for stage in _STAGES]
    title = "**A chat by stage (means, ms, from /metrics; embed to fetch are parts of recall)**"
    return f"{title}\n\n{_table(columns, best)}" if best else ""
