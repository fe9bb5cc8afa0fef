"""One SQLite file of a host, shared by its processes: writes share commits in one thread, reads are immediate."""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from rememberd import __version__
from rememberd.errors import QueueUnavailable
from rememberd.storage.format_version import FORMAT

T = TypeVar("T")

# Shorter than SQLite's own wait for a lock, which is 100 ms: a process that commits all the time would then hardly
# ever let others write, and would wait for readers while it holds the lock of all writers.
_BETWEEN_TRIES_S, _BETWEEN_WIPES_S = 0.002, 0.025
_PATIENCE_S = 0.05  # at 1,000 requests/s, fifty writes share a commit

ERASED = "CREATE TABLE IF NOT EXISTS erased (user TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;"
MADE_BY = """CREATE TABLE IF NOT EXISTS made_by
(one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, version TEXT NOT NULL);"""
COPY_BUSY_S = 5.0


def mark_erased(db: sqlite3.Connection, user: str, at: int) -> None:
    """From now on, refuse everything of this user that began at or before `at` (`is_erased`)."""
    db.execute("INSERT INTO erased VALUES (?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)", (user, at))


def is_erased(db: sqlite3.Connection, user: str, began: int) -> bool:
    return bool(db.execute("SELECT 1 FROM erased WHERE user = ? AND at >= ?", (user, began)).fetchall())


@dataclass(eq=False, slots=True)
class _Job(Generic[T]):
    work: Callable[[sqlite3.Connection], T]
    durable: bool
    scrub: bool
    future: asyncio.Future[T]
    result: T | None = None
    error: Exception | None = None
    wipes: int = 0  # how often its wiping was tried


class Database:
    """`busy_s` is how long a write waits for another process. All callers of one instance run on one event loop.
    A `read_only` database changes nothing on the disk and creates no file.

    Raises `QueueUnavailable` with SQLite's reason (locked, disk full, not a database); the next call tries again."""

    def __init__(self, path: Path, *, busy_s: float = 2.0, read_only: bool = False) -> None:
        self.path, self.busy_s, self.read_only = path, busy_s, read_only
        self.commits = 0
        self._schema = ERASED + MADE_BY
        self._jobs: queue.SimpleQueue[list[_Job[Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._synchronous = ""
        self._closed = False
        self._resting: list[_Job[Any]] = []
        self._waking: asyncio.TimerHandle | None = None

    def declare(self, schema: str) -> None:
        """Adds CREATE … IF NOT EXISTS statements; before the first read or write."""
        self._schema += schema

    async def write(
        self,
        work: Callable[[sqlite3.Connection], T],
        *,
        durable: bool = True,
        scrub: bool = False,
        patient: bool = False,
    ) -> T:
        """Run `work` in a transaction, together with the other writes that wait. When this returns, the write
        survives kill -9 and, if `durable`, a power cut. `scrub` also wipes the deleted bytes from SQLite's log; it
        raises if they are deleted but not wiped. Other writes do not wait for the wiping. A `patient` write waits up
        to 50 ms for another write to share its commit. A cancelled write may still be committed."""
        if self._closed or self.read_only:
            raise QueueUnavailable(f"{self.path.name} is {'closed' if self._closed else 'opened for reading only'}")
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="sqlite", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._resting.append(_Job(work, durable, scrub, future))
        if not patient:
            self._wake()
        elif self._waking is None:
            self._waking = loop.call_later(_PATIENCE_S, self._wake)
        return await future

    def _wake(self) -> None:
        """Hand all waiting writes to the thread, in the order of their calls."""
        if self._waking is not None:
            self._waking.cancel()
            self._waking = None
        self._jobs.put(self._resting)
        self._resting = []

    def read(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """All rows, read on the caller's thread. For look-ups by index, which take tens of microseconds."""
        try:
            if self._reader is None:
                self._reader = self._connect(busy_s=0.05)
            # All rows at once: an unfinished SELECT would keep its snapshot, and SQLite could not shorten the log.
            return self._reader.execute(sql, values).fetchall()
        except (sqlite3.Error, OSError) as error:
            _close(self._reader)
            self._reader = None
            raise QueueUnavailable(f"{self.path.name}: {error}") from error

    async def erase(self, table: str, user: str, at: int) -> int:
        """Delete and wipe the user's rows of `table`, and mark the user as erased. Returns the number of rows."""

        def work(db: sqlite3.Connection) -> int:
            mark_erased(db, user, at)
            return db.execute(f"DELETE FROM {table} WHERE user = ?", (user,)).rowcount  # noqa: S608 - a name of ours

        return await self.write(work, scrub=True)

    async def close(self) -> None:
        """Commit the waiting writes, then close."""
        self._closed = True
        if self._thread is not None:
            self._wake()
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)
        _close(self._reader)
        self._reader = None

    def _serve(self) -> None:
        more, unwiped, next_wipe = True, list[_Job[Any]](), 0.0
        while more or unwiped:
            jobs, ended = self._next_jobs(max(0.0, next_wipe - time.monotonic()) if unwiped else None)
            more = more and not ended
            if jobs:
                self._commit(jobs)
                unwiped += [job for job in jobs if job.scrub and job.error is None]
                _deliver([job for job in jobs if job not in unwiped])
            if unwiped and time.monotonic() >= next_wipe:
                over = self._wiped(unwiped)
                next_wipe = time.monotonic() + _BETWEEN_WIPES_S
                _deliver(over)
                unwiped = [job for job in unwiped if job not in over]
        _close(self._writer)

    def _next_jobs(self, seconds: float | None) -> tuple[list[_Job[Any]], bool]:
        """The writes that wait or come within `seconds`; and whether the database is to be closed."""
        jobs: list[_Job[Any]] = []
        with suppress(queue.Empty):
            more = self._jobs.get(timeout=seconds)
            while more is not None:
                jobs += more
                more = self._jobs.get_nowait()
            return jobs, True
        return jobs, False

    def _commit(self, jobs: list[_Job[Any]]) -> None:
        try:
            db = self._begin("FULL" if any(job.durable for job in jobs) else "NORMAL")
            for job in jobs:
                _run(job, db)
            db.execute("COMMIT")
            self.commits += 1
        except (sqlite3.Error, OSError) as error:
            self._failed(jobs, f"{self.path.name}: {error}")

    def _failed(self, jobs: list[_Job[Any]], reason: str) -> None:
        """Close the connection, which rolls back. A new one also finds a file that was repaired or replaced."""
        for job in jobs:
            job.error = QueueUnavailable(reason)
        _close(self._writer)
        self._writer = None

    def _wiped(self, jobs: list[_Job[Any]]) -> list[_Job[Any]]:
        """Try once to move the log into the file and to truncate it: then the deleted bytes are in neither. Returns
        the jobs that are finished: all if this worked, otherwise those that have waited for `busy_s`, with an
        error."""
        try:
            if not self._connected().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                return jobs
        except (sqlite3.Error, OSError) as error:
            self._failed(jobs, f"{self.path.name}: {error}")
            return jobs
        for job in jobs:
            job.wipes += 1
        late = [job for job in jobs if job.wipes * _BETWEEN_WIPES_S >= self.busy_s]
        for job in late:
            job.error = QueueUnavailable("deleted, but the log could not be wiped because another process reads it")
        return late

    def _begin(self, synchronous: str) -> sqlite3.Connection:
        db, tries = self._connected(), 0
        if self._synchronous != synchronous:
            db.execute(f"PRAGMA synchronous = {synchronous}")
            self._synchronous = synchronous
        while True:
            try:
                return db.execute("BEGIN IMMEDIATE").connection
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or tries * _BETWEEN_TRIES_S > self.busy_s:
                    raise
            tries += 1  # tries, not seconds: on a busy machine a write does not give up after a few tries
            time.sleep(_BETWEEN_TRIES_S)

    def _connected(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer, self._synchronous = self._connect(self.busy_s), ""
            self._writer.execute("PRAGMA busy_timeout = 0")
        return self._writer

    def _connect(self, busy_s: float) -> sqlite3.Connection:
        if self.read_only:
            return open_read_only(self.path, busy_s)
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.path.touch(mode=0o600)
        db = sqlite3.connect(self.path, timeout=busy_s, isolation_level=None, check_same_thread=False)
        try:
            _use_wal(db, busy_s)
            db.executescript(f"PRAGMA secure_delete = ON; {self._schema}")
            if not db.execute("SELECT 1 FROM made_by").fetchall():
                db.execute("INSERT OR IGNORE INTO made_by VALUES (1, ?, ?)", (FORMAT, __version__))
        except sqlite3.Error:
            db.close()
            raise
        return db


def copy_database(source: Path, target: Path) -> None:
    """Copy an SQLite file consistently by SQLite's online backup, although others write to it meanwhile."""
    old, new = open_read_only(source, COPY_BUSY_S), sqlite3.connect(target)
    try:
        old.backup(new)
    finally:
        old.close()
        new.close()


def open_read_only(path: Path, busy_s: float) -> sqlite3.Connection:
    """A file without a log is complete. It is opened as `immutable`, so that SQLite creates no log for it."""
    log = path.with_name(f"{path.name}-wal")
    how = "mode=ro" if log.exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=busy_s, isolation_level=None)


def _use_wal(db: sqlite3.Connection, busy_s: float) -> None:
    """Processes that switch a new file to WAL at the same moment get "locked" at once, without SQLite's own wait."""
    until = time.monotonic() + busy_s
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.005)


def _run(job: _Job[Any], db: sqlite3.Connection) -> None:
    """An error in the job itself (such as text that SQLite cannot store) rolls back this job only. An error of SQLite
    fails all jobs of the transaction."""
    db.execute("SAVEPOINT job")
    try:
        job.result = job.work(db)
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001 - nothing is swallowed: the caller that awaits the job gets it
        job.error = error
        db.execute("ROLLBACK TO job")
    db.execute("RELEASE job")


def _deliver(jobs: list[_Job[Any]]) -> None:
    with suppress(RuntimeError, IndexError):  # the loop is closed, so that nobody waits; or there are no jobs
        jobs[0].future.get_loop().call_soon_threadsafe(_resolve, jobs)


def _resolve(jobs: list[_Job[Any]]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)


def _close(db: sqlite3.Connection | None) -> None:
    if db is not None:
        db.close()
