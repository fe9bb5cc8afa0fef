"""Carries out a wish about the memory: which memories are deleted, and what the model is told about it.

Precision comes first: memories that say the same as the wish are deleted, past values too. If several things may be
meant, or none, nothing is deleted, and the model is told which memories are similar."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from rememberd.memory.learn.forget import forget
from rememberd.memory.learn.forget_told import forget_all_of, forget_newest, forget_turns, told_within
from rememberd.memory.learn.matching import Asked, Told, holding, of_class, of_slots, of_value, told_slots
from rememberd.memory.learn.wishes.memory_commands import MemoryCommand
from rememberd.memory.learn.wishes.wish_verbs import days_meant, wishing
from rememberd.memory.learn.wishes.wish_words import class_in, class_named, named
from rememberd.memory.recall.block import clean, sides
from rememberd.ports import Embedder, MemoryStore
from rememberd.types import Memory, Millis, Space, Turn

LATE = (
    "The user asked something of their memory. It is not done yet: it is done right after your answer. Tell them so."
)
SHOWN = 5  # candidates that the model is told
_PAGE, _FACTS = 500, 2_000


class Reach(NamedTuple):
    """Whose memories a wish is about: those of `space`, where it was said, and what the `user` has contributed to
    `groups`. In a group's space too only what the user has contributed."""

    user: str
    space: Space
    groups: Sequence[str] = ()

    @classmethod
    def of(cls, turn: Turn) -> Reach:
        return cls(turn.owner.user, turn.space, turn.groups)

    @property
    def spaces(self) -> tuple[Space, ...]:
        return self.space, *map(Space.of_group, self.groups)

    def place(self, memory: Memory) -> Space:
        """The space of a memory that was found within reach."""
        return Space.of_group(memory.group) if memory.group else self.space

    def contributor(self, space: Space) -> str | None:
        return self.user if space.group else None

    def theirs(self, space: Space, memories: Sequence[Memory]) -> list[Memory]:
        return [each for each in memories if each.contributor == self.contributor(space)]


@dataclass(frozen=True, slots=True)
class Match:
    """The memories that a wish means; if there are none, `near` are those that it may mean."""

    meant: tuple[Memory, ...] = ()
    near: tuple[Memory, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The deleted ids, and a sentence for the model; "" if there is nothing to tell. `users` own the spaces from
    which memories were deleted."""

    gone: tuple[str, ...]
    note: str
    users: frozenset[str] = frozenset()


async def carry_out(
    store: MemoryStore,
    embedder: Embedder,
    reach: Reach,
    command: MemoryCommand,
    now: Millis,
    shown: Callable[[Memory], bool] = lambda _: True,
    *,
    again: bool = False,
    earlier: Sequence[str] = (),
    offset: Millis | None = None,
) -> Done:
    """`shown`: whether the model may see a memory. `again`: this wish has already deleted something, so the second
    best match of that time is not meant now. `earlier`: the turns that a wish for what was told last means, if it was
    said in their conversation. `offset` is that of the user's time zone; None if it is not known.

    Raises `StoreUnavailable`, `EmbedderUnavailable`."""
    if command.kind == "remember":
        return Done((), "The user asked to have this remembered: it is stored right after your answer. Confirm it.")
    if command.kind == "unrecorded":
        return Done((), "The user asked not to remember this message: it is not stored. Confirm it.")
    if command.kind == "off_record":
        return Done(
            (), "The user asked to keep this conversation out of memory: nothing of it is stored. Confirm it."
        )
    if command.kind == "forget_all":
        return await _all(store, reach, command, now)
    if command.kind == "forget_last":
        return await _last(store, embedder, reach, command, now, earlier, again=again)
    if command.kind == "forget_time":
        return await _of_time(store, reach, command, now, offset)
    match = await find(store, embedder, reach, command, now, again=again)
    if not command.sure and len(match.meant) > 1:
        match = Match(near=match.meant[:SHOWN])
    gone: list[str] = []
    users = set()
    for memory in match.meant:
        place = reach.place(memory)
        gone += await forget(store, embedder, place, memory.id, lambda: now)
        users.add(place.user)
    note = _note(command, match, [each for each in match.near if shown(each)], reach.space)
    return Done(tuple(dict.fromkeys(gone)), note + _theirs_only(reach.space), frozenset(users))


async def find(
    store: MemoryStore, embedder: Embedder, reach: Reach, command: MemoryCommand, now: Millis, *, again: bool
) -> Match:
    """The memories within reach that a `forget` or `forget_about` means: facts, otherwise exchanges without a fact;
    for `forget_about` both. Memories in groups count like the user's own: if several may be meant, in any space, none
    is. Raises `StoreUnavailable`, `EmbedderUnavailable`."""
    said = wishing(command.what) if command.sure else command.what
    wish, everything = named(said), command.kind == "forget_about"
    facts = [each for space in reach.spaces for each in await _facts(store, reach, space, now)]
    if everything and (wanted := class_in(said)) and (meant := await asyncio.to_thread(of_class, wanted, facts)):
        return Match(tuple(meant))
    if wish.slots and (command.sure or not wish.words):
        of_slot = await asyncio.to_thread(of_slots, wish, facts)
        if meant := holding(wish, of_slot or await _tell(store, reach, wish.slots, now)):
            return Match(tuple(meant))
    if command.sure and (meant := of_value(said, facts)):
        return Match(tuple(meant))
    asked = Asked.of(said, command.what, whole=not command.sure)
    told = await asyncio.to_thread(lambda: [Told.of(fact, asked.languages) for fact in facts])
    meant, near = await asyncio.to_thread(asked.meant, told, everything=everything, again=again)
    if meant and not everything:
        return Match(tuple(meant))
    if command.sure and not meant and not everything and (of := class_named(said)):  # "my diagnosis"
        current = [each for each in await asyncio.to_thread(of_class, of, facts) if each.valid_to is None]
        if len(current) == 1 and of.slots & await asyncio.to_thread(told_slots, current[0].text):
            return Match(tuple(current))
        near = near or current
    exchanges = await _exchanges(store, embedder, reach, command.what, asked.languages, now)
    also, nearly = await asyncio.to_thread(asked.meant, exchanges, everything=everything, again=again)
    candidates = [each for each in near or nearly if each.valid_to is None]
    return Match((*meant, *also), () if meant or also else tuple(candidates[:SHOWN]))


async def _tell(store: MemoryStore, reach: Reach, slots: frozenset[str], now: Millis) -> list[Memory]:
    """The newest exchanges in which the user told a value of these attributes that no fact was made of."""
    theirs: list[Memory] = []
    for space in reach.spaces:
        page, _ = await store.page(space, limit=_PAGE, now=now, kind="episode")
        theirs += reach.theirs(space, page)
    return await asyncio.to_thread(lambda: [each for each in theirs if slots & told_slots(sides(each)[0])])


async def _facts(store: MemoryStore, reach: Reach, space: Space, now: Millis) -> list[Memory]:
    facts: list[Memory] = []
    async for page in store.pages(space, now=now, kind="fact", include_past=True):
        facts += reach.theirs(space, page)
        if len(facts) >= _FACTS:
            break
    return facts


async def _exchanges(
    store: MemoryStore, embedder: Embedder, reach: Reach, what: str, languages: frozenset[str], now: Millis
) -> list[Told]:
    """The similar exchanges, with the user's words."""
    dense, words = await embedder.dense(what), embedder.query(what)
    near: list[Memory] = []
    for space in reach.spaces:
        found = await store.search(space, dense, words, now=now, kind="episode")
        near += reach.theirs(space, await store.get(space, [each.id for each in found]))
    return [Told.of(each, languages) for each in near]


async def _all(store: MemoryStore, reach: Reach, command: MemoryCommand, now: Millis) -> Done:
    if not command.confirmed:
        note = (
            "The user asked to delete all memories. Nothing is deleted yet: ask for a second yes. If they answer"
            ' "Yes, delete all my memories", everything is deleted.'
        )
        return Done((), note)
    gone = list[str]()
    async for page in store.pages(reach.space, now=now, include_past=True):
        theirs = [each.id for each in reach.theirs(reach.space, page)]
        gone += await store.delete(reach.space, theirs, at=now) if theirs else []
    note = f"The user confirmed it: all memories ({len(gone)}) were deleted. Confirm that."
    if reach.groups:
        names = ", ".join(f"@{name}" for name in reach.groups)
        note += f" What they told their groups ({names}) stays: asked in a group's scope, that is deleted there."
    return Done(tuple(gone), note + _theirs_only(reach.space), frozenset({reach.space.user}))


async def _last(
    store: MemoryStore,
    embedder: Embedder,
    reach: Reach,
    command: MemoryCommand,
    now: Millis,
    earlier: Sequence[str],
    *,
    again: bool,
) -> Done:
    """Without `earlier`, the newest exchange of any conversation."""
    if earlier:
        gone = await forget_turns(store, embedder, reach.space, earlier, now)
    elif again:
        gone = []
    else:
        gone = await forget_newest(store, embedder, reach.space, reach.contributor(reach.space), now)
    if not gone:
        return Done((), LATE)
    note = (
        f'The user asked: "{clean(command.what)}". Done: what they told last was deleted. Confirm it, and do not say'
        " it again."
    )
    return Done(tuple(gone), note, frozenset({reach.space.user}))


async def _of_time(
    store: MemoryStore, reach: Reach, command: MemoryCommand, now: Millis, offset: Millis | None
) -> Done:
    span = None if offset is None else days_meant(command.what, now + offset)
    if span is None or offset is None:
        note = (
            "The user asked to delete what they told at some time. Nothing was deleted: it is not clear which days"
            ' are meant. Tell them so, and that "Delete everything I said yesterday" or "… on 3 May" is understood.'
        )
        return Done((), note)
    contributor = reach.contributor(reach.space)
    told = await told_within(store, reach.space, contributor, span, offset, now)
    days = f"from {span.start} to {span.end - timedelta(days=1)}"
    if not told:
        return Done(
            (), f"The user asked to delete what they told {days}. Nothing was deleted: nothing is kept of it."
        )
    if not command.confirmed:
        note = (
            f"The user asked to delete all that they told {days}: {len(told)} memories. Nothing is deleted yet: say"
            ' these days, and ask for a second yes. If they answer "Yes", exactly these are deleted.'
        )
        return Done((), note)
    gone = await forget_all_of(store, reach.space, told, now)
    note = f"The user confirmed it: what they told {days} was deleted ({len(told)} memories). Confirm that."
    return Done(tuple(gone), note + _theirs_only(reach.space), frozenset({reach.space.user}))


def _theirs_only(space: Space) -> str:
    if space.group is None:
        return ""
    return f" This is about what the user has told @{space.group} themselves: what other members told it stays."


def _note(command: MemoryCommand, match: Match, near: Sequence[Memory], space: Space) -> str:
    what = clean(command.what)
    if match.meant:
        groups = sorted({f"@{each.group}" for each in match.meant if each.group and not space.group})
        where = f" Some of them were the user's contributions to {', '.join(groups)}." if groups else ""
        return (
            f'The user asked: "{what}". Done: {len(match.meant)} memories that say so were deleted, with the'
            f" exchanges in which they were said.{where} Confirm it, and do not say it again."
        )
    note = (
        f'The user asked: "{what}". Nothing was deleted: no memory clearly says this. Tell the user so, and that'
        ' "Forget that …" with the words of the memory is understood.'
    )
    if near:
        lines = "\n".join(f"- {f'@{each.group}: ' if each.group else ''}{clean(each.text)}" for each in near)
        return f"{note} These come near; none was deleted:\n{lines}"
    return note
