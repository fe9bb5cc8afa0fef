"""Where neither a slot nor the words decide, the model does: repeated facts merge, and replaced ones become past. A
decision that is not to be had, or that comes too late, costs no fact and brings nothing back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from rememberd.errors import UpstreamUnavailable
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.erasure import erase
from rememberd.memory.learn.llm.llm_reconcile import NEIGHBOURS, PAIRS, ambiguous_pairs
from rememberd.memory.learn.reconcile import merge
from rememberd.ports import Embedder
from rememberd.storage.spool import FileSpool
from rememberd.types import Fact
from tests.memory.test_reconcile import fact
from tests.support.decision_rig import KIDS, THREE, TWO, Judge, counted, current, decided, decisions, hears, knows
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
    """Only the user's own word closes a pinned memory."""
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


@pytest.mark.parametrize(
    "answer",
    [
        "They look the same to me.",
        "{}",
        '{"decisions": {}}',
        '{"decisions": ["same"]}',
        '{"decisions": [{"new": 1, "old": 1}]}',
        '{"decisions": [{"new": 1, "old": 2, "relation": "replaces"}]}',
        '{"decisions": [{"new": 0, "old": 1, "relation": "replaces"}]}',
        '{"decisions": [{"new": [1], "old": 1, "relation": "replaces"}]}',
        '{"decisions": [{"new": 1, "old": 1, "relation": "delete"}]}',
        '{"decisions": [{"new": 1, "old": 1, "relation": "replaces"}, {"new": 7, "old": 7, "relation": "same"}]}',
    ],
)
async def test_a_bad_answer_is_asked_once_more_and_then_decides_nothing(
    rig: ExtractionRig, judge: Judge, answer: str
) -> None:
    """An answer that is wrong in part decides nothing. The facts are stored as without a model, and this is
    counted."""
    judge.rulings, before = [answer], counted("bad_answer")
    await knows(rig, TWO)
    await hears(rig, THREE)
    await rig.read_all()
    assert current(rig) == [THREE, TWO]
    assert len(judge.questions) == 2
    assert counted("bad_answer") == before + 1
    assert await rig.spent() == 30
    assert rig.states("dead") == []


async def test_the_second_try_counts(rig: ExtractionRig, judge: Judge) -> None:
    """A good answer after a bad one decides."""
    judge.rulings = ["nonsense", decisions("replaces")]
    await knows(rig, TWO)
    await hears(rig, THREE)
    await rig.read_all()
    assert current(rig) == [THREE]


async def test_what_was_deleted_before_the_merge_is_left_deleted(rig: ExtractionRig, judge: Judge) -> None:
    """Replaced or not, the new fact stands alone; but what repeats it does not bring it back in other words."""
    judge.rulings = [decisions("replaces"), decisions("same")]
    for conversation, new, expected in (("c", THREE, [THREE]), ("d", "I have just two kids here.", [])):
        await rig.store.erase("ada")
        await knows(rig, TWO)
        await hears(rig, new, conversation=conversation)
        await decided(rig)
        await rig.store.delete(ADA, [KIDS], at=rig.clock.now)
        await rig.drain()
        assert current(rig) == expected
    assert len(judge.questions) == 2


async def test_what_was_edited_before_the_merge_is_left_as_it_is(rig: ExtractionRig, judge: Judge) -> None:
    """The decision was about another text."""
    judge.rulings = [decisions("replaces")]
    await knows(rig, TWO)
    await hears(rig, THREE)
    await decided(rig)
    (two,) = rig.facts()
    edited = replace(two, text="I have two kids and a dog.", updated_at=rig.clock.now)
    await rig.store.put(ADA, [await to_point(edited, rig.embedder)])
    await rig.drain()
    assert current(rig) == [THREE, edited.text]


async def test_over_the_budget_nothing_is_decided(tmp_path: Path, judge: Judge) -> None:
    """The facts, which are paid for, do not wait for tomorrow; that nobody decided is counted."""
    rig = ExtractionRig(tmp_path, judge.url, budget=1_000)
    bill = json.dumps(
        {
            "choices": [{"index": 0, "message": {"role": "assistant", "content": said(stated(THREE))}}],
            "usage": {"total_tokens": 900},
        }
    )
    judge.script(Behaviour(body=bill.encode()))
    before = counted("over_budget")
    await knows(rig, TWO)
    await hears(rig, THREE)
    await rig.read_all()
    assert current(rig) == [THREE, TWO]
    assert (judge.questions, await rig.spent()) == ([], 900)
    assert counted("over_budget") == before + 1
    await rig.close()


async def test_a_decision_is_paid_from_the_same_budget(rig: ExtractionRig, judge: Judge) -> None:
    """What was spent a day is what both calls cost."""
    await knows(rig, TWO)
    await hears(rig, THREE)
    await rig.read_all()
    assert await rig.spent() == 20


async def test_a_provider_that_fails_in_between_is_asked_for_the_decision_only(
    rig: ExtractionRig, judge: Judge
) -> None:
    """What it found is kept meanwhile, also by the next process; what was said meanwhile is read as ever."""
    judge.rulings = [decisions("replaces")]
    await knows(rig, TWO)
    await hears(rig, THREE)
    judge.script(Behaviour(said(stated(THREE))), Behaviour(status=503))
    with pytest.raises(UpstreamUnavailable):
        await decided(rig)
    assert (rig.states("due"), current(rig)) == (["c-0"], [TWO])
    await hears(rig, "I like tea.", first=1)
    await rig.extraction_queue.release()
    await rig.read_all()
    assert current(rig) == [THREE, "I like tea."]
    assert (len(judge.chats), len(judge.questions)) == (4, 2)


async def test_a_decision_is_stored_and_not_asked_for_again(rig: ExtractionRig, judge: Judge) -> None:
    """It waits in the queue, as a turn does: a writer that dies before or after the merge finds it there."""
    judge.rulings = [decisions("replaces"), decisions("separate")]
    await knows(rig, TWO)
    await hears(rig, THREE)
    await decided(rig)
    assert rig.jobs() == ["c-0"]
    await rig.extraction_queue.release()
    await rig.drain()
    assert current(rig) == [THREE]
    stands = rig.facts()
    await rig.extraction_queue.release()
    await rig.read_all()
    assert rig.facts() == stands
    assert len(judge.chats) == 2


async def test_an_erasure_during_the_decision_wins(rig: ExtractionRig, judge: Judge) -> None:
    """Nothing of it is left in the table or the store."""
    await knows(rig, TWO)
    await hears(rig, THREE)
    judge.script(Behaviour(said(stated(THREE))), Behaviour(decisions("replaces"), delay_headers=0.3))
    step = asyncio.create_task(decided(rig))
    while not judge.questions:
        await asyncio.sleep(0.01)
    spool = FileSpool(rig.database.path.parent / "spool")
    queues, rest = (rig.queue, rig.extraction_queue), (rig.usage, rig.tool_files)
    await erase("ada", rig.clock.now, *queues, rig.store, rig.receipts, rig.block_cache, spool, *rest)
    await step
    await rig.drain()
    assert rig.store.memories(ADA) == []
    assert rig.database.read("SELECT 1 FROM readings UNION SELECT 1 FROM turns") == []


async def test_a_forgotten_turn_is_not_decided_about(rig: ExtractionRig, judge: Judge) -> None:
    """Its facts wait for a provider that is down; the exchange is deleted; they are neither shown nor stored."""
    await knows(rig, TWO)
    await hears(rig, THREE)
    judge.script(Behaviour(said(stated(THREE))), Behaviour(status=503))
    with pytest.raises(UpstreamUnavailable):
        await decided(rig)
    (episode,) = [each for each in rig.store.memories(ADA) if each.kind == "episode"]
    await rig.store.delete(ADA, [episode.id], at=rig.clock.now)
    await rig.read_all()
    assert len(judge.questions) == 1
    assert (current(rig), rig.states("done")) == ([TWO], ["c-0"])
