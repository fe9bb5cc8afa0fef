"""A position in a newest-first listing, as text that a client sends back."""

import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from hashlib import blake2b
from typing import NamedTuple
from uuid import UUID

from rememberd.errors import InputRejected
from rememberd.types import Space

_FORMAT = struct.Struct(">q16s8s")


class Place(NamedTuple):
    """The last point of a page. Listings sort by order descending, then by id."""

    order: int
    id: UUID


def encode(space: Space, place: Place) -> str:
    """44 characters of base64. The checksum binds the cursor to the space. It is not secret: who forges a place only
    sees another page of their own memories."""
    return urlsafe_b64encode(_FORMAT.pack(place.order, place.id.bytes, _check(space, place))).decode()


def decode(space: Space, text: str) -> Place:
    """Raises `InputRejected` for a cursor that `encode` did not make for this space."""
    try:
        order, id_bytes, check = _FORMAT.unpack(urlsafe_b64decode(text.encode()))
    except (Base64Error, struct.error, UnicodeEncodeError):
        raise _refusal() from None
    place = Place(order, UUID(bytes=id_bytes))
    if check != _check(space, place):
        raise _refusal()
    return place


def _check(space: Space, place: Place) -> bytes:
    return blake2b(f"{place}".encode(), digest_size=8, key=blake2b(repr(space).encode()).digest()).digest()


def _refusal() -> InputRejected:
    return InputRejected(
        "invalid_cursor", "cursor is not one this listing returned; start again without it", param="cursor"
    )
