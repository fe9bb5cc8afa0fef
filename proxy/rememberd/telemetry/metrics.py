"""Metrics on the path of a request: counters whose series are there from the start (Prometheus sees no increase in
one that begins with 1), and times that nobody waits to see recorded."""

from __future__ import annotations

import asyncio
import time

from prometheus_client import Counter, Histogram


def counter(name: str, about: str, label: str, *values: str) -> Counter:
    """By `label`, which has these `values`."""
    made = Counter(name, about, [label])
    for value in values:
        made.labels(value)
    return made


class Timed:
    """Observes how long the body took, in seconds, once the event loop gets to it: by itself an observation takes 4
    µs, and ten times that where the processor does something else in between."""

    __slots__ = ("_began", "_histogram")

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        took = time.perf_counter() - self._began
        asyncio.get_running_loop().call_soon(self._histogram.observe, took)
