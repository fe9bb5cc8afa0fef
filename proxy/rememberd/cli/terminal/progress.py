"""How far a long command is: a bar on a terminal, a line now and then anywhere else. On standard error."""

from __future__ import annotations

import sys
import time

from rememberd.cli.terminal.table import columns, cut, padded

_BAR = 24  # columns
_EVERY_SECONDS = {True: 0.1, False: 10.0}  # on a terminal, and not


class Progress:
    def __init__(self) -> None:
        self._bar = sys.stderr.isatty()
        self._next = time.monotonic() + _EVERY_SECONDS[self._bar]

    def show(self, fraction: float, about: str) -> None:
        """At most as often as somebody can read it."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _EVERY_SECONDS[self._bar]
        if self._bar:
            done = "█" * round(fraction * _BAR)
            line = f"{padded(done, _BAR)} {fraction:4.0%}  {about}"
            sys.stderr.write("\r" + padded(cut(line, columns() - 1), columns() - 1))
        else:
            sys.stderr.write(f"{fraction:4.0%}  {about}\n")
        sys.stderr.flush()

    def end(self) -> None:
        if self._bar:
            sys.stderr.write("\r" + " " * (columns() - 1) + "\r")
