"""Counters whose series are there from the start: Prometheus sees no increase in one that begins with 1."""

from __future__ import annotations

from prometheus_client import Counter


def counter(name: str, about: str, label: str, *values: str) -> Counter:
    """By `label`, which has these `values`."""
    made = Counter(name, about, [label])
    for value in values:
        made.labels(value)
    return made
