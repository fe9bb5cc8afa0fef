"""What searches read is kept in memory: bounded, always as it was last written, in the store's own words."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.memory.store.light_rows import Branch, LightRows

NONE = Branch([], [])


def payload(id_: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "kind": "fact", "at": 5, "tokens": 7, "cues": 1, **more}


def test_branches_are_joined_by_point() -> None:
    """Each point once, with the score of either branch or 0; a pinned one has none."""
    rows = LightRows(100)
    for point, id_ in enumerate("abc"):
        rows.keep(point, payload(id_))
    found = rows.union(Branch([0, 1], [0.5, 0.25]), Branch([1], [3.0]), Branch([2], [1.0]))
    assert [(each.id, each.dense, each.bm25) for each in found] == [
        ("a", 0.5, 0.0),
        ("b", 0.25, 3.0),
        ("c", 0.0, 0.0),
    ]


def test_a_row_is_as_it_was_last_kept() -> None:
    """Written again, a point shows the new fields, and none of the old."""
    rows = LightRows(100)
    rows.keep(1, payload("a", slot="home", pinned="yes"))
    rows.keep(1, payload("a", speaker="Ada", kind="episode"))
    rows.keep(2, payload("b", slot="work"))
    row, _ = rows.union(Branch([1, 2], [1.0, 1.0]), NONE, NONE)
    assert (row.kind, row.pinned, row.slot, row.speaker) == ("episode", False, None, "Ada")


def test_a_dropped_row_is_missing() -> None:
    """And only that one."""
    rows = LightRows(100)
    for point in (1, 2):
        rows.keep(point, payload("a"))
    rows.drop(1)
    assert rows.missing([1, 2, 3]) == [1, 3]


@pytest.mark.parametrize("size", [1, 36, 37, 500])
def test_ids_of_any_length_are_kept_whole(size: int) -> None:
    """Longer ones than a UUID, after shorter ones, in any language."""
    rows = LightRows(5000)
    ids = ["short", "é" * size, *(f"{n}" for n in range(3000))]
    for point, id_ in enumerate(ids):
        rows.keep(point, payload(id_))
    found = rows.union(Branch(list(range(len(ids))), [0.0] * len(ids)), NONE, NONE)
    assert found.names() == sorted(ids)


def test_rows_and_names_are_bounded() -> None:
    """Full is full by rows, and by the names of rows that were replaced; cleared, there is room again."""
    rows = LightRows(10)
    rows.keep(1, payload("a"))
    assert rows.room_for(9)
    assert not rows.room_for(10)
    for number in range(11):
        rows.keep(1, payload("a", turn_id=f"turn {number}"))
    assert not rows.room_for(1)
    rows.clear()
    assert rows.room_for(10)
    assert rows.missing([1]) == [1]
