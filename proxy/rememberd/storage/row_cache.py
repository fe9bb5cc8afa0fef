"""The light fields of points that were used lately: a search finds its 800 rows here in 0.3 ms, where the engine
takes 10 ms to read as many."""

import time
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from rememberd.search_results import NAMED, TYPES, Candidates, DictColumn, Dictionary, Floats, Ints
from rememberd.storage.payload import candidate
from rememberd.types import Memory, Millis

Id = TypeVar("Id", bound=Hashable)  # of a point, in whatever form its engine has it

_FIRST_ROWS = 1024
_PREFIX = 8  # bytes
FEW, LATE = 32, 16  # up to this many ids are looked up one by one: of one branch, or of those not sorted yet
# If a process dies between a write and the record of this write, others may show the old text for this long.
_KEPT_S = 600.0
_STORED = ("at", "tokens", "cues", "answer_tokens", "facts", "pinned")
_TYPES = {name: TYPES[name] for name in _STORED} | dict.fromkeys(NAMED, np.int32)


class ScoredIds(NamedTuple):
    """What one query returned: points, and their scores."""

    points: Sequence[Any]  # ids in the engine's form
    scores: list[float]


class RowRefs(NamedTuple):
    """A branch as row numbers, valid until the rows are cleared or one of its points is dropped."""

    places: Ints
    scores: Floats
    epoch: int


class Branches(NamedTuple):
    """What the queries of one search returned. `nearest` and `standing` have cosines, `worded` BM25 scores."""

    nearest: RowRefs
    standing: RowRefs
    worded: RowRefs
    pinned: RowRefs
    named: RowRefs


class StaleCache(Exception):
    """The rows have been cleared since then: their numbers belong to other points now."""


class _Places(dict[Hashable, int]):
    """The row of each point. Ids that are numbers are also kept in a sorted array, except for a few late ones: to
    look up 400 of 10,000 ids in the dictionary takes three times as long, because they are scattered in memory."""

    def __init__(self) -> None:
        self._ids = np.zeros(1, np.uint64)
        self._rows = np.full(1, -1)  # -1: none
        self._late: dict[Hashable, None] = {}

    def add(self, point: Hashable, row: int) -> None:
        self[point], self._late[point] = row, None

    def of(self, points: Sequence[Any]) -> Ints:
        """Raises `KeyError` if a point is missing."""
        if len(points) <= FEW or not isinstance(points[0], int):
            return np.array([self[point] for point in points], np.int64)
        wanted = np.array(points, np.uint64)
        found = np.minimum(np.searchsorted(self._ids, wanted), len(self._ids) - 1)
        rows = np.where(self._ids[found] == wanted, self._rows[found], -1)
        late = np.flatnonzero(rows < 0).tolist()
        for at in late:
            rows[at] = self[points[at]]
        if len(late) > LATE:
            self._sort()
        return rows

    def drop(self, point: Hashable) -> None:
        if self.pop(point, None) is not None and isinstance(point, int):
            self._rows[self._ids == point] = -1

    def _sort(self) -> None:
        late, kept = [point for point in self._late if point in self], self._rows >= 0
        ids = np.concatenate([self._ids[kept], np.array(late, np.uint64)])
        rows = np.concatenate([self._rows[kept], np.array([self[point] for point in late], np.int64)])
        order = np.argsort(ids, kind="stable")
        self._ids, self._rows = ids[order], rows[order]
        self._late.clear()


class RowCache:
    """At most `limit` rows, of about 0.4 kB each."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._epoch = 0
        self.clear()

    def clear(self) -> None:
        self._epoch += 1
        self._columns: dict[str, NDArray[Any]] = {name: np.zeros(_FIRST_ROWS, kind) for name, kind in _TYPES.items()}
        self._ids = np.zeros(_FIRST_ROWS, f"S{_PREFIX}")
        self._prefixes = np.zeros(_FIRST_ROWS, np.uint64)  # of the ids: numbers sort ten times faster
        self._until = np.zeros(_FIRST_ROWS, np.int64)
        self._position = np.zeros(_FIRST_ROWS, np.int32)  # of each row in the union that is being built
        self._next = 0
        self._places = _Places()
        self._books = {name: Dictionary() for name in NAMED}

    def room_for(self, more: int) -> bool:
        return self._next + more <= self.limit and all(len(book.names) <= self.limit for book in self._books.values())

    def missing(self, points: Sequence[Id]) -> list[Id]:
        return [point for point in points if point not in self._places]

    def keep(self, point: Hashable, payload: Mapping[str, Any]) -> None:
        """Replace what was stored for `point`."""
        row = candidate(payload, 0.0, 0.0)
        place = self._places.get(point)
        if place is None:
            place = self._next
            self._places.add(point, place)
            self._next += 1
        id_ = row.id.encode()
        self._fit(place, len(id_))
        codes = (book.code(getattr(row, name)) for name, book in self._books.items())
        values = (row.at, row.tokens, row.cues, row.answer_tokens, row.kind == "fact", row.pinned, *codes)
        for column, value in zip(self._columns.values(), values, strict=True):
            column[place] = value
        self._until[place] = payload.get("until", 0)
        self._ids[place] = id_
        self._prefixes[place] = int.from_bytes(id_[:_PREFIX].ljust(_PREFIX, b"\0"))

    def drop(self, point: Hashable) -> None:
        """Its row stays empty until `clear`."""
        self._places.drop(point)

    def placed(self, branch: ScoredIds) -> RowRefs:
        """Raises `KeyError` if a point is missing."""
        return RowRefs(self._places.of(branch.points), np.array(branch.scores, np.float64), self._epoch)

    def current(self, refs: RowRefs, now: Millis, limit: int) -> RowRefs:
        """The first `limit` of them that are current."""
        if not len(refs.places):
            return refs
        alive = self._until[refs.places] > now
        rows = slice(limit) if alive.all() else np.flatnonzero(alive)[:limit]
        return RowRefs(refs.places[rows], refs.scores[rows], refs.epoch)

    def union(self, searches: Sequence[Branches]) -> Candidates:
        """Sorted by id. No row may have been found by two of the searches. Raises `StaleCache`."""
        if any(each.epoch != self._epoch for branches in searches for each in branches):
            raise StaleCache
        found = _distinct(_places_of(chain.from_iterable(searches)), self._next)
        found = found[self._by_id(found)]
        self._position[found] = np.arange(len(found))
        dense, bm25 = np.zeros((2, len(found)))
        query, names_it = np.zeros(len(found), np.int32), np.zeros(len(found), np.bool_)
        for number, (nearest, standing, worded, pinned, named) in enumerate(searches):
            dense[self._position[nearest.places]] = nearest.scores
            dense[self._position[standing.places]] = standing.scores
            bm25[self._position[worded.places]] = worded.scores
            names_it[self._position[named.places]] = True
            if number:
                query[self._position[_places_of((nearest, standing, worded, pinned, named))]] = number
        columns: dict[str, Any] = {name: column.take(found) for name, column in self._columns.items()}
        columns |= {name: DictColumn(columns[name], book) for name, book in self._books.items()}
        return Candidates(ids=self._ids.take(found), dense=dense, bm25=bm25, named=names_it, query=query, **columns)

    def _by_id(self, found: Ints) -> Ints:
        prefixes = self._prefixes[found]
        order = np.argsort(prefixes)
        prefixes = prefixes[order]
        return np.argsort(self._ids[found]) if (prefixes[1:] == prefixes[:-1]).any() else order

    def _fit(self, place: int, id_bytes: int) -> None:
        size, width = len(self._ids), self._ids.itemsize
        if place < size and id_bytes <= width:
            return
        more = (0, max(size, 2 * place) - size)
        self._ids = np.pad(self._ids.astype(f"S{max(width, id_bytes)}"), more)
        self._prefixes = np.pad(self._prefixes, more)
        self._until = np.pad(self._until, more)
        self._position = np.pad(self._position, more)
        self._columns = {name: np.pad(column, more) for name, column in self._columns.items()}


class _Kept(NamedTuple):
    memory: Memory
    until: float


class MemoryCache:
    """Whole memories that were read recently: a recall often shows memories that were read a moment ago."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: dict[Hashable, _Kept] = {}

    def get(self, key: Hashable) -> Memory | None:
        kept = self._kept.get(key)
        return kept.memory if kept is not None and kept.until > time.monotonic() else None

    def keep(self, key: Hashable, memory: Memory) -> None:
        if len(self._kept) >= self._limit:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = _Kept(memory, time.monotonic() + _KEPT_S)

    def drop(self, key: Hashable) -> None:
        self._kept.pop(key, None)

    def clear(self) -> None:
        self._kept.clear()


def _places_of(branches: Iterable[RowRefs]) -> Ints:
    return np.concatenate([each.places for each in branches])


def _distinct(numbers: Ints, size: int) -> Ints:
    """Each of `numbers`, all below `size`, once and sorted: faster than `np.unique`, which sorts."""
    seen = np.zeros(size, np.bool_)
    seen[numbers] = True
    return np.flatnonzero(seen)
