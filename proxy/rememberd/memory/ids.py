"""Deterministic ids, so that a retry or a replay stores nothing twice."""

import unicodedata
from collections.abc import Container, Iterable
from hashlib import blake2b
from uuid import UUID, uuid5

from rememberd.types import Space

_NAMESPACE = UUID("6d1f7a52-6f0e-4d4e-9c55-3f6f5f0b9a11")


def normal(text: str) -> str:
    """The normal form, equal for texts that count as the same: NFKC, case-folded, without white space and final
    punctuation."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split()).rstrip(".!?。！？ ")


def turn_ids(
    space: Space, conversation: str | None, said: Iterable[tuple[int, bytes]], at: Container[int]
) -> dict[int, str]:
    """32 hex digits for each turn, by the index `at` of the message it began with; oldest first.

    `said`: the person's messages up to the newest, oldest first, as index and content. Nothing else counts: a system
    prompt may hold a clock, and a regenerated answer differs from the one before. One pass over them: they can be
    32 MB, and a turn's id covers all before it."""
    digest, found = blake2b(digest_size=16), dict[int, str]()
    for index, content in said:
        digest.update(len(content).to_bytes(8))
        digest.update(content)
        if index in at:
            whole = digest.copy()
            whole.update("\0".join((*space, conversation or "")).encode())
            found[index] = whole.hexdigest()
    return found


def imported_id(space: Space, conversation: str | None, name: str) -> str:
    """The id of a turn from another tool; `name` is its name there."""
    return blake2b("\0".join((*space, "import", conversation or "", name)).encode(), digest_size=16).hexdigest()


def found_id(turn_id: str) -> str:
    """The id of the job with the facts that a model found in this turn."""
    return blake2b(f"{turn_id}\0found".encode(), digest_size=16).hexdigest()


def episode_id(space: Space, turn_id: str, *, contributor: str | None = None) -> str:
    """From `turn_id` or, for an exchange added directly, from its text and, in a group, the `contributor`."""
    return _id(space, "episode", turn_id, contributor)


def fact_id(space: Space, text: str, salt: str = "", *, contributor: str | None = None) -> str:
    """`salt` distinguishes a statement from an edited memory that already has the plain id; `contributor` separates
    the same words of two members of a group."""
    return _id(space, "fact", normal(text), salt, contributor)


def _id(space: Space, *parts: str | None) -> str:
    return str(uuid5(_NAMESPACE, "\0".join((*space, *(part for part in parts if part is not None)))))


def version_id(memory_id: str, number: int) -> str:
    """The id of an earlier text of an edited memory."""
    return str(uuid5(_NAMESPACE, f"{memory_id}\0version\0{number}"))
