"""Prints tables and progress with rich, which is imported only when it is needed."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

import orjson

from rememberd.memory.recall.block import clean

_UNBOUNDED = 10_000  # columns
_GAP = 2  # columns between two cells
_NARROWEST = 20  # the fewest columns for the last cell, also on a narrow terminal


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table to standard output. The last column is cut to the terminal's width."""
    from rich.console import Console
    from rich.table import Table

    # Output that is piped into another command is not cut to a width.
    whole = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    console = Console(highlight=False, width=_UNBOUNDED if whole else None)
    cells = [[_plain(cell) for cell in row] for row in rows]
    table = Table(box=None, padding=(0, _GAP, 0, 0), pad_edge=False, header_style="bold")
    left = console.width
    for at, title in enumerate(titles[:-1]):
        width = max(len(title), *(row[at].cell_len for row in cells))
        table.add_column(title, no_wrap=True, width=width)
        left -= width + _GAP
    table.add_column(titles[-1], no_wrap=True)
    for row in cells:
        row[-1].truncate(max(_NARROWEST, left), overflow="ellipsis")
        table.add_row(*row)
    console.print(table)


def print_json(value: object) -> None:
    print(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def print_lines(lines: Sequence[str], style: str = "") -> None:
    """Print lines to standard output, cut to the terminal's width. Texts of memories must be cleaned before."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for line in lines:
        console.print(Text(line), style=style, no_wrap=True, overflow="ellipsis")


def _plain(text: str) -> Any:
    """The text without control characters, and not interpreted as rich's markup."""
    from rich.text import Text

    return Text(clean(text))


class Progress:
    """Shows the progress of a long command on standard error: a bar on a terminal, otherwise a line for each
    tenth."""

    def __init__(self, doing: str, unit: str = "", total: float = 1.0, done: float = 0.0) -> None:
        self.doing, self.unit, self.total, self.done = doing, unit, total, done
        self._bar: Any = None
        self._tenth = 0

    def __enter__(self) -> Progress:
        if sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            columns = (
                progress.BarColumn(24),
                progress.TaskProgressColumn(),
                progress.TextColumn("{task.description}"),
            )
            self._bar = progress.Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task(self.doing, total=max(self.total, 1e-9), completed=self.done)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def add(self, number: float) -> None:
        """`number` more are done."""
        self.show(self.done + number, f"{self.doing} {self.done + number:,.0f} of {self.total:,.0f} {self.unit}")

    def show(self, done: float, about: str) -> None:
        self.done = done
        if self._bar is not None:
            self._bar.update(self._task, completed=done, description=about)
        elif int(10 * done / max(self.total, 1e-9)) > self._tenth:
            self._tenth = int(10 * done / max(self.total, 1e-9))
            print(about, file=sys.stderr, flush=True)
