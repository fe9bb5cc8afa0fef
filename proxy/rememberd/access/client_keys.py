"""Users who are identified by their own key for a provider. Only a keyed hash of it is stored."""

import hmac
import os
import secrets
from hashlib import sha256
from pathlib import Path

from rememberd.types import Principal

CLIENT_KEYS_FILE = "client-keys.secret"
_SECRET_BYTES = 32


class ClientKeys:
    """`secret` is the key of the hash: without it, nobody can find out whether a known key is used here."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def principal(self, key: str) -> Principal:
        """The holder of `key`: the same user for the same key, but only on this machine. All holders have the same
        name, by which usage is counted."""
        user = f"key-{hmac.new(self._secret, key.encode('utf-8', 'surrogateescape'), sha256).hexdigest()[:32]}"
        return Principal("client-key", user=user, upstream_key=key)


def load_secret(path: Path) -> bytes:
    """The secret in `path`, which the first process creates. Raises `OSError`."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
        try:
            os.link(made, path)  # atomic: the file is complete or missing
        except FileExistsError:
            pass  # another process was first
        finally:
            made.unlink()
    return path.read_bytes()
