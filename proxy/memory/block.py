"""The context block."""

from __future__ import annotations


def tokens(text: str) -> int:
    """An upper estimate of what `text` costs a model, in tokens."""
    return len(text) // 3 + 1
