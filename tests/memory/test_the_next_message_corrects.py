"""A message that only corrects the one before changes what that one stated, and nothing that was not plainly meant."""

# ruff: noqa: E501  a table of cases stays short

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rememberd.memory.learn.rules.extract import Rules
from rememberd.types import Fact, Source, Space, Turn
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
    ("My birthday is October 13th.", "oops typo, it's October 3rd", "My birthday is October 3rd."), ("My son is 12.", "sorry, typo: 2", "My son is 2."),
    # of attributes that may have several values, and in no table's words
    ("My tortoise is called Otto.", "Sorry, typo, I meant Olga.", "My tortoise is called Olga."), ("My nephew is 11.", "no wait, he's 12, since May", "My nephew is 12."),
    ("Mon fils s'appelle Hugo.", "Non pardon, il s'appelle Léo.", "Mon fils s'appelle Léo."),
    ("La mia cagna si chiama Luna.", "No scusa, si chiama Lina.", "La mia cagna si chiama Lina."), ("Mijn dochter heet Saar.", "Nee, ik bedoel Sara, Saar is haar nicht.", "Mijn dochter heet Sara."),
]  # fmt: skip
LEFT_ALONE = [
    ("I live in Oslo.", "I meant the other one."), ("I live in Oslo.", "Sorry, I meant what is the weather."), ("I live in Oslo.", "Typo: 43"),
    ("I live in Oslo.", "How far is Rome?"), ("I live in Oslo.", "No, tell me about Bergen instead."), ("My dog is called Rex.", "What about Max for a cat?"), ("I'm 34.", "What is 17 plus 4?"),
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
    """In a new conversation too, and days later; not with another message between, nor after some weeks."""
    told, meant = "I live in Oslo.", "Sorry, I meant Bergen."
    assert await holding(tmp_path / "a", told, meant, conversations="cd") == ["I live in Bergen."]
    assert await holding(tmp_path / "b", told, meant, apart=2 * 24 * 60 * MINUTE) == ["I live in Bergen."]
    assert await holding(tmp_path / "d", told, meant, apart=30 * 24 * 60 * MINUTE) == [told]
    assert await holding(tmp_path / "c", told, "How far is Rome?", meant, conversations="ccc") == [told]


# What is known of an attribute that may have several values, what corrects it, and what stands then.
SEVERAL = [
    ("I'm allergic to {0}.", "I mixed that up, I'm allergic to {1}, not {0}.", "I'm allergic to {1}"), ("I've got 17 {2}.", "Sorry, not 17, I've got 71 {2}.", "I've got 71 {2}"),
    ("My dog is called {3}.", "Typo: my dog is called {4}.", "my dog is called {4}"), ("Ich habe eine Allergie gegen {0}.", "Ich habe eine Allergie gegen {1}, nicht gegen {0}.", "Ich habe eine Allergie gegen {1}"),
    ("Mi hija se llama {3}.", "Me equivoqué, mi hija se llama {4}, no {3}.", "mi hija se llama {4}"), ("Ma fille s'appelle {3}.", "Erreur, ma fille s'appelle {4}, pas {3}.", "ma fille s'appelle {4}"),
    ("Min datter heter {3}.", "Feil, min datter heter {4}, ikke {3}.", "min datter heter {4}"), ("Mia figlia si chiama {3}.", "Ho sbagliato: mia figlia si chiama {4}.", "mia figlia si chiama {4}"),
]  # fmt: skip
VALUES = [("aspirin", "ibuprofen", "ewes", "Marit", "Berit"), ("latex", "nickel", "rabbits", "Solveig", "Sunniva"), ("Pollen", "Nüsse", "hives", "Renata", "Regina")]  # fmt: skip
NOT_CORRECTED = [
    ("I'm allergic to aspirin.", "My sister is allergic to ibuprofen, not aspirin."), ("I speak Dutch.", "I speak German with my kids, not Dutch."),
    ("I like tea.", "I drink coffee at work, not tea."), ("My dog is called Rex.", "What is wrong with a dog that does not eat?"), ("I play squash.", "I was wrong about the date, can you move it?"),
    ("I'm allergic to nuts.", "I'm not allergic to milk."), ("Ich mag Oliven.", "Ich mag keine Oliven."), ("Jeg liker fisk.", "Jeg liker ikke fisk."), ("J'aime le vin.", "Je n'aime pas le vin."), ("My son Max is 5.", "My daughter Lea is 7, not 5."),
]  # fmt: skip


async def after_correction(folder: Path, told: str, corrects: str) -> list[str]:
    """What holds, if what was told is known as a fact without an attribute."""
    rig = Rig(folder, [Stated()])
    for number, text in enumerate((told, corrects)):
        await rig.queue.put(
            replace(turn(f"t{number}", text=text, at=rig.clock.now + number * 100 * MINUTE), answer="Fine.")
        )
        await rig.drain()
    await rig.queue.close()
    return [each.text for each in rig.store.memories(ADA) if each.kind == "fact" and each.valid_to is None]


class Stated:
    """An extractor that takes the first message for a fact, and nothing else."""

    async def facts(self, turn: Turn) -> list[Fact]:
        return [Fact(turn.user_text, turn.user_text)] if turn.id == "t0" else []


async def test_a_denied_value_gives_way_to_the_one_that_was_meant(tmp_path: Path) -> None:
    """Also days later, and where others of the same attribute would stay."""
    missed = []
    cases = [tuple(each.format(*values) for each in case) for case in SEVERAL for values in VALUES]
    for number, (told, corrects, holds) in enumerate(cases):
        found = await after_correction(tmp_path / str(number), told, corrects)
        missed += [] if [each.rstrip(".") for each in found] == [holds] else [(corrects, found)]
    assert len(missed) <= 0.05 * len(cases), missed


async def test_what_only_looks_like_a_correction_closes_nothing(tmp_path: Path) -> None:
    """Another person's, another situation's, or nothing stated in its place."""
    lost = []
    for number, (told, text) in enumerate(NOT_CORRECTED):
        found = await after_correction(tmp_path / str(number), told, text)
        lost += [] if told in found else [(told, text, found)]
    assert lost == []


async def test_in_a_group_nobody_corrects_another(tmp_path: Path) -> None:
    """One member's "I meant Bergen" is about what they said themselves, whatever another said meanwhile."""
    rig, lab = Rig(tmp_path, [Rules()]), Space.of_group("lab")
    said = [
        ("bob", "I live in Kiel."),
        ("ada", "I live in Oslo."),
        ("bob", "I meant Bergen."),
        ("cleo", "I meant York."),
    ]
    for number, (by, text) in enumerate(said):
        told = turn(f"t{number}", text=text, at=rig.clock.now + number * MINUTE)
        await rig.queue.put(replace(told, space=lab, answer="Fine.", source=Source("c"), contributor=by))
        await rig.drain()
    holds = [each for each in rig.store.memories(lab) if each.kind == "fact" and each.valid_to is None]
    assert sorted((each.contributor, each.text) for each in holds) == [
        ("ada", "I live in Oslo."),
        ("bob", "I live in Bergen."),
    ]
