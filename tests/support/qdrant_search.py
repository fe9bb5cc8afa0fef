"""Searches, lists and counts in one space over the points of qdrant-client's local mode, about as fast as a server
does them: local mode itself looks at the points of everybody, in Python, for each of them."""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qdrant_client.local.local_collection import LocalCollection

Json = dict[str, Any]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

_NUMBERS = ("until", "order", "written_at")
_NAMES = ("kind", "slot", "standing", "pinned", "names")
_NO_NUMBER = -(2**62)


class SpaceSearch:
    """Of one collection; `changed` tells it of each write. Numbers of rows are local mode's own."""

    def __init__(self, points: LocalCollection) -> None:
        self._points = points
        self._spaces: dict[str, _Space] = {}
        self._space_of: dict[int, str] = {}
        self.changed(points.ids)

    def changed(self, ids: Iterable[Any]) -> None:
        for id_ in ids:
            row = self._points.ids.get(id_)
            if row is None:
                continue
            if (old := self._space_of.pop(row, None)) is not None:
                self._spaces[old].drop(row)
            space = self._points.payload[row].get("space")
            if space is None or self._points.deleted[row]:
                continue
            self._space_of[row] = space
            if space not in self._spaces:
                self._spaces[space] = _Space(self._points)
            self._spaces[space].add(row)

    def answers(self, searches: list[Json]) -> list[Json] | None:
        """None if one of them is no search in a space with its own rarity of words."""
        named = [each for each in searches if _ids(each)]
        searches = [each for each in searches if not _ids(each)]
        spaces = [_space(each) for each in searches]
        own = all("idf" in (each.get("params") or {}) for each in searches if each.get("using") == "bm25")
        if None in spaces or not own:
            return None
        hits = [self._hits(str(space), each) for space, each in zip(spaces, searches, strict=True)]
        return [{"points": list(each)} for each in (*hits, *map(self._named, named))]

    def page(self, body: Json) -> Json | None:
        """A page in the order of ids, or of `order`, the highest first. None: it is none of one space."""
        space, order = _space(body), body.get("order_by")
        if space is None or set(body["filter"]) != {"must"} or not _are_known(body["filter"]["must"]):
            return None
        if order not in (None, {"key": "order", "direction": "desc"}) or body.get("with_vector"):
            return None
        rows = self._rows(space, body["filter"]["must"])
        ids, payload, limit = self._points.ids_inv, self._points.payload, body["limit"]
        if order is not None:
            rows = sorted(rows, key=lambda row: -payload[row]["order"])
        else:
            offset = str(body.get("offset") or "")
            rows = sorted((row for row in rows if str(ids[row]) >= offset), key=lambda row: str(ids[row]))
        following = ids[rows[limit]] if order is None and len(rows) > limit else None
        keys = body.get("with_payload", True)
        points = [{"id": ids[row], "payload": _part(payload[row], keys)} for row in rows[:limit]]
        return {"points": points, "next_page_offset": following}

    def count(self, body: Json) -> int | None:
        """None: it is none of one space."""
        wanted = body.get("filter") or {}
        space, without = _space(body), wanted.get("must_not") or []
        if space is None or not wanted.keys() <= {"must", "must_not"} or not _are_known(wanted["must"]):
            return None
        if any("has_id" not in each for each in without):
            return None
        gone = {id_ for each in without for id_ in each["has_id"]}
        return sum(self._points.ids_inv[row] not in gone for row in self._rows(space, wanted["must"]))

    def _rows(self, space: str, conditions: list[Json]) -> list[int]:
        here = self._spaces.get(space)
        return [] if here is None else here.rows_at(np.flatnonzero(here.matching(conditions)))

    def _named(self, search: Json) -> Iterator[Json]:
        """The points of some ids, which come last of the searches."""
        for id_ in _ids(search):
            row = self._points.ids.get(id_)
            if row is not None and not self._points.deleted[row]:
                payload = _part(self._points.payload[row], search["with_payload"])
                yield {"id": id_, "version": 0, "score": 0.0, "payload": payload}

    def _hits(self, space: str, search: Json) -> Iterator[Json]:
        here, limit, ids = self._spaces.get(space), search["limit"], self._points.ids_inv
        if here is None:
            return
        mask = here.matching(search["filter"]["must"])
        if search.get("using") in ("dense", "bm25"):
            if search["using"] == "dense":
                scores = here.near(search["query"])
            else:
                scores = here.worded(search["query"])
                mask &= scores > 0
            places = np.flatnonzero(mask)
            places = places[np.argsort(-scores[places], kind="stable")[:limit]]
            found = list(zip(here.rows_at(places), scores[places].tolist(), strict=True))
        else:
            rows = sorted(here.rows_at(np.flatnonzero(mask)), key=lambda row: str(ids[row]))
            found = [(row, 0.0) for row in rows[:limit]]
        for row, score in found:
            yield {"id": ids[row], "version": 0, "score": score}


class _Space:
    """Columns of the points of one space, each at a place. A point that is written again gets another place."""

    def __init__(self, points: LocalCollection) -> None:
        self._points = points
        self._clear()

    def _clear(self) -> None:
        self._rows, self._alive = array("q"), array("b")
        self._place: dict[int, int] = {}
        self._numbers = {key: array("q") for key in _NUMBERS}
        self._tags: defaultdict[tuple[str, Any], array[int]] = defaultdict(lambda: array("q"))
        self._words: defaultdict[int, tuple[array[int], array[float]]] = defaultdict(lambda: (array("q"), array("d")))
        self._dense: NDArray[np.float32] = np.zeros((16, self._points.vectors["dense"].shape[1]), np.float32)

    def add(self, row: int) -> None:
        payload, place = self._points.payload[row], len(self._rows)
        self._place[row] = place
        self._rows.append(row)
        self._alive.append(1)
        for key, column in self._numbers.items():
            column.append(payload.get(key, _NO_NUMBER))
        for key in _NAMES:
            value = payload.get(key)
            for each in value if isinstance(value, list) else () if value is None else (value,):
                self._tags[key, each].append(place)
        if place == len(self._dense):
            self._dense = np.concatenate([self._dense, np.zeros_like(self._dense)])
        self._dense[place] = self._points.vectors["dense"][row]
        words = self._points.sparse_vectors["bm25"][row]
        for term, weight in zip(words.indices, words.values, strict=True):
            places, weights = self._words[term]
            places.append(place)
            weights.append(weight)

    def drop(self, row: int) -> None:
        self._alive[self._place.pop(row)] = 0
        if len(self._place) < len(self._rows) / 2:
            rows = list(self._place)
            self._clear()
            for each in rows:
                self.add(each)

    def rows_at(self, places: Ints) -> list[int]:
        found: list[int] = _ints(self._rows)[places].tolist()
        return found

    def matching(self, conditions: Sequence[Json]) -> Mask:
        """For each place, whether a point is there that meets them."""
        mask = self._living()
        for each in conditions:
            key = each["key"]
            if key == "space":
                continue
            if "range" in each:
                mask &= _in_range(_ints(self._numbers[key]), each["range"])
                continue
            match = each["match"]
            wanted = match["any"] if "any" in match else [match["value"]]
            if key in self._numbers:
                mask &= np.isin(_ints(self._numbers[key]), wanted)
                continue
            there = np.zeros(len(mask), np.bool_)
            for value in wanted:
                if (key, value) in self._tags:
                    there[_ints(self._tags[key, value])] = True
            mask &= there
        return mask

    def near(self, query: list[float]) -> NDArray[np.float64]:
        asked = np.asarray(query, np.float32)
        scores = self._dense[: len(self._rows)] @ (asked / (np.linalg.norm(asked) or 1.0))
        return scores.astype(np.float64)

    def worded(self, query: Json) -> NDArray[np.float64]:
        living, scores = self._living(), np.zeros(len(self._rows))
        for term, asked in zip(query["indices"], query["values"], strict=True):
            if term not in self._words:
                continue
            places, weights = _ints(self._words[term][0]), np.frombuffer(self._words[term][1], np.float64)
            there, everything = int(living[places].sum()), len(self._place)
            rarity = math.log((everything - there + 0.5) / (there + 0.5) + 1)
            scores[places] += asked * rarity * weights
        return scores

    def _living(self) -> Mask:
        return np.frombuffer(self._alive, np.bool_).copy() if self._alive else np.zeros(0, np.bool_)


def _ints(values: array[int]) -> Ints:
    return np.frombuffer(values, np.int64) if values else np.zeros(0, np.int64)


def _in_range(column: Ints, wanted: Json) -> Mask:
    mask = column > _NO_NUMBER
    for name, bound in wanted.items():
        mask &= {"gt": column > bound, "gte": column >= bound, "lt": column < bound, "lte": column <= bound}[name]
    return mask


def _part(payload: Json, keys: Any) -> Json | None:
    if isinstance(keys, list):
        return {key: value for key, value in payload.items() if key in keys}
    return payload if keys else None


def _are_known(conditions: Sequence[Json]) -> bool:
    return all(each.get("key") in ("space", *_NUMBERS, *_NAMES) for each in conditions)


def _ids(search: Json) -> list[Any]:
    must = (search.get("filter") or {}).get("must") or []
    return next((each["has_id"] for each in must if "has_id" in each), [])


def _space(search: Json) -> str | None:
    must = (search.get("filter") or {}).get("must") or []
    return next((each["match"]["value"] for each in must if each.get("key") == "space"), None)
