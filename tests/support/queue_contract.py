"""What every turn queue promises: one body, run by each adapter's test file with its own `queue` fixture."""

from __future__ import annotations

from dataclasses import replace

from rememberd.memory.ids import found_id
from rememberd.ports import TurnQueue
from rememberd.types import Fact, Millis, Source, Space, Turn

LEASE_MS = 60_000


class Clock:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.now: Millis = 1_700_000_000_000

    def __call__(self) -> Millis:
        return self.now


def turn(
    turn_id: str, user: str = "ada", *, text: str = "I live in Oslo.", answer: str = "Nice.", at: Millis = 1
) -> Turn:
    return Turn(turn_id, Space(user), at, text, answer, f"receipt-{turn_id}")


def found_in(said: Turn) -> Turn:
    """The job that brings what a model found in this turn."""
    fact = Fact("I live in Oslo.", "I live in Oslo", "home", 5, {"m1": "replaces"})
    return replace(said, id=found_id(said.id), of=said.id, answer="", found=(fact,))


async def claimed(queue: TurnQueue, limit: int = 10) -> list[str]:
    return [claim.turn.id for claim in await queue.claim(limit)]


class QueueContract:
    async def test_it_tells_whether_a_user_has_earlier_turns(self, queue: TurnQueue) -> None:
        """Those that wait and those that are leased; not what is stored, and nobody else's."""
        await queue.put(turn("b1", user="bob", at=5))
        await queue.put(turn("a1", at=20))
        for state in ("due", "leased"):
            asked = [await queue.has_earlier("ada", 20), await queue.has_earlier("ada", 21)]
            assert asked == [False, True], state
            await queue.claim(10)
        await queue.settle(["a1"])
        assert not await queue.has_earlier("ada", 21)

    async def test_a_turn_comes_back_whole(self, queue: TurnQueue) -> None:
        """What was put is what is claimed, to the last field; after the ack it is gone."""
        whole = Turn(
            id="t1",
            space=Space("ada", "work"),
            created_at=123,
            user_text="Jeg bor i Tromsø 🏔\n\0",
            answer="",
            receipt="r1",
            source=Source("conversation", "gpt-4o", "curl/8"),
            speaker="Ada",
            recalled=("m1", "m2"),
        )
        assert await queue.put(whole)
        claims = await queue.claim(10)
        assert [claim.turn for claim in claims] == [whole]
        assert claims[0].attempts == 0
        await queue.ack(["t1"])
        assert await queue.claim(10) == []
        assert (await queue.stats()).depth == 0

    async def test_a_turn_put_again_while_it_waits_is_one_turn(self, queue: TurnQueue) -> None:
        """A client's retry replaces the turn that still waits."""
        await queue.put(turn("t1", answer="Nice"))
        await queue.put(turn("t1", answer="Nice city."))
        assert [claim.turn.answer for claim in await queue.claim(10)] == ["Nice city."]

    async def test_an_empty_answer_never_replaces_a_text(self, queue: TurnQueue) -> None:
        """A retry that broke off keeps the answer of the try that did not; the other way round it is replaced."""
        await queue.put(turn("t1", "ada", answer="Nice."))
        assert await queue.put(turn("t1", "ada", answer=""))
        await queue.put(turn("t2", "bob", answer=""))
        await queue.put(turn("t2", "bob", answer="Nice."))
        assert [claim.turn.answer for claim in await queue.claim(10)] == ["Nice.", "Nice."]

    async def test_a_turn_put_again_while_leased_is_due_again_after_the_ack(self, queue: TurnQueue) -> None:
        """The ack of the old text does not swallow the new one, and nobody else gets it meanwhile."""
        await queue.put(turn("t1", answer="Nice"))
        await queue.claim(10)
        await queue.put(turn("t1", answer="Nice city."))
        assert await queue.claim(10) == []
        await queue.ack(["t1"])
        assert [claim.turn.answer for claim in await queue.claim(10)] == ["Nice city."]
        await queue.ack(["t1"])
        assert not await queue.alive("t1")

    async def test_a_turn_put_again_while_settled_is_due_at_once(self, queue: TurnQueue) -> None:
        """The flush that follows acks what was stored before, not what came after."""
        await queue.put(turn("t1", answer="Nice"))
        await queue.claim(10)
        await queue.settle(["t1"])
        await queue.put(turn("t1", answer="Nice city."))
        await queue.ack(["t1"])
        assert [claim.turn.answer for claim in await queue.claim(10)] == ["Nice city."]

    async def test_a_turn_put_between_claim_and_settle_is_due_again(self, queue: TurnQueue) -> None:
        """Settling what was claimed does not settle what was put since."""
        await queue.put(turn("t1", answer="Nice"))
        await queue.claim(10)
        await queue.put(turn("t1", answer="Nice city."))
        await queue.settle(["t1"])
        assert [claim.turn.answer for claim in await queue.claim(10)] == ["Nice city."]

    async def test_one_users_turns_come_in_order_and_one_at_a_time(self, queue: TurnQueue) -> None:
        """A user's turn is claimed only when the one before it is through."""
        for number in range(3):
            await queue.put(turn(f"t{number}"))
        order = []
        while batch := await claimed(queue):
            assert await claimed(queue) == []
            order += batch
            await queue.ack(batch)
        assert order == ["t0", "t1", "t2"]

    async def test_a_turn_put_while_the_one_before_is_leased_waits_for_it(self, queue: TurnQueue) -> None:
        """What comes in does not overtake what is under way."""
        await queue.put(turn("t1"))
        assert await claimed(queue) == ["t1"]
        await queue.put(turn("t2"))
        assert await claimed(queue) == []
        await queue.ack(["t1"])
        assert await claimed(queue) == ["t2"]

    async def test_what_a_model_found_is_a_job_of_its_own_in_its_users_line(self, queue: TurnQueue) -> None:
        """It neither replaces its turn nor overtakes one, comes back whole, and put twice it is one."""
        said = turn("t1")
        job = found_in(said)
        await queue.put(said)
        await queue.put(job)
        await queue.put(turn("t2"))
        await queue.put(job)
        came = []
        while claims := await queue.claim(10):
            assert await queue.claim(10) == []
            came += [claim.turn for claim in claims]
            await queue.settle([claim.turn.id for claim in claims])
        assert came == [said, job, turn("t2")]
        assert (job.said_in, said.said_in) == ("t1", "t1")
        await queue.ack([each.id for each in came])

    async def test_what_a_model_found_can_fail_and_is_erased_as_a_turn(self, queue: TurnQueue) -> None:
        """A dead letter with its reason, replayed; refused after an erasure, by the time at which the turn began."""
        job = found_in(turn("t1", at=77))
        await queue.put(job)
        assert await claimed(queue) == [job.id]
        await queue.dead_letter(job.id, "ValueError: no")
        (letter,) = await queue.dead()
        assert (letter.turn_id, letter.created_at, letter.error) == (job.id, 77, "ValueError: no")
        assert await queue.replay() == 1
        assert await claimed(queue) == [job.id]
        assert await queue.erase("ada", 77) == 1
        assert not await queue.alive(job.id)
        assert not await queue.put(job)
        assert await queue.put(replace(job, taken_at=78))

    async def test_users_do_not_wait_for_each_other(self, queue: TurnQueue) -> None:
        """Each user's oldest turn is claimable, the oldest of all first, up to the limit."""
        for turn_id, user in (("a1", "ada"), ("a2", "ada"), ("b1", "bob"), ("c1", "cyd")):
            await queue.put(turn(turn_id, user))
        assert await claimed(queue, limit=2) == ["a1", "b1"]
        assert await claimed(queue) == ["c1"]

    async def test_a_settled_turn_lets_the_next_one_pass(self, queue: TurnQueue, clock: Clock) -> None:
        """Settled turns stay until the ack, hold up nobody, and are not handed out again."""
        await queue.put(turn("t1"))
        await queue.put(turn("t2"))
        assert await claimed(queue) == ["t1"]
        await queue.settle(["t1"])
        assert await claimed(queue) == ["t2"]
        assert await queue.alive("t1")
        await queue.settle(["t2"])
        assert (await queue.stats()).depth == 0
        await queue.ack(["t1", "t2"])
        clock.now += LEASE_MS
        assert await claimed(queue) == []

    async def test_the_leases_of_a_dead_writer_lapse(self, queue: TurnQueue, clock: Clock) -> None:
        """What was claimed or settled but never acked comes back, in its old order, and counts as no failure."""
        await queue.put(turn("t1"))
        await queue.put(turn("t2"))
        await queue.claim(10)
        await queue.settle(["t1"])
        await queue.claim(10)
        clock.now += LEASE_MS - 1
        assert await claimed(queue) == []
        clock.now += 1
        claims = await queue.claim(10)
        assert [(claim.turn.id, claim.attempts) for claim in claims] == [("t1", 0)]
        await queue.ack(["t1"])
        assert await claimed(queue) == ["t2"]

    async def test_a_retry_waits_and_holds_up_its_user_only(self, queue: TurnQueue, clock: Clock) -> None:
        """Back-off keeps the user's order; everybody else goes on."""
        for turn_id, user in (("a1", "ada"), ("a2", "ada"), ("b1", "bob")):
            await queue.put(turn(turn_id, user))
        assert await claimed(queue, limit=1) == ["a1"]
        await queue.retry("a1", "ValueError", 5_000)
        assert await claimed(queue) == ["b1"]
        clock.now += 4_999
        assert await claimed(queue) == []
        clock.now += 1
        claims = await queue.claim(10)
        assert [(claim.turn.id, claim.attempts) for claim in claims] == [("a1", 1)]

    async def test_waiting_is_no_failed_attempt(self, queue: TurnQueue, clock: Clock) -> None:
        """However often a turn waits; like a retry it holds up its user only."""
        for turn_id, user in (("a1", "ada"), ("a2", "ada"), ("b1", "bob")):
            await queue.put(turn(turn_id, user))
        assert await claimed(queue, limit=1) == ["a1"]
        for number in range(20):
            await queue.defer("a1", 5_000)
            others = await claimed(queue)
            assert others == ([] if number else ["b1"])
            await queue.ack(others)
            clock.now += 5_000
            claims = await queue.claim(10)
            assert [(claim.turn.id, claim.attempts) for claim in claims] == [("a1", 0)]
        await queue.ack(["a1"])
        await queue.defer("a1", 0)
        assert await claimed(queue) == ["a2"]

    async def test_a_dead_letter_is_kept_shown_and_replayed(self, queue: TurnQueue) -> None:
        """A buried turn stands aside with its reason until it is replayed, then it starts afresh."""
        await queue.put(turn("t1", at=77))
        await queue.put(turn("t2"))
        await queue.claim(10)
        await queue.dead_letter("t1", "ValueError: no")
        assert await claimed(queue) == ["t2"]
        (letter,) = await queue.dead()
        assert (letter.turn_id, letter.space, letter.created_at) == ("t1", Space("ada"), 77)
        assert (letter.attempts, letter.error) == (1, "ValueError: no")
        assert (await queue.stats()).dead == 1
        await queue.ack(["t2"])
        assert await queue.replay() == 1
        assert await queue.replay() == 0
        claims = await queue.claim(10)
        assert [(claim.turn.id, claim.attempts) for claim in claims] == [("t1", 0)]

    async def test_a_dead_letter_put_again_lives(self, queue: TurnQueue) -> None:
        """The client's retry of a turn that could not be learned is a new chance."""
        await queue.put(turn("t1"))
        await queue.claim(10)
        await queue.dead_letter("t1", "ValueError: no")
        await queue.put(turn("t1", answer="Nice city."))
        assert await claimed(queue) == ["t1"]
        assert await queue.dead() == []

    async def test_it_is_known_when_a_user_was_last_erased(self, queue: TurnQueue) -> None:
        """So that what began before can be undone; nobody else is concerned."""
        assert not await queue.erased("ada", since=0)
        await queue.erase("ada", at=1_000)
        assert await queue.erased("ada", since=1_000)
        assert not await queue.erased("ada", since=1_001)
        assert not await queue.erased("bob", since=0)

    async def test_an_erased_users_turns_are_gone_in_every_state(self, queue: TurnQueue, clock: Clock) -> None:
        """Waiting, leased, settled or dead, in any scope: nothing stays, and the writer cannot bring it back."""
        await queue.put(turn("dead"))
        await queue.claim(1)
        await queue.dead_letter("dead", "ValueError")
        await queue.put(turn("settled"))
        await queue.claim(1)
        await queue.settle(["settled"])
        await queue.put(turn("leased"))
        await queue.claim(1)
        await queue.put(replace(turn("waiting"), space=Space("ada", "work")))
        await queue.put(turn("other", "bob"))
        assert await queue.alive("leased")
        assert await queue.erase("ada", at=clock.now) == 4
        assert [await queue.alive(each) for each in ("dead", "settled", "leased", "waiting")] == [False] * 4
        await queue.settle(["leased"])
        await queue.retry("leased", "ValueError", 0)
        await queue.dead_letter("leased", "ValueError")
        await queue.ack(["settled"])
        assert await queue.replay() == 0
        clock.now += LEASE_MS
        assert await claimed(queue) == ["other"]

    async def test_a_turn_that_began_before_the_erasure_is_refused(self, queue: TurnQueue) -> None:
        """An answer that was still streaming when its user was erased leaves nothing; the next one is remembered."""
        await queue.erase("ada", at=1_000)
        await queue.erase("ada", at=500)
        assert not await queue.put(turn("t1", at=999))
        assert not await queue.put(turn("t2", at=1_000))
        assert await queue.put(turn("t3", at=1_001))
        assert await queue.put(turn("t4", "bob", at=1))
        assert await claimed(queue) == ["t3", "t4"]

    async def test_what_was_said_before_the_erasure_and_imported_after_it_is_kept(self, queue: TurnQueue) -> None:
        """The time at which it came to us counts."""
        await queue.erase("ada", at=1_000)
        assert not await queue.put(replace(turn("t1", at=500), taken_at=1_000))
        assert await queue.put(replace(turn("t2", at=500), taken_at=1_001))

    async def test_stats_tell_what_waits_and_for_how_long(self, queue: TurnQueue, clock: Clock) -> None:
        """Depth counts what is not yet stored; the age is that of the oldest."""
        assert (await queue.stats()).oldest_age_ms == 0
        await queue.put(turn("t1", at=clock.now - 3_000))
        await queue.put(turn("t2", at=clock.now - 1_000))
        await queue.claim(1)
        stats = await queue.stats()
        assert (stats.depth, stats.oldest_age_ms, stats.dead) == (2, 3_000, 0)

    async def test_what_a_model_found_in_an_old_turn_is_no_old_turn(self, queue: TurnQueue, clock: Clock) -> None:
        """It counts as work, also while it is done and when it comes again, but for no age: nobody is late."""
        old = found_in(turn("t1", at=clock.now - 86_400_000))
        await queue.put(old)
        await queue.put(turn("t2", at=clock.now - 1_000))
        for _ in range(2):
            stats = await queue.stats()
            assert (stats.depth, stats.oldest_age_ms) == (2, 1_000)
            await queue.put(old)
            await queue.claim(1)
        await queue.retry(old.id, "ValueError", 0)
        assert (await queue.stats()).oldest_age_ms == 1_000
        await queue.ack(await claimed(queue))
        await queue.ack(await claimed(queue))
        assert (await queue.stats()).oldest_age_ms == 0
