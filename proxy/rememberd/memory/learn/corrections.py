"""A message that only corrects the one before: "Sorry, I meant Bergen", after "I live in Oslo"."""

# ruff: noqa: E501  a pattern's alternatives stay together

from __future__ import annotations

import re

from rememberd.memory.learn.rules.slots import is_single
from rememberd.memory.recall.block import sides
from rememberd.ports import MemoryStore
from rememberd.types import Fact, Memory, Turn

_WITHIN_MS = 600_000
_LAST = 5  # the newest of each kind, among which the message before and its facts are
_CORRECTS = re.compile(
    r"(?:(?:sorry|oops|no|correction|typo|wait|pardon|entschuldigung|nein|perdón|no|désolée?|scusa|desculpa|beklager|nej|nei)[,:.!]?\s+)*"
    r"(?:i meant?(?: to (?:say|write))?|ich meinte?|je voulais dire|quise decir|volevo dire|quis dizer|ik bedoel(?:de)?|jeg mente|jag menade|correction:|typo:)"
    r"\s+(?P<value>\S+(?:\s+\S+){0,3})",
    re.IGNORECASE,
)  # fmt: skip
_NAME_OR_NUMBER = re.compile(r"[^\W\d_a-zß-ÿа-яё]|\d")
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_CAPITALISED = r"(?!I\b)[A-ZÀ-ÖØ-ÞĀ-ŽА-Я][\w'’&-]*"
_NAME = re.compile(rf"(?<=[\w,;:] ){_CAPITALISED}(?: {_CAPITALISED})*")  # it begins no sentence


async def correction(store: MemoryStore, turn: Turn) -> list[Fact]:
    """The corrected value as a fact of the attribute that the message before stated; none if that is not plain.

    Raises `StoreUnavailable`."""
    text = turn.user_text.strip()
    found = _CORRECTS.fullmatch(text.rstrip(".! "))
    if found is None or not _NAME_OR_NUMBER.match(found["value"]):
        return []
    before = await _message_before(store, turn)
    if before is None:
        return []
    recent, _ = await store.page(turn.space, limit=_LAST, now=turn.created_at, kind="fact")
    meant = [each for each in recent if _may_be_meant(each, before, found["value"])]
    if len(meant) != 1:
        return []
    return [Fact(_corrected(meant[0].text, found["value"]), text, meant[0].slot, turn.created_at)]


async def _message_before(store: MemoryStore, turn: Turn) -> Memory | None:
    """In any conversation: many clients name none, or a new one for each message."""
    recent, _ = await store.page(turn.space, limit=_LAST, now=turn.created_at, kind="episode")
    before = [each for each in recent if 0 < turn.created_at - each.created_at <= _WITHIN_MS]
    return max(before, key=lambda each: each.created_at, default=None)


def _may_be_meant(fact: Memory, before: Memory, value: str) -> bool:
    """A number corrects a number and a name a name, and nothing else that was said could be meant."""
    said, _ = sides(before)
    if fact.slot is None or not is_single(fact.slot) or fact.text not in said:
        return False
    kind = _kind(value)
    values = len(kind.findall(fact.text))  # besides the name of a relative whose attribute it is
    plain = values == 1 or (values == 2 and "." in fact.slot)
    return plain and kind.search(said.replace(fact.text, "", 1)) is None


def _corrected(stated: str, value: str) -> str:
    """What was stated, with the value that was meant: "I meant Bergen" alone says nothing to a reader."""
    *_, old = _kind(value).finditer(stated)
    return f"{stated[: old.start()]}{value}{stated[old.end() :]}"


def _kind(value: str) -> re.Pattern[str]:
    return _NUMBER if _NUMBER.search(value) else _NAME
