"""`python -m loadtests overload`: chats, recall and learning, from a tenth of the proxy's capacity to three times it.

Capacity is measured first: what 16 connections get that ask without a pause."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from loadtests import exposition, servers
from loadtests.client import Job, Outcome
from loadtests.machine import Others, cores, describe
from loadtests.preload import through_store
from loadtests.prompts import Prompt
from loadtests.run import figures_of
from loadtests.servers import Target
from loadtests.verdict import busy_before, overload_sentences
from loadtests.workers import Clients, clients, models

SHARES = (0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0)
CONNECTIONS = 16
USERS, EACH = 20, 500  # users, and the memories of each
MODEL = "0-0-16"
SECONDS = 15.0
DRAINS_WITHIN_S = 600.0


def overload(seconds: float) -> dict[str, Any]:
    busy, others = busy_before(), Others()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="overload-")))
        use = cores(False)
        upstream = stack.enter_context(models(1, 0, use))
        target = stack.enter_context(servers.rememberd(folder / "proxy", upstream, [MODEL], use))
        through_store(target, USERS * EACH, USERS)
        load = stack.enter_context(clients(1, use))
        load.run(_job(target, 1.0, None, seed=1))
        capacity = len(load.run(_job(target, seconds, None, seed=2)).latency) / seconds
        exposition.drained(target, DRAINS_WITHIN_S)
        rows = [_row(target, load, share, capacity, seconds) for share in SHARES]
        found = {"machine": describe(), "busy_before": busy, "busy_during": round(others.cores(), 2)}
    found |= {"capacity_rps": capacity, "rows": rows}
    return found | {"verdict": overload_sentences(found)}


def _row(target: Target, load: Clients, share: float, capacity: float, seconds: float) -> dict[str, float]:
    before, began = exposition.read(target), time.monotonic()
    outcome = load.run(_job(target, seconds, max(1.0, share * capacity), seed=round(100 * share) + 10))
    took = time.monotonic() - began
    behind = exposition.drained(target, DRAINS_WITHIN_S)
    after, until_learned = exposition.read(target), time.monotonic() - began
    learned = exposition.learned(before, after)
    figures = figures_of(outcome, took)
    return {"share": share, **figures, **behind, **_words(outcome), "learned_s": learned / until_learned}


def _words(outcome: Outcome) -> dict[str, float]:
    return {"by_words": outcome.by_words / max(1, len(outcome.latency))}


def _job(target: Target, seconds: float, rate: float | None, seed: int) -> Job:
    return Job(
        host=target.host,
        port=target.port,
        path=target.path.format(model=MODEL),
        headers=dict(target.headers),
        prompt=Prompt(MODEL, seed=seed),
        seconds=seconds,
        start=0.0,
        rate=rate,
        connections=CONNECTIONS,
        users=USERS,
    )


_COLUMNS: Mapping[str, tuple[str, str]] = {
    "share": ("of capacity", ".0%"),
    "rps": ("answers/s", ",.0f"),
    "errors": ("failed", ",.0f"),
    "p50": ("p50 ms", ",.1f"),
    "p99": ("p99 ms", ",.1f"),
    "status_hit": ("hit", ".1%"),
    "status_degraded": ("degraded", ".1%"),
    "by_words": ("by words", ".1%"),
    "learned_s": ("learned/s", ",.0f"),
    "queue_depth": ("waiting at the end", ",.0f"),
    "queue_drain_s": ("learned after s", ",.0f"),
    "late_p99": ("sent late p99 ms", ",.1f"),
}


def table(found: Mapping[str, Any]) -> str:
    lines = [" ".join(found["verdict"]), "", f"Capacity: {found['capacity_rps']:,.0f} answers a second.", ""]
    lines += ["| " + " | ".join(title for title, _ in _COLUMNS.values()) + " |", "|---" * len(_COLUMNS) + "|"]
    for row in found["rows"]:
        cells = (row.get(name, 0.0) for name in _COLUMNS)
        shown = (
            "" if math.isnan(cell) else format(cell, how)
            for cell, (_, how) in zip(cells, _COLUMNS.values(), strict=True)
        )
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"
