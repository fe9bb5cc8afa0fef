"""Encrypts texts, names, ids and vectors with one key. No I/O, except for random nonces.

Measured costs: `seal` 1.5 µs, `name` 2 µs, the ids of 800 memories 5 µs, 20 word ids 3 µs, a vector of 384 30 µs.
"""

from __future__ import annotations

import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rememberd.types import Sparse

if TYPE_CHECKING:  # imported where it is used: 9 MB and 0.1 s that only encryption needs
    from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
    from cryptography.hazmat.primitives.ciphers import modes

KEY_BYTES = 32
_NONCE_BYTES = 12  # random nonces are safe for 2**32 records of one user (NIST SP 800-38D, 8.3)
_CACHED_NAMES = 4_000  # per user, about 1 MB; the same conversations and speakers occur in many searches
_CACHED_ROTATIONS = 32  # rotations, 590 kB each for 384 dimensions

# Our own ids: the `uuid5` of a memory, or 32 hex digits for a turn. Both have 16 bytes.
_ID = re.compile(r"[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}", re.ASCII)


class DecryptionError(Exception):
    """The value was sealed with another key or for another place, or it was changed."""


def invalid_tag() -> type[Exception]:
    """The library's error for sealed bytes that were changed or belong to another key or place."""
    from cryptography.exceptions import InvalidTag

    return InvalidTag


class Cipher:
    """One 32-byte key. `owner` is bound into everything that is sealed."""

    def __init__(self, key: bytes, owner: str) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESSIV

        self._owner = owner.encode()
        self._texts = AESGCM(_derived(key, b"texts", 32))
        self._names = AESSIV(_derived(key, b"names", 64))
        self._ids = _blocks(_derived(key, b"ids", 32))
        self._words = _blocks(_derived(key, b"words", 32))
        self._rotation = _derived(key, b"rotation", 32)
        self.fingerprint = _derived(key, b"fingerprint", 16)
        self._known: dict[str, str] = {}

    def seal(self, data: bytes, place: str) -> bytes:
        """Seal with AES-GCM. `place` (kind and id of the record) is where the value belongs: it can be opened only
        there."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._texts.encrypt(nonce, data, self._about(place))

    def open(self, sealed: bytes, place: str) -> bytes:
        """Raises `DecryptionError`."""
        try:
            return self._texts.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._about(place))
        except (invalid_tag(), ValueError) as error:
            raise DecryptionError(place.partition(" ")[0]) from error

    def seal_text(self, data: bytes, place: str) -> str:
        """`seal`, for fields that hold text."""
        return urlsafe_b64encode(self.seal(data, place)).decode()

    def open_text(self, sealed: str, place: str) -> bytes:
        """Raises `DecryptionError`."""
        return self.open(_base64(sealed), place)

    def name(self, text: str) -> str:
        """A pseudonym: equal for equal texts, so that it can be compared and filtered by (AES-SIV, RFC 5297). It
        shows the length of the text only in steps of 16 bytes."""
        padded = text.encode() + b"\x80"
        padded += bytes(-len(padded) % 16)
        return urlsafe_b64encode(self._names.encrypt(padded, [self._owner])).decode()

    def named(self, name: str) -> str:
        """The text of a pseudonym that `name` made. Raises `DecryptionError`."""
        text = self._known.get(name)
        if text is None:
            if len(self._known) >= _CACHED_NAMES:
                self._known.clear()
            text = self._known[name] = self._opened_name(name)
        return text

    def _opened_name(self, name: str) -> str:
        try:
            return self._names.decrypt(_base64(name), [self._owner]).rstrip(b"\0")[:-1].decode()
        except (invalid_tag(), ValueError) as error:
            raise DecryptionError("name") from error

    def id(self, plain: str) -> str:
        """A pseudonym in the format of the id: a keyed permutation of its 16 bytes (one AES block). For other texts
        it is `name`."""
        if not _ID.fullmatch(plain):
            return self.name(plain)
        # ECB of a single block is the permutation itself.
        return _formed(plain, self._ids.encryptor().update(bytes.fromhex(plain.replace("-", ""))).hex())

    def plain_id(self, sealed: str) -> str:
        """The id of a pseudonym that `id` made; a wrong id if another key made it. Raises `DecryptionError` for other
        texts."""
        if not _ID.fullmatch(sealed):
            return self.named(sealed)
        return _formed(sealed, self.restored_digits(sealed.replace("-", "")))

    def restored_digits(self, sealed: str) -> str:
        """Many ids at once, each as 32 hex digits. Raises `ValueError` for other texts."""
        return self._ids.decryptor().update(bytes.fromhex(sealed)).hex()

    def words(self, sparse: Sparse) -> Sparse:
        """Keyed ids of words. BM25's own ids are an unkeyed hash: with a dictionary, the words could be found again.
        Two words may rarely get the same keyed id; then only one of them counts."""
        blocks = np.zeros((len(sparse.indices), 4), dtype="<u4")
        blocks[:, 0] = sparse.indices
        keyed = np.frombuffer(self._words.encryptor().update(blocks.tobytes()), dtype="<u4")[::4]
        merged = dict(zip(keyed.tolist(), sparse.values, strict=True))
        return Sparse(list(merged), list(merged.values()))

    def rotated(self, vector: list[float]) -> list[float]:
        """The vector, rotated by this key's secret rotation, which changes no cosine. This is obfuscation, not
        encryption: a person who has a few texts and their rotated vectors can compute the rotation."""
        turned: list[float] = (_rotation(self._rotation, len(vector)) @ np.array(vector, dtype=np.float32)).tolist()
        return turned

    def _about(self, place: str) -> bytes:
        return self._owner + b"\0" + place.encode()


def _derived(key: bytes, purpose: bytes, size: int) -> bytes:
    """Keyed BLAKE2b as the derivation function: one subkey for each purpose."""
    return blake2b(key=key, person=purpose, digest_size=size).digest()


def _blocks(key: bytes) -> BlockCipher[modes.ECB]:
    from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
    from cryptography.hazmat.primitives.ciphers import algorithms, modes

    return BlockCipher(algorithms.AES(key), modes.ECB())  # noqa: S305 - single blocks, see `id`


def _formed(like: str, digits: str) -> str:
    if "-" not in like:
        return digits
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _base64(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text.encode())
    except (Base64Error, UnicodeEncodeError) as error:
        raise DecryptionError("base64") from error


@lru_cache(_CACHED_ROTATIONS)
def _rotation(key: bytes, dim: int) -> NDArray[np.float32]:
    """An orthogonal matrix derived from the key; takes 20 ms for 384 dimensions. The numbers come from AES and not
    from numpy's generator, whose output may change between versions."""
    from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
    from cryptography.hazmat.primitives.ciphers import algorithms, modes

    stream = BlockCipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor().update(bytes(4 * dim * dim))
    entries = np.frombuffer(stream, dtype="<u4").reshape(dim, dim) / 2**31 - 1.0
    q, r = np.linalg.qr(entries)
    return (q * np.sign(np.diag(r))).astype(np.float32)
