"""The second stage: durable, batched, budgeted, patient with a provider that is down, and never in the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from rememberd.errors import UpstreamUnavailable
from rememberd.memory.erasure import erase
from rememberd.memory.ids import episode_id, fact_id
from rememberd.memory.learn.forget import forget
from rememberd.ports.retry_policy import BATCH, LONGEST_WAIT, MAX_ATTEMPTS
from rememberd.storage.spool import FileSpool
from rememberd.types import Evidence, Receipt, Source, Space
from tests.support.extraction_rig import IDLE_MS, ExtractionRig, fact, said, sent
from tests.support.fake_model import Behaviour, FakeModel
from tests.support.fakes import MemoryStoreFake
from tests.support.queue_contract import turn
from tests.support.writer_rig import ADA

BOB = Space("bob")
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture
async def upstream() -> AsyncIterator[FakeModel]:
    """Finds every statement of three words or more that starts with "I "."""

    def answer(body: Any) -> str:
        text = body["messages"][-1]["content"]
        statements = [part.split(".")[0] for part in text.split("I ")[1:]]
        return said(*(fact(f"I {each}.") for each in statements))

    async with FakeModel(default=Behaviour(answer)) as model:
        yield model


@pytest.fixture
async def rig(tmp_path: Path, upstream: FakeModel) -> AsyncIterator[ExtractionRig]:
    rig = ExtractionRig(tmp_path, upstream.url)
    yield rig
    await rig.close()


async def told(
    rig: ExtractionRig, *texts: str, user: str = "ada", conversation: str | None = "c", first: int = 0
) -> None:
    """The first stage is done with these turns, and a moment has passed."""
    for number, text in enumerate(texts, first):
        spoken = turn(f"{user}-{conversation}-{number}", user, text=text, answer="Ah.", at=rig.clock.now)
        await rig.queue.put(replace(spoken, source=Source(conversation, "gpt-4o", "curl")))
    await rig.drain()
    rig.clock.now += 1


async def test_a_fact_of_the_second_stage_is_like_any_other(rig: ExtractionRig, upstream: FakeModel) -> None:
    """With its evidence, its turn, the time it was said and where; in the receipt beside the episode; once."""
    at = rig.clock.now
    await rig.receipts.put(Receipt("receipt-ada-c-0", ADA, at, "miss", "m", "ada-c-0", (), 0, 1.0, "pending"))
    await told(rig, "Hello. I live in Oslo.")
    assert rig.facts() == []
    version = (await rig.block_cache.get(ADA, "turn"))[0]
    await rig.read_all()
    (kept,) = rig.facts()
    assert (kept.id, kept.text) == (fact_id(ADA, "I live in Oslo."), "I live in Oslo.")
    assert kept.evidence == Evidence("I live in Oslo.", "user", "ada-c-0")
    assert (kept.created_at, kept.source) == (at, Source("c", "gpt-4o", "curl"))
    receipt = await rig.receipts.get(ADA, "receipt-ada-c-0")
    assert receipt
    assert (receipt.write, receipt.written) == ("written", (episode_id(ADA, "ada-c-0"), kept.id))
    assert (await rig.block_cache.get(ADA, "turn"))[0] > version
    await rig.read_all()
    assert len(upstream.chats) == 1
    assert rig.states("done") == ["ada-c-0"]
    assert rig.database.read("SELECT body FROM readings") == [("",)]


async def test_turns_of_one_conversation_share_a_call(rig: ExtractionRig, upstream: FakeModel) -> None:
    """Once it rests; other conversations, scopes and users have calls of their own."""
    await told(rig, "I live in Oslo.", "I have a dog.", "What is the capital of France?")
    await told(rig, "I like tea.", conversation="d")
    await told(rig, "I like jazz.", user="bob")
    assert not await rig.stage.step()
    await rig.read_all()
    assert sorted(sent(upstream)) == [["I like jazz."], ["I like tea."], ["I live in Oslo.", "I have a dog."]]
    assert [each.text for each in rig.facts()] == ["I have a dog.", "I like tea.", "I live in Oslo."]


async def test_each_turn_starts_the_wait_anew(rig: ExtractionRig, upstream: FakeModel) -> None:
    """A new turn of the conversation, and one that comes again (the next step of a tool loop)."""
    await told(rig, "I live in Oslo.")
    for text, number in (("I have a dog.", 1), ("I have a dog.", 1)):
        rig.clock.now += IDLE_MS - 10
        await told(rig, text, first=number)
        assert not await rig.stage.step()
    await rig.read_all()
    assert sent(upstream) == [["I live in Oslo.", "I have a dog."]]


async def test_a_conversation_that_never_rests_is_read_all_the_same(rig: ExtractionRig, upstream: FakeModel) -> None:
    """After some minutes at most; here the second turn never comes to its end."""
    began = rig.clock.now
    await told(rig, "I live in Oslo.")
    while not await rig.stage.step():
        assert rig.clock.now - began <= LONGEST_WAIT * IDLE_MS
        rig.clock.now += IDLE_MS // 2
        await told(rig, "I have a dog.", first=1)
    assert rig.clock.now - began >= LONGEST_WAIT * IDLE_MS
    assert sent(upstream) == [["I live in Oslo.", "I have a dog."]]


async def test_a_long_conversation_takes_several_calls(rig: ExtractionRig, upstream: FakeModel) -> None:
    """Of a bounded number of turns each, oldest first."""
    await told(rig, *(f"I own boat {number}." for number in range(BATCH + 2)))
    await rig.read_all()
    assert [len(call) for call in sent(upstream)] == [BATCH, 2]
    assert len(rig.facts()) == BATCH + 2


async def test_an_impersonal_turn_is_not_sent(rig: ExtractionRig, upstream: FakeModel) -> None:
    """No call, no row, no token."""
    await told(rig, "What is the capital of France?", "thanks!")
    await rig.read_all()
    assert upstream.chats == []
    assert rig.states("due", "done") == []


async def test_secrets_and_answers_are_not_sent(rig: ExtractionRig, upstream: FakeModel) -> None:
    """What memory does not keep no model gets either."""
    secret = "sk-proj-" + "a1B2c3D4e5" * 5
    await told(rig, f"I use the key {secret} at work.")
    await rig.read_all()
    assert secret.encode() not in upstream.chats[0].raw
    assert b"Ah." not in upstream.chats[0].raw
    assert rig.facts() == []


async def test_bad_answers_are_tried_again_alone_and_then_buried(rig: ExtractionRig, upstream: FakeModel) -> None:
    """A batch that fails is split, so that one turn takes no other with it; what never works is a dead letter that
    names the reason, not an empty list."""

    def answer(body: Any) -> str:
        content = body["messages"][-1]["content"]
        return "I would rather not." if "poison" in content else said(fact("I live in Oslo."))

    upstream.default = Behaviour(answer)
    await told(rig, "I live in Oslo.", "I drink poison.")
    await rig.read_all()
    assert rig.facts() == []
    for _ in range(MAX_ATTEMPTS):
        rig.clock.now += HOUR_MS
        await rig.read_all()
    assert [each.text for each in rig.facts()] == ["I live in Oslo."]
    assert rig.states("dead") == ["ada-c-1"]
    stats, letters = await rig.extraction_queue.stats(), await rig.extraction_queue.dead()
    assert (stats.dead, stats.waiting) == (1, 0)
    assert [(each.turn_id, each.attempts, each.error) for each in letters] == [
        ("ada-c-1", MAX_ATTEMPTS, 'the answer is no JSON with a list of "facts"')
    ]
    calls = [len(call) for call in sent(upstream)]
    assert calls == [2, *[1] * MAX_ATTEMPTS]
    await rig.extraction_queue.release()
    assert rig.states("due") == ["ada-c-1"]


async def test_a_bad_answer_waits_longer_each_time(rig: ExtractionRig, upstream: FakeModel) -> None:
    """Two seconds, then four: a model that talks nonsense is not hammered."""
    upstream.default = Behaviour("nonsense")
    await told(rig, "I live in Oslo.")
    rig.clock.now += IDLE_MS
    assert await rig.stage.step()
    waits = []
    for _ in range(3):
        began = rig.clock.now
        while not await rig.stage.step():
            rig.clock.now += 500
        waits.append(rig.clock.now - began)
    assert waits == sorted(waits)
    assert waits[0] >= 2_000
    assert waits[1] >= 4_000


async def test_a_provider_that_is_down_is_asked_for_ever(rig: ExtractionRig, upstream: FakeModel) -> None:
    """No attempt is counted, episodes are there at once, others get their turn meanwhile, and in the end it works."""
    await told(rig, "I live in Oslo.")
    await told(rig, "I like tea.", conversation="d")
    rig.clock.now += IDLE_MS
    upstream.script(*[Behaviour(status=500)] * (4 * MAX_ATTEMPTS))
    for _ in range(2 * MAX_ATTEMPTS):
        for _ in range(2):
            with pytest.raises(UpstreamUnavailable):
                await rig.stage.step(1_000)
        assert not await rig.stage.step(1_000)
        rig.clock.now += 1_000
    calls = [call[0] for call in sent(upstream)]
    assert calls.count("I live in Oslo.") == calls.count("I like tea.") == 2 * MAX_ATTEMPTS
    assert len(rig.texts()) == 2
    await rig.read_all()
    assert [each.text for each in rig.facts()] == ["I like tea.", "I live in Oslo."]
    assert rig.states("dead") == []


async def test_a_provider_that_hangs_holds_nobody_up(rig: ExtractionRig, upstream: FakeModel) -> None:
    """While the call hangs, turns are remembered as ever."""
    upstream.script(Behaviour(delay_headers=30.0))
    await told(rig, "I live in Oslo.")
    rig.clock.now += IDLE_MS
    hanging = asyncio.create_task(rig.stage.step())
    while not upstream.chats:
        await asyncio.sleep(0.01)
    await told(rig, "I like tea.", conversation="d")
    assert "User: I like tea.\nAssistant: Ah." in rig.texts()
    assert not hanging.done()
    hanging.cancel()
    await asyncio.gather(hanging, return_exceptions=True)


async def test_the_stage_survives_a_provider_that_is_not_there(tmp_path: Path) -> None:
    """The worker continues when connections are refused; it ends only when it is cancelled."""
    rig = ExtractionRig(tmp_path, "http://127.0.0.1:1/v1")
    await told(rig, "I live in Oslo.")
    rig.clock.now += IDLE_MS
    running = asyncio.create_task(rig.stage.run())
    async with asyncio.timeout(120):
        while not rig.database.read("SELECT 1 FROM readings WHERE state = 'due' AND error = 'unavailable'"):
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await rig.close()


async def test_over_budget_it_waits_until_tomorrow(tmp_path: Path, upstream: FakeModel) -> None:
    """The user's own budget: episodes are kept, other users are read, and the next day goes on. What was spent
    stands in the table, also for the next process."""
    rig = ExtractionRig(tmp_path, upstream.url, budget=1_000)
    rig.clock.now = int(datetime(2026, 11, 3, 12, tzinfo=UTC).timestamp() * 1000)
    upstream.script(Behaviour(body=_costly(900)))
    await told(rig, "I live in Oslo.")
    await rig.read_all()
    await told(rig, "I like tea.", conversation="d")
    await told(rig, "I like jazz.", user="bob")
    await rig.read_all()
    assert await rig.spent() == 900
    assert [each.text for each in rig.facts()] == ["I live in Oslo."]
    assert [each.text for each in rig.facts(BOB)] == ["I like jazz."]
    assert "User: I like tea.\nAssistant: Ah." in rig.texts()
    assert rig.states("due") == ["ada-d-0"]
    assert (await rig.extraction_queue.stats()).tokens == 900 + 10
    await rig.close()
    again = ExtractionRig(tmp_path, upstream.url, budget=1_000)
    again.store = again.stage.store = rig.store
    again.clock.now = rig.clock.now + 11 * HOUR_MS
    await again.read_all()
    assert again.states("due") == ["ada-d-0"]
    again.clock.now += HOUR_MS
    assert await again.spent() == 0
    await again.read_all()
    assert [each.text for each in again.facts()] == ["I like tea.", "I live in Oslo."]
    await again.close()


async def imported(rig: ExtractionRig, *texts: str, conversation: str = "old") -> None:
    """Said a year ago, and brought in now."""
    said_at = rig.clock.now - 365 * DAY_MS
    for number, text in enumerate(texts):
        spoken = turn(f"imp-{conversation}-{number}", text=text, answer="Ah.", at=said_at + number)
        await rig.queue.put(replace(spoken, source=Source(conversation), taken_at=rig.clock.now))
    await rig.drain()


async def test_an_imported_turn_over_the_budget_is_delayed_not_dropped(tmp_path: Path, upstream: FakeModel) -> None:
    """However long ago it was said: it waits for the budget as every other, while more comes in."""
    rig = ExtractionRig(tmp_path, upstream.url, budget=1_000)
    upstream.script(Behaviour(body=_costly(900)))
    await told(rig, "I live in Oslo.")
    await rig.read_all()
    await imported(rig, "I like tea.")
    await rig.read_all()
    await told(rig, "I like jazz.", conversation="d")
    assert rig.states("due") == ["imp-old-0", "ada-d-0"]
    rig.clock.now += DAY_MS
    await rig.read_all()
    assert [each.text for each in rig.facts()] == ["I like jazz.", "I like tea.", "I live in Oslo."]
    await rig.close()


async def test_an_imported_conversation_rests_before_it_is_read(rig: ExtractionRig, upstream: FakeModel) -> None:
    """Its age is no reason to read each of its turns in a call of its own."""
    await imported(rig, "I live in Oslo.", "I have a dog.")
    assert not await rig.stage.step()
    await rig.read_all()
    assert sent(upstream) == [["I live in Oslo.", "I have a dog."]]


def _costly(tokens: int) -> bytes:
    import json

    answer = {"choices": [{"index": 0, "message": {"role": "assistant", "content": said(fact("I live in Oslo."))}}]}
    return json.dumps(answer | {"usage": {"total_tokens": tokens}}).encode()


async def test_a_bad_answer_costs_what_it_costs(rig: ExtractionRig, upstream: FakeModel) -> None:
    """Nonsense is paid for as well, so it counts; without a bill it is estimated."""
    upstream.script(Behaviour("nonsense"), Behaviour(body=b'{"choices": []}'))
    await told(rig, "I live in Oslo.")
    rig.clock.now += IDLE_MS
    await rig.stage.step()
    assert await rig.spent() == 10
    rig.clock.now += HOUR_MS
    await rig.stage.step()
    assert await rig.spent() > 300


async def test_an_erased_user_is_not_read(rig: ExtractionRig, upstream: FakeModel) -> None:
    """Turns that wait go with the user; another user's stay."""
    await told(rig, "I live in Oslo.")
    await told(rig, "I like jazz.", user="bob")
    await _erase(rig)
    await rig.extraction_queue.add(turn("late", text="I have a dog.", at=rig.clock.now))
    await rig.read_all()
    assert sent(upstream) == [["I like jazz."]]
    assert rig.facts() == []


@pytest.mark.parametrize("when", ["asked", "found"])
async def test_an_answer_that_comes_after_the_erasure_is_not_written(
    rig: ExtractionRig, upstream: FakeModel, when: str
) -> None:
    """Erased while the call runs, or before its result is stored."""
    await told(rig, "I live in Oslo.")
    rig.clock.now += IDLE_MS
    if when == "asked":
        upstream.script(Behaviour(said(fact("I live in Oslo.")), delay_headers=0.3))
        step = asyncio.create_task(rig.stage.step())
        while not upstream.chats:
            await asyncio.sleep(0.01)
        await _erase(rig)
        await step
    else:
        await rig.stage.step()
        assert rig.jobs() == ["ada-c-0"]
        await _erase(rig)
    await rig.drain()
    assert rig.store.memories(ADA) == []
    assert (rig.states("done", "asked", "due", "dead"), rig.jobs()) == ([], [])


async def _erase(rig: ExtractionRig) -> None:
    spool = FileSpool(rig.database.path.parent / "spool")
    queues, rest = (rig.queue, rig.extraction_queue), (rig.usage, rig.tool_files)
    await erase("ada", rig.clock.now, *queues, rig.store, rig.receipts, rig.block_cache, spool, *rest)


class ErasingStore(MemoryStoreFake):
    """The user is erased at the moment their fact is put."""

    rig: ExtractionRig

    async def put(self, space: Space, points: Any) -> None:
        if points[0].memory.kind == "fact":
            await _erase(self.rig)
        await super().put(space, points)


async def test_an_erasure_in_the_middle_of_a_write_wins(rig: ExtractionRig) -> None:
    """The fact that was put a moment later goes again."""
    await told(rig, "I live in Oslo.")
    store = ErasingStore()
    store.rig, store.points = rig, rig.store.points
    rig.store = rig.stage.store = store
    await rig.read_all()
    assert store.memories(ADA) == []


async def test_what_was_forgotten_is_not_learned_again(rig: ExtractionRig, upstream: FakeModel) -> None:
    """The exchange deleted before the call: it is not sent. Deleted before the result is stored: nothing is stored.
    A fact deleted and not said again stays deleted."""
    await told(rig, "I live in Oslo.")
    await _forget(rig, episode_id(ADA, "ada-c-0"))
    await rig.read_all()
    assert upstream.chats == []
    await told(rig, "I like tea.", conversation="d")
    rig.clock.now += IDLE_MS
    await rig.stage.step()
    await _forget(rig, episode_id(ADA, "ada-d-0"))
    await rig.drain()
    assert rig.store.memories(ADA) == []


async def _forget(rig: ExtractionRig, memory_id: str) -> None:
    assert await forget(rig.store, rig.embedder, ADA, memory_id, lambda: rig.clock.now)


class Unwilling(MemoryStoreFake):
    """A store that refuses every fact."""

    async def put(self, space: Space, points: Any) -> None:
        if points[0].memory.kind == "fact":
            raise ValueError("no facts here")
        await super().put(space, points)


@pytest.mark.parametrize("fate", ["stored", "forgotten", "dead"])
async def test_what_becomes_of_the_facts_is_not_what_became_of_the_turn(rig: ExtractionRig, fate: str) -> None:
    """It was remembered, and its receipt goes on saying so; it is not counted again, nor is it late. Facts that
    cannot be stored are a dead letter of the queue."""
    at = rig.clock.now
    await rig.receipts.put(Receipt("receipt-ada-c-0", ADA, at, "miss", "m", "ada-c-0", (), 0, 1.0, "pending"))
    await told(rig, "I live in Oslo.")
    rig.clock.now += IDLE_MS
    await rig.stage.step()
    if fate == "forgotten":
        await _forget(rig, episode_id(ADA, "ada-c-0"))
    if fate == "dead":
        store = Unwilling()
        store.points, rig.store = rig.store.points, store
    before = [REGISTRY.get_sample_value(*each) for each in COUNTED]
    for _ in range(8):
        await rig.once()
        rig.clock.now += 60_000
    receipt = await rig.receipts.get(ADA, "receipt-ada-c-0")
    assert receipt
    assert (receipt.write, len(receipt.written)) == ("written", 2 if fate == "stored" else 1)
    assert [REGISTRY.get_sample_value(*each) for each in COUNTED] == before
    assert [each.error for each in await rig.queue.dead()] == ["ValueError: no facts here"] * (fate == "dead")
    assert rig.jobs() == ["ada-c-0"] * (fate == "dead")


COUNTED: list[tuple[str, dict[str, str]]] = [
    ("rememberd_turns_total", {"outcome": "written"}),
    ("rememberd_turns_total", {"outcome": "nothing"}),
    ("rememberd_writer_lag_seconds_count", {}),
]


async def test_a_turn_that_comes_again_is_not_paid_for_again(rig: ExtractionRig, upstream: FakeModel) -> None:
    """The next step of a tool loop, a client's retry, a replay after a crash."""
    await told(rig, "I live in Oslo.")
    await rig.read_all()
    await told(rig, "I live in Oslo.")
    await rig.read_all()
    assert len(upstream.chats) == 1
    assert len(rig.facts()) == 1


async def test_a_model_that_finds_nothing_leaves_nothing(rig: ExtractionRig, upstream: FakeModel) -> None:
    """An empty list is an answer: no retry."""
    upstream.script(Behaviour(said()))
    await told(rig, "Perhaps I should move.")
    await rig.read_all()
    assert rig.states("done") == ["ada-c-0"]
    assert len(rig.store.memories(ADA)) == 1


async def test_a_correction_wins_whatever_the_order_of_answers(rig: ExtractionRig, upstream: FakeModel) -> None:
    """Of two values of a slot the one said last is current, also when it was read first."""
    upstream.default = Behaviour(
        lambda body: said(
            *(
                fact(f"I live in {city}.", slot="home")
                for city in ("Oslo", "Rome")
                if city in body["messages"][-1]["content"]
            )
        )
    )
    await told(rig, "I live in Oslo.", conversation="old")
    rig.clock.now += 1_000
    await told(rig, "I live in Rome.", conversation="new")
    upstream.script(Behaviour(status=503))
    rig.clock.now += IDLE_MS
    with pytest.raises(UpstreamUnavailable):
        await rig.stage.step(60_000)
    await rig.read_all()
    assert [each.text for each in rig.facts() if each.valid_to is None] == ["I live in Rome."]
    rig.clock.now += 60_000
    await rig.read_all()
    assert [each.text for each in rig.facts() if each.valid_to is None] == ["I live in Rome."]
    assert len(rig.facts()) == 2
