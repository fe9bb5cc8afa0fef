"""Memories that come and go between questions: a question is answered as if only the present ones had ever been."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from rememberd.types import Memory, Space
from tests.support.retrieval_rig import ADA, NOW, PLACES, memory, rig

THINGS = ("boat", "harp", "kiln", "tent", "globe", "stamp")
TOLD = [
    *(memory(f"I sold the {thing} in Bonn", days_ago=number + 1) for number, thing in enumerate(THINGS)),
    *(memory(f"User: the {thing} is green", "episode", days_ago=number + 9) for number, thing in enumerate(THINGS)),
]
QUESTIONS = ("Where did I sell my boat?", "Which harp of mine is green?", "What did I sell in Bonn?")


@pytest.mark.parametrize("place", PLACES)
async def test_deletions_and_additions_between_questions(place: str, tmp_path: Path) -> None:
    """Each round deletes some, tells some again or for the first time, then asks; beside it stands a space that was
    told only what is left."""
    chosen, differs = random.Random(place), []
    async with rig(place, tmp_path) as there:
        present: dict[str, Memory] = {}
        for at in range(1, 13):
            gone = chosen.sample(sorted(present), len(present) // 2)
            await there.store.delete(ADA, gone, at=NOW + 2 * at)
            told = [replace(each, updated_at=NOW + 2 * at + 1) for each in chosen.sample(TOLD, 5)]
            await there.tell(ADA, *told)
            present |= {each.id: each for each in told}
            present = {id_: each for id_, each in present.items() if id_ not in gone or each in told}
            alone = Space(ADA.user, f"round {at}")
            await there.tell(alone, *present.values())
            for question in QUESTIONS:
                found, wanted = [(await there.ask(question, space)) for space in (ADA, alone)]
                if (found.block, found.ids) != (wanted.block, wanted.ids):
                    differs.append((at, question, found.ids, wanted.ids))
    assert not differs
