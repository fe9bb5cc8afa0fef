"""LoCoMo's JSON as turns and questions. One utterance is one turn, named sample/`dia_id`."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.quality.datasets.conversation import DAY_MS, MINUTE_MS, Conversation, Question
from rememberd.types import Source, Space, Turn

CATEGORIES = {
    1: "multi-hop",
    2: "temporal",
    3: "open-domain",
    4: "single-hop",
}  # 5, adversarial, has no evidence


def load(path: Path) -> list[Conversation]:
    return [_conversation(sample) for sample in json.loads(path.read_text())]


def _conversation(sample: dict[str, Any]) -> Conversation:
    space = Space(str(sample["sample_id"]))
    spoken = sample["conversation"]
    numbers = sorted(int(found[1]) for key in spoken if (found := re.fullmatch(r"session_(\d+)", key)))
    turns = [turn for number in numbers for turn in _session(space, spoken, number)]
    ids = {turn.id for turn in turns}
    questions = [each for asked in sample["qa"] if (each := _question(space, asked, ids))]
    return Conversation(space, turns, questions, turns[-1].created_at + DAY_MS)


def _session(space: Space, spoken: dict[str, Any], number: int) -> list[Turn]:
    start = datetime.strptime(spoken[f"session_{number}_date_time"], "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
    began = int(start.timestamp() * 1000)
    return [
        Turn(
            id=f"{space.user}/{said['dia_id']}",
            space=space,
            created_at=began + position * MINUTE_MS,
            user_text=said["text"],
            answer="",
            receipt=f"{space.user}/{said['dia_id']}",
            source=Source(conversation=f"session_{number}"),
            speaker=said["speaker"],
        )
        for position, said in enumerate(spoken[f"session_{number}"])
    ]


def _question(space: Space, asked: dict[str, Any], ids: set[str]) -> Question | None:
    category = CATEGORIES.get(asked["category"])
    named = re.findall(r"D\d+:\d+", " ".join(asked.get("evidence", [])))
    gold = frozenset(f"{space.user}/{each}" for each in named) & ids
    return Question(asked["question"], category, gold) if category and gold else None
