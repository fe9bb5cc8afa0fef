"""What the proxy says of itself on /metrics."""

from __future__ import annotations

import re
import time

from loadtests.servers import Target, fetch

Samples = dict[str, float]

_STAGE = re.compile(r'rememberd_(?:recall|overhead)_stage_seconds_(sum|count)\{stage="(\w+)"\}')
_DEPTH, _AGE = "rememberd_queue_depth", "rememberd_queue_age_seconds"
_STORED = 'rememberd_turns_total{outcome="written"}'


def read(target: Target) -> Samples:
    return parsed(fetch(f"{target.url}/metrics").decode())


def parsed(text: str) -> Samples:
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def stages(before: Samples, after: Samples) -> dict[str, float]:
    """Mean milliseconds of each stage of a chat with memory, and of its recall, between the two."""
    grown: dict[str, dict[str, float]] = {}
    for name, value in after.items():
        if found := _STAGE.fullmatch(name):
            grown.setdefault(found[2], {})[found[1]] = value - before.get(name, 0.0)
    return {f"stage_{stage}_ms": 1000 * g["sum"] / g["count"] for stage, g in grown.items() if g["count"]}


def learned(before: Samples, after: Samples) -> float:
    """Turns, between the two."""
    return after.get(_STORED, 0.0) - before.get(_STORED, 0.0)


def drained(target: Target, patience: float) -> dict[str, float]:
    """How far the writer was behind at the end of a load, and how long it took to catch up, in seconds."""
    first = read(target)
    began = time.monotonic()
    while time.monotonic() < began + patience and read(target)[_DEPTH] > 0:
        time.sleep(0.2)
    return {"queue_depth": first[_DEPTH], "queue_age_s": first[_AGE], "queue_drain_s": time.monotonic() - began}
