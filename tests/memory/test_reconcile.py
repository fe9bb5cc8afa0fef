"""What is said twice is stored once, what changed is corrected, and nothing comes back by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.ids import episode_id, fact_id
from rememberd.memory.learn.reconcile import Outcome, merge
from rememberd.ports import Embedder
from rememberd.types import Evidence, Memory, Millis, Space
from tests.support.fakes import EmbedderFake, MemoryStoreFake

ADA = Space("ada")
LATER = 10_000


def fact(
    text: str,
    at: Millis,
    slot: str | None = None,
    *,
    turn: str | None = None,
    valid_from: Millis | None = None,
) -> Memory:
    return Memory(
        id=fact_id(ADA, text),
        text=text,
        kind="fact",
        created_at=at,
        updated_at=at,
        valid_from=at if valid_from is None else valid_from,
        slot=slot,
        evidence=Evidence(text, "user", turn or f"turn-{at}"),
    )


def home(city: str, at: Millis) -> Memory:
    return fact(f"I live in {city}.", at, "home")


def exchange(text: str, at: Millis) -> Memory:
    return Memory(episode_id(ADA, "turn"), text, "episode", at, at, at)


class Person:
    """One user's memories in a store, and what they say."""

    def __init__(self, embedder: Embedder | None = None) -> None:
        self.store, self.embedder = MemoryStoreFake(), embedder or EmbedderFake()

    async def says(self, *memories: Memory, now: Millis = LATER) -> Outcome:
        return await merge(self.store, self.embedder, ADA, memories, now)

    async def edits(self, memory: Memory, text: str, at: Millis) -> None:
        await self.store.put(ADA, [await to_point(replace(memory, text=text, updated_at=at), self.embedder)])

    def current(self) -> list[str]:
        return sorted(each.text for each in self.store.memories(ADA) if each.valid_to is None)

    def past(self) -> list[str]:
        return sorted(each.text for each in self.store.memories(ADA) if each.valid_to is not None)


@pytest.fixture
def person() -> Person:
    return Person()


@pytest.fixture(scope="module")
def packaged() -> Iterator[FastEmbedder]:
    embedder = FastEmbedder()
    asyncio.run(embedder.start())
    yield embedder
    embedder.close()


async def test_the_same_fact_is_stored_once(person: Person) -> None:
    """Said again, in other case or with other punctuation, a fact is touched: its time moves, nothing is added."""
    first = await person.says(fact("I like tea.", 1))
    again = await person.says(fact("i like TEA", 2))
    assert (first.added, again.added, again.touched) == ([again.touched[0]], [], first.added)
    [kept] = person.store.memories(ADA)
    assert (kept.text, kept.created_at, kept.updated_at) == ("I like tea.", 1, 2)


async def test_an_edit_meanwhile_is_not_overwritten(person: Person) -> None:
    """What the user marks as private while it is said again stays private, and an edited text stays edited."""
    await person.says(fact("I like tea.", 1), home("Oslo", 1))
    embed, pending = person.embedder.dense, [replace(each, private=True) for each in person.store.memories(ADA)]

    async def edited_while_embedding(text: str) -> list[float]:
        points = [await to_point(pending.pop(), EmbedderFake()) for _ in range(len(pending))]
        await person.store.put(ADA, points)
        return await embed(text)

    person.embedder.dense = edited_while_embedding  # type: ignore[method-assign]
    await person.says(fact("I like tea.", 2))
    assert [each.private for each in person.store.memories(ADA)] == [True, True]
    assert max(each.updated_at for each in person.store.memories(ADA)) == 2
    pending += [replace(each, pinned=True) for each in person.store.memories(ADA)]
    await person.says(home("Bergen", 3))
    [was] = [each for each in person.store.memories(ADA) if "Oslo" in each.text]
    assert (was.pinned, was.valid_to) == (True, 3)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ("I love hiking in the rain.", "I really love hiking in the rain."),
        ("I have a dog named Rex.", "I've got a dog called Rex."),
        ("I don't eat pork.", "I do not eat pork."),
        ("I hate horror movies.", "I can't stand horror movies."),
    ],
)
async def test_a_restatement_is_not_stored_beside_the_first(packaged: FastEmbedder, first: str, again: str) -> None:
    """The same content in slightly other words is one memory."""
    person = Person(packaged)
    await person.says(fact(first, 1))
    assert (await person.says(fact(again, 2))).added == []
    assert person.current() == [first]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I have a brother.", "I have a sister."),
        ("I moved from London to Paris.", "I moved from Paris to London."),
        ("I have 2 cats.", "I have 3 cats."),
        ("I like cats more than dogs.", "I like dogs more than cats."),
        ("My brother works at NASA.", "I work at NASA."),
        ("I like tea.", "I like tea with milk."),
        ("I had a dog.", "I have a dog."),
    ],
)
async def test_facts_that_only_look_alike_both_stay(packaged: FastEmbedder, one: str, other: str) -> None:
    """Another name, number, order or person is another fact, however near the vectors are."""
    person = Person(packaged)
    await person.says(fact(one, 1), fact(other, 2))
    assert person.current() == sorted([one, other])


async def test_a_new_value_closes_the_old_one(person: Person) -> None:
    """A newer home makes the older past from the moment the newer holds, and both stay readable."""
    first = await person.says(home("Oslo", 1))
    second = await person.says(home("Bergen", 5))
    assert second.closed == first.added
    [oslo] = await person.store.get(ADA, first.added)
    assert (oslo.valid_from, oslo.valid_to) == (1, 5)
    assert person.current() == ["I live in Bergen."]


async def test_other_slots_are_left_alone(person: Person) -> None:
    """A new home says nothing about the employer."""
    await person.says(fact("I work at Acme.", 1, "employer"), home("Oslo", 2), home("Bergen", 3))
    assert person.current() == ["I live in Bergen.", "I work at Acme."]


async def test_two_values_in_one_message_the_later_wins(person: Person) -> None:
    """ "I left Acme, I'm at Globex now": of two values said at the same time the last one said is current."""
    outcome = await person.says(
        fact("I quit my job at Acme.", 7, "employer"), fact("I'm at Globex now.", 7, "employer")
    )
    assert person.current() == ["I'm at Globex now."]
    assert len(outcome.added) == 2


async def test_a_late_arrival_closes_nothing_newer(person: Person) -> None:
    """An old statement that comes in after a newer one (an import, a retry) goes into the history."""
    await person.says(home("Bergen", 5))
    outcome = await person.says(home("Oslo", 1))
    assert outcome.closed == []
    assert (person.current(), person.past()) == (["I live in Bergen."], ["I live in Oslo."])
    [oslo] = await person.store.get(ADA, outcome.added)
    assert oslo.valid_to == 5


async def test_a_value_confirmed_since_is_not_closed_by_an_older_one(person: Person) -> None:
    """Oslo in May, Oslo again in July: a June statement that arrives late changes nothing about now."""
    await person.says(home("Oslo", 5), home("Oslo", 7))
    await person.says(home("Bergen", 6))
    assert person.current() == ["I live in Oslo."]


async def test_statement_time_decides_not_how_far_back_it_reaches(person: Person) -> None:
    """ "I've lived in Oslo since 2019", said today, corrects a Bergen of last year."""
    await person.says(home("Bergen", 50))
    await person.says(fact("I've lived in Oslo for years.", 60, "home", valid_from=10))
    assert person.current() == ["I've lived in Oslo for years."]
    [bergen] = [each for each in person.store.memories(ADA) if each.valid_to is not None]
    assert bergen.valid_to == bergen.valid_from == 50


async def test_moving_back_makes_the_old_value_current_again(person: Person) -> None:
    """A former value said anew is the current one, from then on."""
    await person.says(home("Oslo", 1), home("Bergen", 2), home("Oslo", 3))
    assert (person.current(), person.past()) == (["I live in Oslo."], ["I live in Bergen."])
    [oslo] = [each for each in person.store.memories(ADA) if each.valid_to is None]
    assert (oslo.created_at, oslo.valid_from) == (1, 3)


async def test_a_replay_does_not_resurrect_what_was_superseded(person: Person) -> None:
    """A turn that is processed twice leaves the newer value alone."""
    await person.says(home("Oslo", 1), home("Bergen", 2))
    outcome = await person.says(home("Oslo", 1))
    assert (outcome.added, outcome.closed) == ([], [])
    assert person.current() == ["I live in Bergen."]


async def test_no_longer_closes_what_it_denies(person: Person) -> None:
    """Without a slot too, a no to the same thing makes the yes past, and the other way round."""
    await person.says(fact("I like sushi.", 1))
    await person.says(fact("I no longer like sushi.", 2))
    assert person.current() == ["I no longer like sushi."]
    await person.says(fact("I like sushi.", 3))
    assert person.current() == ["I like sushi."]


async def test_what_is_added_by_hand_is_kept_though_it_sounds_like_a_denial(person: Person) -> None:
    """Said in a chat, a denial of what nobody told is no fact; a memory that was written or imported is one."""
    said = fact("I gave it up.", 1)
    assert said.evidence is not None
    await person.says(said)
    assert person.current() == []
    await person.says(replace(said, evidence=replace(said.evidence, turn_id=None)))
    assert person.current() == [said.text]


async def test_a_pinned_value_is_closed_by_a_newer_statement_and_named(person: Person) -> None:
    """Pinning keeps a memory in view, not true: the user's newer word wins, and the outcome says what it closed."""
    pinned = replace(home("Oslo", 1), pinned=True)
    await person.says(pinned)
    assert (await person.says(home("Bergen", 2))).closed == [pinned.id]


async def test_a_turn_older_than_an_edit_does_not_undo_it(person: Person) -> None:
    """What the user corrected by hand is not put back by a replay of the turn it came from."""
    tea = fact("I like tea.", 1)
    await person.says(tea)
    await person.edits(tea, "I like green tea.", at=5)
    assert await person.says(tea) == Outcome()
    assert person.current() == ["I like green tea."]


async def test_a_statement_newer_than_an_edit_is_kept_beside_it(person: Person) -> None:
    """Said again after the edit, the old sentence is a memory of its own; once, however often it is said."""
    tea = fact("I like tea.", 1)
    await person.says(tea)
    await person.edits(tea, "I like green tea.", at=5)
    for _ in range(2):
        await person.says(fact("I like tea.", 7), fact("I like tea.", 8))
    assert person.current() == ["I like green tea.", "I like tea."]


async def test_the_forgotten_is_not_learned_again_from_an_old_turn(person: Person) -> None:
    """A deleted fact stays deleted whatever older turn is processed again; told anew, it is learned anew."""
    tea = fact("I like tea.", 1)
    await person.says(tea)
    await person.store.delete(ADA, [tea.id], at=5)
    assert await person.says(tea, fact("I like tea.", 5)) == Outcome()
    assert person.current() == []
    await person.says(fact("I like tea.", 6))
    assert person.current() == ["I like tea."]


async def test_an_exchange_is_replaced_by_its_fuller_self(person: Person) -> None:
    """A retry whose answer is complete replaces the episode of the same turn; nothing is doubled."""
    await person.says(exchange("User: hi", 1))
    outcome = await person.says(exchange("User: hi\nAssistant: hello", 2))
    assert outcome.touched == [exchange("", 0).id]
    assert person.current() == ["User: hi\nAssistant: hello"]


async def test_an_edited_exchange_is_left_as_the_user_wants_it(person: Person) -> None:
    """Episodes can be edited too."""
    await person.says(exchange("User: hi", 1))
    await person.edits(exchange("User: hi", 1), "User: (removed)", at=5)
    await person.says(exchange("User: hi\nAssistant: hello", 2))
    assert person.current() == ["User: (removed)"]


async def test_a_denial_of_what_is_past_spares_what_holds(person: Person) -> None:
    """ "I no longer live in Oslo" after the move is no new value, and says nothing of where they live now."""
    gone = fact("I no longer live in Oslo.", 3, "home")
    await person.says(home("Oslo", 1), home("Bergen", 2), gone)
    assert person.current() == ["I live in Bergen."]
    assert await person.says(gone) == Outcome(touched=[gone.id])
    await person.says(fact("I no longer live in Bergen.", 4, "home"))
    assert person.current() == ["I no longer live in Bergen."]
    await person.says(home("Rome", 5), fact("I don't live in Italy any more.", 6, "home"))
    assert person.current() == ["I live in Rome."]


async def test_of_two_wordings_one_is_current(person: Person) -> None:
    """Also when a past memory has the very words that are said again, and a current one others."""
    await person.says(fact("I like tea.", 1), fact("I hate tea.", 2), fact("I really love tea.", 3))
    await person.says(fact("I like tea.", 4))
    assert person.current() == ["I really love tea."]


async def test_an_imported_past_stays_past(person: Person) -> None:
    """A memory that comes with its end keeps it, and closes nothing."""
    await person.says(home("Bergen", 1))
    await person.says(replace(home("Oslo", 2), valid_to=3))
    assert (person.current(), person.past()) == (["I live in Bergen."], ["I live in Oslo."])


async def test_other_peoples_memories_are_not_touched(person: Person) -> None:
    """The same sentence of two users is two memories."""
    await person.says(home("Oslo", 1))
    bob = Space("bob")
    theirs = replace(home("Oslo", 2), id=fact_id(bob, "I live in Oslo."))
    assert (await merge(person.store, person.embedder, bob, [theirs], LATER)).added == [theirs.id]


_TEXTS = [
    ("I live in Oslo.", "home"),
    ("I live in Bergen.", "home"),
    ("I'm based in Oslo.", "home"),
    ("I no longer live in Oslo.", "home"),
    ("I like tea.", None),
    ("I really love tea.", None),
    ("I don't like tea.", None),
    ("I have 2 cats.", None),
]
_said = st.lists(st.tuples(st.sampled_from(_TEXTS), st.integers(1, 6)), max_size=10)


@given(_said)
async def test_merging_any_history_twice_is_merging_it_once(
    history: list[tuple[tuple[str, str | None], int]],
) -> None:
    """At least once is enough: a queue that delivers everything again, in order, changes no memory."""
    person = Person()
    said = [fact(text, at, slot) for (text, slot), at in history]
    await person.says(*said)
    once = {each.id: each for each in person.store.memories(ADA)}
    outcome = await person.says(*said)
    assert {each.id: each for each in person.store.memories(ADA)} == once
    assert (outcome.added, outcome.closed) == ([], [])


@given(_said)
async def test_at_most_one_value_of_a_slot_is_current_and_it_is_the_last_said(
    history: list[tuple[tuple[str, str | None], int]],
) -> None:
    """Whatever the order of arrival, the current home is one that was said last."""
    person = Person()
    homes = [(text, at) for (text, slot), at in history if slot == "home" and "no longer" not in text]
    await person.says(*(fact(text, at, "home") for text, at in homes))
    current = [each for each in person.store.memories(ADA) if each.valid_to is None]
    assert len(current) == (1 if homes else 0)
    assert all(each.updated_at == max(at for _, at in homes) for each in current)
