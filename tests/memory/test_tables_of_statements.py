"""Each form of the tables understands its own example."""

from __future__ import annotations

from rememberd.memory.learn.rules.statement import statement
from rememberd.memory.learn.rules.table import Row, tables
from tests.support.tables import each_row

ROWS = [(table.language, row) for table in tables() for row in table.rows]


@each_row("language", [table.language for table in tables()])
def test_every_example_is_understood(language: str) -> None:
    """As a statement of the attribute under which its row stands."""
    rows = [row for spoken, row in ROWS if spoken == language]
    assert [(row.slot, row.example) for row in rows if not _understood(row)] == []


def _understood(row: Row) -> bool:
    found = statement(row.example)
    return found is not None and ("{" in row.slot or found.slot == row.slot)
