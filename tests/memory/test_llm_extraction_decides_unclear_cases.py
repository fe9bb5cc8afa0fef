"""Where neither a slot nor the words decide, the model does: repeated facts merge, and replaced ones become past."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.learn.llm.llm_reconcile import NEIGHBOURS, PAIRS, ambiguous_pairs
from rememberd.memory.learn.reconcile import merge
from rememberd.ports import Embedder
from rememberd.types import Fact
from tests.memory.test_reconcile import fact
from tests.support.decision_rig import THREE, TWO, Judge, counted, current, decisions, hears, knows
from tests.support.extraction_rig import ExtractionRig, said
from tests.support.extraction_rig import fact as stated
from tests.support.fake_model import Behaviour
from tests.support.fakes import MemoryStoreFake
from tests.support.queue_contract import turn
from tests.support.writer_rig import ADA


@pytest.fixture
async def judge() -> AsyncIterator[Judge]:
    async with Judge() as judge:
        yield judge


@pytest.fixture
async def rig(tmp_path: Path, judge: Judge) -> AsyncIterator[ExtractionRig]:
    rig = ExtractionRig(tmp_path, judge.url)
    yield rig
    await rig.close()


async def test_what_is_replaced_becomes_past(rig: ExtractionRig, judge: Judge) -> None:
    """It ends when the new one begins and stays in the history."""
    judge.rulings = [decisions("replaces")]
    await knows(rig, TWO)
    at = rig.clock.now
    await hears(rig, THREE)
    await rig.read_all()
    three, two = rig.facts()
    assert (three.text, three.valid_from, three.valid_to) == (THREE, at, None)
    assert (two.text, two.valid_to) == (TWO, at)


async def test_what_is_repeated_is_touched(rig: ExtractionRig, judge: Judge) -> None:
    """Nothing is added; the old one was said last when the new one was."""
    judge.rulings = [decisions("same")]
    await knows(rig, "I have 2 kids.")
    at = rig.clock.now
    await hears(rig, TWO)
    await rig.read_all()
    (kept,) = rig.facts()
    assert (kept.text, kept.updated_at, kept.valid_to) == ("I have 2 kids.", at, None)


async def test_what_is_separate_stands_side_by_side(rig: ExtractionRig, judge: Judge) -> None:
    """As it does without a model."""
    before = counted("separate")
    await knows(rig, TWO)
    await hears(rig, THREE)
    await rig.read_all()
    assert current(rig) == [THREE, TWO]
    assert counted("separate") == before + 1


async def test_a_pair_that_is_left_out_is_separate(rig: ExtractionRig, judge: Judge) -> None:
    """Nothing becomes past unless the model says so."""
    judge.rulings = [decisions()]
    await knows(rig, TWO)
    await hears(rig, THREE)
    await rig.read_all()
    assert current(rig) == [THREE, TWO]
    assert len(judge.questions) == 1


async def test_the_model_sees_the_pair_and_its_days_only(rig: ExtractionRig, judge: Judge) -> None:
    """Nothing else that memory holds goes to the provider."""
    await knows(rig, TWO, "I like tea.")
    await hears(rig, THREE)
    await rig.read_all()
    day = "Tuesday 2023-11-14"
    old, new = {"number": 1, "date": day, "text": TWO}, {"number": 1, "date": day, "text": THREE}
    assert judge.questions == [[{"new": new, "old": old}]]
    assert b"tea" not in b"".join(chat.raw for chat in judge.chats)


@pytest.mark.parametrize(
    "known",
    [
        [],
        ["I like tea."],
        [THREE],
        ["I really have three kids!"],
        ["I have no three kids."],
        [" ".join([TWO] * 30)],
    ],
    ids=["nothing", "far", "known", "same-words", "opposite", "document"],
)
async def test_what_is_clear_costs_no_call(rig: ExtractionRig, judge: Judge, known: list[str]) -> None:
    """Nothing near, nothing that can be compared, or the words decide."""
    await knows(rig, *known)
    await hears(rig, THREE)
    await rig.read_all()
    assert judge.questions == []
    assert await rig.spent() == 10


async def test_a_slot_decides_without_the_model(rig: ExtractionRig, judge: Judge) -> None:
    """Two values of one, or values of two; a statement without a slot is the model's, and can be another value."""
    judge.script(Behaviour(said(stated("I live in old Rome.", slot="home"))))
    await knows(rig, "I live in old Oslo.", slot="home")
    await knows(rig, "I study in old Rome.", slot="school")
    await hears(rig, "I live in old Rome.")
    await rig.read_all()
    assert judge.questions == []
    judge.rulings = [decisions("separate", "replaces")]
    await hears(rig, "I reside in old Bergen.", conversation="d")
    await rig.read_all()
    assert [pair["old"]["text"] for pair in judge.questions[0]] == ["I live in old Rome.", "I study in old Rome."]
    assert current(rig) == ["I live in old Rome.", "I reside in old Bergen."]


async def test_one_call_decides_for_a_whole_batch(rig: ExtractionRig, judge: Judge) -> None:
    """About the nearest pairs: a bounded number, so that a crowd of like facts costs no fortune."""
    await knows(rig, *(f"I own the boat {name}." for name in ("Ada", "Bea", "Cyd", "Dot", "Eve", "Fay")))
    await hears(rig, "I own the boat Gil.", "I own the boat Hal.", "I own the boat Ida.")
    await rig.read_all()
    await hears(rig, "I own the boat Joy.", conversation="d")
    await rig.read_all()
    assert [len(pairs) for pairs in judge.questions] == [PAIRS, NEIGHBOURS]
    assert len(current(rig)) == 10


async def test_a_models_word_closes_nothing_that_is_pinned(rig: ExtractionRig, judge: Judge) -> None:
    """Only the user's own does."""
    judge.rulings = [decisions("replaces")]
    await knows(rig, TWO, pinned=True)
    await hears(rig, THREE)
    await rig.read_all()
    assert current(rig) == [THREE, TWO]


NEAR = [
    ("I play the violin.", "Violin is my instrument."),
    ("I drive a Volvo.", "My car is a Volvo."),
    ("I run every morning.", "I go jogging each morning before work."),
    ("I drive a Volvo.", "I sold the Volvo and got a Tesla."),
    ("I use a Pixel phone.", "I switched to an iPhone."),
    ("I'm learning Spanish.", "I gave up Spanish and am learning Japanese now."),
    ("I'm looking for a flat in Berlin.", "I found a flat in Berlin."),
    ("Ich fahre jeden Tag Rad.", "Ich bin täglich mit dem Fahrrad unterwegs."),
]
FAR = [
    ("I have a dog.", "I like tea."),
    ("I like sushi.", "I like ramen."),
    ("I use Python at work.", "I use Rust for hobby projects."),
    ("I drive a Volvo.", "I am allergic to nuts."),
    ("I run every morning.", "I have a meeting every morning."),
]


async def test_the_packaged_embedder_finds_what_should_be_compared() -> None:
    """Other words and updates without a slot are; neighbours by topic mostly are not."""
    embedder = FastEmbedder()
    await embedder.start()
    try:
        assert [pair for pair in NEAR if not await _compared(embedder, *pair)] == []
        assert [pair for pair in FAR if await _compared(embedder, *pair)] == []
    finally:
        embedder.close()


async def _compared(embedder: Embedder, old: str, new: str) -> bool:
    store = MemoryStoreFake()
    await merge(store, embedder, ADA, [fact(old, 1)], 1)
    return bool(await ambiguous_pairs(store, embedder, [(turn("t1"), Fact(new, new))], now=2))
