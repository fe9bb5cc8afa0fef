"""Three sentences at the head of a report: may it be trusted, what was found, what to do."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from loadtests.machine import Others

# A report outside of these bounds measures something else than the server.
MOST_LATE_MS = 5.0  # p99 between the moment that a request was due and its sending
MOST_STOLEN = 0.05  # of a core, taken by the host's other guests
MOST_BUSY = 0.2  # of a core, by other processes, before the load begins and while it lasts
LEAST_HITS = 0.95  # of an arm that has memories

_LOOKED_S = 1.0

Rows = Mapping[str, Mapping[str, Mapping[str, float]]]  # measure, arm, figure


def busy_before() -> float:
    """Cores that were busy in a second in which nothing of ours runs yet."""
    others = Others()
    time.sleep(_LOOKED_S)
    return others.cores()


def reasons(summary: Rows, expect_hits: Sequence[str], machine: Mapping[str, Any]) -> list[str]:
    """Why a run is invalid; empty if it is not."""
    found = _machine(machine)
    for measure, arms in summary.items():
        for arm, figures in arms.items():
            if figures.get("late_p99", 0.0) > MOST_LATE_MS and measure_is_open(figures):
                found.append(f"requests of {measure}/{arm} were sent {figures['late_p99']:.0f} ms late (p99)")
            if figures.get("errors"):
                found.append(f"{figures['errors']:.0f} answers of {measure}/{arm} failed")
            hits = figures.get("status_hit", 0.0)
            if arm in expect_hits and "n" in figures and hits < LEAST_HITS:
                found.append(f"{hits:.0%} of {measure}/{arm} were hits")
    return found


def measure_is_open(figures: Mapping[str, float]) -> bool:
    """Only there somebody else than the server decides when a request is sent."""
    return figures.get("open", 0.0) == 1.0


def sentences(summary: Rows, expect_hits: Sequence[str], machine: Mapping[str, Any]) -> list[str]:
    wrong = reasons(summary, expect_hits, machine)
    return [_trust(wrong), _finding(summary), _advice(wrong)]


def overload_sentences(found: Mapping[str, Any]) -> list[str]:
    rows = found["rows"]
    wrong = _machine(found["machine"] | {name: found.get(name, 0.0) for name in ("busy_before", "busy_during")})
    wrong += [f"failed answers at {row['share']:.0%}" for row in rows if row["share"] <= 0.75 and row["errors"]]
    wrong += [
        f"requests at {row['share']:.0%} were sent late"
        for row in rows
        if row["share"] <= 0.75 and row["late_p99"] > MOST_LATE_MS
    ]
    hold = [row for row in rows if not row["errors"] and row.get("status_degraded", 0.0) < 0.01]
    most = max((row["share"] for row in hold), default=0.0)
    top = rows[-1]
    finding = (
        f"Up to {most:.0%} of capacity nothing fails and under 1 % of the chats lack memory; at {top['share']:.0%}"
        f" {top['rps']:,.0f} answers a second come, {top['errors']:.0f} fail, and {top['learned_s']:,.0f} turns a"
        " second are learned."
    )
    return [_trust(wrong), finding, _advice(wrong)]


def _machine(machine: Mapping[str, Any]) -> list[str]:
    found = []
    if machine.get("stolen", 0.0) > MOST_STOLEN:
        found.append(f"the host's other guests took {machine['stolen']:.0%} of a core")
    for when, name in (("before it", "busy_before"), ("meanwhile", "busy_during")):
        if machine.get(name, 0.0) > MOST_BUSY:
            found.append(f"other processes kept {machine[name]:.1f} cores busy {when}")
    return found


def _trust(wrong: Sequence[str]) -> str:
    if not wrong:
        return "This run is valid: the load was sent in time, the machine was idle, and every answer came."
    more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return f"This run is *invalid*: {'; '.join(wrong[:3])}{more}."


def _finding(summary: Rows) -> str:
    """The dearest arm in milliseconds, which is what people feel."""
    added = [
        (figures["added_p50"], figures.get("added_p99", 0.0), measure, arm)
        for measure, arms in summary.items()
        for arm, figures in arms.items()
        if "added_p50" in figures and arm != "direct" and measure_is_open(figures)
    ]
    if not added:
        return "No latency was compared with the model's own."
    p50, p99, measure, arm = max(added)
    return f"The slowest way is {arm} ({measure}): it adds {p50:.1f} ms to half of the chats and {p99:.1f} ms at p99."


def _advice(wrong: Sequence[str]) -> str:
    if wrong:
        return "Do not compare it with anything: put right what is named, and run it again."
    return "Compare it with an earlier run by `--against`: a difference counts when its interval leaves 1 out."
