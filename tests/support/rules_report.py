"""Precision and recall of the rules on the labelled turns: `python -m tests.support.rules_report` prints a table.

`turns.jsonl` is what the rules were written with. Each blind set was written before the rules were run on it, and
only then used to improve them: what it showed at its first run is an honest figure, what it shows now is a regression
test. Most of the blind turns state nothing and are made to look as if they did."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from rememberd.memory.learn.rules.extract import extract
from rememberd.types import Fact

DATA = Path(__file__).parents[1] / "data"
# Precision and recall at the first run, before the set was used for anything.
FIRST_RUNS: dict[str, tuple[float, float] | None] = {
    "turns.jsonl": None,
    "turns_blind_1.jsonl": (0.959, 0.770),
    "turns_blind_2.jsonl": (0.562, 0.837),
    "turns_blind_3.jsonl": (0.566, 0.833),
    "turns_blind_4.jsonl": (0.826, 0.927),
    "turns_blind_5.jsonl": (0.793, 0.885),
    "turns_blind_6.jsonl": (0.829, 0.872),
    "turns_blind_7.jsonl": (0.945, 0.929),
    "turns_blind_8.jsonl": (0.933, 0.949),
    "turns_blind_9.jsonl": (0.896, 0.956),
    "turns_blind_10.jsonl": (0.882, 0.938),
    "turns_blind_11.jsonl": (1.000, 0.932),
    "turns_blind_12.jsonl": (0.955, 0.955),
}


class Score(NamedTuple):
    right: int
    found: int
    stored: int
    expected: int
    mistakes: list[str]

    @property
    def precision(self) -> float:
        return self.right / self.stored

    @property
    def recall(self) -> float:
        return self.found / self.expected


def turns(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def all_turns() -> list[dict[str, Any]]:
    return [turn for name in FIRST_RUNS for turn in turns(name)]


@cache
def facts(text: str) -> list[Fact]:
    """What the rules find in it. All sets take 15 s, so that the tests of a process look at each text once."""
    return extract(text, 0)


def score(labelled: list[dict[str, Any]]) -> Score:
    """A stored fact is right if it has the key words of an expected one; several expected ones may stand in one whole
    sentence. One whose words stand under `may` counts neither way. Slots are not compared: what counts is whether
    the sentence was rightly taken for a statement of the person."""
    right = found = stored = expected = 0
    mistakes: list[str] = []
    for turn in labelled:
        missing = list(turn["facts"])
        expected += len(missing)
        for fact in facts(turn["text"]):
            if any(_has(fact, each["has"]) for each in turn["facts"]):
                missing = [each for each in missing if not _has(fact, each["has"])]
                right += 1
            elif any(_has(fact, words) for words in turn.get("may", [])):
                continue
            else:
                mistakes.append(f"wrong    {fact.text!r} ({fact.slot}) from {turn['text']!r}")
            stored += 1
        mistakes.extend(f"missed   {each['has']} ({each['slot']}) in {turn['text']!r}" for each in missing)
        found += len(turn["facts"]) - len(missing)
    return Score(right, found, stored, expected, mistakes)


def _has(fact: Fact, words: list[str]) -> bool:
    return all(word.casefold() in fact.text.casefold() for word in words)


def table() -> str:
    """Markdown, a row a set; "first" columns are of the set's first run."""
    rows = [
        "| set | turns | stating nothing | facts | first precision | first recall | precision | recall |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows += [_row(name, turns(name), first) for name, first in FIRST_RUNS.items()]
    return "\n".join([*rows, _row("all", all_turns(), None)])


def _row(name: str, labelled: list[dict[str, Any]], first: tuple[float, float] | None) -> str:
    result = score(labelled)
    silent = sum(1 for turn in labelled if not turn["facts"])
    figures = [f"{each:.3f}" if each else "" for each in first or (0, 0)]
    figures += [f"{result.precision:.3f}", f"{result.recall:.3f}"]
    counts = [str(each) for each in (len(labelled), silent, result.expected)]
    return f"| {' | '.join([name.removesuffix('.jsonl'), *counts, *figures])} |"


if __name__ == "__main__":
    print(table())
