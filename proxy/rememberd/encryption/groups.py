"""Serialises groups for their store, and with a master key encrypts their names and members."""

import logging

import orjson

from rememberd.access.groups import Group
from rememberd.encryption.cipher import Cipher, DecryptionError

log = logging.getLogger("rememberd.sealed")


class GroupCodec:
    """Seals with `root`; None: nothing is sealed."""

    def __init__(self, root: Cipher | None) -> None:
        self.root = root

    def place(self, name: str) -> str:
        """The name of the group, or its pseudonym."""
        return self.root.name(name) if self.root else name

    def stored(self, group: Group) -> bytes:
        body = orjson.dumps(group)
        return self.root.seal(body, f"group {self.place(group.name)}") if self.root else body

    def opened(self, place: str, body: bytes) -> Group | None:
        """None if it cannot be read: then the group has no members."""
        try:
            fields = orjson.loads(self.root.open(body, f"group {place}") if self.root else body)
            former = fields.get("former")  # earlier versions did not store this list
            return Group(**fields | {"former": None if former is None else tuple(former)})
        except (DecryptionError, ValueError, TypeError) as error:
            log.error("a group cannot be read and has no members now: %s", type(error).__name__)
            return None
