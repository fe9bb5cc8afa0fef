"""A recall is ranked where the memories are: in this process, in the writer's, behind a seal, or here over a server.
Nobody can tell from the block which it was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from rememberd.memory.recall.recall import Recalled
from rememberd.memory.safety.privacy import Privacy
from rememberd.types import Memory, Space
from tests.support.retrieval_rig import ADA, PLACES, Rig, lines, memory, rig

QUESTIONS = [
    "Where do I live?",
    "What did Bo say about sailing?",
    "When did I move to Oslo, and what did Ada Lovelace's brother say?",
    "What did I do last week?",
    "What do I like, tea or coffee?",
    "Was weiß Zoë über 好?",
    "Explain the quicksort algorithm",
    "?",
]

MEMORIES = [
    memory("I live in Oslo.", slot="home", days_ago=3),
    memory("I moved to Oslo in May 2024 with my brother.", "episode", days_ago=3, speaker="Ada", conversation="c1"),
    memory("Sailing is what we did yesterday, did we not?", "episode", days_ago=4, speaker="Bo", conversation="c1"),
    memory("Sailing with Bo was cold.", "episode", days_ago=4, speaker="Ada", conversation="c1", turn="t2"),
    memory("I like sailing.", days_ago=4, turn="t2"),
    memory("I like green tea.", pinned=True, days_ago=300),
    memory("Zoë mag 好 und Füchse 🦊.", "episode", days_ago=6, speaker="Zoë", conversation="c2"),
    memory("I lived in Ghent.", days_ago=2000, valid_to=1),
    *(memory(f"I like coffee of kind {n}, and I sail on day {n}.", "episode", days_ago=n) for n in range(1, 30)),
]


@pytest.fixture(params=PLACES)
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    privacy = Privacy(["diary"], ["health"])
    async with rig(request.param, tmp_path, privacy) as found:
        yield found


async def test_the_block_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    """With its ids and what it costs, for any question, budget, turn and conversation; asked twice, for the first
    time may teach who speaks."""
    answers: dict[str, list[Recalled]] = {}
    for budget in (60, 600):
        async with AsyncExitStack() as stack:
            for place in PLACES:
                folder = tmp_path / f"{place} {budget}"
                folder.mkdir()
                one = await stack.enter_async_context(rig(place, folder, budget=budget))
                await one.tell(ADA, *MEMORIES)
                found = answers.setdefault(place, [])
                for question in QUESTIONS * 2:
                    for turn, conversation in (("t2", None), (None, "c1")):
                        asked = await one.ask(question, turn=turn, conversation=conversation)
                        found.append(asked)
    plain = answers.pop("in process")
    assert len({each.block for each in plain}) > 10
    for place, others in answers.items():
        for ours, theirs in zip(plain, others, strict=True):
            assert replace(ours, ms=0) == replace(theirs, ms=0), place


async def test_who_speaks_is_learned_once(place: Rig) -> None:
    """A question that names somebody who speaks is asked again without the name, which would draw all they said;
    the next time it is left out at once, and the block is the same."""
    await place.tell(ADA, *MEMORIES)
    first = await place.ask("What did Bo say about sailing with Zoë?")
    assert place.embedder.asked[0] == "What did Bo say about sailing with Zoë?"
    assert place.embedder.asked[-1] == "What did say about sailing with ?"
    tries = len(place.embedder.asked)
    again = await place.ask("What did Bo say about sailing with Zoë?")
    assert place.embedder.asked[tries:] == ["What did say about sailing with ?"]
    assert first.status == "hit"
    assert (again.block, again.ids, again.tokens) == (first.block, first.ids, first.tokens)
    assert place.retrieved[0].speakers
    assert place.retrieved[0].block == ""


async def test_a_retry_does_not_recall_its_own_turn(place: Rig) -> None:
    """Neither the exchange nor the facts of this turn are recalled. Memories of other turns, or of none, are."""
    own = [memory("Sailing was cold.", turn="t1"), memory("Sailing with Bo was cold!", "episode", turn="t1")]
    await place.tell(ADA, *own, memory("Sailing was wet.", turn="t2"), memory("Sailing was dear.", evidence=None))
    question = "Was my sailing cold?"
    others = {"- Sailing was wet.", "- Sailing was dear."}
    for turn in (None, "of nobody", "t", "t1\0"):
        assert set(lines(await place.ask(question, turn=turn))) == {*others, "- Sailing was cold."}
    assert set(lines(await place.ask(question, turn="t1"))) == others


async def test_what_was_said_here_comes_after_the_rest(place: Rig) -> None:
    """The client sends the messages of this conversation anyway."""
    twins = [memory(f"I sail a boat in {town}.", conversation=town, days_ago=5) for town in ("Bergen", "Molde")]
    await place.tell(ADA, *twins)
    place.recall.budget_tokens = 45  # the budget has room for one memory
    for here, told in (("Bergen", "Molde"), ("Molde", "Bergen")):
        assert lines(await place.ask("Where do I sail a boat?", conversation=here)) == [f"- I sail a boat in {told}."]


async def test_a_question_asked_before_is_not_told(place: Rig) -> None:
    """It says nothing about the user. Whoever wants the answer of that time asks for it."""
    asked = "Where does my boat lie in winter?"
    memories = [memory(asked, "episode", turn=f"t{n}", days_ago=n) for n in range(2, 5)]
    await place.tell(ADA, *memories, memory("My boat lies in Bergen in winter."))
    assert lines(await place.ask(asked.upper())) == ["- My boat lies in Bergen in winter."]
    assert (await place.ask(asked)).block.count(asked) == 0
    assert asked in (await place.ask(f"What did you answer to: {asked}")).block


PRIVATE = [
    (ADA, memory("My cat has a secret name, Zorro.", private=True)),
    (ADA, memory("My cat Zorro needs insulin.")),
    (Space("ada", "diary"), memory("My cat Zorro is a fox.")),
]


@pytest.mark.parametrize(("space", "told"), PRIVATE, ids=["marked", "class", "scope"])
async def test_what_is_private_is_for_local_models_only(place: Rig, space: Space, told: Memory) -> None:
    """By mark, by subject, by scope; pinned or not, the only one or one of many, and what may be told fills the
    room. By subject it is the store's process that knows, by its own settings."""
    await place.tell(space, told)
    question = "What does my cat Zorro need, and what is its secret name?"
    assert lines(await place.ask(question, space)) == [f"- {told.text}"]
    assert (await place.ask(question, space, private=False)).ids == ()
    others = [memory(f"My cat Zorro likes fish number {n}.") for n in range(100)]
    secrets = [memory(f"My cat Zorro has asthma of kind {n}.", pinned=n == 0) for n in range(10)]
    await place.tell(space, *others, *secrets)
    heard = await place.ask(question, space, private=False)
    assert not any(word in heard.block for word in ("secret", "insulin", "fox", "asthma"))
    assert (len(lines(heard)) > 5) is (space == ADA)
    assert "asthma" in (await place.ask(question, space)).block
