"""What every data set is read into: conversations of turns, and questions with the turns that hold the answer."""

from __future__ import annotations

from dataclasses import dataclass

from rememberd.types import Millis, Source, Space, Turn

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Question:
    """`gold` are the ids of the turns that hold the answer."""

    text: str
    category: str
    gold: frozenset[str]


@dataclass(frozen=True, slots=True)
class Conversation:
    """Everything that one user said, and what is asked at the time `end`, after the last turn."""

    space: Space
    turns: list[Turn]
    questions: list[Question]
    end: Millis


def exchange(space: Space, name: str, at: Millis, said: str, answer: str = "", *, session: str) -> Turn:
    """A user's message and its answer as one turn with the id "user/name"."""
    name = f"{space.user}/{name}"
    return Turn(name, space, at, said, answer, receipt=name, source=Source(conversation=f"{space.user}/{session}"))
