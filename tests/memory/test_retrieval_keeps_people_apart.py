"""What others keep in the same store changes nothing of an answer, and nothing of theirs is in it: no memory, no id,
no name of who speaks. What is erased while it is looked up is not told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rememberd.encryption.store import SealedStore
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.recall.names import NamesLeftOut
from rememberd.ports import MemoryStore
from rememberd.search_results import Candidates
from rememberd.storage.edge.client import EdgeClient
from rememberd.storage.edge.server import serving
from rememberd.storage.edge.store import EdgeStore
from rememberd.types import Memory, Space
from tests.support.fakes import EmbedderFake
from tests.support.retrieval_rig import ADA, Rig, lines, memory, rig
from tests.support.sealing import opened

SPACES = [ADA, Space("ada", "work"), Space("bob"), Space("bob", "ada"), Space("ADA"), Space('a","b', "c")]
SPEAKERS = ["Ada", "Bo", "Zoë", "Bo Ada", "ada"]
QUESTIONS = ["What did Bo say of my boat?", "Where do Ada and Zoë live?", "Is my tea green, Bo Ada?"]
TEXTS = ["I live in Oslo.", "My boat is green.", "I like green tea.", "Bo said the boat is Zoë's.", "Ada sails."]

told = st.builds(
    memory,
    st.sampled_from(TEXTS),
    st.sampled_from(["fact", "episode"]),
    days_ago=st.integers(1, 3),
    turn=st.sampled_from(["t1", "t2"]),
    conversation=st.sampled_from(["c1", "c2"]),
    id=st.sampled_from(["m1", "m2", "m3", "m4", "m5"]),
    speaker=st.none() | st.sampled_from(SPEAKERS),
    pinned=st.booleans(),
    private=st.booleans(),
)
everybody = st.dictionaries(st.sampled_from(SPACES), st.lists(told, min_size=1, max_size=6), min_size=1)


IN_THE_SLOW_STAGE = [pytest.param(place, marks=pytest.mark.slow) for place in ("in process", "socket")]


@pytest.fixture(scope="module", params=["sealed socket", *IN_THE_SLOW_STAGE])
def pair(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[asyncio.Runner, Rig, Rig]]:
    """A store for everybody and one for somebody alone."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def open_both() -> tuple[Rig, Rig]:
            folders = [tmp_path_factory.mktemp(name) for name in ("crowd", "alone")]
            crowd, alone = [await stack.enter_async_context(rig(request.param, each)) for each in folders]
            return crowd, alone

        yield (runner, *runner.run(open_both()))
        runner.run(stack.aclose())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=everybody, asker=st.sampled_from(SPACES), private=st.booleans(), turn=st.sampled_from([None, "t1"]))
def test_others_change_nothing(
    pair: tuple[asyncio.Runner, Rig, Rig],
    kept: dict[Space, list[Memory]],
    asker: Space,
    private: bool,
    turn: str | None,
) -> None:
    """Users and scopes that share texts, ids, turns, conversations and who speaks: the block, its ids, its cost and
    the names that were learned are those of a store in which the asker is alone."""
    runner, crowd, alone = pair
    runner.run(_same_as_alone(crowd, alone, kept, asker, private, turn))


async def _same_as_alone(
    crowd: Rig, alone: Rig, kept: dict[Space, list[Memory]], asker: Space, private: bool, turn: str | None
) -> None:
    for each in (crowd, alone):
        for user in {space.user for space in SPACES}:
            await each.store.erase(user)
        each.recall.names = NamesLeftOut(each.store, each.recall.embedder)
        each.retrieved.clear()
    for space, memories in kept.items():
        await crowd.tell(space, *memories)
    await alone.tell(asker, *kept.get(asker, []))
    for question in QUESTIONS:
        ours, theirs = [
            await each.ask(question, asker, turn=turn, private=private, conversation="c1") for each in (crowd, alone)
        ]
        assert replace(ours, ms=0) == replace(theirs, ms=0)
    speakers = {each.speaker for each in kept.get(asker, [])}
    for found in crowd.retrieved:
        assert speakers.issuperset(found.speakers)
    assert crowd.retrieved == alone.retrieved


async def nothing() -> None:
    pass


class Meanwhile:
    """A store of which something happens behind a search, before the texts are fetched."""

    def __init__(self, store: MemoryStore) -> None:
        self.store, self.then = store, nothing

    async def search_all(self, *arguments: Any, **options: Any) -> Candidates:
        found = await self.store.search_all(*arguments, **options)
        await self.then()
        return found

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


@asynccontextmanager
async def interruptible(folder: Path, *, sealed: bool) -> AsyncIterator[tuple[Rig, Meanwhile]]:
    """Two processes' view of one key file: the web's and the writer's."""
    async with AsyncExitStack() as stack:
        edge = EdgeStore.open(folder / "store", dim=EmbedderFake.dim, embedder="fake")
        stack.push_async_callback(edge.close)
        async with rig("socket", folder / "unused") as unused, opened(folder) as web, opened(folder) as writer:
            slow = Meanwhile(SealedStore(edge, writer) if sealed else edge)
            client = EdgeClient(folder / "s")
            await stack.enter_async_context(serving(edge, folder / "s", slow))
            unused.store, unused.keyring, unused.edge = SealedStore(client, web) if sealed else client, web, edge
            unused._retrieve = client.retrieve
            yield unused, slow
            await client.close()


@pytest.mark.parametrize("sealed", [False, True])
async def test_what_is_erased_meanwhile_is_not_told(tmp_path: Path, sealed: bool) -> None:
    """The user's points, or first the key by another process: no block, and no failure either; the next one who asks
    gets an answer."""
    async with interruptible(tmp_path, sealed=sealed) as (here, slow):
        for space in (ADA, Space("bob")):
            await here.tell(space, memory("I live in Oslo."), memory("I like Oslo.", pinned=True))
        assert (await here.ask("Where do I live?")).status == "hit"
        assert here.keyring is not None
        gone: Callable[[], Any] = (
            partial(here.keyring.delete_key, "ada") if sealed else partial(slow.store.erase, "ada")
        )
        slow.then = gone
        found = await here.ask("Where do I live now?")
        assert (found.status, found.block, found.ids, found.tokens) == ("miss", "", (), 0)
        slow.then = nothing
        assert (await here.ask("Where do I live?", Space("bob"))).status == "hit"
        assert (await here.ask("Where do I live?")).status == "miss"


@pytest.mark.parametrize("sealed", [False, True])
async def test_what_is_deleted_meanwhile_is_not_told(tmp_path: Path, sealed: bool) -> None:
    """Nor does a user with a new key get what was sealed with the one before."""
    async with interruptible(tmp_path, sealed=sealed) as (here, slow):
        await here.tell(ADA, memory("I live in Oslo."), memory("I live in Molde."))

        async def forget() -> None:
            await slow.store.delete(ADA, ["fact I live in Oslo."], at=2**41)

        async def begin_anew() -> None:
            assert here.keyring is not None
            await here.keyring.delete_key("ada")
            await slow.store.put(ADA, [await to_point(memory("I live in Ghent."), EmbedderFake())])

        slow.then = forget
        assert "Oslo" not in (await here.ask("Where do I live?")).block
        slow.then = begin_anew
        assert (await here.ask("Where do I live?")).status == ("miss" if sealed else "hit")
        slow.then = nothing
        told = lines(await here.ask("Where do I live?"))
        assert "- I live in Ghent." in told
        assert ("- I live in Molde." in told) is not sealed
