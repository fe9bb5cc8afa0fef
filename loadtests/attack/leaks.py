"""Markers, and the search for those of others. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from secrets import token_hex

DEFAULT, WORK, PRIVATE = "d", "w", "p"  # what kind of memory holds the marker: which scope, or marked private
OPEN = DEFAULT + PRIVATE  # what a person's own default scope may show them

_MARKER = re.compile(rb"mk(\d{4})([dwp])[0-9a-f]{8}", re.IGNORECASE)


def marker(owner: int, kind: str) -> str:
    """Unlike any word, and known by its form alone."""
    return f"mk{owner:04d}{kind}{token_hex(4)}"


def markers(data: bytes) -> set[tuple[int, str]]:
    """Owner and kind of each marker in `data`."""
    return {(int(owner), kind.decode().lower()) for owner, kind in _MARKER.findall(data)}


def leaked(data: bytes, owner: int | None, kinds: str) -> set[tuple[int, str]]:
    """The markers that somebody sees who may see those of `owner` (None: nobody's), of these kinds."""
    return {found for found in markers(data) if found[0] != owner or found[1] not in kinds}


def mixed(prompt: bytes, kinds: str) -> set[tuple[int, str]]:
    """The markers of a prompt, if they are of several people or of another kind than `kinds`."""
    found = markers(prompt)
    wrong = {each for each in found if each[1] not in kinds}
    return found if len(_owners(found)) > 1 else wrong


def _owners(found: Iterable[tuple[int, str]]) -> set[int]:
    return {owner for owner, _ in found}
