"""Turns that wait for a model, in the SQLite file of the queue: one host, one writer process."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from rememberd.memory.serialization import turn_from_json, turn_to_json
from rememberd.ports.queues import DeadLetter, PendingStats, Spent
from rememberd.ports.retry_policy import (
    BATCH,
    DAY_MS,
    DONE_MS,
    FIRST_DELAY_MS,
    GIVE_UP_MS,
    LONGEST_WAIT,
    MAX_ATTEMPTS,
)
from rememberd.storage.sqlite.database import Database, is_erased
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Millis, Space, Turn

LEASE_MS = 300_000  # longer than the three calls for a batch may take

# The states of a turn: due, asked (a call is running), then done, without its text; or dead. A turn that was `read`
# waits for a decision about what a model found in it. `created_at` is when the turn was said, which for an imported
# turn may be years ago; `added` is when it was put here.
#
# Earlier versions had a table `extractions`, which two triggers emptied.
SCHEMA = """
DROP TRIGGER IF EXISTS erased_extractions;
DROP TRIGGER IF EXISTS erased_extractions_again;
DROP TABLE IF EXISTS extractions;
CREATE TABLE IF NOT EXISTS readings (
    turn TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    scope TEXT NOT NULL,
    conversation TEXT,
    created_at INTEGER NOT NULL,
    body BLOB NOT NULL,
    read INTEGER NOT NULL DEFAULT 0,
    added INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'due',
    due INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS readings_by_state ON readings (state, user, scope, conversation, due, added);
CREATE TABLE IF NOT EXISTS extraction_spend (
    user TEXT NOT NULL, day TEXT NOT NULL, tokens INTEGER NOT NULL, PRIMARY KEY (user, day)
) WITHOUT ROWID;
"""

# A tool loop puts the same turn several times; the waiting time begins at the last one.
ADD = """
INSERT INTO readings (turn, user, scope, conversation, created_at, body, added) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET added = excluded.added WHERE state = 'due'
"""
SWEEP = """
DELETE FROM readings
WHERE (state = 'done' AND due < :now - :done)
    OR (state = 'due' AND error = 'over_budget' AND added < :now - :give_up)
"""

ANY_DUE = "SELECT 1 FROM readings WHERE state IN ('due', 'asked') AND due <= ? LIMIT 1"
LAPSE = "UPDATE readings SET state = 'due' WHERE state = 'asked' AND due <= ?"

# One call for each user at a time, so that at most one call goes over the budget.
CONVERSATION = """
SELECT user, scope, conversation FROM readings
WHERE state = 'due' AND due <= :now AND user NOT IN (SELECT user FROM readings WHERE state = 'asked')
GROUP BY user, scope, conversation
HAVING max(added) <= :now - :idle OR min(added) <= :now - :idle * :longest
ORDER BY min(due), min(added) LIMIT 1
"""
ROWS = f"""
SELECT turn, read, attempts, body FROM readings
WHERE user = ? AND scope = ? AND conversation IS ? AND state = 'due' AND due <= ?
ORDER BY attempts > 0, created_at LIMIT {BATCH}
"""  # noqa: S608 - constants only

ASK = "UPDATE readings SET state = 'asked', due = ? WHERE turn = ?"
KEEP = "UPDATE readings SET read = 1, body = ? WHERE turn = ? AND state = 'asked'"
DONE = "UPDATE readings SET state = 'done', body = '', due = ? WHERE turn = ? AND state = 'asked'"
POSTPONE = "UPDATE readings SET state = 'due', due = ?, error = ? WHERE turn = ? AND state = 'asked'"
FAIL = """
UPDATE readings SET attempts = attempts + 1, error = :error, due = :now + (:delay << attempts),
    state = iif(attempts + 1 >= :most, 'dead', 'due')
WHERE turn = :turn AND state = 'asked' RETURNING state
"""
REPLAY = "UPDATE readings SET state = 'due', due = 0, attempts = 0 WHERE state = 'dead'"
RELEASE = """
UPDATE readings SET state = 'due', due = 0, attempts = iif(state = 'dead', 0, attempts)
WHERE state IN ('asked', 'dead')
"""
SPEND = "INSERT INTO extraction_spend VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET tokens = tokens + excluded.tokens"
DEAD = """
SELECT turn, user, scope, created_at, attempts, error FROM readings WHERE state = 'dead' ORDER BY created_at LIMIT ?
"""


class SqliteExtractionQueue:
    """`ExtractionQueue`. `idle_ms` is how long a conversation rests before its turns are read together."""

    def __init__(
        self,
        database: Database,
        *,
        idle_ms: Millis,
        lease_ms: Millis = LEASE_MS,
        clock: Callable[[], Millis] = wall_clock,
    ) -> None:
        self.database, self.idle_ms, self.lease_ms, self.clock = database, idle_ms, lease_ms, clock
        database.declare(SCHEMA)

    async def add(self, turn: Turn) -> None:
        now = self.clock()
        row = (turn.id, *turn.space, turn.source.conversation, turn.created_at, turn_to_json(turn), now)

        def work(db: sqlite3.Connection) -> None:
            if not is_erased(db, turn.space.user, turn.began):
                db.execute(SWEEP, {"now": now, "done": DONE_MS, "give_up": GIVE_UP_MS})
                db.execute(ADD, row)

        await self.database.write(work)

    async def claim(self) -> list[Turn]:
        if not self.database.read(ANY_DUE, (self.clock(),)):
            return []  # read first, so that polling never takes the write lock

        def work(db: sqlite3.Connection) -> list[Turn]:
            now = self.clock()
            db.execute(LAPSE, (now,))
            values = {"now": now, "idle": self.idle_ms, "longest": LONGEST_WAIT}
            found = db.execute(CONVERSATION, values).fetchone()
            rows = db.execute(ROWS, (*found, now)).fetchall() if found else []
            fresh = [row for row in rows if row[2] == 0 and row[1] == rows[0][1]]
            chosen = fresh or rows[:1]
            db.executemany(ASK, [(now + self.lease_ms, turn) for turn, *_ in chosen])
            return [turn_from_json(body) for *_, body in chosen]

        return await self.database.write(work, durable=False)

    async def keep(self, turns: Sequence[Turn]) -> None:
        def work(db: sqlite3.Connection) -> None:
            for turn in turns:
                if turn.found:
                    db.execute(KEEP, (turn_to_json(turn), turn.id))
                else:
                    db.execute(DONE, (self.clock(), turn.id))

        await self.database.write(work)

    async def done(self, turn_ids: Sequence[str]) -> None:
        rows = [(self.clock(), turn_id) for turn_id in turn_ids]
        await self.database.write(lambda db: db.executemany(DONE, rows).rowcount)

    async def fail(self, turn_ids: Sequence[str], error: str) -> int:
        values = {"error": error, "now": self.clock(), "delay": FIRST_DELAY_MS, "most": MAX_ATTEMPTS}

        def work(db: sqlite3.Connection) -> int:
            states = [db.execute(FAIL, {**values, "turn": turn_id}).fetchall() for turn_id in turn_ids]
            return sum(rows == [("dead",)] for rows in states)

        return await self.database.write(work)

    async def defer(self, turn_ids: Sequence[str], delay_ms: Millis, outcome: str) -> None:
        rows = [(self.clock() + delay_ms, outcome, turn_id) for turn_id in turn_ids]
        await self.database.write(lambda db: db.executemany(POSTPONE, rows).rowcount, durable=False)

    async def spent(self, user: str) -> Spent:
        now = self.clock()
        rows = self.database.read("SELECT tokens FROM extraction_spend WHERE user = ? AND day = ?", (user, _day(now)))
        return Spent(rows[0][0] if rows else 0, DAY_MS - now % DAY_MS)

    async def spend(self, user: str, tokens: int) -> None:
        today = _day(self.clock())

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM extraction_spend WHERE day < ?", (today,))
            db.execute(SPEND, (user, today, tokens))

        await self.database.write(work)

    async def erase(self, user: str, at: Millis) -> None:
        await self.database.erase("readings", user, at)

    async def stats(self) -> PendingStats:
        counts = dict(self.database.read("SELECT state, count(*) FROM readings GROUP BY state"))
        spend = self.database.read("SELECT total(tokens) FROM extraction_spend WHERE day = ?", (_day(self.clock()),))
        return PendingStats(counts.get("due", 0) + counts.get("asked", 0), counts.get("dead", 0), int(spend[0][0]))

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        rows = self.database.read(DEAD, (limit,))
        return [DeadLetter(turn_id, Space(user, scope), *rest) for turn_id, user, scope, *rest in rows]

    async def replay(self) -> int:
        return await self._execute(REPLAY)

    async def release(self) -> int:
        """Called when the only writer of this file starts: the processes that held leases are dead. Dead letters are
        tried again, because the cause (such as a model that could not answer) may be gone."""
        return await self._execute(RELEASE)

    async def _execute(self, sql: str) -> int:
        return await self.database.write(lambda db: db.execute(sql).rowcount, durable=False)


def _day(now: Millis) -> str:
    return f"{datetime.fromtimestamp(now / 1000, UTC):%Y-%m-%d}"
