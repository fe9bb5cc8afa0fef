"""The host's clock is set back, or goes ahead and comes back: what was said last holds, done once or twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rememberd.memory.ids import episode_id
from rememberd.memory.learn.clock_jumps import APART
from rememberd.memory.learn.reconcile import Outcome, merge
from rememberd.types import Evidence, Memory, Millis
from tests.memory.test_reconcile import ADA, Person, fact, home

HOUR: Millis = 3_600_000
NOW = 1_000 * HOUR
AHEAD = NOW + HOUR


@pytest.fixture
def person() -> Person:
    return Person()


async def said(person: Person, memory: Memory, *, now: Millis | None = None) -> Outcome:
    """As a live turn is learned, at once."""
    return await person.says(memory, now=memory.created_at if now is None else now)


def shown(person: Person, now: Millis) -> list[str]:
    """What a store gives as current."""
    return sorted(each.text for each in person.store.memories(ADA) if each.valid_to is None or each.valid_to > now)


def of(person: Person, text: str) -> Memory:
    [found] = [each for each in person.store.memories(ADA) if each.text == text]
    return found


async def test_what_is_said_after_the_clock_was_set_back_holds(person: Person) -> None:
    """Though the home told before is dated an hour later. That one has ended, so that nobody is told of it as current
    in that hour; and so has the one it had replaced."""
    await said(person, home("Oslo", NOW - 5))
    await said(person, home("Bergen", AHEAD))
    await said(person, home("Rome", NOW))
    assert person.current() == shown(person, NOW) == ["I live in Rome."]
    assert of(person, "I live in Bergen.").valid_to == NOW
    for each in person.store.memories(ADA):
        assert each.valid_to is None or each.valid_from <= each.valid_to
    await said(person, home("Paris", NOW + 2 * HOUR))
    assert person.current() == ["I live in Paris."]


@pytest.mark.parametrize("again", ["Oslo", "Bergen"])
async def test_a_value_told_before_is_told_again(person: Person, again: str) -> None:
    """Be it the one that the clock's hour has ended, or the one that it has dated."""
    for memory in (home("Oslo", NOW - 5), home("Bergen", AHEAD), home("Rome", AHEAD + 9), home(again, NOW)):
        await said(person, memory)
    assert person.current() == [f"I live in {again}."]
    assert of(person, f"I live in {again}.").valid_from == NOW


async def test_said_again_it_is_dated_right(person: Person) -> None:
    """The day that the block shows is not the wrong clock's."""
    await said(person, home("Oslo", AHEAD))
    await said(person, home("Oslo", NOW))
    assert of(person, "I live in Oslo.").valid_from < NOW
    assert person.current() == ["I live in Oslo."]


async def test_without_a_slot_too(person: Person) -> None:
    """A no to what was liked in the wrong hour; and a no to what is past already means that."""
    await said(person, fact("I like sushi.", AHEAD))
    await said(person, fact("I no longer like sushi.", NOW))
    assert person.current() == shown(person, NOW) == ["I no longer like sushi."]
    await said(person, home("Oslo", AHEAD))
    await said(person, home("Bergen", AHEAD + 9))
    await said(person, fact("I no longer live in Oslo.", NOW + 9, "home"))
    assert person.current() == ["I live in Bergen.", "I no longer like sushi."]


@pytest.mark.parametrize("later", [20, 2 * APART])
async def test_turns_done_again_change_nothing(person: Person, later: Millis) -> None:
    """A writer killed after the clock was set back does them all again, in order, at once or later."""
    turns = [home("Oslo", NOW - 5), home("Bergen", AHEAD), home("Rome", NOW), home("Bergen", NOW + 9)]
    for memory in turns:
        await said(person, memory)
    before = {each.id: each for each in person.store.memories(ADA)}
    for memory in turns:
        await said(person, memory, now=NOW + later)
    assert {each.id: each for each in person.store.memories(ADA)} == before
    assert person.current() == ["I live in Bergen."]


async def test_a_turn_done_again_before_anything_new_was_said_changes_nothing_either(person: Person) -> None:
    """Nor does it claim to."""
    turns = [home("Rome", NOW - 9), home("Oslo", NOW - 5), home("Bergen", AHEAD)]
    for memory in turns:
        await said(person, memory)
    for memory in turns:
        assert await said(person, memory, now=NOW) == Outcome(touched=[memory.id])
    assert person.current() == ["I live in Bergen."]


async def test_a_future_that_was_meant_stays(person: Person) -> None:
    """ "From 1 December I work at Globex" is no clock's error: Acme ends then and not before."""
    december = int(datetime(2030, 12, 1, tzinfo=UTC).timestamp() * 1000)
    globex = fact("I work at Globex from 1 December.", AHEAD, "employer", valid_from=december)
    await said(person, fact("I work at Acme.", NOW - 5, "employer"))
    await said(person, globex)
    assert of(person, "I work at Acme.").valid_to == december
    await said(person, fact("I work at Globex from 1 December.", NOW, "employer", valid_from=december))
    assert of(person, globex.text).valid_from == december
    assert of(person, "I work at Acme.").valid_to == december
    await said(person, fact("I work at Initech.", NOW + 9, "employer"))
    assert person.current() == ["I work at Initech."]
    assert of(person, globex.text).valid_to == december


async def test_what_comes_late_is_not_said_now(person: Person) -> None:
    """An import, a dead letter, a turn that waited: against a memory dated ahead nobody knows which came first, so
    the dates decide. Nor is what a model finds in a turn, later than the turns that came since."""
    await said(person, home("Bergen", AHEAD))
    await said(person, home("Oslo", NOW - 2 * APART), now=NOW)
    assert person.current() == ["I live in Bergen."]
    await merge(person.store, person.embedder, ADA, [home("Rome", NOW)], NOW, {})
    assert person.current() == ["I live in Bergen."]


async def test_clocks_of_hosts_may_differ_a_little(person: Person) -> None:
    """Within a minute the dates decide, as they do among hosts whose clocks are right."""
    await said(person, home("Bergen", NOW + APART))
    await said(person, home("Oslo", NOW))
    assert person.current() == ["I live in Bergen."]


async def test_a_deletion_in_the_wrong_hour_holds_for_that_hour(person: Person) -> None:
    """As does an edit. A turn done again must not bring back what the user has deleted, and that it is said anew no
    date can tell: the exchange is kept, the fact is not, until the time of the deletion has come."""
    tea = fact("I like tea.", NOW - 5)
    await said(person, tea)
    await person.store.delete(ADA, [tea.id], at=AHEAD)
    exchange = Memory(episode_id(ADA, "new"), "User: I like tea.", "episode", NOW, NOW, NOW)
    await said(person, exchange)
    assert await said(person, fact("I like tea.", NOW)) == Outcome()
    assert person.current() == ["User: I like tea."]
    await said(person, fact("I like tea.", AHEAD + 1))
    assert person.current() == ["I like tea.", "User: I like tea."]


async def test_what_was_deleted_since_stays_deleted_however_it_is_dated(person: Person) -> None:
    """Told while the clock was ahead, deleted after it was set back: its turn, done again, brings back neither the
    fact nor the exchange."""
    tea = fact("I like tea.", AHEAD)
    exchange = replace(tea, id=episode_id(ADA, "t"), text="User: I like tea.", kind="episode")
    for memory in (tea, exchange):
        await said(person, memory)
    await person.store.delete(ADA, [tea.id, exchange.id], at=NOW)
    for memory in (tea, exchange):
        assert await said(person, memory, now=NOW + 9) == Outcome()
    assert person.current() == []


async def test_an_edit_in_the_wrong_hour_holds_against_the_turn_it_corrected(person: Person) -> None:
    """And another value said now replaces it."""
    oslo = home("Oslo", NOW - 5)
    await said(person, oslo)
    await person.edits(oslo, "I live in Bergen.", at=AHEAD)
    assert await said(person, oslo, now=NOW) == Outcome()
    await said(person, home("Rome", NOW))
    assert person.current() == ["I live in Rome."]


_clocks = st.lists(
    st.tuples(st.sampled_from(["Oslo", "Bergen", "Rome"]), st.sampled_from([-HOUR, 0, HOUR, 24 * HOUR])), max_size=8
)


@given(_clocks)
async def test_whatever_the_clock_does_the_last_home_said_is_the_one(history: list[tuple[str, Millis]]) -> None:
    """Told one after the other, minutes apart, each at another time of day; and again, all in order, by a writer that
    starts anew."""
    person, turns = Person(), []
    for number, (city, offset) in enumerate(history):
        at = NOW + 5 * APART * number + offset
        turns.append(replace(home(city, at), evidence=Evidence(city, "user", f"turn-{number}")))
        await said(person, turns[-1])
        assert person.current() == shown(person, at) == [f"I live in {city}."]
    before = {each.id: each for each in person.store.memories(ADA)}
    for memory in turns:
        await said(person, memory, now=turns[-1].created_at + 9)
    assert {each.id: each for each in person.store.memories(ADA)} == before
    for each in person.store.memories(ADA):
        assert each.valid_to is None or each.valid_from <= each.valid_to
