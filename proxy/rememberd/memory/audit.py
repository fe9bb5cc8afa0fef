"""Finds what is wrong with a person's memories, by rules alone. Pure.

Only a current memory can be a duplicate, junk or contradicted; past memories are history. Secrets are found in both.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rememberd.dialects import client_text as boilerplate
from rememberd.memory.ids import normal
from rememberd.memory.learn.rules.slots import is_single
from rememberd.memory.recall.block import day, sides
from rememberd.memory.safety.quarantine import quarantine_reason
from rememberd.memory.safety.redact import redact
from rememberd.memory.text_similarity import content, negated
from rememberd.types import NEVER, Memory, Millis

Complaint = Literal[
    "expired", "secret", "duplicate", "contradiction", "stale", "junk", "quarantined", "order", "unused"
]

DAY_MS = 86_400_000
UNUSED_AFTER_DAYS = 14
STALE_AFTER_DAYS = 30
LONGEST_FACT = 300  # characters; the rules extractor ignores longer clauses

_SMALL_TALK = frozenset(
    re.findall(
        r"\w+",
        "ok okay yes yeah yep no nope hi hello hey thanks thank thx please cool great nice good perfect awesome fine "
        "sure lol haha hmm wow bye morning night evening right continue go next again sorry test ping",
    )
)
_REQUEST = re.compile(
    r"(?:please |can you |could you |would you )*(?:write|translate|summari[sz]e|explain|rewrite|rephrase|fix"
    r"|refactor|generate|create|list|describe|compare|give me|show me|tell me|act as|pretend"
    r"|ignore (?:all|any|previous|the))\b",
    re.IGNORECASE,
)
_PASSING = re.compile(
    r"\b(?:today|tonight|tomorrow|yesterday|right now|at the moment|this (?:morning|afternoon|evening|week|weekend)"
    r"|(?:next|on|this) (?:mon|tues|wednes|thurs|fri|satur|sun)day|next (?:week|weekend|month)|heute|morgen|demain"
    r"|mañana|hoy|i dag|i morgen)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Usage:
    """The memories that went into answers since `since`, the time of the oldest receipt kept."""

    since: Millis
    recalled: frozenset[str]


@dataclass(frozen=True, slots=True)
class Finding:
    """`other` is the id of the memory that says the same or is newer; `safe`: `audit_repair` can repair it."""

    complaint: Complaint
    memory: Memory
    reason: str
    other: str | None = None
    safe: bool = False


def judge(memories: Sequence[Memory], now: Millis, usage: Usage | None = None) -> list[Finding]:
    """Every finding about the memories of one space, past ones included; a memory can have several. In a group, each
    member's memories are compared only with each other."""
    current = _current(memories, now)
    return [
        *(finding for find in REPAIRABLE for finding in find(memories, now)),
        *_opposites(current),
        *_stale(current, now),
        *_junk(current),
        *_orders(memories),
        *(_unused(current, now, usage) if usage else ()),
    ]


def to_review(memories: Sequence[Memory], now: Millis, usage: Usage | None = None) -> list[Finding]:
    """The findings that a person can decide on quickly. For speed, texts are not searched for secrets or orders."""
    current = _current(memories, now)
    quarantined = [Finding("quarantined", each, "reads like an order") for each in memories if each.valid_to == NEVER]
    outdated = [*_outdated(memories, now), *_opposites(current)]
    return [*_expired(memories, now), *outdated, *quarantined, *(_unused(current, now, usage) if usage else ())]


def _current(memories: Iterable[Memory], now: Millis) -> list[Memory]:
    return [each for each in memories if each.valid_to is None and not _has_expired(each, now)]


def _has_expired(memory: Memory, now: Millis) -> bool:
    return memory.expires_at is not None and memory.expires_at <= now


# --- findings that can be repaired


def _expired(memories: Sequence[Memory], now: Millis) -> Iterator[Finding]:
    for each in memories:
        if each.expires_at is not None and each.expires_at <= now:
            yield Finding("expired", each, f"expired on {day(each.expires_at)}", safe=True)


def _secrets(memories: Sequence[Memory], now: Millis) -> Iterator[Finding]:
    for each in memories:
        kinds = redact(each.text).counts | (redact(each.evidence.text).counts if each.evidence else {})
        if kinds:
            yield Finding("secret", each, f"holds a {', a '.join(sorted(kinds))}", safe=True)


def _duplicates(memories: Sequence[Memory], now: Millis) -> Iterator[Finding]:
    """Facts only: the same exchange on two days happened twice."""
    first: dict[object, Memory] = {}
    for each in sorted(_facts(_current(memories, now)), key=_worth_keeping):
        keeper = first.setdefault((each.contributor, _meaning(each.text)), each)
        if keeper is not each:
            exact = normal(each.text) == normal(keeper.text)
            reason = "the same words" if exact else "the same in other words"
            yield Finding("duplicate", each, reason, keeper.id, safe=True)


def _worth_keeping(memory: Memory) -> tuple[bool, float, Millis, str]:
    """Sorts the pinned one first, then the one that expires last, then the oldest."""
    ends = memory.expires_at if memory.expires_at is not None else float("inf")
    return not memory.pinned, -ends, memory.created_at, memory.id


def _meaning(text: str) -> object:
    """Equal for texts that `likeness.says_the_same` takes for the same."""
    plain = normal(text)
    words = content(plain)
    return (negated(plain), *words) if words else plain


def _outdated(memories: Sequence[Memory], now: Millis) -> Iterator[Finding]:
    """All values except the last one, of each attribute that has one value at a time."""
    newest: dict[tuple[str | None, str], Memory] = {}
    for each in sorted(_facts(_current(memories, now)), key=_said, reverse=True):
        if each.slot is None or not is_single(each.slot):
            continue
        holds = newest.setdefault((each.contributor, each.slot), each)
        if _meaning(holds.text) != _meaning(each.text):
            yield Finding("contradiction", each, f"an older {each.slot}", holds.id, safe=True)


def _said(memory: Memory) -> tuple[Millis, Millis, str]:
    return memory.updated_at, memory.created_at, memory.id


# In this order: after `repair` has repaired the findings of one, the next need not judge them.
REPAIRABLE = (_expired, _secrets, _duplicates, _outdated)


# --- findings that a person has to decide


def _opposites(current: Sequence[Memory]) -> Iterator[Finding]:
    """A yes and a no to the same thing; the finding is about the older one."""
    newest: dict[tuple[str | None, tuple[str, ...]], Memory] = {}
    for each in sorted(_facts(current), key=_said, reverse=True):
        words = tuple(content(each.text))
        if each.slot or not words:
            continue
        holds = newest.setdefault((each.contributor, words), each)
        if holds is not each and negated(holds.text) != negated(each.text):
            yield Finding("contradiction", each, "the opposite was said later", holds.id)


def _stale(current: Sequence[Memory], now: Millis) -> Iterator[Finding]:
    for each in _facts(current):
        if now - each.updated_at > STALE_AFTER_DAYS * DAY_MS and not each.pinned and _PASSING.search(each.text):
            yield Finding("stale", each, f"a passing matter of {day(each.updated_at)}")


def _junk(current: Sequence[Memory]) -> Iterator[Finding]:
    for each in current:
        reason = _junk_fact(each.text) if each.kind == "fact" else _junk_episode(sides(each)[0])
        if reason and not each.pinned:
            yield Finding("junk", each, reason)


def _junk_fact(text: str) -> str | None:
    if not content(text):
        return "says nothing"
    if text.rstrip().endswith(("?", "？")):
        return "a question"
    if _REQUEST.match(text):
        return "an instruction to the assistant"
    if len(text) > LONGEST_FACT:
        return f"{len(text):,} characters: no single statement"
    return _boilerplate(text)


def _junk_episode(said: str) -> str | None:
    if _SMALL_TALK.issuperset(re.findall(r"\w+", said.casefold())):
        return "small talk"
    return _boilerplate(said)


def _boilerplate(text: str) -> str | None:
    return "a client's boilerplate" if boilerplate.strip(text).strip() != text.strip() else None


def _orders(memories: Sequence[Memory]) -> Iterator[Finding]:
    """Memories in quarantine, and those that would be now but were stored earlier or released by their owner."""
    for each in memories:
        reason = quarantine_reason(each)
        if each.valid_to == NEVER:
            yield Finding("quarantined", each, reason or "came in one message with orders to an assistant")
        elif reason and each.valid_to is None:
            yield Finding("order", each, reason)


def _unused(current: Sequence[Memory], now: Millis, usage: Usage) -> Iterator[Finding]:
    """Only memories that have existed for a while, if the receipts reach back as far."""
    before = now - UNUSED_AFTER_DAYS * DAY_MS
    if usage.since > before:
        return
    for each in current:
        if each.created_at <= before and not each.pinned and each.id not in usage.recalled:
            yield Finding("unused", each, f"in no answer since {day(max(usage.since, each.created_at))}")


def _facts(memories: Iterable[Memory]) -> list[Memory]:
    return [each for each in memories if each.kind == "fact"]
