"""Merges new memories into old ones: no duplicates, one current value for each slot, nothing forgotten comes back.

A fact is identified by its text. `created_at` is when it was first said, `updated_at` when it was last said or
edited, and of the values of a slot the one said last is current; so replays change nothing, and late turns close
nothing newer. A pinned memory is closed like any other when the user states a newer value, which takes over the pin.

If neither slots nor words decide, a model may have decided before (`verdicts`, by the id of the new fact). A verdict
counts less than the user's word: it closes no pinned memory, and none that was said or edited since.

Clocks jump. A new statement counts as later than all known memories, even if a clock that ran ahead gave them later
dates (`clock_jumps`). But a deletion or an edit by hand stays in force until its own time: in doubt the hand counts
more.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.ids import fact_id, normal
from rememberd.memory.learn import over
from rememberd.memory.learn.clock_jumps import APART, told_before
from rememberd.memory.learn.rules.natural_ends import dated
from rememberd.memory.learn.rules.slots import is_single
from rememberd.memory.learn.rules.values import may_tell
from rememberd.memory.text_similarity import says_the_same
from rememberd.ports import Embedder, MemoryStore
from rememberd.types import NEVER, Memory, Millis, Space, Verdicts

# Cosine from which facts without a slot are compared by words. Measured with the packaged model over 1,200 pairs of
# likes and dislikes: restatements .71 to .99, a yes and a no to the same thing .55 to .90. The words decide, so it
# may be far lower.
NEAR = 0.3
_NEIGHBOURS = 16
_HISTORY = 100  # values of a slot that are read, the newest first
# What the user edits or marks as private while it is merged is read again, so that the edit is not overwritten.
_ATTEMPTS = 3
MOST_TIMES = 100  # times at which it was said again that a fact keeps


@dataclass(frozen=True, slots=True)
class Outcome:
    """Ids of new memories, of those known before, and of those that a newer value made past."""

    added: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)


class Settled(NamedTuple):
    """`stands` is the memory that says it now; it and `closed` must be written, unless `news` is False."""

    stands: Memory
    added: bool = False
    news: bool = True
    closed: tuple[Memory, ...] = ()
    read: tuple[Memory, ...] = ()  # what was known when it was decided


async def merge(
    store: MemoryStore,
    embedder: Embedder,
    space: Space,
    new: Sequence[Memory],
    now: Millis,
    verdicts: Mapping[str, Verdicts] | None = None,
) -> Outcome:
    """Write `new` into the store, in order. A second call changes nothing. `verdicts` is None if no model has read
    them: then they are from the user's newest turn.

    Raises `StoreUnavailable` and `EmbedderUnavailable`: earlier writes stay, a retry completes them."""
    outcome = Outcome()
    for number, memory in enumerate(new):
        judged = None if verdicts is None else verdicts.get(memory.id, {})
        beside = frozenset(each.id for each in new[:number])
        for attempt in range(_ATTEMPTS):
            settled = await _settle_one(store, embedder, space, memory, now, judged, beside)
            if settled is None or not settled.news:
                break
            changed = (settled.stands, *settled.closed)
            points = [await to_point(each, embedder) for each in changed]
            stored = await store.get(space, [each.id for each in changed])
            if attempt == _ATTEMPTS - 1 or all(each in settled.read for each in stored):
                await store.put(space, points)
                break
        if settled is None:
            continue
        (outcome.added if settled.added else outcome.touched).append(settled.stands.id)
        outcome.closed.extend(each.id for each in settled.closed)
    return outcome


async def foresee(
    store: MemoryStore, embedder: Embedder, space: Space, memory: Memory, now: Millis
) -> Settled | None:
    """The result that `merge` would have for this memory; None: nothing. Writes nothing."""
    return await _settle_one(store, embedder, space, memory, now, None, frozenset())


async def _settle_one(
    store: MemoryStore,
    embedder: Embedder,
    space: Space,
    memory: Memory,
    now: Millis,
    verdicts: Verdicts | None,
    beside: frozenset[str],
) -> Settled | None:
    """None: the user deleted or edited this since it was said, or it only denies something unknown.

    `beside`: ids of earlier facts of the same turn."""
    known = await store.get(space, [memory.id])
    if memory.kind == "fact" and known and normal(known[0].text) != normal(memory.text):
        if memory.created_at <= known[0].updated_at:
            return None
        memory = replace(memory, id=_id_beside_the_edited(space, memory))
        known = await store.get(space, [memory.id])
    if known and not memory.slot:
        memory = replace(memory, slot=known[0].slot)
    repeated = [each for each, verdict in (verdicts or {}).items() if verdict == "same"]
    buried = await store.deleted_at(space, [memory.id, *repeated])
    # A turn dated ahead was processed before the clock was set back, and its facts were deleted after that.
    ahead = memory.created_at > now + APART and memory.evidence is not None and memory.evidence.turn_id is not None
    if any(ahead or memory.created_at <= at for at in buried.values()):
        return None
    if memory.kind == "episode":
        settled = settle_episode(known[0] if known else None, memory)
    else:
        found = [*known, *await _related(store, embedder, space, memory, now, verdicts or {})]
        known = list({each.id: each for each in found}.values())
        settled = await asyncio.to_thread(_settled, known, memory, now, verdicts, beside)
    return settled and settled._replace(read=tuple(known))


def _settled(
    known: Sequence[Memory], memory: Memory, now: Millis, verdicts: Verdicts | None, beside: frozenset[str]
) -> Settled | None:
    """Runs outside the event loop: judging a text takes milliseconds. What no turn told was meant as a memory."""
    if memory.evidence and memory.evidence.turn_id and over.is_empty_denial(memory):
        # Facts of another turn of the same millisecond do not count: whether they are stored depends on the order.
        before = [each for each in known if each.created_at < memory.created_at or each.id in beside]
        by = (over.ends, over.may_end, over.brings_back)
        if not any(_same(each, memory, verdicts or {}) or any(so(memory, each) for so in by) for each in before):
            return None
    # A turn's own facts come in the order in which the user told them; a model's after those of later turns.
    told = known if verdicts is not None else told_before(known, memory, now)
    return _dated(settle_fact(told, memory, verdicts or {}), told, known)


def _id_beside_the_edited(space: Space, memory: Memory) -> str:
    turn = memory.evidence and memory.evidence.turn_id
    return fact_id(space, memory.text, salt=turn or str(memory.created_at), contributor=memory.contributor)


async def _related(
    store: MemoryStore, embedder: Embedder, space: Space, fact: Memory, now: Millis, verdicts: Verdicts
) -> list[Memory]:
    """The facts of its slot and of the slots that it may end, past ones too, and the facts with verdicts. Unless its
    slot has one value at a time, also the facts near in meaning that were current when it was said, because a
    repeated turn must find the facts that it changed; for a denial and a return, past ones too."""
    found: dict[str, Memory] = {}
    # "I left Acme" may end a home or an employer, and stands under the first of them.
    places = ("home", "employer") if fact.slot in ("home", "employer") else ()
    for slot in dict.fromkeys((fact.slot, *places, *over.ended_attributes(fact))):
        if slot:
            page, _ = await store.page(space, limit=_HISTORY, now=now, kind="fact", slot=slot, include_past=True)
            found |= {each.id: each for each in page}
    ends, returns = may_tell("ended", fact.text), may_tell("again", fact.text)
    if not is_single(fact.slot) or fact.slot in over.TOLD or ends or returns:
        dense, sparse = await embedder.dense(fact.text), embedder.query(fact.text)
        then = NEVER if returns or over.is_empty_denial(fact) else fact.created_at - 1
        near = await store.search(space, dense, sparse, now=then, limit=_NEIGHBOURS, kind="fact")
        # An end, a return or another value may share one word with it or none, in any language; vectors do not tell.
        ids = near.names() if ends or returns or fact.slot in over.TOLD else list(near.nearest(NEAR))
        found |= {each.id: each for each in await store.get(space, ids)}
    return [*found.values(), *await store.get(space, [each for each in verdicts if each not in found])]


def _dated(settled: Settled, told: Sequence[Memory], known: Sequence[Memory]) -> Settled:
    """The time when each was last said stays unchanged: a repeated turn is recognised by it. A fact that ended at a
    time ahead has ended now: otherwise it would be current until then."""
    if not settled.news:
        return settled
    last, ends = {each.id: each.updated_at for each in known}, {each.id: each.valid_to for each in known}
    changed = {settled.stands.id, *(each.id for each in settled.closed)}
    ended = [each for each in told if each.valid_to != ends[each.id] and each.id not in changed]

    def dated(memory: Memory) -> Memory:
        return replace(memory, updated_at=max(memory.updated_at, last.get(memory.id, 0)))

    closed = tuple(dated(each) for each in (*settled.closed, *ended))
    return settled._replace(stands=dated(settled.stands), closed=closed)


def settle_episode(known: Memory | None, episode: Memory) -> Settled | None:
    """An exchange replaces its earlier, shorter version, unless that was edited or is another member's."""
    if known is None:
        return Settled(replace(episode, updated_at=episode.created_at), added=True)
    if known.text == episode.text or known.contributor != episode.contributor:
        return Settled(known, news=False)
    if known.updated_at > known.created_at:
        return None
    kept = replace(
        known, text=episode.text, evidence=episode.evidence, source=episode.source, valid_to=episode.valid_to
    )
    return Settled(kept)


def settle_fact(known: Sequence[Memory], fact: Memory, verdicts: Verdicts) -> Settled:
    """`known` holds the memory of the fact's id, if any, and those that may say the same or the opposite. In a group,
    a member's facts are compared only with their own: each has a home of their own, and the same words of two members
    belong to both."""
    known = [each for each in known if each.contributor == fact.contributor]
    alike = [each for each in known if _same(each, fact, verdicts)]
    # A current one before a past one of the same id: reopening that would leave two that say the same.
    alike.sort(key=lambda each: each.valid_to is not None)
    for each in alike:
        if fact.created_at <= each.updated_at or _outlived(each, fact) or fact.valid_to == NEVER:
            return Settled(each, news=False)
    same = alike[0] if alike else None
    stated = _restated(same, fact) if same else replace(fact, updated_at=fact.created_at)
    others = [each for each in known if each.id != stated.id and each.valid_to is None]
    ahead = [each for each in others if _holds_since_later(each, stated) and over.ends(each, stated)]
    back = [each for each in known if over.was_over(each, fact) and (each is same or over.revives(fact, each))]
    rivals = [
        each
        for each in others
        if each not in ahead
        and (over.ends(stated, each) or any(over.had_ended(each, it) or over.gives_way(each, it) for it in back))
    ]
    for may in (over.may_end, over.may_replace):
        if not rivals and len(only := [each for each in others if each not in ahead and may(stated, each)]) == 1:
            rivals = only
    stay = ahead + [each for each in rivals if each.updated_at > stated.updated_at]
    if is_single(stated.slot) and over.ended_attributes(stated):
        # The end of a value is not a second value beside a current one.
        holding = (each for each in others if each.slot == stated.slot and not over.ended_attributes(each))
        stay += [each for each in holding if each not in rivals]
    if stay and stated.valid_to is None:
        stated = _closed(stated, stay[0])
    if stay or stated.valid_to is not None:
        return Settled(stated, added=same is None)
    by_verdict = (each for each in others if verdicts.get(each.id) == "replaces" and each not in rivals)
    replaced = [each for each in by_verdict if not each.pinned and each.updated_at <= fact.created_at]
    if any(each.pinned and is_single(each.slot) and each.slot == stated.slot for each in rivals):
        stated = replace(stated, pinned=True)  # the user pinned the attribute, not its old value
    return Settled(stated, added=same is None, closed=tuple(_closed(each, stated) for each in [*rivals, *replaced]))


def _same(known: Memory, fact: Memory, verdicts: Verdicts) -> bool:
    if known.id == fact.id:
        return True
    if verdicts.get(known.id) == "same":  # only if it is current: a model cannot make an ended fact current again
        return known.valid_to is None or fact.created_at <= known.updated_at or _outlived(known, fact)
    if known.slot != fact.slot and None not in (known.slot, fact.slot):
        return False
    return says_the_same(known.text, fact.text) or over.repeats(fact, known)


def _outlived(known: Memory, fact: Memory) -> bool:
    """Whether it ended after the late `fact` was said, which then does not make it current again."""
    return known.valid_to is not None and fact.created_at < known.valid_to


def _holds_since_later(known: Memory, stated: Memory) -> bool:
    """Whether it was said later; or `stated` has a date and began before it ("I moved to Rome in 2015")."""
    return known.updated_at > stated.updated_at or (
        stated.valid_from < known.valid_from and dated(stated.text, stated.created_at) is not None
    )


def _restated(known: Memory, fact: Memory) -> Memory:
    """The memory after it was said again: current, from now on if it was past."""
    return replace(
        known,
        updated_at=fact.created_at,
        valid_from=known.valid_from if known.valid_to is None else fact.valid_from,
        valid_to=fact.valid_to,
        pinned=known.pinned or fact.pinned,
        private=known.private or fact.private,
        expires_at=fact.expires_at,
        slot=known.slot or fact.slot,
        told=tuple(sorted({*known.told, *fact.told, fact.created_at} - {known.created_at}))[-MOST_TIMES:],
    )


def _closed(memory: Memory, by: Memory) -> Memory:
    return replace(memory, valid_to=max(memory.valid_from, by.valid_from))
