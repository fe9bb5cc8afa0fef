"""Reads one user's points from a node that has the user's newest writes, if there is one.

A node that is cut off from the others answers with its old data, without an error. With several addresses, each read
therefore also asks the node for the stamps of those writes, and tries the next node if one is missing. If every node
lacks one, the first node's answer is used.
"""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from rememberd.storage.changes import Stamps, UserChanges
from rememberd.storage.qdrant.connection import PATIENCE_S, Behind, Send
from rememberd.storage.qdrant.points import ServerPoints, shard_key
from rememberd.storage.qdrant.queries import Json

_PROOF = ["written_at", "buried"]

Expected = Stamps | None  # None: any data that the node has is accepted
Read = Callable[[str, Json, Expected, Send], Coroutine[Any, Any, Any]]


class UserSearches(NamedTuple):
    user: str
    known: UserChanges
    searches: Sequence[Json]


class Reads:
    """Every method raises `StoreUnavailable`."""

    def __init__(self, at: ServerPoints) -> None:
        self._at = at

    async def search(self, parts: Sequence[UserSearches]) -> list[list[Any]]:
        """The ids and scores of each search, in the order of `parts`; in one request."""

        async def read(path: str, _: Json, expected: Expected, send: Send) -> list[list[Any]]:
            asked, proofs = list[Json](), [{} if expected is None else each.known.expected() for each in parts]
            for part, proof in zip(parts, proofs, strict=True):
                shard = shard_key(self._at.shard_of(part.user))
                asked += [each | {"with_payload": False} | shard for each in part.searches]
                if proof:
                    wanted = {"filter": {"must": [{"has_id": list(proof)}]}, "limit": len(proof)}
                    asked.append(wanted | {"with_payload": _PROOF} | shard)
            answers = iter(
                [each["points"] for each in await send("POST", f"{path}/points/query/batch", {"searches": asked})]
            )
            found = []
            for part, proof in zip(parts, proofs, strict=True):
                found.append([next(answers) for _ in part.searches])
                if proof:
                    _check(proof, next(answers))
            return found

        first = parts[0]
        found: list[list[Any]] = await self._read(first.user, first.known, read)
        return found

    async def points(
        self, user: str, known: UserChanges, ids: Sequence[str], keys: Sequence[str], *, are_there: bool = False
    ) -> list[Json]:
        """The existing points, with these keys of their payloads, in any order. `are_there`: a search has just found
        all of them."""

        async def read(path: str, shard: Json, expected: Expected, send: Send) -> list[Json]:
            asked = {"ids": list({*ids, *(expected or ())}), "with_payload": [*keys, *_PROOF] if expected else keys}
            found = await send("POST", f"{path}/points", asked | shard)
            _check(expected, found)
            records = [each for each in found if each["id"] in wanted]
            if are_there and expected is not None and len(records) < len(wanted):
                raise Behind("a point that another node has is missing")
            return records

        wanted = set(ids)
        records: list[Json] = await self._read(user, known, read)
        return records

    async def scroll(self, user: str, known: UserChanges, body: Json) -> tuple[list[Json], Any]:
        """A page of points, and where the next one begins."""

        async def read(path: str, shard: Json, expected: Expected, send: Send) -> tuple[list[Json], Any]:
            await _prove(path, shard, expected, send)
            found = await send("POST", f"{path}/points/scroll", {"with_payload": True} | body | shard)
            return found["points"], found["next_page_offset"]

        page: tuple[list[Json], Any] = await self._read(user, known, read, patient=True)
        return page

    async def count(self, user: str, known: UserChanges, wanted: Json) -> int:
        async def read(path: str, shard: Json, expected: Expected, send: Send) -> int:
            await _prove(path, shard, expected, send)
            found = await send("POST", f"{path}/points/count", {"exact": True, "filter": wanted} | shard)
            return int(found["count"])

        number: int = await self._read(user, known, read)
        return number

    async def _read(self, user: str, known: UserChanges, read: Read, *, patient: bool = False) -> Any:
        connection = self._at.connection
        patience = PATIENCE_S if patient else connection.search_patience_s
        path, shard = f"/collections/{await self._at.name()}", shard_key(self._at.shard_of(user))

        def work(expected: Expected, send: Send) -> Coroutine[Any, Any, Any]:
            return read(path, shard, expected, send)

        if len(connection.nodes.all) > 1:
            with suppress(Behind):
                return await connection.at_one_node(partial(work, known.expected()), patience=patience)
        return await connection.at_one_node(partial(work, None), patience=patience)


async def _prove(path: str, shard: Json, expected: Expected, send: Send) -> None:
    if expected:
        asked = {"ids": list(expected), "with_payload": _PROOF}
        _check(expected, await send("POST", f"{path}/points", asked | shard))


def _check(expected: Expected, found: Iterable[Json]) -> None:
    """Raises `Behind` unless all points exist and are as new as expected. A tombstone counts as the write of the same
    time, whatever its stamp."""
    stamps = {each["id"]: each["payload"] or {} for each in found}
    for point, stamp in (expected or {}).items():
        there = stamps.get(point)
        if there is None or ("buried" not in there and there.get("written_at", 0) < stamp):
            raise Behind("a write that another node has is missing")
