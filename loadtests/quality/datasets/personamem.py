"""PersonaMem's folder: `questions_32k.csv` and `shared_contexts_32k.jsonl` (or 128k, 1M; the shortest is read).

It names no evidence, so its questions are multiple choices. The descriptions of the persona in the system messages
are left out, because a memory does not get them. There are no dates: messages are a minute apart, sessions a day."""

from __future__ import annotations

import ast
import csv
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from loadtests.quality.datasets.conversation import DAY_MS, Conversation, Question, exchanges, millis, turns_of
from rememberd.types import Space

SIZES = ("32k", "128k", "1M")
BEGAN = millis("2025-01-01", "%Y-%m-%d")
Message = dict[str, Any]


def load(path: Path) -> list[Conversation]:
    """Raises FileNotFoundError if no size has both files."""
    for size in SIZES:
        asked, told = path / f"questions_{size}.csv", path / f"shared_contexts_{size}.jsonl"
        if asked.exists() and told.exists():
            break
    else:
        raise FileNotFoundError(f"no questions_32k.csv with shared_contexts_32k.jsonl in {path}")
    contexts: dict[str, list[Message]] = {}
    for line in told.read_text().splitlines():
        contexts |= json.loads(line)
    questions: dict[tuple[str, int], list[Question]] = defaultdict(list)
    with asked.open(newline="") as rows:
        for row in csv.DictReader(rows):
            questions[row["shared_context_id"], int(row["end_index_in_shared_context"])].append(_question(row))
    return [_conversation(name, contexts[name][:end], end, some) for (name, end), some in questions.items()]


def _conversation(name: str, messages: list[Message], end: int, questions: list[Question]) -> Conversation:
    space = Space(f"{name}-{end}")
    sessions: list[list[Message]] = [[]]
    for message in messages:
        if message["role"] == "system":
            sessions.append([])
        else:
            sessions[-1].append(message | {"content": re.sub(r"^(User|Assistant): ", "", message["content"])})
    turns = [
        turn
        for day, session in enumerate(sessions)
        for turn in turns_of(space, str(day), BEGAN + day * DAY_MS, exchanges(session))
    ]
    return Conversation(space, turns, questions, BEGAN + len(sessions) * DAY_MS)


def _question(row: dict[str, str]) -> Question:
    options = [re.sub(r"^\(?([a-z])\)\s*", "", each) for each in _listed(row["all_options"])]
    right = ord(row["correct_answer"].strip().strip("()").lower()[0]) - ord("a")
    return Question(row["user_question_or_message"], row["question_type"], options=tuple(options), right=right)


def _listed(text: str) -> list[str]:
    """A list in JSON, or as Python prints it; both occur."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = ast.literal_eval(text)
    return [str(each) for each in found]
