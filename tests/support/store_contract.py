"""What every `MemoryStore` promises. An adapter's test file subclasses `StoreContract` and gives it a fixture
`store`: empty, or one that earlier tests left with `erase_everybody`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from qdrant_edge import Bm25

from rememberd.errors import InputRejected
from rememberd.ports import MemoryStore
from rememberd.search_results import Candidate, Candidates, Query
from rememberd.types import Evidence, Memory, Point, Source, Space, Sparse

DIM = 4
NOW = 1_750_000_000_000
ANN = Space("ann")
EAST, NORTH, UP = [1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]

_BM25 = Bm25()

USERS = ["ann", "an", "bob", "ANN", 'a","b', "a", "a\0b"]

strangers = pytest.mark.parametrize(
    ("space", "other"),
    [
        (ANN, Space("bob")),
        (ANN, Space("ann", "work")),
        (Space("ann", "bob"), Space("bob", "ann")),
        (Space("ann", "bob"), Space("an", "nbob")),
        (Space('a","b', "c"), Space("a", 'b","c')),
        (Space("a\0b", "c"), Space("a", "b\0c")),
        (ANN, Space("ANN")),
    ],
)


def words(text: str) -> Sparse:
    vector = _BM25.embed_query(text)
    return Sparse(vector.indices, vector.values)


def by_id(found: Candidates) -> list[Candidate]:
    return sorted(found, key=lambda each: each.id)


def point(id: str, text: str = "likes tea", dense: list[float] = EAST, **fields: Any) -> Point:
    memory = Memory(id, text, "fact", NOW, NOW, NOW)
    vector = _BM25.embed_document(text)
    return Point(replace(memory, **fields), dense, Sparse(vector.indices, vector.values), tokens=7, cues=5)


async def erase_everybody(store: MemoryStore) -> None:
    for user in USERS:
        await store.erase(user)


async def recallable(store: MemoryStore, space: Space, now: int = NOW) -> set[str]:
    found = await store.search(space, EAST, words("tea"), now=now)
    return {candidate.id for candidate in found}


async def listed(store: MemoryStore, space: Space, limit: int = 100, **options: Any) -> list[str]:
    """Every id of a listing, page by page."""
    ids, cursor = [], None
    while True:
        memories, cursor = await store.page(space, limit=limit, now=NOW, cursor=cursor, **options)
        ids += [memory.id for memory in memories]
        if cursor is None:
            return ids


class StoreContract:
    async def test_a_memory_comes_back_as_it_went_in(self, store: MemoryStore) -> None:
        """Every field survives, set or not, and so does text of any language."""
        full = Memory(
            id="full",
            text='Føler seg 好 "quoted" \n\t🙂',
            kind="episode",
            created_at=NOW - 5,
            updated_at=NOW - 4,
            valid_from=NOW - 3,
            valid_to=NOW - 2,
            pinned=True,
            expires_at=NOW - 1,
            slot="home",
            evidence=Evidence("span", "user", "turn-1"),
            source=Source("chat-1", "gpt-4o", "curl"),
            speaker="Ann",
        )
        bare = point("bare").memory
        await store.put(ANN, [replace(point("x"), memory=full), replace(point("x"), memory=bare)])
        assert await store.get(ANN, ["full", "bare"]) == [full, bare]

    async def test_get_keeps_the_order_asked_and_skips_the_absent(self, store: MemoryStore) -> None:
        """The answer follows the question's order; unknown ids of any shape are left out."""
        await store.put(ANN, [point("a"), point("b"), point("c")])
        found = await store.get(ANN, ["c", "nowhere", "", "a", "00000000-0000-0000-0000-000000000000"])
        assert [memory.id for memory in found] == ["c", "a"]
        assert await store.get(ANN, []) == []

    async def test_put_again_replaces(self, store: MemoryStore) -> None:
        """The newest version is the one that get, search and page show, and the only one."""
        await store.put(ANN, [point("a", "likes tea", pinned=True)])
        await store.search(ANN, EAST, words("tea"), now=NOW)
        await store.put(ANN, [point("a", "likes coffee", dense=NORTH, kind="episode", slot="drink")])
        (memory,) = await store.get(ANN, ["a"])
        (candidate,) = await store.search(ANN, NORTH, words("coffee"), now=NOW)
        assert (memory.text, memory.pinned) == ("likes coffee", False)
        assert (candidate.kind, candidate.pinned, candidate.slot) == ("episode", False, "drink")
        assert candidate.dense == pytest.approx(1.0)
        assert await listed(store, ANN) == ["a"]

    @strangers
    async def test_nobody_sees_anothers_memories(self, store: MemoryStore, space: Space, other: Space) -> None:
        """No reading method shows a memory, a tombstone or a pinned one of another user or scope."""
        await store.put(space, [point("a", pinned=True), point("gone")])
        await store.delete(space, ["gone"], at=NOW)
        assert await store.get(other, ["a"]) == []
        assert await recallable(store, other) == set()
        assert await listed(store, other, include_past=True) == []
        assert await store.deleted_at(other, ["gone"]) == {}

    @strangers
    async def test_nobody_changes_anothers_memories(self, store: MemoryStore, space: Space, other: Space) -> None:
        """Putting or deleting the same id elsewhere leaves the first where and as it was, and both live."""
        await store.put(space, [point("a", "mine")])
        await store.put(other, [point("a", "theirs")])
        assert await store.delete(other, ["a"], at=NOW) == ["a"]
        assert [memory.text for memory in await store.get(space, ["a"])] == ["mine"]
        assert await store.get(other, ["a"]) == []
        assert await store.deleted_at(space, ["a"]) == {}

    async def test_erase_reaches_every_scope_of_one_user_only(self, store: MemoryStore) -> None:
        """Erasing takes all scopes and tombstones, counts the memories, and leaves everybody else alone."""
        work, bob = Space("ann", "work"), Space("bob", "ann")
        await store.put(ANN, [point("a"), point("b"), point("dead")])
        await store.put(work, [point("c", kind="episode")])
        await store.put(bob, [point("d")])
        await store.delete(ANN, ["dead"], at=NOW)
        assert await store.erase("ann") == 3
        assert [await listed(store, space) for space in (ANN, work, bob)] == [[], [], ["d"]]
        assert await recallable(store, ANN) == set()
        assert await store.deleted_at(ANN, ["dead"]) == {}
        assert await store.erase("ann") == 0

    async def test_search_finds_by_meaning_and_by_words(self, store: MemoryStore) -> None:
        """Each branch brings its own finds with its own score, and 0.0 in the branch that did not find it."""
        await store.put(
            ANN,
            [
                point("near", "likes tea", EAST),
                point("rare", "keeps a zwitscherling", NORTH),
                point("off", "", UP),
            ],
        )
        found = {each.id: each for each in await store.search(ANN, EAST, words("zwitscherling"), now=NOW, limit=1)}
        assert set(found) == {"near", "rare"}
        assert found["near"].dense == pytest.approx(1.0)
        assert found["near"].bm25 == 0.0
        assert found["rare"].dense == 0.0
        assert found["rare"].bm25 > 0.0

    async def test_several_spaces_are_searched_at_once_as_each_alone(self, store: MemoryStore) -> None:
        """With vectors and limits of their own; a space that holds nothing, and a question without words."""
        bob, work, nobody = Space("bob"), Space("bob", "work"), Space("nobody")
        await store.put(work, [point("b", "likes tea")])
        await store.put(ANN, [point(f"a{number}", "likes tea") for number in range(4)])
        await store.put(bob, [point("b", "likes coffee", NORTH, pinned=True), point("c", "likes tea", speaker="Bo")])
        asked = [
            Query(ANN, EAST, words("tea"), 3),
            Query(nobody, EAST, words("tea"), 9),
            Query(bob, NORTH, words("coffee"), 9),
            Query(work, EAST, Sparse([], []), 9),
        ]
        alone = [await store.search(each.space, each.dense, each.sparse, now=NOW, limit=each.limit) for each in asked]
        await store.prefetch(ANN, words("tea"), now=NOW)
        together = await store.search_all(asked, now=NOW)
        parts = [together.take(together.query == number) for number in range(len(asked))]
        assert [by_id(part) for part in parts] == [by_id(each) for each in alone]
        assert [len(each) for each in parts[1:]] == [0, 2, 1]

    async def test_standing_facts_that_are_not_wanted_cost_no_other_row(self, store: MemoryStore) -> None:
        """What is near, what has the words and what is pinned are found with the same scores, and no more than with
        the standing facts."""
        far = [replace(point(f"far{number}", "likes rye", NORTH), topics="food") for number in range(5)]
        others = [point("near", "likes ale"), point("rare", "the zwitscherling", NORTH)]
        await store.put(ANN, [*far, *others, point("pinned", "likes rye", NORTH, pinned=True)])
        wanted = Query(ANN, EAST, words("zwitscherling"), 1)
        whole, fewer = [await store.search_all([wanted._replace(standing=each)], now=NOW) for each in (True, False)]
        scores = {each.id: (each.dense, each.bm25) for each in whole}
        for each in fewer:
            assert each.id == "pinned" or (each.dense, each.bm25) == scores[each.id]
        assert {"near", "rare", "pinned"} <= {each.id for each in fewer} <= {each.id for each in whole}

    async def test_candidates_carry_what_ranking_reads(self, store: MemoryStore) -> None:
        """All light fields arrive, also when the point is searched a second time."""
        evidence, source = Evidence("span", "user", "turn-1"), Source("chat-1")
        memory = point("a", evidence=evidence, source=source, speaker="Ann", slot="home", valid_from=NOW - 9)
        await store.put(ANN, [memory])
        first = await store.search(ANN, EAST, words("tea"), now=NOW)
        assert list(await store.search(ANN, EAST, words("tea"), now=NOW)) == list(first)
        (found,) = first
        assert (found.kind, found.at, found.tokens, found.cues) == ("fact", NOW - 9, 7, 5)
        assert (found.pinned, found.slot, found.speaker) == (False, "home", "Ann")
        assert (found.conversation, found.turn_id) == ("chat-1", "turn-1")

    async def test_a_search_for_one_kind_is_not_crowded_out_by_the_other(self, store: MemoryStore) -> None:
        """The limit counts what was asked for only, pinned ones included."""
        await store.put(ANN, [point(f"e{i}", kind="episode", pinned=i < 3) for i in range(9)])
        await store.put(ANN, [point("fact", "likes green tea", NORTH)])
        found = await store.search(ANN, EAST, words("tea"), now=NOW, limit=1, kind="fact")
        assert [each.id for each in found] == ["fact"]

    async def test_a_question_without_words_still_finds_by_meaning(self, store: MemoryStore) -> None:
        """Stop words or signs alone leave the BM25 branch empty, not the search broken."""
        await store.put(ANN, [point("a")])
        (found,) = await store.search(ANN, EAST, words("?!"), now=NOW)
        assert found.bm25 == 0.0

    @strangers
    async def test_a_hint_changes_no_answer(self, store: MemoryStore, space: Space, other: Space) -> None:
        """Words named ahead: whatever is written, deleted or hinted at in between, by whomever, a search finds what
        it would have found."""
        await store.put(space, [point("a"), point("b"), point("pin", "z", UP, pinned=True)])
        await store.put(other, [point("a", "likes tea and secrets"), point("theirs")])
        for change in (
            lambda: store.put(space, [point("new", "green tea"), point("a", "likes milk", NORTH)]),
            lambda: store.delete(space, ["b", "pin"], at=NOW),
            lambda: store.put(other, [point("theirs", "coffee")]),
            lambda: store.prefetch(other, words("tea"), now=NOW),
            lambda: store.erase(space.user),
        ):
            await store.prefetch(space, words("tea"), now=NOW)
            await change()
            hinted = list(await store.search(space, EAST, words("tea"), now=NOW))
            assert hinted == list(await store.search(space, EAST, words("tea"), now=NOW))
            assert "theirs" not in {each.id for each in hinted}
        assert hinted == []

    async def test_a_hint_is_for_one_search_only(self, store: MemoryStore) -> None:
        """For these words, this moment, and both kinds."""
        spoken: dict[str, Any] = {"dense": NORTH, "kind": "episode", "expires_at": NOW + 1}
        await store.put(ANN, [point("a"), point("b", "milk", **spoken), point("c", "tea", **spoken)])
        await store.prefetch(ANN, words("tea"), now=NOW)
        milk = await store.search(ANN, UP, words("milk"), now=NOW)
        assert {each.id for each in milk if each.bm25} == {"b"}
        later = await store.search(ANN, UP, words("tea milk"), now=NOW + 1)
        assert {each.id for each in later} == {"a"}
        facts = await store.search(ANN, UP, words("tea"), now=NOW, kind="fact")
        assert {each.id for each in facts} == {"a"}

    async def test_rarity_is_measured_in_ones_own_memories(self, store: MemoryStore) -> None:
        """What others write, deletions and other scopes do not move a BM25 score; one's own memories do."""
        await store.put(ANN, [point("a", "tea"), point("b", "coffee"), point("c", "milk")])

        async def score() -> float:
            found = await store.search(ANN, UP, words("tea"), now=NOW)
            return next(each.bm25 for each in found if each.id == "a")

        alone = await score()
        await store.put(Space("bob"), [point(f"b{i}", "tea") for i in range(50)])
        await store.put(Space("ann", "work"), [point(f"w{i}", "tea") for i in range(50)])
        assert await score() == pytest.approx(alone)
        await store.put(ANN, [point(f"own{i}", "tea") for i in range(50)])
        assert await score() < alone
        await store.delete(ANN, [f"own{i}" for i in range(50)], at=NOW)
        assert await score() == pytest.approx(alone)

    async def test_pinned_memories_always_come(self, store: MemoryStore) -> None:
        """However far from the question, and never more than a hundred."""
        await store.put(ANN, [point("pin", "z", UP, pinned=True), point("close"), point("far", "z", NORTH)])
        found = await store.search(ANN, EAST, words("tea"), now=NOW, limit=1)
        assert {each.id for each in found} == {"pin", "close"}
        assert next(each for each in found if each.id == "pin").pinned
        await store.put(ANN, [point(f"p{i}", "z", UP, pinned=True) for i in range(150)])
        found = await store.search(ANN, EAST, words("tea"), now=NOW, limit=1)
        assert sum(each.pinned for each in found) == 100

    async def test_what_is_past_takes_no_place_of_what_is_current(self, store: MemoryStore) -> None:
        """However many of the nearest are past, a search finds as many as are wanted."""
        for past in (0, 1, 40):
            await store.put(ANN, [point(f"past {n}", valid_to=NOW - 1) for n in range(past)])
            await store.put(
                ANN, [point(each, f"{each} knows somebody who likes tea", [0.9, 0.1, 0.0, 0.0]) for each in "abc"]
            )
            for limit in (1, 2, 3, 20):
                found = await store.search(ANN, EAST, words("tea"), now=NOW, limit=limit)
                assert {each.id for each in found} <= set("abc")
                assert len(found) >= min(limit, 3), (past, limit)

    @pytest.mark.parametrize("end", ["valid_to", "expires_at"])
    async def test_what_has_ended_is_not_recalled(self, store: MemoryStore, end: str) -> None:
        """At its end a memory leaves every branch of the search and the plain listing; its history stays."""
        ends: dict[str, Any] = {end: NOW + 1}
        await store.put(ANN, [point("a", pinned=True, **ends)])
        assert await recallable(store, ANN, now=NOW) == {"a"}
        assert await recallable(store, ANN, now=NOW + 1) == set()
        await store.put(ANN, [point("a", pinned=True, **(ends | {end: NOW}))])
        assert await listed(store, ANN) == []
        assert await listed(store, ANN, include_past=True) == ["a"]
        assert [memory.id for memory in await store.get(ANN, ["a"])] == ["a"]

    async def test_listing_is_newest_first_and_filtered(self, store: MemoryStore) -> None:
        """By created_at, before 1970 and far in the future included; kind and slot narrow it down."""
        times = {"old": -(10**12), "zero": 0, "mid": NOW, "new": NOW + 1, "far": 253_402_300_799_000}
        await store.put(ANN, [point(id_, created_at=at) for id_, at in times.items()])
        await store.put(
            ANN, [point("mid", created_at=NOW, kind="episode"), point("new", created_at=NOW + 1, slot="s")]
        )
        assert await listed(store, ANN) == ["far", "new", "mid", "zero", "old"]
        assert await listed(store, ANN, limit=2) == ["far", "new", "mid", "zero", "old"]
        assert await listed(store, ANN, kind="episode") == ["mid"]
        assert await listed(store, ANN, slot="s") == ["new"]
        assert await listed(store, ANN, slot="s", kind="episode") == []

    async def test_paging_loses_and_repeats_nothing(self, store: MemoryStore) -> None:
        """A thousand memories of one instant, far more than one order key holds, while others are deleted."""
        ids = [f"m{i}" for i in range(1000)]
        for start in range(0, 1000, 250):
            await store.put(ANN, [point(id_) for id_ in ids[start : start + 250]])
        doomed = iter(ids[::5])
        gone: set[str] = set()
        seen: list[str] = []
        cursor = None
        while True:
            memories, cursor = await store.page(ANN, limit=33, now=NOW, cursor=cursor)
            seen += [memory.id for memory in memories]
            if cursor is None:
                break
            gone.update(await store.delete(ANN, [next(doomed), next(doomed)], at=NOW))
        assert len(seen) == len(set(seen))
        assert set(ids) - gone <= set(seen)

    async def test_a_full_last_page_has_no_cursor(self, store: MemoryStore) -> None:
        """A client never asks for an empty page."""
        await store.put(ANN, [point(f"m{i}") for i in range(4)])
        _, cursor = await store.page(ANN, limit=2, now=NOW)
        memories, end = await store.page(ANN, limit=2, now=NOW, cursor=cursor)
        assert (len(memories), end) == (2, None)

    async def test_a_count_is_the_length_of_the_listing(self, store: MemoryStore) -> None:
        """Of this space only; past, expired and deleted ones as `page` has them."""
        await store.put(ANN, [point("a"), point("b", kind="episode"), point("c", valid_to=NOW - 1), point("d")])
        await store.put(Space("bob"), [point("a")])
        await store.delete(ANN, ["d"], at=NOW)
        for options in ({}, {"kind": "fact"}, {"kind": "episode"}, {"include_past": True}):
            assert await store.count(ANN, now=NOW, **options) == len(await listed(store, ANN, **options))
        assert await store.count(ANN, now=NOW, include_past=True) == 3

    async def test_a_foreign_cursor_is_refused(self, store: MemoryStore) -> None:
        """A cursor that was changed, made up, or made for another space is the client's error, 400."""
        await store.put(ANN, [point(f"m{i}") for i in range(4)])
        _, cursor = await store.page(ANN, limit=2, now=NOW)
        assert cursor is not None
        changed = ("B" if cursor[0] == "A" else "A") + cursor[1:]
        for space, text in [
            (ANN, changed),
            (ANN, "x"),
            (ANN, "é"),
            (ANN, cursor[:-4]),
            (Space("bob"), cursor),
        ]:
            with pytest.raises(InputRejected) as refused:
                await store.page(space, limit=2, now=NOW, cursor=text)
            assert refused.value.code == "invalid_cursor"
            assert refused.value.param == "cursor"

    async def test_the_deleted_leave_a_tombstone_only(self, store: MemoryStore) -> None:
        """A deleted memory is in no result, pinned or not; `buried` alone knows it, with the first time."""
        await store.put(ANN, [point("a", pinned=True), point("b")])
        assert await store.delete(ANN, ["a", "nowhere"], at=NOW + 5) == ["a"]
        assert await store.delete(ANN, ["a"], at=NOW + 9) == []
        assert await store.get(ANN, ["a"]) == []
        assert await recallable(store, ANN) == {"b"}
        assert await listed(store, ANN, include_past=True) == ["b"]
        assert await store.deleted_at(ANN, ["a", "b", "nowhere"]) == {"a": NOW + 5}

    async def test_spaces_are_those_that_hold_a_memory(self, store: MemoryStore) -> None:
        """Each once, sorted, whatever its name; past memories count, tombstones and the erased do not."""
        await store.put(ANN, [point("a"), point("b", valid_to=NOW - 1)])
        await store.put(Space('a","b', "c"), [point("a")])
        await store.put(Space("ann", "bob"), [point("a", valid_to=NOW - 1)])
        await store.put(Space("an", "nbob"), [point("a")])
        await store.put(Space("bob"), [point("a")])
        await store.delete(Space("an", "nbob"), ["a"], at=NOW)
        await store.erase("bob")
        assert await store.spaces() == [Space('a","b', "c"), Space("ann", "bob"), ANN]
        assert await store.spaces("ann") == [Space("ann", "bob"), ANN]
        assert await store.spaces("bob") == []

    async def test_users_are_listed_by_pages(self, store: MemoryStore) -> None:
        """Each once with all its spaces, whoever comes or goes meanwhile."""
        users = [f"user{n}" for n in range(7)]
        for user in users:
            await store.put(Space(user), [point("a")])
        await store.put(Space("user3", "work"), [point("a")])
        first = await store.users("", 3)
        assert len({space.user for space in first}) == 3
        last = first[-1].user
        await store.erase(last)
        pages = [first, await store.users(last, 3)]
        pages.append(await store.users(pages[1][-1].user, 3))
        assert await store.users(pages[2][-1].user, 3) == []
        found = [space for page in pages for space in page]
        assert sorted(found) == sorted([*map(Space, users), Space("user3", "work")])
        assert len(pages[2]) <= 2
        for user in users:
            await store.erase(user)

    async def test_putting_a_deleted_id_brings_it_back(self, store: MemoryStore) -> None:
        """The tombstone is gone and the memory is whole again."""
        await store.put(ANN, [point("a")])
        await store.delete(ANN, ["a"], at=NOW)
        await store.put(ANN, [point("a", "likes tea again", updated_at=NOW + 1)])
        assert await store.deleted_at(ANN, ["a"]) == {}
        assert await recallable(store, ANN) == {"a"}
        assert await listed(store, ANN) == ["a"]

    async def test_what_was_read_before_a_deletion_cannot_undo_it(self, store: MemoryStore) -> None:
        """A put of a memory as it stood when it was deleted changes nothing; others in the same call are stored."""
        await store.put(ANN, [point("a")])
        await store.delete(ANN, ["a"], at=NOW + 5)
        await store.put(ANN, [point("a", updated_at=NOW + 5), point("b")])
        assert await listed(store, ANN, include_past=True) == ["b"]
        assert await store.deleted_at(ANN, ["a"]) == {"a": NOW + 5}

    async def test_nothing_to_do_is_no_error(self, store: MemoryStore) -> None:
        """Empty batches, unknown users, an empty store."""
        await store.put(ANN, [])
        assert await store.delete(ANN, [], at=NOW) == []
        assert await store.deleted_at(ANN, []) == {}
        assert await store.erase("nobody") == 0
        assert await store.page(ANN, limit=5, now=NOW) == ([], None)
        assert await store.spaces() == []
        await store.flush()
        await store.ping()
