"""Precision and recall of the rules on the labelled turns: `python -m tests.rules_report` prints both."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from proxy.memory.extract.rules import extract
from proxy.types import Fact

TURNS = Path(__file__).parent / "data" / "turns.jsonl"


class Score(NamedTuple):
    right: int
    stored: int
    expected: int
    mistakes: list[str]

    @property
    def precision(self) -> float:
        return self.right / self.stored

    @property
    def recall(self) -> float:
        return self.right / self.expected


def turns(path: Path = TURNS) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def score(labelled: list[dict[str, Any]]) -> Score:
    """A stored fact is right if it has the key words and the slot of an expected one that no other fact has taken.
    One whose words stand under `may` counts neither way."""
    right = stored = expected = 0
    mistakes: list[str] = []
    for turn in labelled:
        missing = list(turn["facts"])
        expected += len(missing)
        for fact in extract(turn["text"], 0):
            hit = next((each for each in missing if _matches(fact, each)), None)
            if hit:
                missing.remove(hit)
                right += 1
            elif any(_has(fact, words) for words in turn.get("may", [])):
                continue
            else:
                mistakes.append(f"wrong    {fact.text!r} ({fact.slot}) from {turn['text']!r}")
            stored += 1
        mistakes.extend(f"missed   {each['has']} ({each['slot']}) in {turn['text']!r}" for each in missing)
    return Score(right, stored, expected, mistakes)


def _matches(fact: Fact, expected: dict[str, Any]) -> bool:
    return fact.slot == expected["slot"] and _has(fact, expected["has"])


def _has(fact: Fact, words: list[str]) -> bool:
    return all(word.casefold() in fact.text.casefold() for word in words)


if __name__ == "__main__":
    result = score(turns())
    print("\n".join(result.mistakes))
    print(f"{result.expected} facts in {len(turns())} turns:", end=" ")
    print(f"precision {result.precision:.3f}, recall {result.recall:.3f}")
