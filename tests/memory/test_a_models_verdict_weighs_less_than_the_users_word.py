"""A model's verdict about what was said is no statement of the user: it undoes none, and comes again harmlessly."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rememberd.memory.ids import fact_id
from rememberd.memory.learn.reconcile import merge
from rememberd.types import NEVER, Millis, Verdicts
from tests.memory.test_reconcile import fact
from tests.support.decision_rig import KIDS, THREE, TWO
from tests.support.fakes import EmbedderFake, MemoryStoreFake
from tests.support.writer_rig import ADA


class Person:
    """One user's memories, and a model's verdicts about what they say."""

    def __init__(self) -> None:
        self.store, self.embedder = MemoryStoreFake(), EmbedderFake()

    async def says(self, text: str, at: Millis, verdicts: Verdicts | None = None, *, slot: str | None = None) -> None:
        new = fact(text, at, slot)
        await merge(self.store, self.embedder, ADA, [new], at, {new.id: verdicts or {}})

    def current(self) -> list[str]:
        return sorted(each.text for each in self.store.memories(ADA) if each.valid_to is None)


async def test_a_verdict_closes_nothing_that_was_said_since() -> None:
    """An answer that comes late is about what was known then."""
    person = Person()
    await person.says(TWO, 1)
    await person.says(TWO, 9)
    await person.says(THREE, 5, {KIDS: "replaces"})
    assert person.current() == [THREE, TWO]


async def test_what_was_replaced_is_not_brought_back_by_what_was_said_before() -> None:
    """A late answer about an older turn does not bring it back. If the user says it again, it holds again."""
    person = Person()
    await person.says(TWO, 1)
    await person.says(THREE, 5, {KIDS: "replaces"})
    await person.says(TWO, 3)
    await person.says("I have got 2 kids.", 3, {KIDS: "same"})
    assert person.current() == [THREE]
    await person.says(TWO, 7)
    assert person.current() == [THREE, TWO]


async def test_what_ended_before_is_not_made_to_hold_again() -> None:
    """It was current when the model judged, and an older statement that came late has closed it since."""
    person = Person()
    await person.says(TWO, 1)
    await person.says("I do not have two kids.", 2)
    await person.says("I have got 2 kids.", 3, {KIDS: "same"})
    assert person.current() == ["I do not have two kids.", "I have got 2 kids."]


async def test_a_value_of_a_slot_can_replace_what_has_none() -> None:
    """The verdict closes its fact, and the slot closes the old value."""
    person = Person()
    await person.says(TWO, 1)
    await person.says("I am father of two.", 1, slot="children")
    await person.says(THREE, 2, {KIDS: "replaces"}, slot="children")
    assert person.current() == [THREE]


async def test_a_fact_can_repeat_one_memory_and_replace_another() -> None:
    """The repeated one closes the other."""
    person = Person()
    await person.says("I have got 3 kids.", 1)
    await person.says(TWO, 2)
    await person.says(THREE, 3, {KIDS: "replaces", fact_id(ADA, "I have got 3 kids."): "same"})
    assert person.current() == ["I have got 3 kids."]


_TEXTS = (TWO, THREE, "I have got 3 kids.", "I do not have two kids.")
_relations = st.sampled_from(["same", "replaces"])
_verdicts = st.dictionaries(st.sampled_from([fact_id(ADA, text) for text in _TEXTS]), _relations, max_size=2)
_times = st.integers(NEVER + 1, NEVER + 6)
_history = st.lists(st.tuples(st.sampled_from(_TEXTS), _times, _verdicts), max_size=8)


@given(_history)
async def test_merging_any_history_with_verdicts_twice_is_merging_it_once(
    history: list[tuple[str, Millis, Verdicts]],
) -> None:
    """The facts of a turn come again after a kill, with the verdicts that were stored with them."""
    person = Person()
    told = sorted(history, key=lambda each: each[1])
    for text, at, verdicts in told:
        await person.says(text, at, verdicts)
    once = {each.id: each for each in person.store.memories(ADA)}
    for text, at, verdicts in told:
        await person.says(text, at, verdicts)
    assert {each.id: each for each in person.store.memories(ADA)} == once
