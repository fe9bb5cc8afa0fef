"""Reads the fields of an API key in the settings, on the command line and in the admin API; creates keys."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, cast, get_args

from rememberd.types import GROUP_SCOPE, SCOPE, MemoryMode, Millis, Principal

_HASH = "sha256:"


def digest(key: str) -> bytes:
    """SHA-256. A salt and a slow hash protect keys that people choose, but ours have 256 random bits, which nobody
    can guess, and a slow hash would cost each request milliseconds."""
    return sha256(key.encode("utf-8", "surrogateescape")).digest()


def new_key() -> str:
    """256 random bits, with the prefix that clients and secret scanners expect."""
    return f"sk-{secrets.token_urlsafe(32)}"


def hash_from(text: str) -> bytes:
    """The digest in `sha256:` and 64 hexadecimal digits. Raises `ValueError`."""
    try:
        found = bytes.fromhex(text.removeprefix(_HASH))
    except ValueError:
        found = b""
    if not text.startswith(_HASH) or len(found) != sha256().digest_size:
        raise ValueError("key_hash must be `sha256:` and 64 hexadecimal digits, as `rememberd keys hash` prints it")
    return found


def principal_from(given: Mapping[str, Any]) -> Principal:
    """A principal from `name`, `user` and the other fields of `Principal`. `expires_at` is a date or time in RFC
    3339, in UTC if it has no offset. Raises `ValueError` with advice."""
    name, user = _name(given, "name", "its name in logs"), _name(given, "user", "the user that the key belongs to")
    secret, trust = given.get("jwt_secret"), given.get("trust_identity")
    if name is None:
        raise ValueError("`name` is missing: the name of the key in logs")
    if not isinstance(trust, bool | None):
        raise ValueError("`trust_identity` must be true or false")
    if user is None and not trust and secret is None:
        raise ValueError(
            f"key {name!r} names no user: set `user`, or `trust_identity: true` if its requests name them"
        )
    return Principal(
        name=name,
        user=user,
        trust_identity=bool(trust),
        jwt_secret=secret,
        groups_claim=_name(given, "groups_claim", "the claim of the token that lists the user's groups"),
        models=_texts(given, "models"),
        scopes=_scopes(given),
        requests_per_minute=_limit(given, "requests_per_minute"),
        tokens_per_day=_limit(given, "tokens_per_day"),
        expires_at=_time(given.get("expires_at")),
        memory=_memory(given.get("memory", "on")),
    )


def _name(given: Mapping[str, Any], field: str, about: str) -> str | None:
    value = given.get(field)
    if value is None:
        return None
    if not isinstance(value, str) or value.strip() != value or not 0 < len(value) <= 256 or not value.isprintable():
        raise ValueError(f"`{field}` must be a text of 1 to 256 printable characters: {about}")
    return value


def _memory(value: Any) -> MemoryMode:
    if value not in get_args(MemoryMode):
        raise ValueError(f"`memory` must be one of {', '.join(get_args(MemoryMode))}")
    return cast(MemoryMode, value)


def _limit(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is not None and not (type(value) is int and value > 0):
        raise ValueError(f"`{name}` must be a whole number above 0, or null for no limit")
    return value


def _texts(given: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    value = given.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each for each in value):
        raise ValueError(f"`{name}` must be a list of names, or null for all")
    return tuple(value)


def _scopes(given: Mapping[str, Any]) -> tuple[str, ...] | None:
    scopes = _texts(given, "scopes")
    for scope in scopes or ():
        if not SCOPE.fullmatch(scope.removeprefix(GROUP_SCOPE)):
            raise ValueError(f"`scopes`: {scope!r} is not 1 to 64 letters, digits, dots, dashes or underscores")
    return scopes


def _time(value: Any) -> Millis | None:
    if value is None:
        return None
    try:
        at = datetime.fromisoformat(value)
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("`expires_at` must be a time such as 2027-01-31 or 2027-01-31T18:00:00Z, or null") from error
