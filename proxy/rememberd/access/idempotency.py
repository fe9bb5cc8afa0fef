"""Makes `Idempotency-Key` unique per user, because several users may share one key at the provider. No I/O."""

from collections.abc import Iterable
from hashlib import sha256

from rememberd.types import Identity, Principal


def owned(
    headers: Iterable[tuple[str, str]], principal: Principal, identity: Identity | None
) -> list[tuple[str, str]]:
    """`headers` with a different `Idempotency-Key` for each user (or for each API key, without a user), so that
    nobody gets the answer to somebody else's request. It is always the same for the same user and key, as retries
    need."""
    owner = f"user {identity.user}" if identity else f"key {principal.name} {principal.user}"
    return [(name, _of(owner, value) if name.lower() == "idempotency-key" else value) for name, value in headers]


def _of(owner: str, value: str) -> str:
    return sha256(f"{len(owner)}:{owner}{value}".encode("utf-8", "surrogateescape")).hexdigest()
