"""The store's socket: private, found again after a restart, and never in a caller's way."""

from __future__ import annotations

import asyncio
import random
import signal
import stat
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from rememberd import __version__
from rememberd.errors import QueueUnavailable, StoreUnavailable
from rememberd.memory.recall.retrieve import Retrieved, Wanted
from rememberd.search_results import Candidates, Query
from rememberd.storage.edge.client import EdgeClient
from rememberd.storage.edge.server import serving
from rememberd.storage.edge.socket_protocol import READ_AHEAD_BYTES, Frames, frame, socket_path
from rememberd.storage.edge.store import EdgeStore
from rememberd.types import Millis
from tests.support.store_contract import ANN, DIM, EAST, NOW, point, recallable, words
from tests.support.store_process import store_process


@asynccontextmanager
async def served(folder: Path, socket: Path) -> AsyncIterator[EdgeClient]:
    store = EdgeStore.open(folder, dim=DIM, embedder="test")
    client = EdgeClient(socket)
    async with serving(store, socket):
        yield client
        await client.close()
    await store.close()


async def test_a_command_of_another_version_is_told_so(tmp_path: Path) -> None:
    """It asks the running proxy for something that this version does not know."""
    async with served(tmp_path / "store", tmp_path / "s"):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(frame([1, "of_a_later_version", {}]))
        ((_, _, error), _) = next(Frames().feed(await reader.read(READ_AHEAD_BYTES)))
        writer.close()
    assert f"the running proxy is rememberd {__version__}" in str(error)
    assert "of_a_later_version" in str(error)


class _Copying(EdgeStore):
    """Its backup takes until `release` is set."""

    copying: asyncio.Event
    release: asyncio.Event

    async def snapshot(self, target: Path) -> int:
        async with self._changing:
            self.copying.set()
            await self.release.wait()
        return 0


async def test_writes_that_wait_for_a_backup_keep_no_reader_waiting(tmp_path: Path) -> None:
    """Of the same process, over the same connection. They are made in their order when the copy is finished."""
    store = _Copying.open(tmp_path / "store", dim=DIM, embedder="test")
    store.copying, store.release = asyncio.Event(), asyncio.Event()
    async with serving(store, tmp_path / "s"), asyncio.timeout(60):
        client = EdgeClient(tmp_path / "s")
        await client.put(ANN, [point("known")])
        backup = asyncio.create_task(client.snapshot(tmp_path / "copy"))
        await store.copying.wait()
        written = asyncio.create_task(client.put(ANN, [point("new")]))
        deletions = [asyncio.create_task(client.delete(ANN, ["new"], at=NOW + 1)) for _ in range(3)]
        for _ in range(20):
            assert [each.id for each in await client.get(ANN, ["known", "new"])] == ["known"]
        assert await client.count(ANN, now=NOW) == 1
        assert not any(each.done() for each in (backup, written, *deletions))
        store.release.set()
        assert await asyncio.gather(*deletions) == [["new"], [], []]
        await asyncio.gather(backup, written)
        await client.close()
    await store.close()


async def test_only_this_account_can_connect(tmp_path: Path) -> None:
    """The socket file has mode 0600, and is gone when the server stops."""
    async with served(tmp_path / "store", tmp_path / "s"):
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600
    assert not (tmp_path / "s").exists()


async def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    """The file that a killed process left behind does not keep the next one from serving."""
    async with store_process(tmp_path / "store", tmp_path / "s") as process:
        process.kill()
    assert (tmp_path / "s").is_socket()
    async with served(tmp_path / "store", tmp_path / "s") as client:
        await client.ping()


async def test_a_long_data_dir_has_a_short_socket(tmp_path: Path) -> None:
    """A path too long for a socket gets a place in a private folder, the same one in every process."""
    deep = tmp_path / ("deep" * 25)
    path = socket_path(deep)
    assert path == socket_path(deep)
    assert path != socket_path(deep / "er")
    assert path.is_relative_to(tempfile.gettempdir())
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    async with served(tmp_path / "store", path) as client:
        await client.ping()
    assert socket_path(Path("/srv/data")) == Path("/srv/data/store.sock")


async def test_without_a_server_a_call_fails_at_once(tmp_path: Path) -> None:
    """No file, or a file that nobody listens to: StoreUnavailable, and calls work as soon as a server is there."""
    client = EdgeClient(tmp_path / "s")
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        await client.ping()
    async with store_process(tmp_path / "store", tmp_path / "s") as process:
        await client.ping()
        process.kill()
        await process.wait()
        with pytest.raises(StoreUnavailable):
            await client.ping()
        with pytest.raises(StoreUnavailable, match="cannot be reached"):
            await client.ping()
    async with store_process(tmp_path / "store", tmp_path / "s"):
        await client.ping()
    await client.close()


async def test_a_call_that_waits_is_told_when_the_server_dies(tmp_path: Path) -> None:
    """It does not wait for ever."""
    async with store_process(tmp_path / "store", tmp_path / "s") as process:
        client = EdgeClient(tmp_path / "s")
        await client.ping()
        process.send_signal(signal.SIGSTOP)
        waiting = asyncio.create_task(client.ping())
        await asyncio.sleep(0.05)
        process.kill()
        with pytest.raises(StoreUnavailable, match="closed the connection"):
            await asyncio.wait_for(waiting, 120)
        await client.close()


async def test_a_hung_server_holds_nobody_longer_than_they_wait(tmp_path: Path) -> None:
    """Calls time out as their callers say, also new connections; when it wakes, the connection is as good as new."""
    async with store_process(tmp_path / "store", tmp_path / "s") as process:
        client, late = EdgeClient(tmp_path / "s"), EdgeClient(tmp_path / "s")
        await client.put(ANN, [point("a")])
        process.send_signal(signal.SIGSTOP)
        for caller in (client, late, client):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await caller.search(ANN, EAST, words("tea"), now=NOW)
        process.send_signal(signal.SIGCONT)
        assert await recallable(client, ANN) == {"a"}
        assert await recallable(late, ANN) == {"a"}
        await client.close()
        await late.close()


async def test_a_hung_server_does_not_fill_our_memory(tmp_path: Path) -> None:
    """What cannot be sent is refused once tens of megabytes wait."""
    async with store_process(tmp_path / "store", tmp_path / "s") as process:
        client = EdgeClient(tmp_path / "s")
        await client.ping()
        process.send_signal(signal.SIGSTOP)
        megabytes = [asyncio.create_task(client.put(ANN, [point("a", "x" * 2**20)])) for _ in range(100)]
        async with asyncio.timeout(120):
            while sum(each.done() for each in megabytes) <= 40:
                await asyncio.sleep(0.01)
        done = [each for each in megabytes if each.done()]
        waiting = [each for each in megabytes if not each.done()]
        assert len(waiting) > 10
        assert all("too slow" in str(task.exception()) for task in done)
        for task in waiting:
            task.cancel()
        await client.close()


async def test_cancelled_calls_leave_the_others_their_answers(tmp_path: Path) -> None:
    """Many calls on one connection, half of them cancelled at any moment: each of the rest gets its own answer."""
    async with served(tmp_path / "store", tmp_path / "s") as client:
        await client.put(ANN, [point(f"m{i}") for i in range(200)])
        calls = [asyncio.create_task(client.get(ANN, [f"m{i}"])) for i in range(200)]
        for call in random.sample(calls, 100):
            await asyncio.sleep(0)
            call.cancel()
        answers = await asyncio.gather(*calls, return_exceptions=True)
        got = [(i, answer) for i, answer in enumerate(answers) if not isinstance(answer, BaseException)]
        assert len(got) >= 100
        assert all([memory.id for memory in answer] == [f"m{i}"] for i, answer in got)


async def test_a_bug_in_one_call_ends_only_that_call(tmp_path: Path) -> None:
    """The caller gets StoreUnavailable and the connection goes on."""
    async with served(tmp_path / "store", tmp_path / "s") as client:
        with pytest.raises(StoreUnavailable):
            await client.put(ANN, [point("a", dense=["no number"])])  # type: ignore[list-item]
        await client.ping()


async def test_a_hint_to_a_server_that_is_away_or_hangs_costs_nothing(tmp_path: Path) -> None:
    """It is dropped: no error, nothing waits for it, and what follows gets its own answer."""
    await EdgeClient(tmp_path / "nobody").prefetch(ANN, words("tea"), now=NOW)
    async with served(tmp_path / "store", tmp_path / "s") as client:
        await client.put(ANN, [point("a", "I like tea")])
        await client.prefetch(ANN, words("tea"), now=NOW)
        assert (await asked(client, NOW)).ids == ["a"]
        await client.prefetch(ANN, ["no", "words"], now=NOW)  # type: ignore[arg-type]
        assert (await asked(client, NOW)).ids == ["a"]


SAID = "my password is hunter2"
A_DEFECT, AN_OUTAGE = NOW + 1, NOW + 2


class Faulty(EdgeStore):
    """Goes wrong at these times."""

    async def search_all(self, queries: Sequence[Query], *, now: Millis) -> Candidates:
        if now == A_DEFECT:
            raise ZeroDivisionError(f"a defect that quotes {SAID}")
        if now == AN_OUTAGE:
            raise QueueUnavailable("Redis did not answer recently")
        return await super().search_all(queries, now=now)


async def asked(client: EdgeClient, at: Millis) -> Retrieved:
    return await client.retrieve(ANN, EAST, words("tea"), Wanted("my tea?", (), at, None, None, True, (), 600))


async def test_a_defect_in_a_retrieval_ends_only_that_one_and_quotes_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Ranking handles people's words: what is logged, and what the caller is told, names the defect without them. It
    is counted; a part that is down is no defect."""
    store = Faulty.open(tmp_path / "store", dim=DIM, embedder="test")
    async with serving(store, tmp_path / "s"):
        client = EdgeClient(tmp_path / "s")
        await client.put(ANN, [point("a", "I like tea")])
        before = faults()
        calls = [asked(client, each) for each in (NOW, A_DEFECT, NOW, AN_OUTAGE, NOW)]
        first, defect, second, outage, third = await asyncio.gather(*calls, return_exceptions=True)
        assert first == second == third
        assert isinstance(first, Retrieved)
        assert first.ids == ["a"]
        assert isinstance(defect, StoreUnavailable)
        assert "ZeroDivisionError" in str(defect)
        assert isinstance(outage, StoreUnavailable)
        assert str(outage) == "Redis did not answer recently"
        assert faults() == before + 1
        await client.close()
    await store.close()
    assert "retrieve" in caplog.text
    assert "ZeroDivisionError" in caplog.text
    assert "hunter2" not in f"{caplog.text} {defect}"


def faults() -> float:
    return REGISTRY.get_sample_value("rememberd_store_server_faults_total") or 0.0


async def test_the_server_stops_under_open_connections(tmp_path: Path) -> None:
    """A web worker that stays connected does not keep the store's process from ending."""
    store = EdgeStore.open(tmp_path / "store", dim=DIM, embedder="test")
    client = EdgeClient(tmp_path / "s")
    async with serving(store, tmp_path / "s"):
        await client.ping()
    with pytest.raises(StoreUnavailable, match=r"closed the connection|cannot be reached"):
        await client.ping()
    await client.close()
    await store.close()
