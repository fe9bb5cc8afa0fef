"""Patterns that an operator writes, matched in linear time whatever a client sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rememberd.dialects.side_tasks import Pattern


def linear_pattern(pattern: object) -> Pattern:
    """By RE2, which has no look-around and no back-references. Raises `ValueError`, which says what is wrong."""
    import re2  # here: few operators write patterns, and the parent process stays small

    options = re2.Options()
    options.log_errors = False
    try:
        found: Pattern = re2.compile(pattern, options)
    except (re2.error, TypeError) as error:
        reason = error.args[0] if error.args else error
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None
    return found
