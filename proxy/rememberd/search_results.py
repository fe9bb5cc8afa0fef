"""A search query and its results as numpy columns, so that ranking handles about 800 rows at a time. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rememberd.types import Kind, Millis, Space, Sparse

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Codes = NDArray[np.int32]
Bools = NDArray[np.bool_]
# Of the columns of `Candidates`, except ids, names and `query`.
TYPES: dict[str, Any] = {
    "dense": np.float64,
    "bm25": np.float64,
    "at": np.int64,
    "tokens": np.int32,
    "cues": np.int32,
    "answer_tokens": np.int32,
    "facts": np.bool_,
    "pinned": np.bool_,
    "named": np.bool_,
}
NAMED = ("slot", "speaker", "conversation", "turn_id", "topics")  # the columns of `Candidates` that are names

Rows = Any  # whatever numpy accepts as an index: a mask, positions, a slice


class Query(NamedTuple):
    """A search of one space with the question's vectors. `standing`: also return its standing facts, which need not
    be similar to the question."""

    space: Space
    dense: list[float]
    sparse: Sparse
    limit: int = 400
    kind: Kind | None = None
    standing: bool = True


class Candidate(NamedTuple):
    """One row: the scores of the two branches and the small fields for ranking.

    `dense` is a cosine, `bm25` an unnormalised score; 0.0 if the branch did not return the point. `tokens` is the
    cost of the line, `answer_tokens` the part of it for the assistant's words. `topics` are those of a standing fact,
    joined by spaces (see `needs.py`). `named`: it contains a name that is also in the question."""

    id: str
    dense: float
    bm25: float
    kind: Kind
    at: Millis  # valid_from
    tokens: int
    cues: int
    pinned: bool
    slot: str | None
    speaker: str | None
    conversation: str | None
    turn_id: str | None
    topics: str | None = None
    answer_tokens: int = 0
    named: bool = False


class Dictionary:
    """A dictionary of distinct names and their codes. Names are never removed."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names: list[str] = []
        self.codes: dict[str, int] = {}
        for name in names:
            self.code(name)

    def code(self, name: str | None) -> int:
        """The code of the name, which is added if it is new; -1 for None and ""."""
        if not name:
            return -1
        code = self.codes.setdefault(name, len(self.names))
        if code == len(self.names):
            self.names.append(name)
        return code


@dataclass(frozen=True, slots=True, eq=False)
class DictColumn:
    """A dictionary-encoded column: `book.names[codes[row]]`, or no name if the code is -1. The book may also have
    names of other columns: to remove them took a third of the time of `joined`, and is rarely needed."""

    codes: Codes
    book: Dictionary

    @classmethod
    def of(cls, names: Iterable[str | None]) -> DictColumn:
        book = Dictionary()
        return cls(np.array([book.code(name) for name in names], np.int32), book)

    @classmethod
    def joined(cls, parts: Sequence[DictColumn]) -> DictColumn:
        if all(part.book is parts[0].book for part in parts):
            return cls(np.concatenate([part.codes for part in parts]), parts[0].book)
        book, codes = Dictionary(), []
        for part in parts:
            own, names = part.alone()
            codes.append(np.array([*map(book.code, names), -1], np.int32)[own])  # the last entry is that of -1
        return cls(np.concatenate(codes), book)

    def take(self, rows: Rows) -> DictColumn:
        return DictColumn(self.codes[rows], self.book)

    def without(self, rows: Rows) -> DictColumn:
        """This column with no names in these rows."""
        codes = self.codes.copy()
        codes[rows] = -1
        return DictColumn(codes, self.book)

    def named(self, name: str) -> Bools:
        """True for the rows with this name."""
        found: Bools = self.codes == self.book.codes.get(name, len(self.book.names))
        return found

    def present(self) -> set[str]:
        return {self.book.names[code] for code in set(self.codes[self.codes >= 0].tolist())}

    def alone(self) -> tuple[Codes, list[str]]:
        """Codes for a dictionary with only the names of these rows, and those names."""
        used, codes = np.unique(self.codes, return_inverse=True)
        unnamed = int((used < 0).sum())
        return (codes - unnamed).astype(np.int32), [self.book.names[code] for code in used[unnamed:].tolist()]

    def groups(self) -> Ints:
        """For each row the first row with the same name; for a row without a name, the row itself."""
        rows = np.arange(len(self.codes))
        first = np.zeros(self.codes.max(initial=-1) + 2, np.int64)
        first[self.codes[::-1]] = rows[::-1]  # for equal codes, the last assignment is kept
        return np.where(self.codes < 0, rows, first[self.codes])

    def __iter__(self) -> Iterator[str | None]:
        return (self.book.names[code] if code >= 0 else None for code in self.codes.tolist())


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """Columns of equal length. `ids` are UTF-8, padded with zeros to one width. `query` is the index of the query
    that found the row."""

    ids: NDArray[np.bytes_]
    dense: Floats
    bm25: Floats
    facts: Bools
    at: Ints
    tokens: Codes
    cues: Codes
    pinned: Bools
    slot: DictColumn
    speaker: DictColumn
    conversation: DictColumn
    turn_id: DictColumn
    topics: DictColumn
    answer_tokens: Codes
    named: Bools
    query: Codes

    @classmethod
    def of(cls, rows: Iterable[Candidate]) -> Candidates:
        values: list[Any] = list(zip(*rows, strict=True)) or [()] * len(Candidate._fields)
        columns = dict(zip(cls.__slots__, values, strict=False))  # without `query`
        columns |= {"ids": [each.encode() for each in values[0]], "facts": [each == "fact" for each in values[3]]}
        typed: dict[str, Any] = {
            name: DictColumn.of(each) if name in NAMED else np.array(each, TYPES.get(name, np.bytes_))
            for name, each in columns.items()
        }
        return cls(**typed, query=np.zeros(len(values[0]), np.int32))

    @classmethod
    def joined(cls, parts: Sequence[Candidates]) -> Candidates:
        """The rows of all queries, in the order of the queries."""
        parts = [replace(part, query=np.full(len(part), number, np.int32)) for number, part in enumerate(parts)]
        columns: dict[str, Any] = {}
        for name in cls.__slots__:
            of_parts = [getattr(part, name) for part in parts]
            columns[name] = DictColumn.joined(of_parts) if name in NAMED else np.concatenate(of_parts)
        return cls(**columns)

    def take(self, rows: Rows) -> Candidates:
        """These rows, in the order of `rows`."""
        positions = np.arange(len(self))[rows]
        return Candidates(*(getattr(self, name).take(positions) for name in self.__slots__))

    def nearest(self, least: float) -> dict[str, float]:
        """Cosines by id, from the highest down to `least`; ties by id."""
        near = self.take(self.dense >= least)
        near = near.take(np.lexsort((near.ids, -near.dense)))
        return dict(zip(near.names(), near.dense.tolist(), strict=True))

    def names(self, rows: Rows = slice(None)) -> list[str]:
        """The ids of these rows, in the order of `rows`, as text."""
        return [each.decode() for each in self.ids[rows].tolist()]

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Candidate]:
        found = [getattr(self, name) for name in self.__slots__[:-1]]
        columns = [each if isinstance(each, DictColumn) else each.tolist() for each in found]
        columns[0], columns[3] = self.names(), ["fact" if each else "episode" for each in columns[3]]
        return map(Candidate._make, zip(*columns, strict=True))
