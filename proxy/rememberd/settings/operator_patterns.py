"""Compiles the operator's patterns so that they match in linear time, whatever a client sends."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rememberd.dialects.side_tasks import Pattern


def linear_pattern(pattern: object) -> Pattern:
    """Compile with RE2, which has no look-around and no back-references. Raises `ValueError` with the reason."""
    import re2  # here, because few operators write patterns

    options = re2.Options()
    options.log_errors = False
    try:
        found: Pattern = re2.compile(pattern, options)
    except (re2.error, TypeError) as error:
        reason = error.args[0] if error.args else error
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None
    return found
