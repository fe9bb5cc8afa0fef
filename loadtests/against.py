"""Two runs side by side: how many times as much the second one needs or gives, with an interval.

A ratio's interval holds the ratios of all pairs of rounds. It holds the true one with 1 - 2/C(2n, n): 90 % with three
rounds each, 99 % with five (Mann and Whitney's test, inverted)."""

from __future__ import annotations

import json
import math
from argparse import ArgumentTypeError
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

FIGURES = ("rps", "added_p50", "added_p99", "cpu_us", "cpu_us_token", "rss_mb")
HIGHER_IS_BETTER = frozenset({"rps"})


class Ratio(NamedTuple):
    measure: str
    arm: str
    figure: str
    ratio: float
    low: float
    high: float
    sure: float

    @property
    def differs(self) -> bool:
        return not self.low <= 1 <= self.high

    @property
    def verdict(self) -> str:
        if not self.differs:
            return "the same, as far as can be told"
        return "better" if (self.ratio > 1) == (self.figure in HIGHER_IS_BETTER) else "worse"


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Ratio]:
    """Compares what both runs have measured. Both arguments are the contents of a `result.json`."""
    one, other = _rounds(before), _rounds(after)
    return [_ratio(key, one[key], other[key]) for key in one if key in other]


def earlier_run(file: str) -> Path:
    """The type of `--against`: refuses before a run of minutes what cannot be compared with it."""
    try:
        rows = json.loads(Path(file).read_text())["rows"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArgumentTypeError(f"{file} is no result.json of a run with its rounds: {error!r}") from error
    if not all(isinstance(row, list) for row in rows):
        raise ArgumentTypeError(f"{file} is the result of another command than `run`")
    return Path(file)


def caution(before: Mapping[str, Any]) -> str:
    """Why the earlier run must not be compared with, as its own `result.json` says; "" if it is valid. A
    `result.json` of version 0.1 does not say."""
    trust = next(iter(before.get("verdict", ())), "")
    return f"The earlier run is not to be compared with. In its report: {trust}\n\n" if "*invalid*" in trust else ""


def markdown(ratios: Iterable[Ratio]) -> str:
    lines = ["| measure | arm | figure | now / before | interval | sure | |", "|---|---|---|---|---|---|---|"]
    lines += [
        f"| {each.measure} | {each.arm} | {each.figure} | {each.ratio:.2f} | {each.low:.2f} to {each.high:.2f}"
        f" | {each.sure:.0%} | {each.verdict} |"
        for each in ratios
    ]
    return "\n".join(lines) + "\n"


def _rounds(result: Mapping[str, Any]) -> dict[tuple[str, str, str], list[float]]:
    direct = {(measure, number): figures for measure, arm, number, figures in result["rows"] if arm == "direct"}
    found: dict[tuple[str, str, str], list[float]] = {}
    for measure, arm, number, figures in result["rows"]:
        for name in FIGURES:
            value = figures.get(name)
            if name.startswith("added_"):
                plain, base = name.removeprefix("added_"), direct.get((measure, number), {})
                value = (
                    figures[plain] - base[plain] if plain in figures and plain in base and arm != "direct" else None
                )
            if value is not None and value > 0 and not math.isnan(value):
                found.setdefault((measure, arm, name), []).append(value)
    return found


def _ratio(key: tuple[str, str, str], before: list[float], after: list[float]) -> Ratio:
    pairs = [new / old for new in after for old in before]
    sure = max(0.0, 1 - 2 / math.comb(len(before) + len(after), len(before)))
    return Ratio(*key, median(after) / median(before), min(pairs), max(pairs), sure)
