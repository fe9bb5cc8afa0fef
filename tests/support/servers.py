"""A Redis and what stands in for a Qdrant server, for one proxy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.qdrant_process import qdrant_running
from tests.support.redis_process import redis_running
from tests.support.sealing import OLD


@contextmanager
def encrypted_on_servers(folder: Path) -> Iterator[dict[str, Any]]:
    """The settings of `memory` that put all of it there, encrypted."""
    place = folder / "redis"
    place.mkdir(exist_ok=True)
    with redis_running(place) as redis, qdrant_running() as qdrant:
        yield {
            "encryption": {"master_key": OLD},
            "queue": {"url": redis.url},
            "store": {"url": qdrant},
        }
