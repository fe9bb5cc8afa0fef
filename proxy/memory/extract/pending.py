"""Turns whose facts a model has yet to find: durable, in the SQLite file of the queue."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import orjson
from prometheus_client import Counter

from proxy.memory.database import Database, is_erased
from proxy.memory.extract.gate import own_words, personal
from proxy.memory.ids import fact_id
from proxy.types import Fact, Millis, Source, Space, Turn, Verdicts

BATCH = 8  # turns of one call: 8 times at most 2,000 characters, some 4,000 tokens
MAX_ATTEMPTS = 5
FIRST_DELAY_MS = 2_000  # doubled with every attempt
LEASE_MS = 300_000  # longer than the three calls for a batch may take
LONGEST_WAIT = 15  # times the idle time: a conversation that never rests is read all the same
DONE_MS = 3_600_000  # for so long a turn that comes again (a tool loop, a replay) is known to have been read
GIVE_UP_MS = 7 * 86_400_000  # a turn that has waited for the budget this long is not read any more

TURNS = Counter("rememberd_extractions", "Turns for model extraction by what became of them.", ["outcome"])
TOKENS = Counter("rememberd_extraction_tokens", "Tokens spent on model extraction.")

# A turn is due, asked (a call is running), answered, stored (not flushed), then done, and its text is gone; or dead.
# One that has facts while it is due or asked was read already, and waits for a decision about them.
# Whatever erases a user in this file erases these rows with it, also those of a call that is running.
SCHEMA = """
CREATE TABLE IF NOT EXISTS extractions (
    turn TEXT PRIMARY KEY,
    user TEXT NOT NULL,
    scope TEXT NOT NULL,
    conversation TEXT,
    model TEXT,
    client TEXT,
    speaker TEXT,
    receipt TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    text TEXT NOT NULL,
    added INTEGER NOT NULL,
    state TEXT NOT NULL DEFAULT 'due',
    due INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    error TEXT NOT NULL DEFAULT '',
    facts BLOB NOT NULL DEFAULT '[]'
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS extractions_by_state ON extractions (state, user, scope, conversation, due, added);
CREATE TABLE IF NOT EXISTS extraction_spend (
    user TEXT NOT NULL, day TEXT NOT NULL, tokens INTEGER NOT NULL, PRIMARY KEY (user, day)
) WITHOUT ROWID;
CREATE TRIGGER IF NOT EXISTS erased_extractions AFTER INSERT ON erased
BEGIN DELETE FROM extractions WHERE user = NEW.user AND created_at <= NEW.at; END;
CREATE TRIGGER IF NOT EXISTS erased_extractions_again AFTER UPDATE ON erased
BEGIN DELETE FROM extractions WHERE user = NEW.user AND created_at <= NEW.at; END;
"""

# `created_at` is when it was said, of an imported turn years ago; `added` is when it came here. A tool loop puts its
# turn again and again; the conversation is idle only after the last.
ADD = """
INSERT INTO extractions (turn, user, scope, conversation, model, client, speaker, receipt, created_at, text, added)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET added = excluded.added WHERE state = 'due'
"""
SWEEP = """
DELETE FROM extractions
WHERE (state = 'done' AND due < :now - :done)
    OR (state = 'due' AND error = 'over_budget' AND added < :now - :give_up)
"""

LAPSE = "UPDATE extractions SET state = 'due' WHERE state = 'asked' AND due <= ?"

# One call for a user at a time, so that the budget is overdrawn by one call at most.
CONVERSATION = """
SELECT user, scope, conversation FROM extractions
WHERE state = 'due' AND due <= :now AND user NOT IN (SELECT user FROM extractions WHERE state = 'asked')
GROUP BY user, scope, conversation
HAVING max(added) <= :now - :idle OR min(added) <= :now - :idle * :longest
ORDER BY min(due), min(added) LIMIT 1
"""
_TURN = "turn, user, scope, conversation, model, client, speaker, receipt, created_at, text"
ROWS = f"""
SELECT facts = '[]', attempts, {_TURN} FROM extractions
WHERE user = ? AND scope = ? AND conversation IS ? AND state = 'due' AND due <= ?
ORDER BY attempts > 0, created_at LIMIT {BATCH}
"""  # noqa: S608 - constants only

SPEND = "INSERT INTO extraction_spend VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET tokens = tokens + excluded.tokens"
KEEP = "UPDATE extractions SET state = ?, facts = ? WHERE turn = ? AND state = 'asked'"
DONE = "UPDATE extractions SET state = 'done', text = '', facts = '[]', due = ? WHERE turn = ?"
FAIL = """
UPDATE extractions SET attempts = attempts + 1, error = :error, due = :now + (:delay << attempts),
    state = iif(attempts + 1 >= :most, 'dead', 'due')
WHERE turn = :turn AND state = 'asked' RETURNING state
"""
RELEASE = """
UPDATE extractions SET due = 0, attempts = iif(state = 'dead', 0, attempts),
    state = iif(state = 'stored', 'answered', 'due')
WHERE state IN ('asked', 'stored', 'dead')
"""


Found = Mapping[str, Sequence[Fact]]  # by turn id


@dataclass(frozen=True, slots=True)
class PendingStats:
    """`errors`: the distinct reasons of the dead letters. `tokens`: spent today by all users."""

    waiting: int
    dead: int
    errors: list[str]
    tokens: int


class Pending:
    """The table, and the `Extractor` of the turns that stand in it answered.

    `idle_ms` is how long a conversation rests before its turns are read together. Raises `QueueUnavailable`."""

    def __init__(
        self,
        database: Database,
        *,
        idle_ms: Millis = 20_000,
        clock: Callable[[], Millis] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self.database, self.idle_ms, self.clock = database, idle_ms, clock
        database.declare(SCHEMA)

    async def add(self, turn: Turn) -> None:
        """A redacted turn; one without anything personal in it is only counted."""
        text = own_words(turn.user_text)
        if not personal(text):
            TURNS.labels("impersonal").inc()
            return
        await self.enqueue(replace(turn, user_text=text))
        TURNS.labels("queued").inc()

    async def enqueue(self, turn: Turn) -> None:
        """`turn.user_text` are the person's own words."""
        source, now = turn.source, self.clock()
        row = (
            turn.id, *turn.space, source.conversation, source.model, source.client, turn.speaker, turn.receipt,
            turn.created_at, turn.user_text, now,
        )  # fmt: skip

        def work(db: sqlite3.Connection) -> None:
            if not is_erased(db, turn.space.user, turn.began):
                db.execute(SWEEP, {"now": now, "done": DONE_MS, "give_up": GIVE_UP_MS})
                db.execute(ADD, row)

        await self.database.write(work)

    async def claim(self) -> list[Turn]:
        """The oldest turns of one conversation that has come to rest, `user_text` cut to the person's own words.
        Those that were read already come by themselves; a turn that failed before comes alone, so that it takes no
        others with it."""
        if not self.database.read("SELECT 1 FROM extractions WHERE state IN ('due', 'asked') AND due <= ? LIMIT 1",
                                  (self.clock(),)):  # fmt: skip
            return []  # a look first, so that polling never takes the write lock

        def work(db: sqlite3.Connection) -> list[Turn]:
            now = self.clock()
            db.execute(LAPSE, (now,))
            values = {"now": now, "idle": self.idle_ms, "longest": LONGEST_WAIT}
            found = db.execute(CONVERSATION, values).fetchone()
            rows = db.execute(ROWS, (*found, now)).fetchall() if found else []
            fresh = [_turn(row) for unread, attempts, *row in rows if attempts == 0 and unread == rows[0][0]]
            turns = fresh or [_turn(row) for _, _, *row in rows[:1]]
            asked = "UPDATE extractions SET state = 'asked', due = ? WHERE turn = ?"
            db.executemany(asked, [(now + LEASE_MS, turn.id) for turn in turns])
            return turns

        return await self.database.write(work, durable=False)

    def spent(self, user: str) -> int:
        """Tokens of this day (UTC)."""
        rows = self.database.read(
            "SELECT tokens FROM extraction_spend WHERE user = ? AND day = ?", (user, self._day())
        )
        return int(rows[0][0]) if rows else 0

    async def found(self, turns: Sequence[Turn], facts: Found, tokens: int) -> None:
        """What the model found; a turn without facts is done with."""
        await self._keep(turns, facts, tokens, "asked")
        TURNS.labels("answered").inc(len(turns))

    async def decided(self, turns: Sequence[Turn], facts: Found, tokens: int) -> None:
        """The same facts with the verdicts about them, for the writer."""
        await self._keep(turns, facts, tokens, "answered")

    async def _keep(self, turns: Sequence[Turn], facts: Found, tokens: int, state: str) -> None:
        def work(db: sqlite3.Connection) -> None:
            self._spend(db, turns, tokens)
            for turn in turns:
                if kept := facts.get(turn.id):
                    db.execute(KEEP, (state, orjson.dumps(list(kept)), turn.id))
                else:
                    db.execute(DONE, (self.clock(), turn.id))

        await self.database.write(work)

    async def spend(self, turns: Sequence[Turn], tokens: int) -> None:
        await self.database.write(lambda db: self._spend(db, turns, tokens))

    async def fail(self, turns: Sequence[Turn], error: str, tokens: int) -> int:
        """Try again later, or bury. Returns how many are dead letters now."""

        def work(db: sqlite3.Connection) -> int:
            self._spend(db, turns, tokens)
            values = {"error": error, "now": self.clock(), "delay": FIRST_DELAY_MS, "most": MAX_ATTEMPTS}
            states = [db.execute(FAIL, {**values, "turn": turn.id}).fetchall() for turn in turns]
            return sum(rows == [("dead",)] for rows in states)

        dead = await self.database.write(work)
        TURNS.labels("dead").inc(dead)
        TURNS.labels("retried").inc(len(turns) - dead)
        return dead

    async def postpone(self, turns: Sequence[Turn], due: Millis, outcome: str) -> None:
        """No fault of these turns: they come again at `due`, as often as it takes."""
        sql = "UPDATE extractions SET state = 'due', due = ?, error = ? WHERE turn = ? AND state = 'asked'"
        rows = [(due, outcome, turn.id) for turn in turns]
        await self.database.write(lambda db: db.executemany(sql, rows).rowcount, durable=False)
        TURNS.labels(outcome).inc(len(turns))

    async def answered(self, limit: int) -> list[Turn]:
        """Turns whose facts are known and not yet stored."""
        sql = f"SELECT {_TURN} FROM extractions WHERE state = 'answered' ORDER BY created_at LIMIT ?"  # noqa: S608
        return [_turn(row) for row in self.database.read(sql, (limit,))]

    async def facts(self, turn: Turn) -> list[Fact]:
        rows = self.database.read("SELECT facts FROM extractions WHERE turn = ?", (turn.id,))
        return [Fact(**fact) for row in rows for fact in orjson.loads(row[0])]

    async def verdicts(self, turn: Turn) -> dict[str, Verdicts]:
        """By the id that the fact has in memory."""
        return {fact_id(turn.space, fact.text): fact.verdicts for fact in await self.facts(turn)}

    async def alive(self, turn_id: str) -> bool:
        """False once its user was erased."""
        return bool(self.database.read("SELECT 1 FROM extractions WHERE turn = ?", (turn_id,)))

    async def stored(self, turn_id: str) -> None:
        """Stored but not flushed: stored once more, harmlessly, if the writer dies before `done`."""
        await self._execute("UPDATE extractions SET state = 'stored' WHERE turn = ?", turn_id)

    async def bury(self, turn_id: str, error: str) -> None:
        await self._execute("UPDATE extractions SET state = 'dead', error = ? WHERE turn = ?", error, turn_id)
        TURNS.labels("dead").inc()

    async def done(self, turn_ids: Sequence[str]) -> None:
        rows = [(self.clock(), turn_id) for turn_id in turn_ids]
        await self.database.write(lambda db: db.executemany(DONE, rows).rowcount, durable=False)

    async def release(self) -> None:
        """For the start of the file's one writer: whoever held leases is dead, and dead letters get another chance,
        since what stood in their way (a model that cannot do it) may have been put right."""
        await self._execute(RELEASE)

    def stats(self) -> PendingStats:
        counts = dict(self.database.read("SELECT state, count(*) FROM extractions GROUP BY state"))
        errors = self.database.read("SELECT DISTINCT error FROM extractions WHERE state = 'dead' ORDER BY error")
        spend = self.database.read("SELECT total(tokens) FROM extraction_spend WHERE day = ?", (self._day(),))
        waiting = sum(counts.get(state, 0) for state in ("due", "asked", "answered"))
        return PendingStats(waiting, counts.get("dead", 0), [error for (error,) in errors], int(spend[0][0]))

    def _day(self) -> str:
        return f"{datetime.fromtimestamp(self.clock() / 1000, UTC):%Y-%m-%d}"

    def _spend(self, db: sqlite3.Connection, turns: Sequence[Turn], tokens: int) -> None:
        db.execute("DELETE FROM extraction_spend WHERE day < ?", (self._day(),))
        db.execute(SPEND, (turns[0].space.user, self._day(), tokens))
        TOKENS.inc(tokens)

    async def _execute(self, sql: str, *values: str | int) -> None:
        await self.database.write(lambda db: db.execute(sql, values).rowcount, durable=False)


def _turn(row: Sequence[Any]) -> Turn:
    turn_id, user, scope, conversation, model, client, speaker, receipt, created_at, text = row
    source = Source(conversation, model, client)
    return Turn(turn_id, Space(user, scope), created_at, text, "", receipt, source, speaker)
