"""Checks the values of settings. Each check raises `ConfigError` with a message that says what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from typing import TYPE_CHECKING, Any

from rememberd.access.groups import Group, group_from
from rememberd.access.principals import digest, principal_from
from rememberd.errors import ConfigError
from rememberd.memory.safety.privacy import CLASSES
from rememberd.settings.loader import iter_fields
from rememberd.settings.operator_patterns import linear_pattern

if TYPE_CHECKING:
    from rememberd.settings.schema import Key, Settings, SharedGroup

# TLS, or this machine.
_PROTECTED = re.compile(r"https://[^/]|http://(localhost|127\.0\.0\.1|\[::1\])(?=[:/]|$)")


def check(settings: Settings) -> None:
    server, memory = settings.server, settings.memory
    for path, item in iter_fields(type(settings)):
        _check_number(".".join(path), reduce(getattr, path, settings), item.metadata)
    _check_upstreams(settings)
    _check_sign_in(settings)
    if not settings.closed and not server.local_only and not settings.upstreams:
        raise ConfigError(
            f"refusing to listen on {server.host} without keys: anybody there could read the memories. "
            "Add an entry to `keys`, set `admin_key` to make keys later, or listen on 127.0.0.1"
        )
    if "*" in (server.cors_origins or ()) and not settings.keys:
        raise ConfigError("server.cors_origins: any web page could read the memories: list origins, or set `keys`")
    _check_keys(settings.keys or [], settings.admin_key)
    _check_patterns(memory.side_tasks or [])
    _check_time_zone(memory.time_zone)
    try:
        configured_groups(settings.groups or [])
    except ValueError as error:
        raise ConfigError(f"groups: {error}") from None
    for name in memory.private_classes or []:
        if name not in CLASSES:
            raise ConfigError(f"memory.private_classes: {name!r} is not one of {', '.join(CLASSES)}")
    for name in memory.redact or []:
        from rememberd.memory.safety.secret_patterns import PERSONAL  # here, because it takes 5 MB in `serve`

        if name not in PERSONAL:
            raise ConfigError(f"memory.redact: {name!r} is not one of {', '.join(PERSONAL)}")


def _check_upstreams(settings: Settings) -> None:
    if settings.upstreams is None:
        return
    if settings.model_list or settings.keys or settings.admin_key or settings.sign_in.issuer:
        raise ConfigError(
            "upstreams: clients use their own keys with it, so remove model_list, keys, admin_key and sign_in"
        )
    if not settings.server.local_only and not settings.upstreams_anywhere:
        raise ConfigError(
            f"refusing to serve `upstreams` on {settings.server.host}: anybody there could use this proxy. "
            "Listen on 127.0.0.1, or set upstreams_anywhere"
        )


def _check_sign_in(settings: Settings) -> None:
    given = settings.sign_in
    if given.issuer is None:
        if given != type(given)():
            raise ConfigError("sign_in: set `issuer`, the OpenID provider; the other settings need it")
        return
    if not given.client_id:
        raise ConfigError("sign_in.client_id is missing: the client id of this proxy at the provider")
    if given.public_url is None and not settings.server.local_only:
        raise ConfigError("sign_in.public_url is missing: this proxy's address, such as https://memory.example")
    for name, url in (("issuer", given.issuer), ("public_url", given.public_url or "")):
        if url and not _PROTECTED.match(url):
            raise ConfigError(f"sign_in.{name} must begin with https:// (http:// only on this machine), not {url!r}")
    if given.cookie_secret is not None and len(given.cookie_secret) < 32:
        raise ConfigError("sign_in.cookie_secret must have at least 32 characters")


def _check_number(name: str, value: Any, bounds: Mapping[str, Any]) -> None:
    if type(value) is not int:
        return
    least, most = bounds["least"], bounds["most"]
    if most is not None and not least <= value <= most:
        raise ConfigError(f"{name} must be between {least} and {most}, not {value}")
    if value < least:
        raise ConfigError(f"{name} must be at least {least}, not {value}")


def configured_groups(groups: Sequence[SharedGroup]) -> list[Group]:
    """Raises `ValueError` for a bad entry."""
    return [group_from(asdict(group)) for group in groups]


def _check_time_zone(zone: str | None) -> None:
    """With an unknown one, every chat would be refused."""
    if zone is None:
        return
    from rememberd.memory.recall.dates import offset_of  # here, because the supervisor needs none of it

    try:
        offset_of(zone, 0)
    except ValueError as error:
        raise ConfigError(f"memory.time_zone: {error}: write an IANA name, such as Europe/Oslo") from None


def _check_patterns(patterns: list[str]) -> None:
    for pattern in patterns:
        try:
            linear_pattern(pattern)
        except ValueError as error:
            raise ConfigError(f"memory.side_tasks: {pattern!r} is not an RE2 regular expression: {error}") from None


def _check_keys(keys: list[Key], admin_key: str | None) -> None:
    seen = {digest(admin_key): "the admin"} if admin_key else {}
    for name, secret in [("admin_key", admin_key), *((f"the key of {key.name!r}", key.key) for key in keys)]:
        if secret and secret != secret.strip():
            raise ConfigError(f"{name} begins or ends with a space or a line end: no request can send such a key")
    for key in keys:
        if (key.key is None) == (key.key_hash is None) or (key.key is not None and not key.key.strip()):
            raise ConfigError(f"the key of {key.name!r} is empty: it needs either `key` or `key_hash`")
        try:
            hashed = key.digest
            principal_from(asdict(key))
        except ValueError as error:
            raise ConfigError(f"keys, {key.name!r}: {error}") from None
        if hashed in seen:
            raise ConfigError(f"{key.name!r} and {seen[hashed]!r} have the same key: give each its own key")
        seen[hashed] = key.name
