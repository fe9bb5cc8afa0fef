"""The light fields of points that were used lately: a search finds its 800 rows here in 0.3 ms, where the engine
takes 10 ms to read as many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from proxy.memory.candidates import NAMED, Candidates, Codes, Ints, Names
from proxy.memory.store.payload import candidate

_FIRST_ROWS = 1024
_FIELDS = [
    *(("at", np.int64), ("tokens", np.int32), ("cues", np.int32), ("facts", np.bool_), ("pinned", np.bool_)),
    *((name, np.int32) for name in NAMED),
]


class Branch(NamedTuple):
    """What one query returned: the numbers of points' UUIDs (they hash ten times faster than these), and scores."""

    points: list[int]
    scores: list[float]


class LightRows:
    """At most `limit` rows, of about 0.4 kB each."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.clear()

    def clear(self) -> None:
        self._rows = _table(_FIRST_ROWS, id_bytes=36)
        self._next = 0
        self._places: dict[int, int] = {}
        self._codes: dict[str, dict[str, int]] = {name: {} for name in NAMED}
        self._names: dict[str, list[str]] = {name: [] for name in NAMED}

    def room_for(self, more: int) -> bool:
        return self._next + more <= self.limit and all(len(names) <= self.limit for names in self._names.values())

    def missing(self, points: Sequence[int]) -> list[int]:
        return [point for point in points if point not in self._places]

    def keep(self, point: int, payload: Mapping[str, Any]) -> None:
        """In the place of what `point` was before."""
        row = candidate(payload, 0.0, 0.0)
        place = self._places.setdefault(point, self._next)
        self._next = max(self._next, place + 1)
        id_ = row.id.encode()
        self._fit(place, len(id_))
        codes = (self._code(name, getattr(row, name)) for name in NAMED)
        self._rows[place] = (row.at, row.tokens, row.cues, row.kind == "fact", row.pinned, *codes, id_)

    def drop(self, point: int) -> None:
        """Its place stays empty until `clear`."""
        self._places.pop(point, None)

    def union(self, nearest: Branch, worded: Branch, pinned: Branch) -> Candidates:
        """Sorted by id. All points of the three must have been kept."""
        branches = [self._places_of(branch) for branch in (nearest, worded, pinned)]
        found, position = _distinct(np.concatenate(branches), len(self._rows))
        rows = self._rows[found]
        scores = np.zeros((2, len(found)))
        for column, places, branch in zip(scores, branches, (nearest, worded), strict=False):
            column[position[places]] = branch.scores
        joined = Candidates(
            ids=rows["id"],
            dense=scores[0],
            bm25=scores[1],
            facts=rows["facts"],
            at=rows["at"],
            tokens=rows["tokens"],
            cues=rows["cues"],
            pinned=rows["pinned"],
            **{name: self._names_of(name, rows[name]) for name in NAMED},
        )
        return joined.take(np.argsort(joined.ids))  # ranking sorts them so, which takes the recall no time then

    def _fit(self, place: int, id_bytes: int) -> None:
        size, width = len(self._rows), self._rows["id"].itemsize
        if place >= size or id_bytes > width:
            larger = _table(max(size, 2 * place), max(width, id_bytes))
            larger[:size] = self._rows
            self._rows = larger

    def _code(self, column: str, name: str | None) -> int:
        if not name:
            return -1
        codes, names = self._codes[column], self._names[column]
        if name not in codes:
            codes[name] = len(names)
            names.append(name)
        return codes[name]

    def _places_of(self, branch: Branch) -> Ints:
        return np.array([self._places[point] for point in branch.points], np.int64)

    def _names_of(self, column: str, codes: Codes) -> Names:
        """Those alone that stand in these rows."""
        names = self._names[column]
        used, position = _distinct(codes[codes >= 0], len(names))
        return Names(
            np.where(codes < 0, -1, position[codes]).astype(np.int32), [names[code] for code in used.tolist()]
        )


def _table(rows: int, id_bytes: int) -> NDArray[np.void]:
    return np.zeros(rows, np.dtype([*_FIELDS, ("id", f"S{id_bytes}")]))


def _distinct(numbers: Ints | Codes, size: int) -> tuple[Ints, Codes]:
    """Each of `numbers`, all below `size`, once and sorted; and where it stands there, by number. Faster than
    sorting, which is what `np.unique` does."""
    seen = np.zeros(size + 1, np.bool_)
    seen[numbers] = True
    return np.flatnonzero(seen), np.cumsum(seen, dtype=np.int32) - 1
