"""A name that many memories have draws all of them by its vector: questions are embedded without it."""

from __future__ import annotations

from rememberd.memory.recall.names import LEAST, NamesLeftOut
from rememberd.types import Memory, Point, Space
from tests.support.fakes import EmbedderFake, MemoryStoreFake

ME, NOW = Space("me"), 1_000_000


async def filled(count: int, each: int, name: str) -> tuple[MemoryStoreFake, NamesLeftOut]:
    """`count` memories, every `each`-th of which has `name`."""
    store, embedder = MemoryStoreFake(), EmbedderFake()
    for number in range(count):
        text = f"Thanks, {name}, walk {number}" if number % each == 0 else f"walk {number}"
        memory = Memory(str(number), text, "episode", 1, 1, 1)
        await store.put(ME, [Point(memory, await embedder.dense(text), embedder.document(text), 10)])
    return store, NamesLeftOut(store, embedder)


async def test_a_common_name_is_left_out_in_whatever_form_the_question_has_it() -> None:
    """One memory in five has it: it is left out, and its possessive too; other words with a capital are not."""
    _, names = await filled(LEAST, 5, "Sam")
    for question in ("What did Sam adopt?", "What is Sam's dog called?", "What is Sam’s dog called in Rome?"):
        assert await names.of(ME, question, NOW) == {"Sam"}, question


async def test_a_rare_name_is_what_the_question_is_about() -> None:
    """One memory in twenty has it; or so few memories are there that a name cannot be common."""
    for count, each in ((LEAST, 20), (LEAST - 1, 2)):
        _, names = await filled(count, each, "Sam")
        assert not await names.of(ME, "What did Sam adopt?", NOW), (count, each)


async def test_who_speaks_is_left_out_and_a_name_is_counted_once() -> None:
    """A store that is down afterwards is not asked again about a name that is known; nor is another space's."""
    store, names = await filled(LEAST, 5, "Sam")
    names.learn(ME, {"Ada"})
    assert await names.of(ME, "When did Sam meet Ada?", NOW) == {"Ada", "Sam"}
    assert await names.of(Space("you"), "When did Sam meet Ada?", NOW) == set()
    store.down = True
    assert await names.of(ME, "When did Sam go?", NOW) == {"Ada", "Sam"}


async def test_a_name_is_counted_again_as_the_memories_grow() -> None:
    """Who tells by and by is asked about as early: what was rare among few memories is common among many."""
    store, names = await filled(LEAST // 10, 5, "Sam")
    assert not await names.of(ME, "What did Sam adopt?", NOW)
    more, _ = await filled(2 * LEAST, 5, "Sam")
    store.points = more.points
    asked = [await names.of(ME, "What did Sam adopt?", NOW) for _ in range(LEAST)]
    assert asked[-1] == {"Sam"}
