"""A store's folder belongs to one process and one embedder, and never meets a full disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from rememberd.errors import ConfigError, StoreUnavailable
from rememberd.storage.edge.folder import engine
from rememberd.storage.edge.store import EdgeStore
from tests.support.store_contract import ANN, DIM, EAST, NORTH, NOW, listed, point, recallable, words


async def test_what_was_closed_opens_again(tmp_path: Path) -> None:
    """Memories, tombstones and search survive a stop and a start."""
    store = EdgeStore.open(tmp_path, dim=DIM, embedder="test")
    await store.put(ANN, [point("a"), point("b")])
    await store.delete(ANN, ["b"], at=NOW)
    await store.close()
    store = EdgeStore.open(tmp_path, dim=DIM, embedder="test")
    assert await recallable(store, ANN) == {"a"}
    assert await store.deleted_at(ANN, ["b"]) == {"b": NOW}
    await store.close()


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="only Linux lists the pages of a process")
async def test_an_open_store_takes_the_memory_that_it_uses(tmp_path: Path) -> None:
    """The engine maps 47 MB of files; their pages come into the process only when they are read or written."""
    store = EdgeStore.open(tmp_path, dim=DIM, embedder="test")
    await store.put(ANN, [point("a")])
    resident, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if " r--s " in line or " rw-s " in line:
            inside = f"{tmp_path}/" in line
        elif inside and line.startswith("Rss:"):
            resident += int(line.split()[1])
            inside = False
    assert resident < 8 * 1024
    assert await recallable(store, ANN) == {"a"}
    await store.close()


async def test_a_second_opener_is_told_who_has_it(tmp_path: Path) -> None:
    """The error names the process to stop, and the first opener goes on undisturbed."""
    store = EdgeStore.open(tmp_path, dim=DIM, embedder="test")
    with pytest.raises(ConfigError, match=f"in use by process {os.getpid()}"):
        EdgeStore.open(tmp_path, dim=DIM, embedder="test")
    await store.put(ANN, [point("a")])
    await store.close()


@pytest.mark.parametrize(("embedder", "dim"), [("other", DIM), ("test", DIM + 1)])
async def test_another_embedders_store_is_refused(tmp_path: Path, embedder: str, dim: int) -> None:
    """Vectors of two models cannot be compared: the error says which one made these, and the folder is free again."""
    await EdgeStore.open(tmp_path, dim=DIM, embedder="test").close()
    with pytest.raises(ConfigError, match=r"embedded with test \(4 dimensions\)"):
        EdgeStore.open(tmp_path, dim=dim, embedder=embedder)
    await EdgeStore.open(tmp_path, dim=DIM, embedder="test").close()


async def test_what_an_earlier_version_kept_is_refused(tmp_path: Path) -> None:
    """Its points lie in other places: the error says how to bring them over, nothing is touched, and the folder is
    free again."""
    await EdgeStore.open(tmp_path, dim=DIM, embedder="test").close()
    (tmp_path / "embedder.json").write_text(f'{{"name":"test","dim":{DIM}}}')
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.name != "lock"}
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"by another version of rememberd: .*memories export"):
            EdgeStore.open(tmp_path, dim=DIM, embedder="test")
    assert before == {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.name != "lock"}


async def test_a_creation_cut_short_is_done_again(tmp_path: Path) -> None:
    """A process killed while it made the folder leaves nothing that the next one trips over."""
    (tmp_path / "shard.new" / "segments").mkdir(parents=True)
    (tmp_path / "shard.new" / "segments" / "half").write_bytes(b"x")
    store = EdgeStore.open(tmp_path, dim=DIM, embedder="test")
    await store.put(ANN, [point("a")])
    assert await recallable(store, ANN) == {"a"}
    await store.close()


async def test_a_full_disk_stops_writes_and_not_searches(tmp_path: Path) -> None:
    """Below the floor every write is refused, for the engine would be killed; recall goes on. It is not ready."""
    store = EdgeStore.open(tmp_path, dim=DIM, embedder="test")
    await store.put(ANN, [point("a")])
    await store.close()
    store = EdgeStore.open(tmp_path, dim=DIM, embedder="test", min_free_bytes=2**62)
    for write in (
        store.put(ANN, [point("b")]),
        store.delete(ANN, ["a"], at=NOW),
        store.erase("ann"),
        store.flush(),
        store.ping(),
    ):
        with pytest.raises(StoreUnavailable, match="full"):
            await write
    assert await recallable(store, ANN) == {"a"}
    assert await listed(store, ANN) == ["a"]
    with pytest.raises(StoreUnavailable, match="full"):
        await store.close()
    await EdgeStore.open(tmp_path, dim=DIM, embedder="test").close()


async def test_a_full_disk_does_not_stop_deletions(tmp_path: Path) -> None:
    """A reserve is kept for them: what people want gone goes, and the tombstone is written."""
    store = EdgeStore.open(tmp_path, dim=DIM, embedder="test")
    await store.put(ANN, [point("a"), point("b")])
    await store.close()
    free = shutil.disk_usage(tmp_path).free
    store = EdgeStore.open(tmp_path, dim=DIM, embedder="test", min_free_bytes=2 * free)
    with pytest.raises(StoreUnavailable, match="full"):
        await store.put(ANN, [point("c")])
    assert await store.delete(ANN, ["a"], at=NOW) == ["a"]
    assert await store.deleted_at(ANN, ["a"]) == {"a": NOW}
    assert await store.erase("ann") == 1
    with pytest.raises(StoreUnavailable, match="full"):
        await store.close()


async def test_optimising_changes_no_answer(tmp_path: Path) -> None:
    """It waits until it pays, and afterwards the same memories come back with the same scores."""
    store = EdgeStore.open(tmp_path, dim=DIM, embedder="test")
    await store.put(ANN, [point(f"m{i}", f"tea {i}", EAST if i % 2 else NORTH) for i in range(300)])
    await store.delete(ANN, [f"m{i}" for i in range(0, 300, 3)], at=NOW)
    before = await store.search(ANN, EAST, words("tea"), now=NOW)
    assert not await store.optimize()
    assert await store.optimize(above=100)
    after = await store.search(ANN, EAST, words("tea"), now=NOW)
    scores = {each.id: (round(each.dense, 5), round(each.bm25, 3)) for each in before}
    assert scores == {each.id: (round(each.dense, 5), round(each.bm25, 3)) for each in after}
    assert len(after) == 200
    await store.close()


async def test_the_store_knows_how_long_nobody_asked(tmp_path: Path) -> None:
    """A question starts the quiet anew; writing and what the writer reads do not, so that a flush can wait until it
    disturbs nobody, and learning until nobody waits."""
    store = EdgeStore.open(tmp_path, dim=DIM, embedder="test")
    await store.put(ANN, [point("a")])
    await recallable(store, ANN)
    undisturbed = store.quiet_for()
    store.asked()
    assert store.quiet_for() < undisturbed
    await store.close()


async def test_a_shard_that_lost_its_segments_takes_memories_again_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The engine would make an empty one without indexes, in which no list works."""
    await EdgeStore.open(tmp_path, dim=4, embedder="four").close()
    shutil.rmtree(tmp_path / "shard" / "segments")
    store = EdgeStore.open(tmp_path, dim=4, embedder="four")
    assert "had lost its indexes" in caplog.text
    assert await store.page(ANN, limit=10, now=0) == ([], None)
    await store.close()


@pytest.mark.parametrize(
    "value", ['"Zwitscherling"', '{"text": "Zwitscherling"}', "[Zwitscherling]", "`Zwitscherling`"]
)
def test_what_the_engine_quotes_is_not_told(value: str, caplog: pytest.LogCaptureFixture) -> None:
    """Its reason is, up to there: a text in it may be a memory."""
    with pytest.raises(StoreUnavailable) as raised, engine():
        raise Exception(f"Service internal error: no such value {value} (os error 5)")
    for told in (str(raised.value), caplog.text):
        assert "Service internal error: no such value" in told
        assert "Zwitscherling" not in told
