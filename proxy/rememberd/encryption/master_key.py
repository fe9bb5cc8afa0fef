"""The operator's master keys: 32 random bytes each, written as base64 or hex, the newest first."""

import subprocess
from base64 import b64decode
from binascii import Error as Base64Error
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from rememberd.encryption.cipher import KEY_BYTES
from rememberd.errors import ConfigError
from rememberd.settings.schema import Encryption

_COMMAND_SECONDS = 30
_HOW = "make one with `openssl rand -base64 32`"


class Master(NamedTuple):
    """`id` identifies the master key without revealing it, and is stored with every encrypted key."""

    id: str
    key: bytes


def masters(encryption: Encryption) -> list[Master]:
    """The master keys of the settings; empty: encryption is off. The first one encrypts, the others only decrypt
    older keys. Raises `ConfigError`."""
    given = {
        "memory.encryption.master_key": encryption.master_key,
        "memory.encryption.master_key_file": encryption.master_key_file,
        "memory.encryption.master_key_command": encryption.master_key_command,
    }
    named = [name for name, value in given.items() if value]
    if len(named) > 1:
        raise ConfigError(f"{' and '.join(named)} are both set: keep one of them")
    if not named:
        return []
    found = [_master(word, named[0]) for word in _read(encryption, named[0]).split()]
    if not found:
        raise ConfigError(f"{named[0]} gives no key: {_HOW}")
    return found


def _read(encryption: Encryption, name: str) -> str:
    if encryption.master_key_file:
        try:
            return Path(encryption.master_key_file).expanduser().read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{name}: cannot read {encryption.master_key_file}: {error}") from error
    if encryption.master_key_command:
        return _printed(encryption.master_key_command, name)
    return encryption.master_key or ""


def _printed(command: list[str], name: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as error:
        # The error's text and the command's output are not shown, because they may contain the key.
        raise ConfigError(f"{name}: {command[0]} did not print a key ({type(error).__name__})") from None
    return done.stdout


def _master(word: str, name: str) -> Master:
    for decode in (bytes.fromhex, _base64):
        try:
            key = decode(word)
        except (ValueError, Base64Error):
            continue
        if len(key) == KEY_BYTES:
            return Master(sha256(b"rememberd master key\0" + key).hexdigest()[:12], key)
    raise ConfigError(f"{name} must be {KEY_BYTES} bytes as base64 or hex, not {len(word)} characters: {_HOW}")


def _base64(word: str) -> bytes:
    return b64decode(word, validate=True)
