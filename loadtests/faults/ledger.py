"""What everybody said, and whether it is remembered: each acknowledged turn once, nothing deleted, the last home."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Life:
    """Of one user: the `said` that was acknowledged, what was `tried` in vain, and what was `deleted`; of a deletion
    that failed nobody knows. `homes` are the sentences that tell of a move, in order, each
    with whether it was acknowledged."""

    user: str
    said: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    homes: list[tuple[str, bool]] = field(default_factory=list)
    over: bool = False
    erased: bool = False

    @property
    def settled(self) -> bool:
        return any(acknowledged for _, acknowledged in self.homes)

    def possible_homes(self) -> set[str]:
        """The last one acknowledged, or one tried since."""
        last = max((n for n, (_, acknowledged) in enumerate(self.homes) if acknowledged), default=0)
        return {home for home, _ in self.homes[last:]}


@dataclass
class Verdict:
    """`lost`: acknowledged and not there. `doubled`: there more often than once, or after it was deleted. `disorder`:
    an earlier home, or more than one, holds. `notes` say what and whose."""

    lost: set[str] = field(default_factory=set)
    doubled: int = 0
    disorder: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, other: Verdict) -> None:
        self.lost |= other.lost
        self.notes += other.notes
        self.doubled, self.disorder = self.doubled + other.doubled, self.disorder + other.disorder


def judge(life: Life, memories: list[dict[str, Any]]) -> Verdict:
    """`memories`: all of the user that hold now, as the API gives them."""
    if life.erased:
        return Verdict(doubled=len(memories), notes=[f"after the erasure: {each['text']}" for each in memories])
    there = Counter(each["evidence"]["text"] for each in memories if each["kind"] == "episode")
    lost = set(life.said) - life.deleted - life.unsure - there.keys()
    doubled = sum(count - 1 for count in there.values()) + len(life.deleted & there.keys())
    homes = [each["evidence"]["text"].rstrip(".") + "." for each in memories if each["slot"] == "home"]
    in_order = len(homes) == 1 and homes[0] in life.possible_homes() if life.settled else len(homes) <= 1
    notes = [] if in_order else [f"home of {life.user}: {homes}, not {sorted(life.possible_homes())}"]
    notes += [f"doubled: {text}" for text, count in there.items() if count > 1 or text in life.deleted]
    return Verdict(lost, doubled, int(not in_order), notes)


def percentile(values: list[float], share: float) -> float:
    """0 without values."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else 0.0
