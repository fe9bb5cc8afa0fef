"""Where a server listens: what connections are kept by."""

from __future__ import annotations

from typing import NamedTuple


class Origin(NamedTuple):
    """A host and a port; or, in `host`, the absolute path of a Unix socket."""

    tls: bool
    host: str
    port: int

    @property
    def is_socket(self) -> bool:
        return self.host.startswith("/")
