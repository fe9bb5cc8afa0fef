"""LoCoMo's JSON as turns and questions. One utterance is one turn, named sample/`dia_id`."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from loadtests.quality.datasets.conversation import DAY_MS, MINUTE_MS, Conversation, Question, millis
from rememberd.types import Source, Space, Turn


class Form(NamedTuple):
    """What differs between LoCoMo and REALTALK. Questions of categories without a name are left out."""

    date: str
    text: str
    categories: dict[int, str]


FORM = Form(
    "%I:%M %p on %d %B, %Y",
    "text",
    {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"},  # 5, adversarial, has no evidence
)


def load(path: Path) -> list[Conversation]:
    samples = json.loads(path.read_text())
    return [conversation(str(each["sample_id"]), each["conversation"], each["qa"], FORM) for each in samples]


def load_told(path: Path) -> list[Conversation]:
    """As one person's chats without names, each in a new conversation, half a minute apart, all of one day."""
    told = []
    for spoken in load(path):
        began = spoken.turns[-1].created_at
        turns = [
            replace(
                turn, speaker=None, source=Source(conversation=turn.id), created_at=began + number * MINUTE_MS // 2
            )
            for number, turn in enumerate(spoken.turns)
        ]
        told.append(replace(spoken, turns=turns, end=turns[-1].created_at + MINUTE_MS))
    return told


def conversation(name: str, spoken: dict[str, Any], qa: list[dict[str, Any]], form: Form) -> Conversation:
    space = Space(name)
    numbers = sorted(int(found[1]) for key in spoken if (found := re.fullmatch(r"session_(\d+)", key)))
    turns = [turn for number in numbers for turn in _session(space, spoken, number, form)]
    ids = {turn.id for turn in turns}
    questions = [each for asked in qa if (each := _question(space, asked, ids, form))]
    return Conversation(space, turns, questions, turns[-1].created_at + DAY_MS)


def _session(space: Space, spoken: dict[str, Any], number: int, form: Form) -> list[Turn]:
    began = millis(spoken[f"session_{number}_date_time"], form.date)
    return [
        Turn(
            id=f"{space.user}/{said['dia_id']}",
            space=space,
            created_at=began + position * MINUTE_MS,
            user_text=said[form.text],
            answer="",
            receipt=f"{space.user}/{said['dia_id']}",
            source=Source(conversation=f"session_{number}"),
            speaker=said["speaker"],
        )
        for position, said in enumerate(spoken[f"session_{number}"])
    ]


def _question(space: Space, asked: dict[str, Any], ids: set[str], form: Form) -> Question | None:
    category = form.categories.get(asked["category"])
    named = re.findall(r"D\d+:\d+", " ".join(asked.get("evidence", [])))
    gold = frozenset(f"{space.user}/{each}" for each in named) & ids
    return Question(asked["question"], category, gold) if category and gold else None
