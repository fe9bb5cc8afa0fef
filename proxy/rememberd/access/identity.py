"""Finds the user whose memory a request may use, by rules in a fixed order. In doubt it is nobody. No I/O."""

from collections.abc import Mapping
from typing import Any

from rememberd.access.groups import NO_GROUPS, Groups
from rememberd.errors import RequestError
from rememberd.types import DEFAULT_SCOPE, GROUP_SCOPE, SCOPE, Identity, Principal

_JWT = "x-openwebui-user-jwt"
_USER_HEADERS = ("x-memory-user", "x-openwebui-user-id")
_USER_FIELDS = ("safety_identifier", "user")
_CONVERSATION_HEADERS = (
    "x-conversation-id",
    "x-openwebui-chat-id",
    "session-id",
    "x-session-id",
    "x-claude-code-session-id",
)
_CLOCK_SKEW_SECONDS = 30
_LONGEST = 256


def identify(
    principal: Principal, headers: Mapping[str, str], body: Mapping[str, Any], groups: Groups = NO_GROUPS
) -> Identity | None:
    """The verified user; None: the request uses no memory. Header names are lower case.

    Raises `RequestError`: 400 for an invalid scope, 403 for a scope that this key may not use and for a group without
    this user."""
    scope = _scope(principal, headers.get("x-memory-scope"))
    claims = _claims(principal, headers.get(_JWT))
    user = _user(principal, headers, body, claims)
    claimed = text_list(claims.get(principal.groups_claim)) if principal.groups_claim else principal.groups
    if not user:
        return None
    return groups.resolved(Identity(user, scope, conversation(headers, body), claimed), principal.scopes)


def text_list(claim: object) -> tuple[str, ...]:
    """The names in a claim that is a list or a single name. Unusable names are left out."""
    names = claim if isinstance(claim, list) else [claim]
    return tuple(dict.fromkeys(name for each in names if (name := identifier(each))))


def conversation(headers: Mapping[str, str], body: Mapping[str, Any]) -> str | None:
    """The conversation's id that the client sends. It is never derived from the messages, because some clients start
    every conversation in the same way."""
    for name in _CONVERSATION_HEADERS:
        if name in headers and (value := _from_header(headers[name])):
            return value
    asked = body.get("conversation")
    if isinstance(asked, Mapping):
        asked = asked.get("id")
    return identifier(asked) or identifier(body.get("previous_response_id"))


def _scope(principal: Principal, asked: str | None) -> str:
    if not asked:
        return principal.scopes[0] if principal.scopes else DEFAULT_SCOPE
    if not SCOPE.fullmatch(asked.removeprefix(GROUP_SCOPE)):
        message = "X-Memory-Scope must be 1 to 64 letters, digits, dots, dashes or underscores; @ before a group"
        raise RequestError(400, "invalid_scope", message, param="X-Memory-Scope")
    if principal.scopes is not None and asked not in principal.scopes:
        message = f"this key may not use the scope {asked!r}, only {', '.join(principal.scopes)}"
        raise RequestError(403, "scope_not_allowed", message, param="X-Memory-Scope")
    return asked


def _user(
    principal: Principal, headers: Mapping[str, str], body: Mapping[str, Any], claims: Mapping[str, Any]
) -> str | None:
    if principal.jwt_secret:
        # Without a valid token, do not fall back to a name that anybody with this key can send, or to a user that all
        # of them would share.
        return identifier(claims.get("sub"))
    if principal.trust_identity:
        if _JWT in headers:
            return None  # the token cannot be verified, so the other names may be forged, too
        for name in _USER_HEADERS:
            if name in headers:
                # A comma joins two headers: one may be forged, and it is unknown which one.
                return None if "," in headers[name] else _from_header(headers[name])
        for name in _USER_FIELDS:
            if user := identifier(body.get(name)):
                return user
    return principal.user


def _claims(principal: Principal, token: str | None) -> Mapping[str, Any]:
    """The claims of the token; empty if it is not valid."""
    if token is None or not principal.jwt_secret:
        return {}
    import jwt  # here, because it takes 9 MB and only a key with a `jwt_secret` needs it

    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            principal.jwt_secret,
            algorithms=["HS256"],
            leeway=_CLOCK_SKEW_SECONDS,
            options={"verify_aud": False, "require": ["sub"]},
        )
    except jwt.PyJWTError:
        return {}
    return claims


def _from_header(value: str) -> str | None:
    """The header's value, which servers decode as Latin-1, decoded as UTF-8 and without the spaces and tabs around it
    (RFC 9110, 5.5). None if it is not UTF-8 or not an identifier."""
    try:
        return identifier(value.strip(" \t").encode("latin-1").decode())
    except UnicodeError:
        return None


def identifier(value: object) -> str | None:
    """`value` if it is a usable identifier (printable, not blank, not too long), else None."""
    if not isinstance(value, str):
        return None
    return value if value.strip() and len(value) <= _LONGEST and value.isprintable() else None
