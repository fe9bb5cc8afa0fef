"""The ports: the interfaces between the product and its stores, queues and providers. Only `wiring` knows which
adapter stands behind a port."""

from __future__ import annotations

from rememberd.ports.models import Embedder, Extractor, Reply, Upstream
from rememberd.ports.queues import ExtractionQueue, Spool, TurnQueue
from rememberd.ports.stores import (
    BlockCache,
    Erasable,
    MemoryStore,
    OwnedObjects,
    PauseStore,
    ReceiptStore,
    SessionStore,
    ToolFileStore,
)

__all__ = [
    "BlockCache",
    "Embedder",
    "Erasable",
    "ExtractionQueue",
    "Extractor",
    "MemoryStore",
    "OwnedObjects",
    "PauseStore",
    "ReceiptStore",
    "Reply",
    "SessionStore",
    "Spool",
    "ToolFileStore",
    "TurnQueue",
    "Upstream",
]
