"""BEAM's chats as its repository has them: a folder `chats/100K` (or 500K, 1M) with a folder for each chat.

The questions that name no message as their source are left out: all of "abstention" and some others. The chats of 10M
tokens have another form and are not read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loadtests.quality.datasets.conversation import DAY_MS, Conversation, Question, exchanges, millis, turns_of
from rememberd.types import Millis, Space

DATE = "%B-%d-%Y"
UNDATED = millis("January-01-2024", DATE)


def load(path: Path) -> list[Conversation]:
    """Raises FileNotFoundError if the folder has no chats."""
    chats = sorted(path.glob("*/chat.json"), key=lambda each: (len(each.parent.name), each.parent.name))
    if not chats:
        raise FileNotFoundError(f"no */chat.json in {path}")
    return [_conversation(each) for each in chats]


def _conversation(path: Path) -> Conversation:
    space = Space(f"beam-{path.parent.name}")
    turns, turn_of, began = [], dict[int, str](), UNDATED
    for batch in json.loads(path.read_text()):
        messages = [_without_mark(each) for turn in batch["turns"] for each in turn]
        began = max(began + DAY_MS, _dated(messages))
        spoken = list(exchanges(messages))
        said = turns_of(space, str(batch["batch_number"]), began, spoken)
        turns += said
        for turn, each in zip(said, spoken, strict=True):
            turn_of |= {messages[place]["id"]: turn.id for place in each.places}
    asked = json.loads((path.parent / "probing_questions" / "probing_questions.json").read_text())
    return Conversation(space, turns, list(_questions(asked, turn_of)), turns[-1].created_at + DAY_MS)


def _dated(messages: list[dict[str, Any]]) -> Millis:
    return next((millis(each["time_anchor"], DATE) for each in messages if each.get("time_anchor")), 0)


def _without_mark(message: dict[str, Any]) -> dict[str, Any]:
    """Without the "->-> 1,2" that ends the messages which the generator planned."""
    return message | {"content": message["content"].partition("->->")[0].rstrip()}


def _questions(asked: dict[str, list[dict[str, Any]]], turn_of: dict[int, str]) -> Iterator[Question]:
    for category, questions in asked.items():
        for each in questions:
            gold = frozenset(turn_of[place] for place in _places(each.get("source_chat_ids")) if place in turn_of)
            if gold:
                yield Question(each["question"], category, gold)


def _places(named: Any) -> Iterator[int]:
    """`source_chat_ids` is a list of numbers, or an object of such lists."""
    if isinstance(named, int):
        yield named
    elif isinstance(named, list | dict):
        for each in named.values() if isinstance(named, dict) else named:
            yield from _places(each)
