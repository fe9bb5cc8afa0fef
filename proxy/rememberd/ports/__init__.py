"""The ports: the interfaces between the product and its stores, queues and providers. Only `wiring` knows which
adapter implements a port."""

from rememberd.ports.models import Embedder, Extractor, Reply, Upstream
from rememberd.ports.queues import ExtractionQueue, Spool, TurnQueue
from rememberd.ports.stores import (
    LARGEST_PAGE,
    BlockCache,
    Erasable,
    MemoryStore,
    OwnedObjects,
    PageQuery,
    Preferences,
    PreferenceStore,
    ReceiptStore,
    SessionStore,
    ToolFileStore,
)

__all__ = [
    "LARGEST_PAGE",
    "BlockCache",
    "Embedder",
    "Erasable",
    "ExtractionQueue",
    "Extractor",
    "MemoryStore",
    "OwnedObjects",
    "PageQuery",
    "PreferenceStore",
    "Preferences",
    "ReceiptStore",
    "Reply",
    "SessionStore",
    "Spool",
    "ToolFileStore",
    "TurnQueue",
    "Upstream",
]
