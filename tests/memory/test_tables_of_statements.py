"""Each form of the tables understands its own example."""

from __future__ import annotations

from rememberd.memory.learn.rules.statement import statement
from rememberd.memory.learn.rules.table import Row, Table, tables
from tests.support.tables import each_row


@each_row("table", tables())
def test_every_example_is_understood(table: Table) -> None:
    """As a statement of the attribute under which its row stands."""
    assert [(row.slot, row.example) for row in table.rows if not _understood(row)] == []


def _understood(row: Row) -> bool:
    found = statement(row.example)
    return found is not None and ("{" in row.slot or found.slot == row.slot)
