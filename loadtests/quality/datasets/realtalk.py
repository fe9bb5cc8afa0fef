"""REALTALK's folder of chats between two people, a JSON file each: LoCoMo's form with other names and dates."""

from __future__ import annotations

import json
from pathlib import Path

from loadtests.quality.datasets.conversation import Conversation
from loadtests.quality.datasets.locomo import Form, conversation

FORM = Form("%d.%m.%Y, %H:%M:%S", "clean_text", {1: "fact", 2: "date", 3: "inference"})


def load(path: Path) -> list[Conversation]:
    """Raises FileNotFoundError if the folder has no chats."""
    chats = {each: json.loads(each.read_text()) for each in sorted(path.glob("*.json"))}
    found = [conversation(each.stem, chat, chat["qa"], FORM) for each, chat in chats.items() if "qa" in chat]
    if not found:
        raise FileNotFoundError(f"no chat with questions in {path}")
    return found
