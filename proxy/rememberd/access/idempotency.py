"""`Idempotency-Key`, which a provider remembers for a key of its own that several of our users share. Pure."""

from collections.abc import Iterable
from hashlib import sha256

from rememberd.types import Identity, Principal


def owned(
    headers: Iterable[tuple[str, str]], principal: Principal, identity: Identity | None
) -> list[tuple[str, str]]:
    """`headers` with another `Idempotency-Key` for each user (without one, for each key), so that nobody is given the
    answer to somebody else's request. The same key of the same user stays the same, as a retry needs."""
    owner = f"user {identity.user}" if identity else f"key {principal.name} {principal.user}"
    return [(name, _of(owner, value) if name.lower() == "idempotency-key" else value) for name, value in headers]


def _of(owner: str, value: str) -> str:
    return sha256(f"{len(owner)}:{owner}{value}".encode("utf-8", "surrogateescape")).hexdigest()
