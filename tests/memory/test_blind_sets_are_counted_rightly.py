"""The command that measures the blind sets (`python -m loadtests.quality --blind`) counts what it says it counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loadtests.quality import blind
from loadtests.quality.blind_served import served

HOME: dict[str, Any] = {
    "id": "1",
    "lang": "en",
    "slot": "home",
    "facts": ["I live in Oslo, up the hill."],
    "core": ["I live in Oslo"],
}
JOKE: dict[str, Any] = {"id": "2", "lang": "de", "slot": None, "facts": [], "note": "joke"}
MOOD: dict[str, Any] = {"id": "3", "lang": "de", "slot": None, "facts": [], "note": "mood"}


def test_stored_texts_are_right_cut_wrong_or_junk() -> None:
    """Strictly right is the labelled sentence itself; right is what holds what is durable of it."""
    made = {
        "whole": ["I live in Oslo, up the hill"],
        "part": ["i live in oslo"],
        "piece": ["up the hill"],
        "nothing": [],
        "joke": ["I am the Pope."],
        "mood": ["I hate Mondays."],
    }
    labelled = [HOME | {"text": text} for text in ("whole", "part", "piece", "nothing")]
    labelled += [JOKE | {"text": "joke"}, MOOD | {"text": "mood"}, MOOD | {"text": "mood", "arguable": True}]

    misses: list[str] = []
    counts = blind.turns(labelled, misses, made.__getitem__)

    assert counts["all"] == {"messages": 6, "labelled": 4, "stored": 5, "strict right": 1, "strict found": 1} | {
        "right": 2,
        "found": 2,
        "cut": 1,
        "wrong": 1,
        "junk": 1,
    }
    assert counts["de"]["messages"] == 2
    assert counts["arguable"] == {"messages": 1, "with a fact": 1}
    assert len(misses) == 5


@pytest.mark.slow
def test_what_needs_a_store_goes_through_a_real_proxy(tmp_path: Path) -> None:
    sets: dict[str, list[dict[str, Any]]] = {
        "updates": [
            _dialogue("replaced", ["I live in Oslo.", "I live in Bergen now."], ["Bergen"], ["Oslo"]),
            _dialogue("kept", ["I live in Oslo.", "What is a fjord?"], ["Bergen"], []),
        ],
        "forget": [
            _wish("Forget that I live in Oslo.", gone=["Oslo"]),
            _wish("What is a fjord?", gone=["chess"]),
        ],
        "needs": [{"id": "1", "lang": "en", "fact": "I'm allergic to nuts.", "question": "Which nuts may I eat?"}],
        "general": [{"id": "1", "lang": "en", "question": "What is the capital of Laos?"}],
        "time": [
            {"id": "1", "lang": "en", "question": "What did we talk about yesterday?", "expect": "kayak"}
            | {"told": [{"days_ago": 1, "text": "Help me mend my kayak"}]}
        ],
    }
    for name, given in sets.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given))

    misses: list[str] = []
    found = served(tmp_path, tmp_path / "data", misses)

    assert found["updates"]["replaced"] == {"dialogues": 1, "as it should be": 1} | {
        "should hold: holds": 1,
        "should be over: over": 1,
    }
    assert found["updates"]["kept"] == {"dialogues": 1, "as it should be": 0, "should hold: never a fact": 1}
    assert found["forget"]["wish"] == {"cases": 2, "right": 1, "understood": 1, "not gone": 1} | {
        "lost what should stay": 0
    }
    assert found["needs"]["200 others"]["found"] == 1
    assert found["general"]["200 others"]["questions"] == 1
    assert found["time"]["all"]["found"] == 1
    assert len(misses) == 2


def _dialogue(kind: str, turns: list[str], current: list[str], over: list[str]) -> dict[str, Any]:
    return {"id": kind, "kind": kind, "sub": "home", "lang": "en", "turns": turns, "current": current, "over": over}


def _wish(wish: str, gone: list[str]) -> dict[str, Any]:
    told = ["I live in Oslo.", "I play chess."]
    return {"id": wish, "lang": "en", "told": told, "wish": wish, "wish_to_forget": True, "gone": gone, "stays": []}
