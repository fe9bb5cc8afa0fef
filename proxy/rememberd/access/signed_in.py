"""The signed-in user, from the claims of their token. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rememberd.access.identity import identifier, text_list
from rememberd.errors import RequestError
from rememberd.types import Millis, Principal

SIGNED_IN = "rememberd.signed_in"  # in an ASGI scope


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A user with a session or an access token, until `expires_at`."""

    user: str
    expires_at: Millis
    groups: tuple[str, ...] = ()
    admin: bool = False

    @property
    def principal(self) -> Principal:
        """The user alone: the request can name nobody else. Usage is counted by the principal's name, which therefore
        names no person."""
        return Principal("sign-in", self.user, groups=self.groups, expires_at=self.expires_at)


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """The claims for the user, their groups and admins. `admin_claim` is NAME for a claim that must be true, or
    NAME=VALUE for a claim that must be or contain this value."""

    user_claim: str
    groups_claim: str
    admin_claim: str | None

    @property
    def names(self) -> tuple[str, ...]:
        return (self.user_claim, self.groups_claim, *([self._admin[0]] if self.admin_claim else []))

    def read(self, claims: Mapping[str, Any], expires_at: Millis) -> SignedIn:
        """Raises `RequestError` 403 if the claims name no user, or only a mail address that is not verified."""
        user = identifier(claim(claims, self.user_claim))
        if user is None:
            message = (
                f"the token has no usable claim `{self.user_claim}`: ask the operator to check sign_in.user_claim"
            )
            raise RequestError(403, "no_identity", message)
        if self.user_claim == "email" and claims.get("email_verified") is not True:
            raise RequestError(403, "email_not_verified", "the provider has not verified this mail address")
        return SignedIn(user, expires_at, text_list(claim(claims, self.groups_claim)), self._is_admin(claims))

    def _is_admin(self, claims: Mapping[str, Any]) -> bool:
        if not self.admin_claim:
            return False
        name, wanted = self._admin
        found = claim(claims, name)
        return found is True if wanted is None else wanted in text_list(found)

    @property
    def _admin(self) -> tuple[str, str | None]:
        name, equals, wanted = (self.admin_claim or "").rpartition("=")
        return (name, wanted) if equals else (wanted, None)


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of that name, else the member at the path that the name's dots describe."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
