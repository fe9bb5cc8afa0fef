"""A turn leaves its episode and the facts it can prove, without secrets, once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from rememberd.memory.ids import episode_id, fact_id
from rememberd.memory.learn.build_memories import SIDE_CHARS
from rememberd.types import Evidence, Fact, Receipt, Source, Turn
from tests.support.queue_contract import turn
from tests.support.writer_rig import ADA, Rig

EPISODE = "User: I live in Oslo.\nAssistant: Nice."


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    await rig.database.close()


async def test_a_turn_leaves_its_episode_and_its_facts(rig: Rig) -> None:
    """Both carry the user's own words as evidence, the turn, its time, its source and who spoke."""
    source = Source("conversation", "gpt-4o", "curl")
    await rig.queue.put(replace(turn("t1", text="Hello. I live in Oslo."), source=source, speaker="Ada"))
    await rig.drain()
    fact, episode = sorted(rig.store.memories(ADA), key=lambda memory: memory.kind, reverse=True)
    assert (fact.id, fact.text, fact.slot) == (fact_id(ADA, "I live in Oslo."), "I live in Oslo.", "home")
    assert fact.evidence == Evidence("I live in Oslo.", "user", "t1")
    assert (episode.id, episode.text) == (episode_id(ADA, "t1"), "User: Hello. I live in Oslo.\nAssistant: Nice.")
    assert episode.evidence == Evidence("Hello. I live in Oslo.", "user", "t1")
    for memory in (fact, episode):
        assert (memory.created_at, memory.valid_from, memory.source, memory.speaker) == (1, 1, source, "Ada")


async def test_what_a_program_may_have_written_leaves_no_fact(rig: Rig) -> None:
    """In doubt the exchange is kept, and nothing in it is taken for what the person said of themselves."""
    await rig.queue.put(replace(turn("t1"), doubtful=True))
    await rig.drain()
    assert rig.texts() == [EPISODE]


async def test_the_receipt_and_the_version_tell_what_was_written(rig: Rig) -> None:
    """The turn's receipt names the memories; the space has a new version, so that no stale block is reused."""
    await rig.receipts.put(Receipt("receipt-t1", ADA, rig.clock.now, "miss", "gpt-4o", "t1", (), 0, 1.0, "pending"))
    await rig.queue.put(turn("t1"))
    await rig.drain()
    receipt = await rig.receipts.get(ADA, "receipt-t1")
    assert receipt
    assert receipt.write == "written"
    assert set(receipt.written) == {episode_id(ADA, "t1"), fact_id(ADA, "I live in Oslo.")}
    assert (await rig.block_cache.get(ADA, "turn"))[0] == 1


async def test_the_same_fact_is_kept_once(rig: Rig) -> None:
    """Told twice, or repeated because the block said so: one fact, two episodes."""
    known = fact_id(ADA, "I live in Oslo.")
    await rig.queue.put(turn("t1"))
    await rig.queue.put(replace(turn("t2", at=2), recalled=(known,)))
    await rig.drain()
    assert rig.texts() == ["I live in Oslo.", EPISODE, EPISODE]


async def test_turns_are_learned_in_order(rig: Rig) -> None:
    """The newest of several values wins, though all were waiting together."""
    for number, city in enumerate(("Oslo", "Rome", "Bern")):
        await rig.queue.put(turn(f"t{number}", text=f"I live in {city}.", answer="", at=number + 1))
    await rig.drain()
    assert [text for text in rig.texts() if text.startswith("I")] == ["I live in Bern."]


async def test_a_longer_answer_replaces_the_episode(rig: Rig) -> None:
    """A turn put again after it was learned (the next step of a tool loop) is one episode, with the newest answer."""
    await rig.queue.put(turn("t1", answer="Nice"))
    await rig.drain()
    await rig.queue.put(turn("t1", answer="Nice city."))
    await rig.drain()
    assert rig.texts() == ["I live in Oslo.", "User: I live in Oslo.\nAssistant: Nice city."]


async def test_a_fact_without_evidence_is_dropped(tmp_path: Path) -> None:
    """What an extractor cannot show verbatim in the user's text is not learned: not even from the answer."""

    class Inventive:
        async def facts(self, turn: Turn) -> list[Fact]:
            return [
                Fact("I like jazz.", "I like jazz"),
                Fact("I am nice.", turn.answer),
                Fact("I exist.", ""),
                Fact("I am in Norway.", "live in Oslo"),
            ]

    rig = Rig(tmp_path, [Inventive()])
    await rig.queue.put(turn("t1"))
    await rig.drain()
    assert rig.texts() == ["I am in Norway.", EPISODE]
    await rig.database.close()


async def test_secrets_reach_no_memory(rig: Rig) -> None:
    """A key in the question or in the answer is in no text and no evidence."""
    secret = "sk-proj-" + "a1B2c3D4e5" * 5
    await rig.queue.put(
        turn("t1", text=f"I use the key {secret} at work.", answer=f"Then set OPENAI_API_KEY={secret}")
    )
    await rig.drain()
    memories = rig.store.memories(ADA)
    assert len(memories) == 2
    assert secret not in repr(memories)


async def test_a_pasted_book_is_cut(rig: Rig) -> None:
    """An over-long side keeps its head and its tail, where the user's own words stand."""
    text = "Summarise this for me: " + "word " * 100_000 + "Thanks, in Danish please"
    await rig.queue.put(turn("t1", text=text))
    await rig.drain()
    (episode,) = rig.store.memories(ADA)
    assert episode.text.startswith("User: Summarise this for me: word")
    assert "Thanks, in Danish please\nAssistant: Nice." in episode.text
    assert len(episode.text) < SIDE_CHARS + 100


async def test_a_turn_without_words_leaves_nothing(rig: Rig) -> None:
    """An image alone makes no memory, and the receipt says so."""
    await rig.receipts.put(Receipt("receipt-t1", ADA, rig.clock.now, "miss", "gpt-4o", "t1", (), 0, 1.0, "pending"))
    await rig.queue.put(turn("t1", text=" \n"))
    await rig.drain()
    assert rig.store.memories(ADA) == []
    receipt = await rig.receipts.get(ADA, "receipt-t1")
    assert receipt
    assert (receipt.write, receipt.written) == ("nothing", ())
