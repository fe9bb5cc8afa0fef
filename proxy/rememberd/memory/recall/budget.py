"""Chooses the ranked memories for the block: best first, until the budget is full, none twice (pure)."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Literal

import numpy as np

from rememberd.memory.ids import normal
from rememberd.memory.recall.block import FRAME_COST, HEADER_COST, sides
from rememberd.memory.recall.dates import DAY_MS
from rememberd.memory.recall.needs import STYLE
from rememberd.memory.recall.relevance import of_topics
from rememberd.memory.text_similarity import content
from rememberd.search_results import Bools, Candidates, Ints
from rememberd.types import Memory

Reason = Literal["pinned", "profile", "need", "words", "meaning", "time"]

# Tokens of the facts that say how to answer, and of those that a question calls for without naming them. More brings
# nothing: `pytest tests/memory/test_what_a_question_needs_comes_unasked.py`.
STYLE_TOKENS, NEED_TOKENS = 60, 100

# Among so many of the best, an exchange may stand beside its fact. With 10, messages told in chats lose 2 points of
# evidence, with 40 imported talks lose .4 (FIGURES, "Told in chats").
BEST = 20


def profile(found: Candidates, needs: Mapping[str, float]) -> Ints:
    """Rows of standing facts that every fitting question gets: how to answer, the newest first; and facts of the
    topics that the question needs (`_of_needs`). None if the facts are several people's, because it is unclear whose
    are meant."""
    nobody = np.zeros(0, np.int64)
    if not (found.topics.codes >= 0).any() or len(found.speaker.take(found.facts).present()) > 1:
        return nobody
    style = found.facts & of_topics(found.topics, {STYLE})
    rows = _first_that_fit(np.flatnonzero(style)[np.argsort(-found.at[style], kind="stable")], found, STYLE_TOKENS)
    if needs:
        rows += _first_that_fit(_of_needs(found, found.facts & ~style, needs), found, NEED_TOKENS)
    return np.array(rows, np.int64) if rows else nobody


def _of_needs(found: Candidates, facts: Bools, needs: Mapping[str, float]) -> Ints:
    """`facts` of the needed topics, the nearest of each first. A topic gets places in proportion to how clearly it is
    needed, as parties get seats by D'Hondt's method."""
    shares = np.zeros(len(found))
    for topic, clear in needs.items():
        rows = np.flatnonzero(facts & of_topics(found.topics, {topic}))
        rows = rows[np.argsort(-found.dense[rows], kind="stable")]
        shares[rows] = np.maximum(shares[rows], clear / np.arange(1, len(rows) + 1))
    order: Ints = np.lexsort((-found.dense, -shares))
    return order[: int((shares > 0).sum())]


def called(topics: str, needs: Mapping[str, float]) -> float:
    """The highest need for one of these topics; 0 if none is needed."""
    return max((needs.get(topic, 0.0) for topic in topics.split()), default=0.0)


def _first_that_fit(rows: Ints, found: Candidates, budget: int) -> list[int]:
    taken: list[int] = []
    for row in rows.tolist():
        if found.tokens[row] <= budget:
            budget -= int(found.tokens[row])
            taken.append(row)
    return taken


def pack(ranked: Candidates, budget_tokens: int) -> tuple[list[str], int]:
    """Ids in the order taken, and the highest cost of the block in tokens (0 for none): the pinned, then the best. A
    fact is not taken if its whole exchange is. The exchange of a taken fact comes after all others, unless it is
    among the best: then its other words may be the answer."""
    if not len(ranked):
        return [], 0
    cost, taken = FRAME_COST, dict[int, None]()
    headers, exchanges, told = set[int](), set[int](), set[int]()
    days, turns = _days(ranked).tolist(), ranked.turn_id.codes.tolist()
    tokens, facts = ranked.tokens.tolist(), ranked.facts.tolist()
    shortest = min(tokens)
    order = [*np.flatnonzero(ranked.pinned).tolist(), *range(len(ranked))]  # some of them twice
    later: list[int] = []
    best = set(order[:BEST])
    for row in chain(order, later):
        if cost + shortest > budget_tokens:
            break
        if row in taken or cost + tokens[row] > budget_tokens:
            continue
        more = tokens[row] + (0 if days[row] in headers else HEADER_COST)
        if cost + more > budget_tokens or (facts[row] and turns[row] in exchanges):
            continue
        if turns[row] in told and not facts[row] and row not in best:
            best.add(row)
            later.append(row)
            continue
        cost += more
        taken[row] = None
        headers.add(days[row])
        if turns[row] >= 0:
            (told if facts[row] else exchanges).add(turns[row])
    return [each.decode() for each in ranked.ids[list(taken)].tolist()] if taken else [], cost if taken else 0


def _days(ranked: Candidates) -> Ints:
    """The number of each row's header in the block: a day of the pinned, or of the others."""
    return ranked.at // DAY_MS * 2 + ranked.pinned


def without_repeats(memories: Sequence[Memory], *, latest: bool, asked: str = "") -> list[Memory]:
    """Keeps only one of the memories with the same words: the `latest`, or the first in their order. Leaves out
    exchanges whose words are all in their facts, or that only ask the question `asked`. Pinned memories stay."""
    facts, shown = dict[str, list[Memory]](), dict[str, Memory]()
    again = normal(asked)
    for each in memories:
        if each.kind == "fact" and (turn := _turn(each)):
            facts.setdefault(turn, []).append(each)
        words = _words(each)
        if words not in shown or (latest and shown[words].valid_from < each.valid_from):
            shown[words] = each
    chosen = {each.id for each in shown.values()}

    def tells_more(each: Memory) -> bool:
        if each.kind == "episode" and again and normal(sides(each)[0]) == again:
            return False
        told = facts.get(_turn(each) or "", []) if each.kind == "episode" else []
        said = {word for fact in told for word in content(fact.text)}
        return not told or not said.issuperset(content(sides(each)[0]))

    return [each for each in memories if each.pinned or (each.id in chosen and tells_more(each))]


def _turn(memory: Memory) -> str | None:
    return memory.evidence.turn_id if memory.evidence else None


def _words(memory: Memory) -> str:
    return f"{memory.speaker or ''} {normal(sides(memory)[0] if memory.kind == 'episode' else memory.text)}"
