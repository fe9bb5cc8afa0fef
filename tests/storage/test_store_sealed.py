"""The sealed store keeps what every store promises, and what stands behind it can tell nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from rememberd.encryption.keyring import Keyring
from rememberd.encryption.store import SealedStore
from rememberd.memory.ids import fact_id
from rememberd.ports import MemoryStore
from rememberd.storage.edge.store import EdgeStore
from rememberd.types import Evidence, Point, Source, Space
from tests.support.fakes import MemoryStoreFake
from tests.support.sealing import opened
from tests.support.store_contract import (
    ANN,
    EAST,
    NORTH,
    NOW,
    StoreContract,
    erase_everybody,
    listed,
    point,
    words,
)

TURN = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def keyring(tmp_path: Path) -> AsyncIterator[Keyring]:
    async with opened(tmp_path) as keyring:
        yield keyring


class TestContract(StoreContract):
    @pytest.fixture
    async def store(self, edge: EdgeStore, keyring: Keyring) -> AsyncIterator[MemoryStore]:
        store = SealedStore(edge, keyring)
        yield store
        await erase_everybody(store)


class TestContractWithTurnedVectors(TestContract):
    @pytest.fixture
    async def keyring(self, tmp_path: Path) -> AsyncIterator[Keyring]:
        async with opened(tmp_path, rotate_vectors=True) as keyring:
            yield keyring


def ours(text: str) -> str:
    return fact_id(ANN, text)


async def test_what_stands_behind_it_holds_no_word_and_no_name(keyring: Keyring) -> None:
    """Of a memory with every field set; the same text of two users looks different."""
    behind = MemoryStoreFake()
    store = SealedStore(behind, keyring)
    evidence, source = Evidence("xyzzy", "narrator", TURN), Source("chat-with-mum", "gpt-4o", "curl")
    full: dict[str, Any] = {"evidence": evidence, "source": source, "speaker": "Annie", "slot": "employer"}
    for user in ("ann-of-green-gables", "bob"):
        await store.put(Space(user, "work"), [point(ours("xyzzy"), "xyzzy", **full)])
    kept = orjson.dumps([list(points.items()) for points in behind.points.values()], default=list)
    plain = ("xyzzy", "narrator", "mum", "gpt-4o", "curl", "Annie", "employer", "green", "work", TURN, ours("xyzzy"))
    assert [each for each in plain if each.encode() in kept] == []
    first, second = (next(iter(points.values())) for points in behind.points.values())
    assert first.memory.id != second.memory.id
    assert first.sparse.indices != second.sparse.indices


async def test_ids_of_ours_come_back_through_a_search(keyring: Keyring, edge: EdgeStore) -> None:
    """UUIDs and turn ids go by whole columns; so do a space's many conversations."""
    store = SealedStore(edge, keyring)
    memories = [
        point(ours(f"tea {n}"), evidence=Evidence("tea", "user", f"{n:032x}"), source=Source(f"chat {n}"))
        for n in range(50)
    ]
    await store.put(ANN, memories)
    found = await store.search(ANN, EAST, words("tea"), now=NOW)
    expected = {(each.memory.id, f"{n:032x}", f"chat {n}") for n, each in enumerate(memories)}
    assert {(each.id, each.turn_id, each.conversation) for each in found} == expected
    await erase_everybody(store)


async def test_a_text_moved_to_another_memory_scope_or_user_is_left_out(keyring: Keyring) -> None:
    """Swapped by a hand in the store, it is shown to nobody; the untouched memory is."""
    behind = MemoryStoreFake()
    store = SealedStore(behind, keyring)
    spaces = [ANN, Space("ann", "work"), Space("bob")]
    for space in spaces:
        await store.put(space, [point("a", f"I am {space}"), point("b", f"It is {space}")])
    texts = {(at, id_): each.memory.text for at, points in behind.points.items() for id_, each in points.items()}
    ids = list(texts)
    for number, (at, id_) in enumerate(ids[1:]):  # the first one stays, the others move up by one
        memory = behind.points[at][id_].memory
        moved = replace(memory, text=texts[ids[number]])
        behind.points[at][id_] = replace(behind.points[at][id_], memory=moved)
    shown = [[memory.id for memory in await store.get(space, ["a", "b"])] for space in spaces]
    assert shown == [["a"], [], []]


async def test_what_was_there_before_in_clear_text_is_passed_over(keyring: Keyring, edge: EdgeStore) -> None:
    """Written to by others without a seal, or with another keyring: nothing of it is shown, nothing fails."""
    await edge.put(ANN, [point("a")])
    store = SealedStore(edge, keyring)
    await store.put(ANN, [point("b")])
    assert await store.spaces() == [ANN]
    assert await listed(store, ANN) == await recalled(store) == ["b"]
    await edge.erase("ann")
    await erase_everybody(store)


async def test_without_the_key_nothing_is_found(keyring: Keyring, edge: EdgeStore) -> None:
    """Points that outlive their user's key (their deletion failed, say) are in no result, neither before the user
    has a new key nor after; with them gone everything is as for a new user."""
    store = SealedStore(edge, keyring)
    source = Source("chat")
    await store.put(ANN, [point("a", pinned=True, source=source), point(ours("tea"), source=source)])
    await keyring.delete_key("ann")
    assert await recalled(store) == []
    await store.put(ANN, [point("b", dense=NORTH, source=source)])
    assert await recalled(store) == ["b"]
    assert await listed(store, ANN) == ["b"]
    assert await store.erase("ann") == 3
    await store.put(ANN, [point("c")])
    assert await recalled(store) == ["c"]
    await erase_everybody(store)


async def test_what_is_written_while_its_key_goes_leaves_no_memory(keyring: Keyring, edge: EdgeStore) -> None:
    """The writer had sealed it with the old key when the user was erased; under the new one nobody could find it."""

    behind = Interrupted(edge)
    store = SealedStore(behind, keyring)

    async def erase() -> None:
        await keyring.delete_key("ann")
        await store.erase("ann")

    behind.before = erase
    await store.put(ANN, [point("a")])
    assert await edge.spaces() == []


class Interrupted(MemoryStoreFake):
    """Its puts arrive in `store` after something else has happened."""

    def __init__(self, store: EdgeStore) -> None:
        super().__init__()
        self.store, self.erase, self.delete = store, store.erase, store.delete  # type: ignore[method-assign]
        self.before: Callable[[], Awaitable[None]]

    async def put(self, space: Space, points: Sequence[Point]) -> None:
        await self.before()
        await self.store.put(space, points)


async def recalled(store: MemoryStore) -> list[str]:
    return sorted(each.id for each in await store.search(ANN, EAST, words("tea"), now=NOW))
