"""A model that decides about pairs of facts, beside the rig of the second stage."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from prometheus_client import REGISTRY

from rememberd.memory.ids import fact_id
from rememberd.memory.learn.reconcile import merge
from rememberd.types import Source
from tests.memory.test_reconcile import fact
from tests.support.extraction_rig import IDLE_MS, ExtractionRig, said
from tests.support.extraction_rig import fact as stated
from tests.support.fake_model import Behaviour, FakeModel
from tests.support.queue_contract import turn
from tests.support.writer_rig import ADA

TWO, THREE, KIDS = "I have two kids.", "I have three kids.", fact_id(ADA, "I have two kids.")


def decisions(*relations: str) -> str:
    """An answer about the first new statement and the old ones in turn."""
    listing = [{"new": 1, "old": number, "relation": relation} for number, relation in enumerate(relations, 1)]
    return json.dumps({"decisions": listing})


class Judge(FakeModel):
    """Finds every statement that starts with "I "; decides as `rulings` say in turn, the last one for ever."""

    def __init__(self) -> None:
        super().__init__(default=Behaviour(self._answer))
        self.rulings = [decisions("separate")]

    def _answer(self, body: Any) -> str:
        if asks_to_decide(body):
            return self.rulings.pop(0) if len(self.rulings) > 1 else self.rulings[0]
        text = body["messages"][-1]["content"]
        return said(*(stated(f"I {part.split('.')[0]}.") for part in text.split("I ")[1:]))

    @property
    def questions(self) -> list[Any]:
        """The pairs of each call for a decision."""
        asked = [chat.json for chat in self.chats if asks_to_decide(chat.json)]
        return [json.loads(body["messages"][-1]["content"]) for body in asked]


def asks_to_decide(body: Any) -> bool:
    return bool(body["response_format"]["json_schema"]["name"] == "decisions")


async def knows(rig: ExtractionRig, *texts: str, slot: str | None = None, pinned: bool = False) -> None:
    """A memory that was stored a second ago."""
    for text in texts:
        old = replace(fact(text, rig.clock.now - 1_000, slot), pinned=pinned)
        await merge(rig.store, rig.embedder, ADA, [old], rig.clock.now)


async def hears(rig: ExtractionRig, *texts: str, conversation: str = "c", first: int = 0) -> None:
    """The first stage is done with these turns."""
    for number, text in enumerate(texts, first):
        spoken = turn(f"{conversation}-{number}", text=text, at=rig.clock.now + number)
        await rig.queue.put(replace(spoken, source=Source(conversation)))
    await rig.drain()


async def decided(rig: ExtractionRig) -> None:
    """The model has read and decided; the writer has yet to act on it."""
    rig.clock.now += IDLE_MS
    assert await rig.stage.step()


def current(rig: ExtractionRig) -> list[str]:
    return [each.text for each in rig.facts() if each.valid_to is None]


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("rememberd_decisions_total", {"outcome": outcome}) or 0.0
