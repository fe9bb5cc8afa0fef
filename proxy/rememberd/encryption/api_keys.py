"""Created API keys as bytes for their store: under a master key nobody can read there what they are called, and whom
they speak for."""

from functools import partial

import orjson

from rememberd.access.api_keys import ApiKey, stored_key
from rememberd.encryption.cipher import Cipher, DecryptionError
from rememberd.types import Millis


class ApiKeyCodec:
    """Seals with `root`; None: nothing is sealed. The sealed data is bound to its key, so that a person who can write
    to the store cannot make another key with it."""

    def __init__(self, root: Cipher | None) -> None:
        self.root = root

    def name(self, name: str) -> str:
        """The name of the key, or its pseudonym."""
        return self.root.name(name) if self.root else name

    def stored(self, key: ApiKey) -> bytes:
        """The holder."""
        data = orjson.dumps(key.principal)
        return self.root.seal(data, _place(key.id, key.digest)) if self.root else data

    def key(
        self,
        id: str,
        hashed: bytes,
        principal: bytes,
        created_at: Millis,
        revoked_at: Millis | None,
        last_used_at: Millis | None = None,
    ) -> ApiKey:
        """From its stored fields. It is not `readable` if its holder was sealed with another key, or changed."""
        holder = partial(self._opened, id, hashed, principal)
        return stored_key(id, hashed, holder, created_at, revoked_at, last_used_at)

    def is_sealed(self, id: str, hashed: bytes, principal: bytes) -> bool:
        try:
            self._opened(id, hashed, principal)
        except ValueError:
            return False
        return self.root is not None

    def _opened(self, id: str, hashed: bytes, principal: bytes) -> bytes:
        try:
            return self.root.open(principal, _place(id, hashed)) if self.root else principal
        except DecryptionError as error:
            raise ValueError("it was sealed with another key, or changed") from error


def _place(id: str, hashed: bytes) -> str:
    return f"api key {id} {hashed.hex()}"
