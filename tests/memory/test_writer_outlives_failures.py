"""An outage delays and loses nothing; a turn that cannot be learned steps aside; the log quotes nobody."""

from __future__ import annotations

import asyncio
import logging
import math
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rememberd.dialects import side_tasks
from rememberd.errors import UpstreamUnavailable
from rememberd.memory.embedding.embedder import MULTILINGUAL
from rememberd.memory.learn.rules import judge, values
from rememberd.memory.learn.rules.extract import Rules
from rememberd.memory.learn.wishes import memory_commands
from rememberd.memory.learn.writer import MAX_ATTEMPTS
from rememberd.memory.recall import needs
from rememberd.text_classifier import UNREADABLE
from rememberd.types import Fact, Point, Receipt, Space, Turn
from tests.support.queue_contract import turn
from tests.support.writer_rig import ADA, Rig, Sentences


class Allergic(Sentences):
    """An extractor that `error` hits as long as it is set, on turns that mention cats."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.calls = 0

    async def facts(self, turn: Turn) -> list[Fact]:
        self.calls += 1
        if self.error is not None and "cat" in turn.user_text:
            raise self.error
        return await super().facts(turn)


@pytest.fixture
def extractor() -> Allergic:
    return Allergic()


@pytest.fixture
async def rig(tmp_path: Path, extractor: Allergic) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path, [extractor])
    yield rig
    await rig.database.close()


@pytest.mark.parametrize("part", ["store", "embedder"])
async def test_an_outage_only_delays(rig: Rig, part: str) -> None:
    """While the store or the embedder is down turns wait, none becomes a dead letter, and all are learned later."""
    down = rig.store if part == "store" else rig.embedder
    down.down = True
    await rig.queue.put(turn("t1"))
    draining = asyncio.create_task(rig.drain())
    await asyncio.sleep(0.3)
    stats = await rig.queue.stats()
    assert (stats.depth, stats.dead) == (1, 0)
    down.down = False
    await draining
    assert len(rig.texts()) == 2
    assert await rig.queue.dead() == []


async def test_an_outage_does_not_keep_the_writer_from_stopping(rig: Rig) -> None:
    """Stopped while the store is down, it returns, and the turn comes back at the next start."""
    rig.store.down = True
    await rig.queue.put(turn("t1"))
    stop = asyncio.Event()
    running = asyncio.create_task(rig.writer().run(stop))
    await asyncio.sleep(0.2)
    stop.set()
    await asyncio.wait_for(running, 120)
    rig.store.down = False
    assert await rig.queue.release() == 1
    await rig.drain()
    assert len(rig.texts()) == 2


async def test_a_turn_that_cannot_be_learned_becomes_a_dead_letter(rig: Rig, extractor: Allergic) -> None:
    """After five tries it stands aside with its reason, its episode kept; the user's next turn and others go on."""
    extractor.error = ValueError("no cats")
    await rig.receipts.put(Receipt("receipt-t1", ADA, rig.clock.now, "miss", "gpt-4o", "t1", (), 0, 1.0, "pending"))
    await rig.queue.put(turn("t1", text="I have a cat."))
    await rig.queue.put(turn("t2", text="I have a dog."))
    await rig.drain()
    (letter,) = await rig.queue.dead()
    assert (letter.turn_id, letter.attempts, letter.error) == ("t1", MAX_ATTEMPTS, "ValueError: no cats")
    assert [text for text in rig.texts() if text.startswith("I")] == ["I have a dog."]
    assert "User: I have a cat.\nAssistant: Nice." in rig.texts()
    receipt = await rig.receipts.get(ADA, "receipt-t1")
    assert receipt
    assert receipt.write == "lost"


async def test_a_replayed_dead_letter_is_learned(rig: Rig, extractor: Allergic) -> None:
    """After the cause has gone, nothing is missing."""
    extractor.error = ValueError("no cats")
    await rig.queue.put(turn("t1", text="I have a cat."))
    await rig.drain()
    extractor.error = None
    assert await rig.queue.replay() == 1
    await rig.drain()
    assert "I have a cat." in rig.texts()
    assert await rig.queue.dead() == []


async def test_a_model_that_does_not_answer_makes_no_dead_letter(rig: Rig, extractor: Allergic) -> None:
    """An extraction model that is down for long is tried again until it answers; other users go on meanwhile."""
    extractor.error = UpstreamUnavailable("no route")
    await rig.queue.put(turn("t1", text="I have a cat."))
    await rig.queue.put(turn("t2", "bob", text="I have a dog."))
    draining = asyncio.create_task(rig.drain())
    async with asyncio.timeout(120):
        while extractor.calls < MAX_ATTEMPTS + 4:
            await asyncio.sleep(0.02)
            rig.clock.now += 400_000
    assert (await rig.queue.stats()).dead == 0
    extractor.error = None
    await draining
    assert "I have a cat." in rig.texts()


async def test_a_wish_may_wait_for_its_group_as_long_as_necessary(rig: Rig, extractor: Allergic) -> None:
    """While what was told to the group before is not learned. Waiting counts for no failure: the wish is obeyed then,
    and a turn that has waited still has all its tries."""
    lab = Space.of_group("lab")
    await rig.queue.put(replace(turn("told", text="I have a parrot."), space=lab, contributor="ada"))
    (told,) = await rig.queue.claim(1)
    wish = replace(turn("wish", text="Forget that I have a parrot.", at=2), groups=("lab",))
    await rig.queue.put(wish)
    stop = asyncio.Event()
    running = asyncio.create_task(rig.writer().run(stop))
    waits, due = 0, 0
    async with asyncio.timeout(120):
        while waits < 3 * MAX_ATTEMPTS:
            state, until, attempts = rig.database.read("SELECT state, due, attempts FROM turns WHERE id = 'wish'")[0]
            assert attempts == 0
            if state == "due" and until > due:
                waits, due = waits + 1, until
                rig.clock.now = until
            await asyncio.sleep(0.005)
    stop.set()
    await running
    await rig.queue.defer(told.turn.id, 0)
    await rig.drain()
    assert await rig.queue.dead() == []
    assert rig.texts(lab) == []


async def test_the_log_quotes_no_message(rig: Rig, extractor: Allergic, caplog: pytest.LogCaptureFixture) -> None:
    """Not when a turn fails with an error that quotes it, and not when it becomes a dead letter."""
    caplog.set_level(logging.DEBUG)
    extractor.error = ValueError("cannot parse: I have a cat named Xyzzy.")
    await rig.queue.put(turn("t1", text="I have a cat named Xyzzy."))
    await rig.drain()
    assert "dead letter" in caplog.text
    assert "Xyzzy" not in caplog.text


@pytest.mark.parametrize("asked_s_ago", [0.0, 60.0])
@pytest.mark.parametrize("what", ["memories", "chats"])
async def test_while_somebody_chats_one_turn_is_learned_at_a_time(
    tmp_path: Path, what: str, asked_s_ago: float
) -> None:
    """An embedded store answers recalls from the same core, and web processes need it for chats without memory; when
    nobody asks, turns are learned side by side. A backlog is learned in either case."""
    rig = Rig(tmp_path)
    for number in range(8):
        await rig.queue.put(turn(f"t{number}", f"user-{number}", text="I like tea.", at=number + 1))
    at_work: list[Space] = []
    most, learned, put = 0, set[Space](), rig.store.put

    async def slow(space: Space, points: Sequence[Point]) -> None:
        nonlocal most
        at_work.append(space)
        most = max(most, len(at_work))
        await asyncio.sleep(0.05)
        await put(space, points)
        at_work.remove(space)
        learned.add(space)

    rig.store.put = slow  # type: ignore[method-assign]
    writer, stop = rig.writer(), asyncio.Event()
    writer.quiet_for = (lambda: asked_s_ago) if what == "memories" else None
    writer.chats_ago = lambda: asked_s_ago if what == "chats" else math.inf
    running = asyncio.create_task(writer.run(stop))
    while len(learned) < 8:
        await asyncio.sleep(0.01)
    stop.set()
    await running
    assert (most == 1) == (asked_s_ago == 0)
    await rig.database.close()


async def test_a_broken_model_of_meaning_costs_no_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its exchange is kept, its statement is judged by its words; a counter and one line of the log tell."""
    broken = tmp_path / "model"
    shutil.copytree(MULTILINGUAL, broken, ignore=shutil.ignore_patterns("model.onnx"))
    (broken / "model.onnx").write_bytes(b"no model")
    monkeypatch.setattr(judge, "MULTILINGUAL", broken)
    monkeypatch.setattr(judge._Meaning, "encode", None)
    before = judge.WITHOUT_MEANING._value.get()
    rig = Rig(tmp_path, [Rules()])
    for number in range(2):
        await rig.queue.put(turn(f"t{number}"))
    with caplog.at_level(logging.ERROR):
        await rig.drain()
    assert await rig.queue.dead() == []
    assert "I live in Oslo." in rig.texts()
    assert judge.WITHOUT_MEANING._value.get() >= before + 2  # more if a slow machine lets a lease of the rig run out
    assert caplog.text.count("cannot load the model") == 1
    await rig.database.close()


@pytest.mark.parametrize("how", ["missing", "cut off", "another file"])
@pytest.mark.parametrize("name", ["statements", "statements_meaning", "values", "values_meaning", "memory_commands"])
async def test_a_broken_classifier_costs_no_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str, how: str
) -> None:
    """What the tables know becomes a fact all the same; a counter and one line of the log tell."""
    module, attribute = _WEIGHTS[name]
    broken, whole = tmp_path / f"{name}.json", getattr(module, attribute)
    if how != "missing":
        broken.write_bytes(whole.read_bytes()[:-300] if how == "cut off" else b"[]")
    monkeypatch.setattr(module, attribute, broken)
    _forget_judgements()
    rig = Rig(tmp_path, [Rules()])
    for number in range(2):
        await rig.queue.put(turn(f"t{number}", text="I live in Oslo. I gave up tennis, it was fun."))  # asks them all
    before = UNREADABLE.labels(name)._value.get()
    with caplog.at_level(logging.ERROR):
        await rig.drain()
    assert await rig.queue.dead() == []
    assert "I live in Oslo." in rig.texts()
    assert UNREADABLE.labels(name)._value.get() == before + 1
    assert caplog.text.count(f"without the classifier {name}.json") == 1
    _forget_judgements()
    await rig.database.close()


def _forget_judgements() -> None:
    by_words = judge._by_words, values._value_by_words
    for judged in (*by_words, judge.judge, values.tells, values._values, memory_commands.memory_command):
        judged.cache_clear()


_WEIGHTS = {
    "statements": (judge, "_WORDS"),
    "statements_meaning": (judge, "_MEANING"),
    "values": (values, "_WORDS"),
    "values_meaning": (values, "_MEANING"),
    "memory_commands": (memory_commands, "WEIGHTS"),
}


def test_without_their_classifiers_requests_and_questions_are_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request then counts as a person's, and a question in another language as one that nothing is known of."""
    monkeypatch.setattr(side_tasks, "WEIGHTS", tmp_path / "side_tasks.json")
    monkeypatch.setattr(needs, "_CLASSIFIERS", {name: tmp_path / name for name in needs._CLASSIFIERS})
    side_tasks._odds.cache_clear()
    needs.is_english.cache_clear()
    asked = {"messages": [{"role": "user", "content": "What shall I cook tonight, without nuts?"}]}
    assert side_tasks.program_odds({}, asked) < side_tasks.DOUBTFUL
    assert needs.is_english("Was soll ich heute kochen?")
    assert all(
        likely < 0.01 for likely in needs._topics(needs._classifier("needs").probabilities("Was koche ich?")).values()
    )
    side_tasks._odds.cache_clear()
    needs.is_english.cache_clear()
