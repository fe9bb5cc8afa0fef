"""A data set that the project makes itself: five people, 80 turns each, four languages (`synthetic.toml`).

The same seed gives the same turns and questions on every machine, so it needs no download and runs in CI."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.quality.datasets.conversation import DAY_MS, MINUTE_MS, Conversation, Question, exchange
from rememberd.types import Space

SEED = 25
TURNS = 80  # a person
SENTENCES = Path(__file__).with_suffix(".toml")
BEGAN = int(datetime(2026, 3, 2, 9, tzinfo=UTC).timestamp() * 1000)
Told = dict[tuple[int, str], int]  # fact and form -> the place of its turn
Values = dict[tuple[int, str], str]  # fact and form -> the value that is stated


def load(_: Path | None = None) -> list[Conversation]:
    sentences = tomllib.loads(SENTENCES.read_text())
    chance = random.Random(SEED)
    return [_conversation(each["name"], sentences[each["language"]], chance) for each in sentences["people"]]


def _conversation(name: str, words: dict[str, Any], chance: random.Random) -> Conversation:
    space = Space(f"synthetic-{name}")
    facts = words["facts"]
    said, told, values = _told(facts, chance)
    small = [
        (form.format(topic), words["reply"].format(topic)) for form in words["fill"] for topic in words["topics"]
    ]
    chance.shuffle(small)
    turns = []
    for place in range(TURNS):
        text, answer = (said[place], words["answer"]) if place in said else small.pop()
        day = place // 4  # four turns a day
        at = BEGAN + day * DAY_MS + place % 4 * MINUTE_MS
        turns.append(exchange(space, str(place), at, text, answer, session=str(day)))
    ids = {key: frozenset([turns[place].id]) for key, place in told.items()}
    return Conversation(space, turns, list(_questions(facts, ids, values)), turns[-1].created_at + DAY_MS)


def _told(facts: list[dict[str, Any]], chance: random.Random) -> tuple[dict[int, str], Told, Values]:
    """The sentences by place: what a fact says first before what replaces it, and others' words anywhere."""
    said: dict[int, str] = {}
    told: Told = {}
    stated: Values = {}
    places = list(range(TURNS))
    chance.shuffle(places)
    for number, fact in enumerate(facts):
        values = chance.sample(fact["values"], 3)
        forms = [form for form in ("said", "again", "other") if form in fact]
        chosen = [places.pop() for _ in forms]
        ordered = sorted(chosen[: 2 if "again" in fact else 1]) + chosen[2 if "again" in fact else 1 :]
        for form, place, value in zip(forms, ordered, values, strict=False):
            said[place], told[number, form], stated[number, form] = fact[form].format(value), place, value
    return said, told, stated


def _questions(
    facts: list[dict[str, Any]], ids: dict[tuple[int, str], frozenset[str]], values: Values
) -> Iterator[Question]:
    for number, fact in enumerate(facts):
        newest, kind = ("again", "update") if "again" in fact else ("said", "plain")
        for asked, category, form in (
            ("asked", kind, newest),
            ("asked_before", "before", "said"),
            ("asked_other", "others' words", "other"),
        ):
            if asked in fact:
                key = (number, form)
                yield Question(fact[asked], category, ids[key], answer=values[key])
