"""Markers, and the search for those of others. Pure."""

from __future__ import annotations

import re
from secrets import token_hex

# What kind of memory holds the marker: which scope, marked private, or a group's.
DEFAULT, WORK, PRIVATE, GROUP = "d", "w", "p", "g"
MEMBERS = 3  # people of a group; the number in a group's marker is that of its first
OPEN = DEFAULT + PRIVATE  # what a person's own default scope may show them

_MARKER = re.compile(rb"mk(\d{4})([dwpg])[0-9a-f]{8}", re.IGNORECASE)


def marker(owner: int, kind: str) -> str:
    """Unlike any word, and known by its form alone."""
    return f"mk{owner:04d}{kind}{token_hex(4)}"


def markers(data: bytes) -> set[tuple[int, str]]:
    """Owner and kind of each marker in `data`."""
    return {(int(owner), kind.decode().lower()) for owner, kind in _MARKER.findall(data)}


def shown(data: bytes, made: str, around: int = 60) -> str:
    """The first marker in `data` that stands in the text `made` too, with so many bytes before and after it; empty if
    there is none. Sealed bytes have the form of a marker by chance, once in 70 GB."""
    for found in _MARKER.finditer(data):
        if found[0].decode().lower() in made:
            return repr(data[max(found.start() - around, 0) : found.end() + around])[2:-1]
    return ""


def first_of(owner: int) -> int:
    """Who is the first of this person's group."""
    return owner - owner % MEMBERS


def leaked(data: bytes, owner: int | None, kinds: str) -> set[tuple[int, str]]:
    """The markers that somebody sees who may see those of `owner` (None: nobody's), of these kinds, and of the
    owner's group."""
    return {found for found in markers(data) if not _may_see(found, owner, kinds)}


def mixed(prompt: bytes, kinds: str) -> set[tuple[int, str]]:
    """The markers of a prompt, if they are of several people, of a group and a stranger to it, or of another kind
    than `kinds`."""
    found = markers(prompt)
    wrong = {each for each in found if each[1] not in kinds + GROUP}
    people = {owner for owner, kind in found if kind != GROUP}
    groups = {owner for owner, kind in found if kind == GROUP}
    return found if len(people) > 1 or (len(groups | set(map(first_of, people))) > 1 and groups) else wrong


def _may_see(found: tuple[int, str], owner: int | None, kinds: str) -> bool:
    if owner is not None and found == (first_of(owner), GROUP):
        return True
    return found[0] == owner and found[1] in kinds
