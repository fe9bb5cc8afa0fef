"""The SQLite queue keeps what every queue promises, and what its one file adds."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rememberd.errors import QueueUnavailable
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.queue import SqliteQueue
from tests.support.queue_contract import LEASE_MS, Clock, QueueContract, claimed, turn

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def queue(tmp_path: Path, clock: Clock) -> AsyncIterator[SqliteQueue]:
    queue = SqliteQueue(Database(tmp_path / "queue.db", busy_s=0.2), lease_ms=LEASE_MS, clock=clock)
    yield queue
    await queue.close()


class TestContract(QueueContract):
    pass


async def putter(path: Path, prefix: str, count: int, concurrent: int) -> asyncio.subprocess.Process:
    argv = ["-m", "tests.support.queue_process", str(path), prefix, str(count), str(concurrent)]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, *argv, cwd=ROOT, stdin=pipe, stdout=pipe)
    assert process.stdout
    assert await process.stdout.readline() == b"ready\n"
    return process


async def test_puts_that_wait_share_commits(queue: SqliteQueue) -> None:
    """200 puts at once cost a handful of disk syncs, not 200."""
    await asyncio.gather(*(queue.put(turn(f"t{n}")) for n in range(200)))
    assert queue.database.commits <= 5
    assert (await queue.stats()).depth == 200


async def test_two_processes_put_at_the_same_time(queue: SqliteQueue) -> None:
    """Two web workers that start on a new file together and put 200 turns each lose none, and fail none."""
    processes = [await putter(queue.database.path, prefix, 200, 200) for prefix in ("a", "b")]
    results = await asyncio.gather(*(process.communicate(b"\n") for process in processes))
    assert [process.returncode for process in processes] == [0, 0]
    assert [len(out.split()) for out, _ in results] == [200, 200]
    assert (await queue.stats()).depth == 400


@pytest.mark.parametrize("after", [1, 40, 150])
async def test_kill_9_loses_no_acknowledged_put(queue: SqliteQueue, after: int) -> None:
    """A web process killed in the middle of its puts: every turn it had acknowledged is there."""
    process = await putter(queue.database.path, "t", 100_000, 8)
    assert process.stdin
    assert process.stdout
    process.stdin.write(b"\n")
    acknowledged = [(await process.stdout.readline()).decode().strip() for _ in range(after)]
    process.kill()
    rest = (await process.stdout.read()).decode().split("\n")
    acknowledged += rest[:-1]  # the last line may be cut
    await process.wait()
    process.stdin.close()
    assert len(acknowledged) >= after
    assert set(acknowledged) <= set(await claimed(queue, limit=100_000))


async def test_release_returns_a_dead_writers_leases_at_once(queue: SqliteQueue) -> None:
    """A writer that starts anew need not wait for the leases of the one that was killed."""
    await queue.put(turn("t1"))
    await queue.put(turn("t2"))
    await queue.claim(10)
    await queue.settle(["t1"])
    await queue.claim(10)
    assert await queue.release() == 2
    assert await claimed(queue) == ["t1"]


async def test_a_locked_file_is_an_error_not_a_hang(queue: SqliteQueue) -> None:
    """While another process holds the file reads go on, and waiting puts fail with the reason; then they work."""
    await queue.put(turn("t0"))
    other = sqlite3.connect(queue.database.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert await queue.alive("t0")
    puts = (queue.put(turn(f"t{n}")) for n in range(1, 4))
    errors = await asyncio.wait_for(asyncio.gather(*puts, return_exceptions=True), 120)
    other.execute("ROLLBACK")
    other.close()
    assert [type(error) for error in errors] == [QueueUnavailable] * 3
    assert "locked" in str(errors[0])
    assert await queue.put(turn("t1"))
    assert (await queue.stats()).depth == 2


async def test_a_full_disk_is_an_error_and_keeps_what_is_there(queue: SqliteQueue) -> None:
    """When the file cannot grow, puts fail with the reason, reads go on, and with room again puts do too."""
    await queue.put(turn("t0"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = sum(path.stat().st_size for path in queue.database.path.parent.glob("queue.db-wal"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 8192, hard))
    try:
        with pytest.raises(QueueUnavailable, match=r"queue\.db"):
            await queue.put(turn("big", text="x" * 1_000_000))
        assert await queue.alive("t0")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert await queue.put(turn("big", text="x" * 1_000_000))
    assert (await queue.stats()).depth == 2


async def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    """A corrupt file is named, and never overwritten."""
    path = tmp_path / "queue.db"
    path.write_bytes(b"not a database, but somebody's file" * 100)
    queue = SqliteQueue(Database(path))
    with pytest.raises(QueueUnavailable, match=r"queue\.db: file is not a database"):
        await queue.put(turn("t1"))
    with pytest.raises(QueueUnavailable, match=r"queue\.db: file is not a database"):
        await queue.stats()
    await queue.close()
    assert path.read_bytes().startswith(b"not a database")


async def test_a_repaired_file_is_taken_up_again(tmp_path: Path) -> None:
    """Once the operator has moved a corrupt file away, the queue works without a restart."""
    path = tmp_path / "queue.db"
    path.write_bytes(b"garbage" * 1000)
    queue = SqliteQueue(Database(path))
    with pytest.raises(QueueUnavailable):
        await queue.put(turn("t1"))
    path.unlink()
    assert await queue.put(turn("t1"))
    assert (await queue.stats()).depth == 1
    await queue.close()


async def test_a_cancelled_put_harms_nobody(queue: SqliteQueue) -> None:
    """A put given up at its deadline breaks neither the puts beside it nor those after it."""
    other = sqlite3.connect(queue.database.path, isolation_level=None)
    await queue.put(turn("t0"))
    other.execute("BEGIN IMMEDIATE")
    impatient = asyncio.create_task(queue.put(turn("t1")))
    patient = asyncio.create_task(queue.put(turn("t2")))
    await asyncio.sleep(0.01)
    impatient.cancel()
    other.execute("ROLLBACK")
    other.close()
    assert await patient
    assert await queue.put(turn("t3"))
    assert await queue.alive("t2")


async def test_text_that_is_no_unicode_fails_alone(queue: SqliteQueue) -> None:
    """One turn that cannot be written down does not take the turns beside it along."""
    puts = (
        queue.put(turn("t1")),
        queue.put(turn("t2", text="\ud800")),
        queue.put(turn("\ud800")),
        queue.put(turn("t3")),
    )
    results = await asyncio.gather(*puts, return_exceptions=True)
    assert [isinstance(each, Exception) for each in results] == [False, True, True, False]
    assert (await queue.stats()).depth == 2


async def test_work_that_fails_is_undone_alone(queue: SqliteQueue) -> None:
    """Half-done work leaves no trace, and what shared its transaction stands."""

    def half(db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM turns")
        raise KeyError("half")

    await queue.put(turn("t1"))
    results = await asyncio.gather(queue.database.write(half), queue.put(turn("t2")), return_exceptions=True)
    assert isinstance(results[0], KeyError)
    assert (await queue.stats()).depth == 2


async def test_a_statement_that_fails_does_not_block_the_next(queue: SqliteQueue) -> None:
    """After an error inside a transaction the file is usable at once."""

    def wrong(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO turns (id) VALUES (NULL)")

    await queue.put(turn("t1"))
    with pytest.raises(QueueUnavailable, match="NOT NULL"):
        await queue.database.write(wrong)
    assert await queue.put(turn("t2"))


async def test_an_erased_text_is_not_on_the_disk(queue: SqliteQueue) -> None:
    """After an erasure neither the database nor its log holds the words."""
    await queue.put(turn("t1", text="my secret is xyzzy"))
    files = list(queue.database.path.parent.iterdir())
    assert any(b"xyzzy" in path.read_bytes() for path in files)
    await queue.erase("ada", at=1)
    assert not any(b"xyzzy" in path.read_bytes() for path in files)


HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.lockf(file, fcntl.LOCK_EX, 1, 121)  # SQLite's WAL_CKPT_LOCK, in the shared-memory file
print("held", flush=True)
sys.stdin.read()
"""


async def test_an_erasure_waits_for_another_process_that_tidies_the_log(tmp_path: Path) -> None:
    """SQLite itself gives up at once there; under load one erasure in twenty was answered 503 with all deleted."""
    queue = SqliteQueue(Database(tmp_path / "queue.db", busy_s=20), lease_ms=LEASE_MS)
    await queue.put(turn("t1"))
    pipe, shared = asyncio.subprocess.PIPE, f"{queue.database.path}-shm"
    other = await asyncio.create_subprocess_exec(sys.executable, "-c", HOLDER, shared, stdin=pipe, stdout=pipe)
    assert other.stdout
    assert await other.stdout.readline() == b"held\n"
    erasing = asyncio.create_task(queue.erase("ada", at=1))
    assert not (await asyncio.wait({erasing}, timeout=0.5))[0]
    await other.communicate(b"")
    assert await erasing == 1
    await queue.close()


async def test_nobody_waits_while_what_another_deleted_is_wiped(tmp_path: Path) -> None:
    """A reader is in the way of the wiping: turns are put all the same, and also those of another process. Erasures
    under load had kept every writer waiting for seconds."""
    queue, other = (SqliteQueue(Database(tmp_path / "queue.db", busy_s=60)) for _ in range(2))
    await queue.put(turn("t1"))
    reader = sqlite3.connect(tmp_path / "queue.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM turns").fetchall()
    erasing = [asyncio.create_task(queue.erase(user, at=1)) for user in ("ada", "bob")]
    for number in range(20):
        assert await (queue, other)[number % 2].put(turn(f"later {number}", user="eve"))
    assert not any(each.done() for each in erasing)
    reader.close()
    assert await asyncio.gather(*erasing) == [1, 0]
    await queue.close()
    await other.close()


async def test_only_the_owner_can_read_the_file(queue: SqliteQueue) -> None:
    """Turns are private: the database and its companions have mode 0600."""
    await queue.put(turn("t1"))
    modes = {path.stat().st_mode & 0o777 for path in queue.database.path.parent.iterdir()}
    assert modes == {0o600}


async def test_closing_keeps_what_waits(tmp_path: Path) -> None:
    """Puts that wait when the queue closes are kept; later ones are refused."""
    queue = SqliteQueue(Database(tmp_path / "queue.db"))
    puts = [asyncio.create_task(queue.put(turn(f"t{n}"))) for n in range(10)]
    await asyncio.sleep(0)
    await queue.close()
    assert all(await asyncio.gather(*puts))
    with pytest.raises(QueueUnavailable, match="closed"):
        await queue.put(turn("late"))
    again = SqliteQueue(Database(tmp_path / "queue.db"))
    assert (await again.stats()).depth == 10
    await again.close()


async def test_no_file_holds_the_words_of_a_finished_turn(tmp_path: Path) -> None:
    """While the queue is open; a reader that was in the way delays it to the next turn."""
    queue = SqliteQueue(Database(tmp_path / "queue.db", busy_s=0.1))
    reader = sqlite3.connect(tmp_path / "queue.db", isolation_level=None)
    for number, busy in enumerate((False, True, False)):
        await queue.put(turn(f"t{number}", text=f"Zwitscherling {number}", answer="Zwitscherling"))
        if busy:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM turns").fetchall()
        (claim,) = await queue.claim(1)
        await queue.settle([claim.turn.id])
        await queue.ack([claim.turn.id])
        if busy:
            reader.execute("COMMIT")
            continue
        assert [path.name for path in tmp_path.iterdir() if b"Zwitscherling" in path.read_bytes()] == []
    reader.close()
    await queue.close()
