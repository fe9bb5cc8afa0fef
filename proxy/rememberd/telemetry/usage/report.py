"""Adds up usage counts by the columns that an operator asks for, with their costs."""

from collections.abc import Mapping, Sequence
from typing import Any

from rememberd.telemetry.usage.counts import FIELDS, Counts, UsageKey
from rememberd.telemetry.usage.prices import Price

BY = ("day", "key", "user", "model")
DAYS = 30


def report(rows: Mapping[UsageKey, Counts], by: Sequence[str], prices: Mapping[str, Price]) -> list[dict[str, Any]]:
    """One group for each combination of `by`, in that order. `cost_usd` is an estimate by list prices for the models
    with a known price, None if there is none. It does not include extraction, whose input and output tokens are not
    counted separately."""
    groups: dict[tuple[str, ...], list[UsageKey]] = {}
    for at in rows:
        groups.setdefault(tuple(getattr(at, name) for name in by), []).append(at)
    return [
        dict(zip(by, names, strict=True)) | _added({at: rows[at] for at in groups[names]}, prices)
        for names in sorted(groups)
    ]


def _added(rows: Mapping[UsageKey, Counts], prices: Mapping[str, Price]) -> dict[str, Any]:
    total = sum(rows.values(), Counts())
    costs = [prices[at.priced].of(counts) for at, counts in rows.items() if at.priced in prices]
    named = {name if name == "requests" else f"{name}_tokens": getattr(total, name) for name in FIELDS}
    named["estimated_requests"] = named.pop("estimated_tokens")
    return named | {"cost_usd": round(sum(costs), 6) if costs else None}
