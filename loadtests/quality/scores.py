"""What some data sets count besides the gold turns in the block.

LongMemEval's recall_any@5 and recall_all@5: are the sessions with the answer among the five best?

HaluMem's extraction and update parts: is what should be a fact stored, does what it replaces no longer hold? No model
judges: a fact states a point if it has at least `SAME` of the point's words that carry meaning. That is stricter with
paraphrases than HaluMem's own judge, so the figures compare only with others of this command."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from loadtests.quality.baselines import orders
from loadtests.quality.datasets.conversation import Conversation, Point, Question
from loadtests.quality.measure import Memories, Recalls
from loadtests.quality.report import interval
from rememberd.memory.text_similarity import content
from rememberd.types import Memory

BEST = 5
LOOKED_AT = 200  # memories; the five best sessions are among them
SAME = 0.6


class Found(NamedTuple):
    """Of one question: is any, are all of its sessions among the best?"""

    way: str
    any: bool
    all: bool


async def in_sessions(memories: Memories, ways: Recalls, spoken: Conversation, question: Question) -> list[Found]:
    space, now = spoken.space, spoken.end
    scored = await next(iter(ways.values())).search(space, question.text, now=now, limit=LOOKED_AT)
    dense = await memories.embedder.dense(question.text)
    everything = await memories.store.search(space, dense, memories.embedder.query(question.text), now=now)
    ranked = {"product": _turns(memories, [each.memory.id for each in scored])}
    ranked |= {way: _turns(memories, order.names()) for way, order in orders(everything).items()}
    ranked["vector store"] = await memories.vectors.ranked(space.user, question.text)
    session_of = {turn.id: turn.source.conversation for turn in spoken.turns}
    return [_found(way, [session_of[turn] for turn in turns], question) for way, turns in ranked.items()]


def _turns(memories: Memories, ids: Iterable[str]) -> list[str]:
    return [turn for each in ids if (turn := memories.turn_of.get(each))]


def _found(way: str, sessions: Sequence[str | None], question: Question) -> Found:
    best = set(list(dict.fromkeys(sessions))[:BEST])
    return Found(way, bool(question.sessions & best), question.sessions <= best)


def session_shares(answers: Sequence[Found]) -> dict[str, Any]:
    """Percent of the questions, with its interval, by way."""
    by_way = {way: [each for each in answers if each.way == way] for way in dict.fromkeys(a.way for a in answers)}
    return {
        way: {name: _share([float(getattr(each, name)) for each in some]) for name in ("any", "all")}
        for way, some in by_way.items()
    }


def _share(hits: Sequence[float]) -> list[float]:
    return [round(100 * statistics.fmean(hits), 1), *interval(hits)]


def session_table(figures: dict[str, Any]) -> str:
    rows = [f"| sessions among the {BEST} best | any, % | all, % |", "| --- | --- | --- |"]
    for way, each in figures.items():
        cells = [f"{share} ({low:.0f}–{high:.0f})" for share, low, high in (each["any"], each["all"])]
        rows.append(f"| {way} | {cells[0]} | {cells[1]} |")
    return "\n".join(rows)


async def points(memories: Memories, conversations: Sequence[Conversation]) -> dict[str, Any]:
    """Counts, over all conversations, of facts that hold at the end."""
    counts = dict.fromkeys(("wanted", "stored", "updates", "updated", "outdated", "unwanted", "stored unwanted"), 0)
    for spoken in conversations:
        facts = [each for each in await memories.of(spoken) if each.kind == "fact"]
        for point in spoken.points:
            for name in _counted(point, facts):
                counts[name] += 1
    return counts | {"facts": memories.counts["fact"]}


def _counted(point: Point, facts: Sequence[Memory]) -> list[str]:
    stored = _states(point.text, facts)
    if not point.wanted:
        return ["unwanted", *(["stored unwanted"] if stored else [])]
    names = ["wanted", *(["stored"] if stored else [])]
    if point.replaces:
        others = [fact for fact in facts if not _states(point.text, [fact])]
        old = any(_states(each, others) for each in point.replaces)
        names += ["updates", *(["updated"] if stored and not old else []), *(["outdated"] if old else [])]
    return names


def _states(text: str, facts: Sequence[Memory]) -> bool:
    words = set(content(text))
    return any(len(words & set(content(fact.text))) >= SAME * len(words) for fact in facts) if words else False
