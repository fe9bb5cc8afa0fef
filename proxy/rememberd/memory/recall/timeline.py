"""Questions that share no word with what was said: about a time ("what did we talk about yesterday?", "where were
we?"), or about all ("what do you know about me?"). The store is read by time, not searched."""

from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import NamedTuple

from rememberd.dialects.attribution_words import speaks_of_self
from rememberd.dialects.segments import segment
from rememberd.memory.learn.rules.sentences import sentences
from rememberd.memory.recall.block import HEADER_COST, line_cost, sides
from rememberd.memory.recall.dates import DAY_MS, Span, asked_about
from rememberd.memory.recall.lexicon import asked_time, asks_only_when
from rememberd.ports import MemoryStore
from rememberd.types import Memory, Millis, Space

PAGE, PAGES = 100, 10  # how far back: 1,000 exchanges
_FACTS, _EXCHANGES = 100, 20  # nobody wants to read more of all that is known
_FOR_FACTS = 0.75  # of the budget, before the first exchange
APART_MS = 6 * 3_600_000  # exchanges without a conversation belong together if they are no further apart


class ToldThen(NamedTuple):
    """Exchanges in order of importance, and the ids of those whose answers are important: how each conversation
    ended."""

    exchanges: list[Memory]
    outcomes: frozenset[str]


async def told_then(
    store: MemoryStore,
    space: Space,
    question: str,
    *,
    now: Millis,
    offset: Millis,
    conversation: str | None,
    turn_id: str | None,
) -> ToldThen | None:
    """The exchanges of the time that `question` asks about, the first and the last of each conversation before the
    others. None if it asks for more than a time, or for a season or feast. Raises `StoreUnavailable`."""
    if not asks_only_when(question):
        return None
    time, span = asked_time(question), asked_about(question, now + offset)
    if time and time.unit == "feast":  # "Where are we going at Easter?" may ask for the next one
        return None
    if time and time.unit == "last":
        return _ends_first([each async for each in _last(store, space, now, conversation, turn_id)])
    if span is None:
        return None
    return _ends_first([each async for each in _within(store, space, now, span, offset, turn_id)])


async def _within(
    store: MemoryStore, space: Space, now: Millis, span: Span, offset: Millis, turn_id: str | None
) -> AsyncIterator[Memory]:
    start, end = (_midnight(day) - offset for day in span)
    async for each in _newest_first(store, space, now, turn_id):
        if each.created_at < start and each.valid_from < start:
            return
        if start <= each.valid_from < end:
            yield each


async def _last(
    store: MemoryStore, space: Space, now: Millis, conversation: str | None, turn_id: str | None
) -> AsyncIterator[Memory]:
    """The newest conversation, except the current one."""
    last: Memory | None = None
    async for each in _newest_first(store, space, now, turn_id):
        talk = each.source.conversation
        if conversation is not None and talk == conversation:
            continue
        if last is not None and (talk != last.source.conversation or last.valid_from - each.valid_from > APART_MS):
            return
        last = each
        yield each


async def _newest_first(store: MemoryStore, space: Space, now: Millis, turn_id: str | None) -> AsyncIterator[Memory]:
    cursor = None
    for _ in range(PAGES):
        memories, cursor = await store.page(space, limit=PAGE, now=now, cursor=cursor, kind="episode")
        for each in memories:
            if turn_id is None or each.evidence is None or each.evidence.turn_id != turn_id:
                yield each
        if cursor is None:
            return


def _ends_first(exchanges: list[Memory]) -> ToldThen:
    """By time, then by id: an encrypted store returns equal times in an order of its keys."""
    talks: dict[str | None, list[Memory]] = {}
    for each in sorted(exchanges, key=lambda memory: (memory.valid_from, memory.created_at, memory.id)):
        talks.setdefault(each.source.conversation, []).append(each)
    ends = [*(talk[0] for talk in talks.values()), *(talk[-1] for talk in talks.values() if len(talk) > 1)]
    between = [each for talk in talks.values() for each in talk[1:-1]]
    return ToldThen(ends + between, frozenset(talk[-1].id for talk in talks.values()))


def _midnight(day: date) -> Millis:
    return (day - date(1970, 1, 1)).days * DAY_MS


async def overview(store: MemoryStore, space: Space, *, now: Millis, budget: int) -> list[Memory]:
    """The facts, pinned and newest first. The newest exchanges in which the person tells something that is no fact
    come in the last quarter of `budget` tokens: it may be news of a fact. Raises `StoreUnavailable`."""
    facts, _ = await store.page(space, limit=_FACTS, now=now, kind="fact")
    exchanges, _ = await store.page(space, limit=_EXCHANGES, now=now, kind="episode")
    ordered = sorted(facts, key=lambda each: not each.pinned)
    first = _fitting(ordered, _FOR_FACTS * budget)
    return [*ordered[:first], *(each for each in exchanges if _tells_more(each, facts)), *ordered[first:]]


def _fitting(memories: Sequence[Memory], budget: float) -> int:
    """How many of them, from the first on, fit."""
    cost = 0.0
    for number, each in enumerate(memories):
        cost += line_cost(each) + HEADER_COST
        if cost > budget:
            return number
    return len(memories)


def _tells_more(exchange: Memory, facts: Sequence[Memory]) -> bool:
    said = segment(sides(exchange)[0]).masked()
    for fact in facts:
        said = said.replace(fact.text, "")
    told = (said[span.start : span.end] for span in sentences(said))
    return any(speaks_of_self(each) and not each.endswith(("?", "？")) for each in told)
