"""LongMemEval's JSON (`longmemeval_s_cleaned.json`, or `_m`, `_oracle`): each question with its own history.

The questions without an answer (their ids end with "_abs") are left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loadtests.quality.datasets.conversation import Conversation, Question, exchanges, millis, turns_of
from rememberd.types import Space

DATE = "%Y/%m/%d (%a) %H:%M"


def load(path: Path) -> list[Conversation]:
    return [_conversation(each) for each in json.loads(path.read_text()) if not each["question_id"].endswith("_abs")]


def _conversation(row: dict[str, Any]) -> Conversation:
    space = Space(row["question_id"])
    answering = frozenset(row["answer_session_ids"])
    turns, marked, of_sessions = [], set[str](), set[str]()
    sessions = zip(row["haystack_session_ids"], row["haystack_dates"], row["haystack_sessions"], strict=True)
    for name, date, messages in sorted(sessions, key=lambda each: millis(each[1], DATE)):
        spoken = list(exchanges(messages))
        said = turns_of(space, name, millis(date, DATE), spoken)
        turns += said
        for turn, each in zip(said, spoken, strict=True):
            if any(messages[place].get("has_answer") for place in each.places):
                marked.add(turn.id)
        of_sessions |= {turn.id for turn in said if name in answering}
    gold = frozenset(marked or of_sessions)  # a few have no marked turn
    question = Question(row["question"], row["question_type"], gold, answering)
    return Conversation(space, turns, [question], millis(row["question_date"], DATE))
