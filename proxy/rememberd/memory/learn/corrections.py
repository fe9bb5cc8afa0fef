"""A message that only corrects the one before: "Sorry, I meant Bergen", after "I live in Oslo"."""

# ruff: noqa: E501  a pattern's alternatives stay together

from __future__ import annotations

import re

from rememberd.memory.learn.rules.slots import is_single
from rememberd.ports import MemoryStore
from rememberd.types import Fact, Memory, Turn

_WITHIN_MS = 600_000  # the facts that were said last may be meant for so long
_LAST = 5
_CORRECTS = re.compile(
    r"(?:(?:sorry|oops|no|correction|typo|wait|pardon|entschuldigung|nein|perdón|no|désolée?|scusa|desculpa|beklager|nej|nei)[,:.!]?\s+)*"
    r"(?:i meant?(?: to (?:say|write))?|ich meinte?|je voulais dire|quise decir|volevo dire|quis dizer|ik bedoel(?:de)?|jeg mente|jag menade|correction:|typo:)"
    r"\s+(?P<value>\S+(?:\s+\S+){0,3})",
    re.IGNORECASE,
)  # fmt: skip


async def correction(store: MemoryStore, turn: Turn) -> list[Fact]:
    """The corrected value as a fact of the attribute that was stated last; none if that is not plain.

    Raises `StoreUnavailable`."""
    text = turn.user_text.strip()
    found = _CORRECTS.fullmatch(text.rstrip(".! "))
    if found is None:
        return []
    recent, _ = await store.page(turn.space, limit=_LAST, now=turn.created_at, kind="fact")
    meant = [each for each in recent if 0 <= turn.created_at - each.updated_at <= _WITHIN_MS and _may_be(each, found)]
    last = max((each.updated_at for each in meant), default=0)
    meant = [each for each in meant if each.updated_at == last]
    if len(meant) != 1:
        return []
    return [Fact(text, text, meant[0].slot, turn.created_at)]


def _may_be(memory: Memory, found: re.Match[str]) -> bool:
    """A number corrects a number, a name a name."""
    has_digit = any(character.isdigit() for character in found["value"])
    return is_single(memory.slot) and has_digit == any(character.isdigit() for character in memory.text)
