"""A message that only corrects the one before changes what that one stated, and nothing that was not plainly meant."""

# ruff: noqa: E501  a table of cases stays short

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rememberd.memory.learn.rules.extract import Rules
from rememberd.types import Source
from tests.support.queue_contract import turn
from tests.support.writer_rig import ADA, Rig

MINUTE = 60_000
CORRECTED = [
    *((f"I live in {old}.", f"{lead}I meant {new}.", f"I live in {new}.") for old, new in (("Oslo", "Bergen"), ("São Paulo", "Łódź"), ("Kiel", "The Hague")) for lead in ("", "Sorry, ", "oops, ", "No, ")),
    ("I'm 34.", "Typo: 43", "I'm 43."), ("I'm 34 years old, what fits me?", "Sorry, I meant 43.", "I'm 43 years old"), ("My name is Jon.", "I mean Jan.", "My name is Jan."),
    ("I work at Acme. Any tips for me?", "Correction: Globex", "I work at Globex."), ("My brother Tom lives in Leeds.", "Sorry, I meant York.", "My brother Tom lives in York."),
    ("Ich wohne in Kiel.", "Ich meinte Bremen.", "Ich wohne in Bremen."), ("J'habite à Lyon.", "Désolé, je voulais dire Lille.", "J'habite à Lille."),
    ("Vivo en Lima.", "Perdón, quise decir Quito.", "Vivo en Quito."), ("Abito a Torino.", "Scusa, volevo dire Milano.", "Abito a Milano."),
    ("Moro no Porto.", "Desculpa, quis dizer Braga.", "Moro no Braga."), ("Ik woon in Delft.", "Ik bedoel Gent.", "Ik woon in Gent."),
    ("Jeg bor i Bodø.", "Beklager, jeg mente Oslo.", "Jeg bor i Oslo."), ("Jag bor i Lund.", "Jag menade Malmö.", "Jag bor i Malmö."),
]  # fmt: skip
LEFT_ALONE = [
    ("I live in Oslo.", "I meant the other one."), ("I live in Oslo.", "Sorry, I meant what is the weather."), ("I live in Oslo.", "Typo: 43"),
    ("I live in Oslo. How do I print in Python?", "I meant Java."), ("I'm 34. Is 17 a prime?", "I meant 19."), ("I'm vegan.", "I meant Bergen."),
    ("I live in Oslo.", "I meant Bergen, which is a city on the coast."), ("I work at Acme in Oslo.", "I meant Bergen."), ("I live in Oslo and my brother Tom lives in Leeds.", "I meant York."),
]  # fmt: skip


async def holding(folder: Path, *messages: str, apart: int = MINUTE, conversations: str = "cc") -> list[str]:
    rig = Rig(folder, [Rules()])
    at = rig.clock.now
    for number, text in enumerate(messages):
        said = turn(f"t{number}", text=text, at=at + number * apart)
        await rig.queue.put(replace(said, answer="Fine.", source=Source(conversations[number])))
        await rig.drain()
    await rig.queue.close()
    return [each.text for each in rig.store.memories(ADA) if each.kind == "fact" and each.valid_to is None]


@pytest.mark.parametrize(("stated", "corrects", "holds"), CORRECTED)
async def test_the_correction_takes_the_place_of_what_it_corrects(
    tmp_path: Path, stated: str, corrects: str, holds: str
) -> None:
    """What was stated holds with the value that was meant; the old one is past."""
    assert await holding(tmp_path, stated, corrects) == [holds]


@pytest.mark.parametrize(("stated", "other"), LEFT_ALONE)
async def test_what_may_mean_something_else_corrects_nothing(tmp_path: Path, stated: str, other: str) -> None:
    """No name or number, one of the other kind, or one that could stand for another word of the message."""
    before = await holding(tmp_path / "before", stated)
    assert before
    assert await holding(tmp_path / "after", stated, other) == before


async def test_only_the_message_just_before_is_corrected(tmp_path: Path) -> None:
    """In a new conversation too; not one of an hour ago, and not one with another between."""
    told, meant = "I live in Oslo.", "Sorry, I meant Bergen."
    assert await holding(tmp_path / "a", told, meant, conversations="cd") == ["I live in Bergen."]
    assert await holding(tmp_path / "b", told, meant, apart=61 * MINUTE) == [told]
    assert await holding(tmp_path / "c", told, "How far is Rome?", meant, conversations="ccc") == [told]
