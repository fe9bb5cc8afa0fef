"""What searches read is kept in memory: bounded, always as it was last written, in the store's own words."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from rememberd.search_results import NAMED, Candidates
from rememberd.storage.payload import candidate
from rememberd.storage.row_cache import Branches, RowCache, ScoredIds, StaleCache
from tests.support.tables import each_row

NONE = ScoredIds([], [])


def payload(id_: str, **more: Any) -> dict[str, Any]:
    return {"id": id_, "kind": "fact", "at": 5, "tokens": 7, "cues": 1, **more}


def union(rows: RowCache, *branches: ScoredIds) -> Candidates:
    near, worded, pinned = (rows.placed(each) for each in branches)
    nothing = rows.placed(NONE)
    return rows.union([Branches(near, nothing, worded, pinned, nothing)])


def test_branches_are_joined_by_point() -> None:
    """Each point once, with the score of either branch or 0; a pinned one has none."""
    rows = RowCache(100)
    for point, id_ in enumerate("abc"):
        rows.keep(point, payload(id_))
    found = union(rows, ScoredIds([0, 1], [0.5, 0.25]), ScoredIds([1], [3.0]), ScoredIds([2], [1.0]))
    assert [(each.id, each.dense, each.bm25) for each in found] == [
        ("a", 0.5, 0.0),
        ("b", 0.25, 3.0),
        ("c", 0.0, 0.0),
    ]


def test_a_row_is_as_it_was_last_kept() -> None:
    """Written again, a point shows the new fields, and none of the old."""
    rows = RowCache(100)
    rows.keep(1, payload("a", slot="home", pinned="yes"))
    rows.keep(1, payload("a", speaker="Ada", kind="episode"))
    rows.keep(2, payload("b", slot="work"))
    row, _ = union(rows, ScoredIds([1, 2], [1.0, 1.0]), NONE, NONE)
    assert (row.kind, row.pinned, row.slot, row.speaker) == ("episode", False, None, "Ada")


def test_a_dropped_row_is_missing() -> None:
    """A change drops this row, and no other."""
    rows = RowCache(100)
    for point in (1, 2):
        rows.keep(point, payload("a"))
    rows.drop(1)
    assert rows.missing([1, 2, 3]) == [1, 3]
    with pytest.raises(KeyError):
        rows.placed(ScoredIds([2, 1], [1.0, 1.0]))


@each_row("stale", [{0}, {1}, {2}, {3}, {4}, {0, 1, 2, 3, 4}])
def test_what_was_placed_before_the_rows_were_cleared_is_refused(stale: set[int]) -> None:
    """In whichever branch: the places are other people's now."""
    rows = RowCache(100)
    rows.keep(1, payload("a"))
    before = rows.placed(ScoredIds([1], [1.0]))
    rows.clear()
    rows.keep(2, payload("b"))
    near, standing, worded, pinned, named = (
        before if n in stale else rows.placed(ScoredIds([2], [1.0])) for n in range(5)
    )
    with pytest.raises(StaleCache):
        rows.union([Branches(near, standing, worded, pinned, named)])


@each_row("size", [1, 36, 37, 500])
def test_ids_of_any_length_are_kept_whole(size: int) -> None:
    """Longer ones than a UUID, after shorter ones, in any language."""
    rows = RowCache(5000)
    ids = ["short", "é" * size, *(f"{n}" for n in range(3000))]
    for point, id_ in enumerate(ids):
        rows.keep(point, payload(id_))
    found = union(rows, ScoredIds(list(range(len(ids))), [0.0] * len(ids)), NONE, NONE)
    assert found.names() == sorted(ids)


def test_rows_and_names_are_bounded() -> None:
    """The cache is full by its number of rows, and by the bytes of names, also of rows that were replaced. Clearing
    it makes room."""
    rows = RowCache(10)
    rows.keep(1, payload("a"))
    assert rows.room_for(9)
    assert not rows.room_for(10)
    for number in range(11):
        rows.keep(1, payload("a", turn_id=f"turn {number}"))
    assert not rows.room_for(1)
    rows.clear()
    assert rows.room_for(10)
    assert rows.missing([1]) == [1]


PREFIX = "0123456"  # and one more byte: as long as what rows are sorted by
ids = st.builds(str.__add__, st.sampled_from(["", PREFIX, PREFIX + "7", "é", "🦊🦊"]), st.text("ab7é🦊", max_size=4))
names = st.none() | st.sampled_from(["", "Ada", "Zoë", "home", "c1", "c" * 40])
points = st.integers(0, 2**64 - 1) | st.integers(0, 60) | st.sampled_from([0, 2**63, 2**64 - 1])
light = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["fact", "episode"]),
        "at": st.integers(-(2**52), 2**52),
        "tokens": st.integers(0, 2**31 - 1),
        "cues": st.integers(0, 31),
        "pinned": st.none() | st.just("yes"),
        **dict.fromkeys(NAMED, names),
    }
)
steps = st.lists(
    st.tuples(st.just("keep"), points, ids, light)
    | st.tuples(st.just("drop"), points, st.none(), st.none())
    | st.tuples(st.just("clear"), st.none(), st.none(), st.none())
    | st.tuples(st.just("fill"), st.integers(1000, 1100), st.none(), light),
    max_size=30,
)
shares = st.tuples(st.randoms(use_true_random=False), st.floats(0, 1))


@settings(phases=[Phase.generate])  # shrinking thousands of rows takes minutes
@given(steps, shares)
def test_whatever_is_kept_and_dropped_a_union_shows_the_last_of_each(
    done: list[tuple[str, Any, Any, Any]], share: tuple[random.Random, float]
) -> None:
    """Against a plain dictionary: any ids (of one beginning, of all lengths, in any language), more rows than there
    was room for at first, names that repeat or are missing, points anywhere."""
    rows, plain = RowCache(5000), dict[int, dict[str, Any]]()
    for what, point, id_, fields in done:
        match what:
            case "keep" if id_ and all(each["id"] != id_ for at, each in plain.items() if at != point):
                plain[point] = {"id": id_, **fields}
                rows.keep(point, plain[point])
            case "drop":
                plain.pop(point, None)
                rows.drop(point)
            case "clear":
                plain.clear()
                rows.clear()
            case "fill":
                for number in range(point):
                    plain[10**6 + number] = {
                        "id": f"{PREFIX}{9999 - number:029}",
                        **fields,
                        "turn_id": f"turn {number // 2}",
                    }
                    rows.keep(10**6 + number, plain[10**6 + number])
    assert_shows(rows, plain, *share)


def assert_shows(rows: RowCache, plain: dict[int, dict[str, Any]], chance: random.Random, share: float) -> None:
    strangers = [point for point in (3, 2**64 - 2, 10**6) if point not in plain]
    assert rows.missing([*plain, *strangers]) == strangers
    some = [point for point in plain if chance.random() < share]
    near = ScoredIds(some, [chance.uniform(-1, 1) for _ in some])
    worded = ScoredIds(some[::2], [chance.uniform(0, 9) for _ in some[::2]])
    pins = chance.sample(list(plain), len(plain) // 10)
    pinned = ScoredIds(pins, [0.0] * len(pins))
    dense, bm25 = dict(zip(*near, strict=True)), dict(zip(*worded, strict=True))
    expected = [
        candidate(_named(plain[point]), dense.get(point, 0.0), bm25.get(point, 0.0))
        for point in sorted({*near.points, *pinned.points}, key=lambda each: plain[each]["id"].encode())
    ]
    for _ in range(2):  # rows that were read late, then sorted among the others
        found = union(rows, near, worded, pinned)
        assert list(found) == expected
    for name in NAMED:  # no name of a row that is not there
        column = getattr(found, name)
        assert set(column.alone()[1]) == column.present() == set(column) - {None}


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    """An empty name is none."""
    return fields | {name: fields[name] or None for name in NAMED}
