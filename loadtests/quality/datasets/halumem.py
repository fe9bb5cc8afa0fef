"""HaluMem's JSON lines (`HaluMem-Medium.jsonl`): a user a line, with the memories that each session should leave.

Read for its extraction and update parts. Its questions are left out: their evidence is text, with no turn named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loadtests.quality.datasets.conversation import DAY_MS, Conversation, Point, exchanges, millis, turns_of
from rememberd.types import Space

DATE = "%b %d, %Y, %H:%M:%S"


def load(path: Path) -> list[Conversation]:
    with path.open() as lines:
        return [_conversation(json.loads(line)) for line in lines if line.strip()]


def _conversation(row: dict[str, Any]) -> Conversation:
    space = Space(row["uuid"])
    turns, points = [], list[Point]()
    for number, session in enumerate(row["sessions"]):
        dialogue = session["dialogue"]
        if dialogue:
            began = millis(dialogue[0]["timestamp"], DATE)
            turns += turns_of(space, str(number), began, exchanges(dialogue))
        if not session.get("is_generated_qa_session"):  # its memories are not scored
            points += [_point(each) for each in session.get("memory_points", [])]
    return Conversation(space, turns, [], turns[-1].created_at + DAY_MS, tuple(points))


def _point(row: dict[str, Any]) -> Point:
    update = str(row.get("is_update")).lower() == "true"
    replaces = tuple(row.get("original_memories") or ()) if update else ()
    return Point(row["memory_content"], replaces, wanted=row.get("memory_source") != "interference")
