"""A wish about the memory, carried out: what goes, and what the model is told about it.

Precision comes first: what says the same as the wish goes, past values too. If several things may be meant, or none,
nothing goes, and the model is told which memories come near."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from rememberd.dialects.segments import segment
from rememberd.memory.learn.forget import forget
from rememberd.memory.learn.memory_commands import MemoryCommand
from rememberd.memory.learn.over import stated_in
from rememberd.memory.learn.reach import Reach
from rememberd.memory.learn.rules.judge import tells
from rememberd.memory.learn.rules.sentences import sentences
from rememberd.memory.learn.rules.slots import is_single
from rememberd.memory.learn.wish_words import (
    THAT,
    Named,
    have_cases,
    is_attribute,
    languages_of,
    may_wish,
    mean_the_same,
    named,
    names_in,
    same,
)
from rememberd.memory.recall.block import clean, sides
from rememberd.memory.text_similarity import LONGEST, WHOSE
from rememberd.ports import Embedder, MemoryStore
from rememberd.types import Memory, Millis, Space

SHOWN = 5  # candidates that the model is told
_PAGE, _FACTS = 500, 2_000
_BRIEF = 8  # named words; a longer exchange says more than what a wish for one word means


@dataclass(frozen=True, slots=True)
class Match:
    """What a wish means; if that is nothing, `near` are the memories that it may have meant."""

    meant: tuple[Memory, ...] = ()
    near: tuple[Memory, ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """The ids that went, and a sentence for the model; "" if there is nothing to tell. `users` own the spaces that
    something went from."""

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
) -> Done:
    """Doing it again deletes nothing more. `shown`: may the model see this memory?

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
    match = await find(store, embedder, reach, command, now)
    gone: list[str] = []
    users = set()
    for memory in match.meant:
        place = reach.place(memory)
        gone += await forget(store, embedder, place, memory.id, lambda: now)
        users.add(place.user)
    note = _note(command, match, [each for each in match.near if shown(each)], reach.space)
    return Done(tuple(dict.fromkeys(gone)), note + _theirs_only(reach.space), frozenset(users))


async def find(
    store: MemoryStore,
    embedder: Embedder,
    reach: Reach,
    command: MemoryCommand,
    now: Millis,
) -> Match:
    """The memories within reach that a `forget` or `forget_about` means: facts, else exchanges that no fact was made
    of; for `forget_about` both. What a group has of them counts as what is the user's own: if several may be meant,
    wherever they are, none is. Raises `StoreUnavailable`, `EmbedderUnavailable`."""
    wish = named(command.what)
    facts = [each for space in reach.spaces for each in await _facts(store, reach, space, now)]
    if wish.slots:
        of_slot = [each for each in facts if each.slot in wish.slots]
        of_slot = of_slot or await _telling(wish.slots, [each for each in facts if each.slot is None])
        if meant := _of_slot(wish, of_slot or await _tell(store, reach, wish.slots, now)):
            return Match(tuple(meant))
    if of_value := _of_value(command.what, facts):
        return Match(tuple(of_value))
    asked = _Asked.of(_wishing(command.what))
    told = await asyncio.to_thread(lambda: [_told(fact, fact.text, asked.languages) for fact in facts])
    meant, near = asked.meant(told, everything=wish.everything)
    if near and not wish.everything:
        return Match(tuple(meant), () if meant else tuple(each for each in near if each.valid_to is None)[:SHOWN])
    exchanges = await _exchanges(store, embedder, reach, command.what, asked.languages, now)
    also, nearly = asked.meant(exchanges, everything=wish.everything)
    return Match((*meant, *also), () if meant or also else tuple([*near, *nearly][:SHOWN]))


def _wishing(what: str) -> str:
    """The sentences that wish, if they name something: not "Ida has left me" before "forget Ida"."""
    said = (what[span.start : span.end] for span in sentences(what))
    wishes = [each for each in said if may_wish("forget", each)]
    return " ".join(wishes) if any(named(each, topics=False) for each in wishes) else what


class _Told(NamedTuple):
    """`of_another`: "dog" of "My dog weighs 30 kilos", if that is no attribute of the person."""

    memory: Memory
    words: frozenset[str]
    names: frozenset[str]
    of_another: str | None


def _told(memory: Memory, text: str, languages: frozenset[str]) -> _Told:
    owned = WHOSE.match(text.strip())
    thing = text.strip()[owned.end() :].split()[:1] if owned else []
    another = next((word.casefold() for word in thing if not is_attribute(word.casefold())), None)
    return _Told(memory, named(text, topics=False, languages=languages).words, names_in(text), another)


class _Asked(NamedTuple):
    """The words that a wish in these languages names, phrase by phrase."""

    phrases: tuple[frozenset[str], ...]
    languages: frozenset[str]

    @classmethod
    def of(cls, what: str) -> _Asked:
        return cls(named(what, topics=False).phrases, languages_of(what))

    def meant(self, told: Sequence[_Told], *, everything: bool) -> tuple[list[Memory], list[Memory]]:
        """Which of these memories are meant, and which share a word with the wish.

        Phrases without a word that any memory holds are beside the point ("…, I gave it up")."""
        shared = [(each, self._shared(each)) for each in told]
        known = frozenset().union(*(words for _, words in shared))
        wanted = frozenset().union(*(phrase for phrase in self.phrases if phrase & known))
        near = [each.memory for each, words in shared if words]
        if everything:
            return [each.memory for each, words in shared if words and words == wanted], near
        covered, close, rest = [], [], []
        for each, words in shared:
            held = [word for word in each.words if any(self._same(other, word, each) for other in words)]
            missing = len(wanted - words)
            if held and len(held) == len(each.words) and (not missing or len(words) > 1):
                covered.append(each.memory)
            elif len(words) > 1 and 2 * len(held) >= len(each.words) and len(words) > missing:
                close.append((len(words), each.memory))
            elif words and not missing and len(each.words) <= _BRIEF:
                rest.append(each.memory)
        most = max((count for count, _ in close), default=0)
        best = [memory for count, memory in close if count == most]
        alone = rest if len(near) == 1 else []
        return covered or (best if len(best) == 1 else []) or alone, near

    def _shared(self, told: _Told) -> frozenset[str]:
        words = chain.from_iterable(self.phrases)
        return frozenset(word for word in words if any(self._same(word, other, told) for other in told.words))

    def _same(self, word: str, other: str, told: _Told) -> bool:
        if other not in told.names and mean_the_same(word, other):
            return not told.of_another or self._names(told.of_another, told)
        return same(word, other, told.names, cases=have_cases(self.languages))

    def _names(self, somebody: str, told: _Told) -> bool:
        words = chain.from_iterable(self.phrases)
        return any(same(word, somebody, told.names, cases=have_cases(self.languages)) for word in words)


def _of_slot(wish: Named, of_slot: Sequence[Memory]) -> Sequence[Memory]:
    """Of those of the attribute that is named: if a value is named with it, those that hold it."""
    told = (_told(each, each.text, frozenset()) for each in of_slot)
    held = ((each, (same(one, two, each.names) for one in wish.beside for two in each.words)) for each in told)
    return [each.memory for each, alike in held if any(alike)] if wish.beside else of_slot


async def _telling(slots: frozenset[str], facts: Sequence[Memory]) -> list[Memory]:
    """Those that tell a value of one, though no table knew it."""
    return await asyncio.to_thread(lambda: [each for each in facts if slots & _slots_told(each.text)])


async def _tell(store: MemoryStore, reach: Reach, slots: frozenset[str], now: Millis) -> list[Memory]:
    """The newest exchanges in which the user told a value of these attributes that no fact was made of."""
    theirs: list[Memory] = []
    for space in reach.spaces:
        page, _ = await store.page(space, limit=_PAGE, now=now, kind="episode")
        theirs += reach.theirs(space, page)
    return await asyncio.to_thread(lambda: [each for each in theirs if slots & _slots_told(sides(each)[0])])


def _slots_told(said: str) -> frozenset[str]:
    """The attributes of which short, typed sentences tell the present value."""
    typed = segment(said).masked() if len(said) <= LONGEST else ""
    told = [typed[span.start : span.end] for span in sentences(typed)]
    stated = [each.slot for each in map(stated_in, told) if each and not (each.past or each.denied or each.ends)]
    return frozenset(stated).union(*map(tells, told))


def _of_value(what: str, facts: Sequence[Memory]) -> list[Memory]:
    """Those that state the same value of the same attribute as the clause of the wish, in any language."""
    wish = stated_in(THAT.split(what, maxsplit=1)[-1].strip(" .,!"))
    if wish is None or not wish.value or not is_single(wish.slot):
        return []
    stated = [(each, stated_in(each.text)) for each in facts]
    return [each for each, told in stated if told and told.slot == wish.slot and set(told.value) == set(wish.value)]


async def _facts(store: MemoryStore, reach: Reach, space: Space, now: Millis) -> list[Memory]:
    facts: list[Memory] = []
    cursor = None
    while len(facts) < _FACTS:
        page, cursor = await store.page(space, limit=_PAGE, now=now, cursor=cursor, kind="fact", include_past=True)
        facts += reach.theirs(space, page)
        if cursor is None:
            break
    return facts


async def _exchanges(
    store: MemoryStore, embedder: Embedder, reach: Reach, what: str, languages: frozenset[str], now: Millis
) -> list[_Told]:
    """The exchanges that come near, with what the user said there."""
    dense, words = await embedder.dense(what), embedder.query(what)
    near: list[Memory] = []
    for space in reach.spaces:
        found = await store.search(space, dense, words, now=now, kind="episode")
        near += reach.theirs(space, await store.get(space, [each.id for each in found]))
    return [_told(each, sides(each)[0], languages) for each in near]


async def _all(store: MemoryStore, reach: Reach, command: MemoryCommand, now: Millis) -> Done:
    if not command.confirmed:
        note = (
            "The user asked to delete all memories. Nothing is deleted yet: ask for a second yes. If they answer"
            ' "Yes, delete all my memories", everything is deleted.'
        )
        return Done((), note)
    gone, cursor = list[str](), None
    while True:
        page, cursor = await store.page(reach.space, limit=_PAGE, now=now, cursor=cursor, include_past=True)
        theirs = [each.id for each in reach.theirs(reach.space, page)]
        gone += await store.delete(reach.space, theirs, at=now) if theirs else []
        if cursor is None:
            break
    note = f"The user confirmed it: all memories ({len(gone)}) were deleted. Confirm that."
    if reach.groups:
        names = ", ".join(f"@{name}" for name in reach.groups)
        note += f" What they told their groups ({names}) stays: asked in a group's scope, that is deleted there."
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
