"""Sessions of browsers: a signed cookie contains a random id, and the session store has the record for it.

The store has only a digest of the id, and the record is encrypted with a key that is derived from the id. So somebody
who reads the store can neither act as a user nor see who the users are.
"""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import asdict
from hashlib import blake2b, sha256
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rememberd.access.signed_in import SignedIn
from rememberd.ports import SessionStore
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Millis


class Signer:
    """Signs texts, so that only this proxy can make them. A signature is valid only for its `purpose`."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def tag(self, purpose: str, text: str) -> str:
        return _base64(hmac.digest(self._secret, f"{purpose}\0{text}".encode(), sha256))

    def sign(self, purpose: str, text: str) -> str:
        return f"{text}.{self.tag(purpose, text)}"

    def verified(self, purpose: str, signed: str) -> str | None:
        """The text; None if its signature is missing or invalid."""
        text, _, tag = signed.rpartition(".")
        return text if hmac.compare_digest(tag.encode(), self.tag(purpose, text).encode()) else None

    def sign_json(self, purpose: str, value: Any) -> str:
        return self.sign(purpose, _base64(orjson.dumps(value)))

    def verified_json(self, purpose: str, signed: str) -> Any:
        text = self.verified(purpose, signed)
        return None if text is None else orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))


class Sessions:
    def __init__(self, store: SessionStore, signer: Signer, lasts_ms: Millis) -> None:
        self.store, self.signer, self.lasts_ms = store, signer, lasts_ms

    async def start(self, signed_in: SignedIn) -> str:
        """The cookie of a new session, which lasts until `signed_in` expires. Sessions in the user's other browsers
        continue; signing out ends all of them. Raises `QueueUnavailable`."""
        id = secrets.token_urlsafe(32)
        nonce = secrets.token_bytes(12)
        record = nonce + AESGCM(_key(id)).encrypt(nonce, orjson.dumps(asdict(signed_in)), None)
        await self.store.create(_digest(id), record, signed_in.expires_at, self._owner(signed_in.user))
        return self.signer.sign("session", id)

    async def read(self, cookie: str) -> SignedIn | None:
        """The user of this session; None if the cookie is forged, or if the session has expired or was ended. Raises
        `QueueUnavailable`."""
        id = self.signer.verified("session", cookie)
        record = await self.store.get(_digest(id), wall_clock()) if id else None
        if id is None or record is None:
            return None
        try:
            fields = orjson.loads(AESGCM(_key(id)).decrypt(record[:12], record[12:], None))
        except InvalidTag:
            return None
        return SignedIn(**fields | {"groups": tuple(fields["groups"])})

    async def first_use(self, nonce: str, until: Millis) -> bool:
        """True if `nonce` is used for the first time. It is stored until `until`. Raises `QueueUnavailable`."""
        return await self.store.create(_digest(f"nonce {nonce}"), b"", until)

    async def end_all(self, user: str) -> None:
        """End all sessions of this user in all browsers. Raises `QueueUnavailable`."""
        await self.store.end_all(self._owner(user))

    def _owner(self, user: str) -> bytes:
        """A pseudonym of the user, which only the secret can make."""
        return _digest(self.signer.tag("owner", user))

    def csrf_token(self, cookie: str) -> str:
        """The token that our page must send with the cookie to change anything; other sites cannot read it."""
        return self.signer.tag("csrf", cookie)

    def is_csrf_token(self, cookie: str, token: str) -> bool:
        return hmac.compare_digest(self.csrf_token(cookie).encode(), token.encode("utf-8", "surrogateescape"))


def _digest(id: str) -> bytes:
    return blake2b(id.encode(), digest_size=32, person=b"session id").digest()


def _key(id: str) -> bytes:
    return blake2b(id.encode(), digest_size=32, person=b"session record").digest()


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
