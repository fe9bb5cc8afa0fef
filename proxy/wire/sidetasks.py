"""Calls that a client makes for itself: titles, tags, follow-ups, summaries, its own memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def is_side_task(headers: Mapping[str, str], body: Mapping[str, Any]) -> bool:
    return bool(headers.get("x-task"))
