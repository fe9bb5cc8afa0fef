"""What every data set is read into: conversations of turns, and questions with the turns that hold the answer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from rememberd.types import Millis, Source, Space, Turn

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Question:
    """`gold` are the ids of the turns that hold the answer, `sessions` the names of their sessions if the data set
    names them. A multiple choice has `options`, of which `right` is the place of the right one, and no gold. `answer`
    are words that a right answer holds, "" if the data set does not give them so exactly."""

    text: str
    category: str
    gold: frozenset[str] = frozenset()
    sessions: frozenset[str] = frozenset()
    options: tuple[str, ...] = ()
    right: int = 0
    answer: str = ""


class Point(NamedTuple):
    """What should be stored as a fact, or not (`wanted`), and which facts it replaces."""

    text: str
    replaces: tuple[str, ...] = ()
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class Conversation:
    """Everything that one user said, and what is asked at the time `end`, after the last turn."""

    space: Space
    turns: list[Turn]
    questions: list[Question]
    end: Millis
    points: tuple[Point, ...] = ()


class Exchange(NamedTuple):
    """A message of a user with what the assistant answered; `places` are those of its messages in their session."""

    said: str
    answer: str
    places: tuple[int, ...]


def exchanges(messages: Sequence[dict[str, Any]]) -> Iterator[Exchange]:
    """Messages {"role", "content"} as exchanges. What an assistant says before any user is left out."""
    said, answers, places = "", list[str](), list[int]()
    for place, message in enumerate(messages):
        if message["role"] == "user":
            if places:
                yield Exchange(said, "\n".join(answers), tuple(places))
            said, answers, places = message["content"], [], [place]
        elif message["role"] == "assistant" and places:
            answers.append(message["content"])
            places.append(place)
    if places:
        yield Exchange(said, "\n".join(answers), tuple(places))


def turns_of(space: Space, session: str, began: Millis, spoken: Iterable[Exchange]) -> list[Turn]:
    """The turns of a session, a minute apart, with the ids "user/session:number"."""
    return [
        exchange(space, f"{session}:{number}", began + number * MINUTE_MS, each.said, each.answer, session=session)
        for number, each in enumerate(spoken)
    ]


def exchange(space: Space, name: str, at: Millis, said: str, answer: str = "", *, session: str) -> Turn:
    """A user's message and its answer as one turn with the id "user/name"."""
    name = f"{space.user}/{name}"
    return Turn(name, space, at, said, answer, receipt=name, source=Source(conversation=session))


def millis(text: str, form: str) -> Millis:
    """`text` in strptime's `form`, as UTC. Raises ValueError."""
    return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp() * 1000)
