"""Searches in one space over the points of qdrant-client's local mode, about as fast as a server's: local mode itself
looks at the points of everybody, in Python, for each of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from qdrant_client.local.local_collection import LocalCollection

Json = dict[str, Any]
Rows = list[int]


class SpaceSearch:
    """Of one collection; `changed` tells it of each write. Numbers of rows are local mode's own."""

    def __init__(self, points: LocalCollection) -> None:
        self._points = points
        self._rows: defaultdict[str, dict[int, None]] = defaultdict(dict)
        self._words: defaultdict[tuple[str, int], dict[int, float]] = defaultdict(dict)
        self._space: dict[int, str] = {}
        self._terms: dict[int, list[int]] = {}
        self.changed(points.ids)

    def changed(self, ids: Iterable[Any]) -> None:
        for id_ in ids:
            row = self._points.ids.get(id_)
            if row is None:
                continue
            self._forget(row)
            space = self._points.payload[row].get("space")
            if space is None or self._points.deleted[row]:
                continue
            words = self._points.sparse_vectors["bm25"][row]
            self._space[row], self._terms[row] = space, list(words.indices)
            self._rows[space][row] = None
            for term, weight in zip(words.indices, words.values, strict=True):
                self._words[space, term][row] = weight

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

    def _named(self, search: Json) -> Iterator[Json]:
        """The points of some ids, which come last of the searches."""
        for id_ in _ids(search):
            row = self._points.ids.get(id_)
            if row is not None and not self._points.deleted[row]:
                payload = {k: v for k, v in self._points.payload[row].items() if k in search["with_payload"]}
                yield {"id": id_, "version": 0, "score": 0.0, "payload": payload}

    def _forget(self, row: int) -> None:
        if (space := self._space.pop(row, None)) is not None:
            del self._rows[space][row]
            for term in self._terms.pop(row):
                del self._words[space, term][row]

    def _hits(self, space: str, search: Json) -> Iterator[Json]:
        rows, limit = self._matching(space, search["filter"]["must"]), search["limit"]
        if search.get("using") == "dense":
            scored = self._near(rows, search["query"])
        elif search.get("using") == "bm25":
            scored = self._worded(space, set(rows), search["query"])
        else:
            scored = sorted(((row, 0.0) for row in rows), key=lambda each: str(self._points.ids_inv[each[0]]))
        for row, score in scored[:limit]:
            yield {"id": self._points.ids_inv[row], "version": 0, "score": score}

    def _matching(self, space: str, conditions: list[Json]) -> Rows:
        payload, rows = self._points.payload, list(self._rows[space])
        for each in conditions:
            key = each["key"]
            if key == "space":
                continue
            if "range" in each:
                above = each["range"]["gt"]
                rows = [row for row in rows if payload[row].get(key, above) > above]
            elif "any" in each["match"]:
                wanted = set(each["match"]["any"])
                rows = [row for row in rows if wanted & set(payload[row].get(key) or ())]
            else:
                value = each["match"]["value"]
                rows = [row for row in rows if payload[row].get(key) == value]
        return rows

    def _near(self, rows: Rows, query: list[float]) -> list[tuple[int, float]]:
        asked = np.asarray(query, np.float32)
        scores = self._points.vectors["dense"][rows] @ (asked / (np.linalg.norm(asked) or 1.0))
        best = np.argsort(scores, kind="stable")[::-1]
        return [(rows[n], float(scores[n])) for n in best]

    def _worded(self, space: str, rows: set[int], query: Json) -> list[tuple[int, float]]:
        scores: defaultdict[int, float] = defaultdict(float)
        everything = len(self._rows[space])
        for term, asked in zip(query["indices"], query["values"], strict=True):
            there = self._words.get((space, term), {})
            rarity = math.log((everything - len(there) + 0.5) / (len(there) + 0.5) + 1)
            for row, weight in there.items():
                if row in rows:
                    scores[row] += asked * rarity * weight
        return sorted(scores.items(), key=lambda each: -each[1])


def _ids(search: Json) -> list[Any]:
    must = (search.get("filter") or {}).get("must") or []
    return next((each["has_id"] for each in must if "has_id" in each), [])


def _space(search: Json) -> str | None:
    must = (search.get("filter") or {}).get("must") or []
    return next((each["match"]["value"] for each in must if each.get("key") == "space"), None)
