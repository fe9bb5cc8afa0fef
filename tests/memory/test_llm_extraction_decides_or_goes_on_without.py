"""A decision that is not to be had, or that comes too late, costs no fact and brings nothing back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from rememberd.errors import UpstreamUnavailable
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.erasure import erase
from rememberd.storage.spool import FileSpool
from tests.support.decision_rig import KIDS, THREE, TWO, Judge, counted, current, decided, decisions, hears, knows
from tests.support.extraction_rig import ExtractionRig, said
from tests.support.extraction_rig import fact as stated
from tests.support.fake_model import Behaviour
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
    """Not even where it is right in part. The facts are remembered as without a model, and that is counted."""
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
    queues, rest = (rig.queue, rig.extraction_queue), (spool, rig.usage)
    await erase("ada", rig.clock.now, *queues, rig.store, rig.receipts, rig.block_cache, *rest)
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
