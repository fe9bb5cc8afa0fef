"""What turns that wait for a model can rely on: one body, run over each adapter by `test_pending.py`."""

from __future__ import annotations

from dataclasses import replace

from rememberd.ports import ExtractionQueue
from rememberd.ports.retry_policy import (
    BATCH,
    DAY_MS,
    DONE_MS,
    FIRST_DELAY_MS,
    GIVE_UP_MS,
    LONGEST_WAIT,
    MAX_ATTEMPTS,
)
from rememberd.types import Fact, Source, Space, Turn
from tests.support.queue_contract import Clock, turn

IDLE_MS, LEASE_MS = 20_000, 60_000
OSLO = Fact("I live in Oslo.", "I live in Oslo", "home", 5, {"an-older-one": "replaces"})


def said(
    turn_id: str, user: str = "ada", conversation: str | None = "c", *, at: int = 1, scope: str = "default"
) -> Turn:
    return replace(turn(turn_id, user, at=at, answer=""), space=Space(user, scope), source=Source(conversation))


async def claimed(extractions: ExtractionQueue) -> list[str]:
    return [each.id for each in await extractions.claim()]


async def finished(extractions: ExtractionQueue) -> list[list[str]]:
    """The batches, one after the other."""
    batches = []
    while batch := await claimed(extractions):
        batches.append(batch)
        await extractions.done(batch)
    return batches


class PendingContract:
    async def test_a_turn_comes_back_whole(self, extractions: ExtractionQueue, clock: Clock) -> None:
        """What was added is what is claimed, to the last field; done with, it does not come again."""
        whole = Turn(
            id="t1",
            space=Space("ada", "work"),
            created_at=123,
            user_text="Jeg bor i Tromsø 🏔\n\0",
            answer="",
            receipt="r1",
            source=Source("conversation", "gpt-4o", "curl/8"),
            speaker="Ada",
            trace="00-1-2-01",
            taken_at=456,
        )
        await extractions.add(whole)
        assert (await extractions.stats()).waiting == 1
        clock.now += IDLE_MS
        assert await extractions.claim() == [whole]
        assert (await extractions.stats()).waiting == 1
        await extractions.done(["t1"])
        assert (await extractions.stats()).waiting == 0
        clock.now += DAY_MS
        assert await claimed(extractions) == []

    async def test_a_conversation_is_read_once_it_rests(self, extractions: ExtractionQueue, clock: Clock) -> None:
        """All its turns together, in the order in which they were said; each one starts the wait anew."""
        await extractions.add(said("t2", at=2))
        clock.now += IDLE_MS - 1
        await extractions.add(said("t1", at=1))
        clock.now += 1
        assert await claimed(extractions) == []
        clock.now += IDLE_MS - 1
        assert await claimed(extractions) == ["t1", "t2"]

    async def test_a_turn_that_comes_again_starts_the_wait_anew(
        self, extractions: ExtractionQueue, clock: Clock
    ) -> None:
        """The next step of a tool loop; it is one turn."""
        await extractions.add(said("t1"))
        clock.now += IDLE_MS - 1
        await extractions.add(said("t1"))
        clock.now += IDLE_MS - 1
        assert await claimed(extractions) == []
        clock.now += 1
        assert await claimed(extractions) == ["t1"]

    async def test_a_conversation_that_never_rests_is_read_too(
        self, extractions: ExtractionQueue, clock: Clock
    ) -> None:
        """After a bounded time."""
        began = clock.now
        await extractions.add(said("t0"))
        while not (batch := await claimed(extractions)):
            assert clock.now - began < LONGEST_WAIT * IDLE_MS
            clock.now += IDLE_MS // 2
            await extractions.add(said("t1", at=2))
        assert batch == ["t0", "t1"]
        assert clock.now - began == LONGEST_WAIT * IDLE_MS

    async def test_conversations_scopes_and_users_are_apart(self, extractions: ExtractionQueue, clock: Clock) -> None:
        """No batch has turns of two, whatever their names look like."""
        turns = [
            said("t0", "ada", None),
            said("t1", "ada", "c"),
            said("t2", "ada", "c", scope="work"),
            said("t3", "ada:c", "c"),
            said("t4", "ada", "c:c"),
        ]
        for each in turns:
            await extractions.add(each)
            clock.now += 1
        clock.now += IDLE_MS
        assert await finished(extractions) == [[each.id] for each in turns]

    async def test_one_user_is_read_one_batch_at_a_time(self, extractions: ExtractionQueue, clock: Clock) -> None:
        """The budget is looked at before a call: two at once would overdraw it twice. Others are read meanwhile."""
        await extractions.add(said("a1", "ada", "c"))
        await extractions.add(said("a2", "ada", "d"))
        await extractions.add(said("b1", "bob"))
        clock.now += IDLE_MS
        first, second = await claimed(extractions), await claimed(extractions)
        assert sorted([first, second]) in ([["a1"], ["b1"]], [["a2"], ["b1"]])
        assert await claimed(extractions) == []
        await extractions.done(["a1", "a2", "b1"])
        assert len(await claimed(extractions)) == 1

    async def test_a_batch_is_bounded(self, extractions: ExtractionQueue, clock: Clock) -> None:
        """The oldest first, the rest right after."""
        for number in range(BATCH + 2):
            await extractions.add(said(f"t{number}", at=number))
        clock.now += IDLE_MS
        batches = await finished(extractions)
        assert [len(each) for each in batches] == [BATCH, 2]
        assert [each for batch in batches for each in batch] == [f"t{number}" for number in range(BATCH + 2)]

    async def test_a_turn_that_was_read_is_known_for_an_hour(
        self, extractions: ExtractionQueue, clock: Clock
    ) -> None:
        """While it is read, and afterwards: a replay pays for no second call. Then it is forgotten."""
        await extractions.add(said("t1"))
        clock.now += IDLE_MS
        assert await claimed(extractions) == ["t1"]
        await extractions.add(said("t1"))
        await extractions.done(["t1"])
        clock.now += DONE_MS - 1
        await extractions.add(said("t1"))
        assert (await extractions.stats()).waiting == 0
        clock.now += 2
        await extractions.add(said("t1"))
        clock.now += IDLE_MS
        assert await claimed(extractions) == ["t1"]

    async def test_what_was_found_is_kept_until_it_is_dealt_with(
        self, extractions: ExtractionQueue, clock: Clock
    ) -> None:
        """Facts with their verdicts, through a postponement, while what has come in since is read by itself; a turn
        in which nothing was found is done with."""
        for turn_id in ("t1", "t2"):
            await extractions.add(said(turn_id))
        clock.now += IDLE_MS
        two, one = sorted(await extractions.claim(), key=lambda each: each.id, reverse=True)
        await extractions.keep([replace(one, found=(OSLO,)), two])
        await extractions.defer([one.id, two.id], 1_000, "unavailable")
        await extractions.add(said("t3"))
        clock.now += IDLE_MS
        batches = []
        for _ in range(2):
            batches.append(await extractions.claim())
            await extractions.done([each.id for each in batches[-1]])
        assert [replace(one, found=(OSLO,))] in batches
        assert [said("t3")] in batches

    async def test_the_leases_of_a_dead_writer_lapse(self, extractions: ExtractionQueue, clock: Clock) -> None:
        """Its batch is read by another, with what was found so far; until then nobody else reads of this user."""
        await extractions.add(said("t1"))
        await extractions.add(said("t2", conversation="d"))
        clock.now += IDLE_MS
        (first,) = await extractions.claim()
        await extractions.keep([replace(first, found=(OSLO,))])
        clock.now += LEASE_MS - 1
        assert await claimed(extractions) == []
        clock.now += 1
        batches = [await extractions.claim()]
        await extractions.done([each.id for each in batches[0]])
        batches += [await extractions.claim()]
        assert [replace(first, found=(OSLO,))] in batches
        assert sorted(each.id for batch in batches for each in batch) == ["t1", "t2"]

    async def test_a_failed_turn_comes_again_alone_and_later_each_time(
        self, extractions: ExtractionQueue, clock: Clock
    ) -> None:
        """So that it takes no other with it; in the end it is a dead letter with the reason, and can be replayed."""
        for turn_id in ("t1", "t2"):
            await extractions.add(said(turn_id, at=77))
        clock.now += IDLE_MS
        assert await extractions.fail(await claimed(extractions), "nonsense") == 0
        await extractions.add(said("t3", at=78))
        clock.now += IDLE_MS
        assert sorted(await finished(extractions)) == [["t1"], ["t2"], ["t3"]]
        await extractions.add(said("t4", at=78))
        clock.now += IDLE_MS
        for attempt in range(MAX_ATTEMPTS):
            assert await claimed(extractions) == ["t4"]
            assert await extractions.fail(["t4"], "nonsense") == (attempt + 1 == MAX_ATTEMPTS)
            clock.now += (FIRST_DELAY_MS << attempt) - 1
            assert await claimed(extractions) == []
            clock.now += 1
        (letter,) = await extractions.dead()
        assert (letter.turn_id, letter.space, letter.created_at) == ("t4", Space("ada"), 78)
        assert (letter.attempts, letter.error) == (MAX_ATTEMPTS, "nonsense")
        stats = await extractions.stats()
        assert (stats.waiting, stats.dead) == (0, 1)
        assert (await extractions.replay(), await extractions.replay()) == (1, 0)
        assert await claimed(extractions) == ["t4"]

    async def test_a_postponed_turn_comes_when_it_is_due_as_often_as_it_takes(
        self, extractions: ExtractionQueue, clock: Clock
    ) -> None:
        """It is no failure: the batch stays together, and others are read meanwhile."""
        for at, (turn_id, user) in enumerate((("a1", "ada"), ("a2", "ada"), ("b1", "bob"))):
            await extractions.add(said(turn_id, user, at=at))
        clock.now += IDLE_MS
        for _ in range(2 * MAX_ATTEMPTS):
            batch = await claimed(extractions)
            if batch == ["b1"]:
                await extractions.done(batch)
                batch = await claimed(extractions)
            assert batch == ["a1", "a2"]
            await extractions.defer(batch, 5_000, "unavailable")
            clock.now += 4_999
            assert await finished(extractions) in ([], [["b1"]])
            clock.now += 1
        assert await claimed(extractions) == ["a1", "a2"]

    async def test_what_is_over_the_budget_for_a_week_is_given_up(
        self, extractions: ExtractionQueue, clock: Clock
    ) -> None:
        """And only that: a provider may be away for longer."""
        for turn_id, user, outcome in (("t1", "ada", "over_budget"), ("t2", "bob", "unavailable")):
            await extractions.add(said(turn_id, user))
            clock.now += IDLE_MS
            assert await claimed(extractions) == [turn_id]
            await extractions.defer([turn_id], 2 * GIVE_UP_MS, outcome)
        clock.now += GIVE_UP_MS
        await extractions.add(said("t3", "cyd"))
        assert (await extractions.stats()).waiting == 2
        clock.now += GIVE_UP_MS
        assert sorted(await finished(extractions)) == [["t2"], ["t3"]]

    async def test_released_leases_are_free_at_once(self, extractions: ExtractionQueue, clock: Clock) -> None:
        """A writer that stops in the middle of a call leaves it to the next one; what was postponed still waits."""
        await extractions.add(said("t1"))
        await extractions.add(said("t2", "bob"))
        clock.now += IDLE_MS
        for _ in range(2):
            if (batch := await claimed(extractions)) == ["t2"]:
                await extractions.defer(batch, 5_000, "unavailable")
        assert await extractions.release() == 1
        assert await claimed(extractions) == ["t1"]

    async def test_tokens_are_counted_by_user_and_day(self, extractions: ExtractionQueue, clock: Clock) -> None:
        """What was spent today, and how long today (UTC) lasts; tomorrow it is nothing."""
        clock.now += DAY_MS - clock.now % DAY_MS + 1_000
        await extractions.spend("ada", 70)
        await extractions.spend("ada", 5)
        await extractions.spend("bob", 900)
        assert await extractions.spent("ada") == (75, DAY_MS - 1_000)
        assert (await extractions.spent("cyd")).tokens == 0
        assert (await extractions.stats()).tokens == 975
        clock.now += DAY_MS - 1_000
        assert await extractions.spent("ada") == (0, DAY_MS)
        assert (await extractions.stats()).tokens == 0
        await extractions.spend("ada", 1)
        assert await extractions.spent("ada") == (1, DAY_MS)

    async def test_an_erased_users_turns_are_gone_in_every_state(
        self, extractions: ExtractionQueue, clock: Clock
    ) -> None:
        """Waiting, being read, read, failed, postponed, dead or done, in any scope: nothing stays or comes back, and
        what is brought in afterwards is read."""
        await self._in_every_state(extractions, clock)
        await extractions.add(said("other", "bob", at=clock.now))
        await extractions.erase("ada", clock.now)
        stats = await extractions.stats()
        assert (stats.waiting, stats.dead, await extractions.dead()) == (1, 0, [])
        await extractions.keep([replace(said("asked"), found=(OSLO,))])
        await extractions.defer(["asked"], 0, "unavailable")
        assert await extractions.fail(["asked"], "nonsense") == 0
        assert await extractions.replay() == 0
        clock.now += 1
        await extractions.add(replace(said("done"), taken_at=clock.now))
        clock.now += LEASE_MS
        assert sorted(await finished(extractions)) == [["done"], ["other"]]

    async def _in_every_state(self, extractions: ExtractionQueue, clock: Clock) -> None:
        names = ("done", "dead", "failed", "later", "read", "asked")
        for name in names:
            await extractions.add(said(name, conversation=name, at=clock.now))
            clock.now += IDLE_MS
            assert await claimed(extractions) == [name]
            if name == "done":
                await extractions.done([name])
            for attempt in range({"failed": 1, "dead": MAX_ATTEMPTS}.get(name, 0)):
                await extractions.fail([name], "nonsense")
                clock.now += FIRST_DELAY_MS << attempt if name == "dead" else 0
                assert await claimed(extractions) == ([name] if name == "dead" and attempt + 1 < MAX_ATTEMPTS else [])
            if name == "read":
                await extractions.keep([replace(said(name, conversation=name), found=(OSLO,))])
            if name in ("later", "read"):
                await extractions.defer([name], 10 * DAY_MS, "over_budget")
            if name == "failed":
                clock.now += FIRST_DELAY_MS
                assert await claimed(extractions) == [name]
                await extractions.defer([name], 10 * DAY_MS, "unavailable")
        await extractions.add(replace(said("waiting", at=clock.now), space=Space("ada", "work")))

    async def test_a_turn_that_began_before_the_erasure_is_refused(
        self, extractions: ExtractionQueue, clock: Clock
    ) -> None:
        """The writer was still at it; what was said before and imported after it is kept."""
        await extractions.erase("ada", 1_000)
        await extractions.erase("ada", 500)
        await extractions.add(said("t1", at=1_000))
        await extractions.add(replace(said("t2", at=500), taken_at=1_000))
        await extractions.add(replace(said("t3", at=500), taken_at=1_001))
        await extractions.add(said("t4", at=1_001))
        await extractions.add(said("t5", "bob", at=1))
        clock.now += IDLE_MS
        assert sorted(await finished(extractions)) == [["t3", "t4"], ["t5"]]
