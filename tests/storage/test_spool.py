"""A spooled turn is on the disk: no kill, torn record or full disk loses one that was acknowledged, and none is read
twice."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rememberd.encryption.spool import SealedSpool
from rememberd.errors import QueueUnavailable
from rememberd.memory.serialization import turn_to_json
from rememberd.ports import Spool
from rememberd.storage.spool import FileSpool
from rememberd.types import Space, Turn
from tests.support.queue_contract import turn
from tests.support.sealing import opened


@asynccontextmanager
async def spooling(folder: Path, sealed: bool) -> AsyncIterator[Spool]:
    bare = FileSpool(folder / "spool")
    if not sealed:
        yield bare
        await bare.close()
        return
    async with opened(folder) as keyring:
        spool = SealedSpool(bare, keyring)
        yield spool
        await spool.close()


@pytest.fixture(params=[False, True], ids=["clear", "sealed"])
async def spool(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Spool]:
    async with spooling(tmp_path, request.param) as spool:
        yield spool


async def everything(spool: Spool) -> list[Turn | None]:
    turns: list[Turn | None] = []
    position = 0
    while found := await spool.read(position):
        turns += [each.turn for each in found]
        position = found[-1].end
    return turns


async def test_turns_come_out_whole_and_in_order(spool: Spool) -> None:
    """However many are appended at once; each at the position that its append gave."""
    turns = [turn(f"{n:032x}", user=f"u{n % 3}", text="ä" * (n * 37 % 5_000)) for n in range(300)]
    positions = await asyncio.gather(*(spool.append(each) for each in turns))
    assert positions == sorted(positions)
    assert await everything(spool) == turns
    assert [(await spool.read(at))[0].turn for at in positions[:5]] == turns[:5]


async def test_only_what_was_read_is_cleared(spool: Spool, tmp_path: Path) -> None:
    """A turn that was appended meanwhile stays; afterwards the file is empty, and goes with the spool."""
    await spool.append(turn("a" * 32))
    end = (await spool.read(0))[-1].end
    later = await spool.append(turn("b" * 32))
    assert not await spool.clear(end)
    assert [each and each.id for each in await everything(spool)] == ["a" * 32, "b" * 32]
    assert await spool.clear((await spool.read(later))[-1].end)
    assert await spool.read(0) == []
    assert [path.stat().st_size for path in (tmp_path / "spool").iterdir()] == [0]
    assert await spool.append(turn("c" * 32)) == 0
    assert await spool.clear((await spool.read(0))[-1].end)
    await spool.close()
    assert list((tmp_path / "spool").iterdir()) == []


@pytest.mark.parametrize("sealed", [False, True])
async def test_a_record_torn_at_any_byte_costs_only_itself(tmp_path: Path, sealed: bool) -> None:
    """Cut off at each length, and with each byte of it changed: the turns before it are read, and it is not."""
    turns = [turn(f"{n:032x}") for n in range(3)]
    async with spooling(tmp_path, sealed) as spool:
        positions = [await spool.append(each) for each in turns]
        await spool.close()
        (file,) = (tmp_path / "spool").iterdir()
        whole, last = file.read_bytes(), positions[-1]
        torn = [whole[:length] for length in range(last, len(whole))]
        torn += [whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :] for at in range(last, len(whole), 7)]
        for content in torn:
            file.write_bytes(content)
            (adopted,) = await spool.adopt()
            assert await everything(adopted) == turns[:2]
            assert await adopted.clear(last)
            await adopted.close()
            assert not file.exists()


async def test_a_full_disk_refuses_one_turn_and_spoils_none(spool: Spool, tmp_path: Path) -> None:
    """The append raises, the turns before it and those that fit afterwards are read."""
    await spool.append(turn("a" * 32))
    (file,) = (tmp_path / "spool").iterdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 100, before[1]))
    try:
        with pytest.raises(QueueUnavailable, match="the spool"):
            await spool.append(turn("b" * 32, text="long " * 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    await spool.append(turn("c" * 32))
    assert [each and each.id for each in await everything(spool)] == ["a" * 32, "c" * 32]


async def test_only_the_spools_of_the_dead_are_adopted_and_by_one(spool: Spool, tmp_path: Path) -> None:
    """Three processes are killed while they spool: each acknowledged turn is read once, by one of those who look."""
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.spool_process", str(tmp_path / "spool"), user,
            stdout=asyncio.subprocess.PIPE,
        )
        for user in ("ada", "bob", "cid")
    ]  # fmt: skip
    acknowledged: set[str] = set()
    for process in processes:
        assert process.stdout is not None
        acknowledged |= {(await process.stdout.readline()).decode().strip() for _ in range(50)}
    bare = [FileSpool(tmp_path / "spool") for _ in range(3)]
    assert [await each.adopt() for each in bare] == [[], [], []]
    for process in processes:
        process.kill()
        assert process.stdout is not None
        acknowledged |= set((await process.stdout.read()).decode().split())
        await process.wait()
    adopted = [each for found in await asyncio.gather(*(each.adopt() for each in bare)) for each in found]
    ids = [each.id for one in adopted for each in await everything(one) if each is not None]
    assert len(adopted) == 3
    assert len(ids) == len(set(ids))
    assert acknowledged <= set(ids)


async def test_what_is_spooled_is_sealed_and_ends_with_its_user(tmp_path: Path) -> None:
    """With the user's own key; with the root's only for one who has none yet. No word of it can be read. (Words of
    three letters stand in sealed bytes by chance.)"""
    async with opened(tmp_path) as keyring:
        spool = SealedSpool(FileSpool(tmp_path / "spool"), keyring)
        await keyring.own("ada lovelace")
        users = {"a" * 32: "ada lovelace", "b" * 32: "a newcomer"}
        turns = [turn(turn_id, user=user, text="a plain word") for turn_id, user in users.items()]
        for each in turns:
            await spool.append(each)
        (file,) = (tmp_path / "spool").iterdir()
        assert not any(word in file.read_bytes() for word in (b"plain word", b"lovelace", b"newcomer", b"a" * 32))
        assert await everything(spool) == turns
        await keyring.delete_key("ada lovelace")
        assert await everything(spool) == [None, turns[1]]


async def test_a_spool_can_be_read_by_the_next_process_only_with_its_keys(tmp_path: Path) -> None:
    """Sealed by one process, opened by another of the same data directory."""
    async with spooling(tmp_path, sealed=True) as spool:
        await spool.append(turn("a" * 32, user=Space("ada").user))
        await spool.close()
    async with spooling(tmp_path, sealed=True) as spool:
        (adopted,) = await spool.adopt()
        assert [each and each.id for each in await everything(adopted)] == ["a" * 32]
        await adopted.close()


async def test_dead_letters_are_listed_replayed_and_erased(spool: Spool, tmp_path: Path) -> None:
    """Whole; one that is refused again stays; an erased user's are gone from the disk."""
    for user in ("ada", "bob", "eve"):
        await spool.dead_letter(turn(f"t-{user}", user=user, text=f"words of {user}"), "ValueError")
    assert [(each.turn_id, each.space.user, each.error) for each in await spool.dead()] == [
        (f"t-{user}", user, "ValueError") for user in ("ada", "bob", "eve")
    ]
    await spool.erase("eve")
    seen: list[Turn] = []

    async def put(each: Turn) -> bool:
        seen.append(each)
        return each.space.user == "ada"

    assert await spool.replay(put) == 1
    assert [each.user_text for each in seen] == ["words of ada", "words of bob"]
    assert [each.space.user for each in await spool.dead()] == ["bob"]
    assert len(list((tmp_path / "spool").glob("*.dead"))) == 1


async def test_a_record_of_another_version_is_a_dead_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is spooled before and behind it is read; with that version again it can be replayed."""
    first = FileSpool(tmp_path / "spool")
    await first.append(turn("t-1"))
    with monkeypatch.context() as patch:
        newer = turn_to_json(turn("t-2")).replace(b'"receipt"', b'"unknown"')
        patch.setattr("rememberd.storage.spool.turn_to_json", lambda turn: newer)
        await first.append(turn("t-2"))
    await first.append(turn("t-3"))
    found = await everything(first)
    assert [each and each.id for each in found] == ["t-1", None, "t-3"]
    (letter,) = await first.dead()
    assert "cannot read it" in letter.error
    assert await first.replay(lambda turn: pytest.fail("it cannot be read")) == 0
    await first.close()
