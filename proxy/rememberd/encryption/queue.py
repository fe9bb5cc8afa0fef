"""Seals turns before they reach the queue. Their order, times and numbers stay readable: the queue needs them."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from rememberd.encryption.cipher import Cipher, DecryptionError
from rememberd.encryption.keyring import Keyring
from rememberd.errors import MemoryUnavailable
from rememberd.memory.retry import retry_until
from rememberd.memory.serialization import turn_from_json, turn_to_json
from rememberd.ports import TurnQueue
from rememberd.ports.queues import Claim, DeadLetter, QueueStats
from rememberd.telemetry.metrics import counter
from rememberd.types import Fact, Millis, Turn

_PARTS = ("turn", "memory", "receipt", "block", "reading")
UNREADABLE = counter("rememberd_unreadable", "Sealed records that could not be opened.", "part", *_PARTS)
SEALED = (Fact("", ""),)  # replaces the found facts: the queue must only know that there are some

log = logging.getLogger("rememberd.sealed")


class SealedQueue:
    """The `TurnQueue` port around another queue. Errors are sealed with the root's key, so that they do not name the
    user."""

    def __init__(self, queue: TurnQueue, keyring: Keyring) -> None:
        self.queue, self.keyring = queue, keyring

    async def put(self, turn: Turn) -> bool:
        cipher = await retry_until(partial(self.keyring.own, turn.space.user))
        sealed = sealed_turn(self.keyring, cipher, turn, "turn")
        answer = "sealed" if turn.answer else ""  # the queue must know whether there is one
        return await self.queue.put(replace(sealed, created_at=turn.began, answer=answer))

    async def claim(self, limit: int) -> list[Claim]:
        claims = await self.queue.claim(limit)
        try:
            opened = [await self._opened(claim) for claim in claims]
        except MemoryUnavailable:
            # These turns cannot be processed without their keys: return them now, or let their leases end.
            back = (self.queue.defer(claim.turn.id, 0) for claim in claims)
            await asyncio.gather(*back, return_exceptions=True)
            raise
        return [claim for claim in opened if claim is not None]

    async def _opened(self, claim: Claim) -> Claim | None:
        """Turns that cannot be decrypted become dead letters, which `rememberd check` shows."""
        try:
            return replace(claim, turn=await opened_turn(self.keyring, claim.turn, "turn"))
        except DecryptionError as error:
            UNREADABLE.labels("turn").inc()
            log.error("a turn in the queue cannot be decrypted (%s) and becomes a dead letter", error)
            await self.queue.dead_letter(claim.turn.id, self._error("cannot be decrypted"))
            return None

    async def settle(self, turn_ids: Sequence[str]) -> None:
        await self.queue.settle([self._id(each) for each in turn_ids])

    async def ack(self, turn_ids: Sequence[str]) -> None:
        await self.queue.ack([self._id(each) for each in turn_ids])

    async def retry(self, turn_id: str, error: str, delay_ms: Millis) -> None:
        await self.queue.retry(self._id(turn_id), self._error(error), delay_ms)

    async def defer(self, turn_id: str, delay_ms: Millis) -> None:
        await self.queue.defer(self._id(turn_id), delay_ms)

    async def dead_letter(self, turn_id: str, error: str) -> None:
        await self.queue.dead_letter(self._id(turn_id), self._error(error))

    async def alive(self, turn_id: str) -> bool:
        return await self.queue.alive(self._id(turn_id))

    async def erase(self, user: str, at: Millis) -> int:
        """Destroys the key first: after that, none of the user's data can be read, even if it is not deleted yet."""
        await self.keyring.delete_key(user)
        return await self.queue.erase(self.keyring.owner(user), at)

    async def erased(self, user: str, since: Millis) -> bool:
        return await self.queue.erased(self.keyring.owner(user), since)

    async def has_earlier(self, user: str, than: Millis) -> bool:
        return await self.queue.has_earlier(self.keyring.owner(user), than)

    async def stats(self) -> QueueStats:
        return await self.queue.stats()

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        return [opened_letter(self.keyring, letter) for letter in await self.queue.dead(limit)]

    async def replay(self) -> int:
        return await self.queue.replay()

    async def release(self) -> int:
        return await self.queue.release()

    async def close(self) -> None:
        await self.queue.close()

    def _id(self, turn_id: str) -> str:
        """A pseudonym, because a turn's id is a digest of its words: somebody could check a guess against it."""
        return self.keyring.root.id(turn_id)

    def _error(self, error: str) -> str:
        return self.keyring.root.seal_text(error.encode(), "error")


def sealed_turn(keyring: Keyring, cipher: Cipher, turn: Turn, kind: str) -> Turn:
    """`turn` sealed with `cipher`, as a record of this `kind`."""
    return Turn(
        id=keyring.root.id(turn.id),
        space=keyring.space(turn.space),
        created_at=turn.created_at,
        user_text=cipher.seal_text(turn_to_json(turn), f"{kind} {turn.id}"),
        answer="",
        receipt="",
        found=SEALED if turn.found else (),
    )


async def opened_turn(keyring: Keyring, sealed: Turn, kind: str) -> Turn:
    """Raises `DecryptionError`, also if the user was erased."""
    cipher = await keyring.known(keyring.plain_space(sealed.space).user)
    if cipher is None:
        raise DecryptionError("its user was erased")
    return turn_from_json(cipher.open_text(sealed.user_text, f"{kind} {keyring.root.plain_id(sealed.id)}"))


def opened_letter(keyring: Keyring, sealed: DeadLetter) -> DeadLetter:
    """The opened letter; `sealed` itself if another keyring sealed it."""
    try:
        return replace(
            sealed,
            turn_id=keyring.root.plain_id(sealed.turn_id),
            space=keyring.plain_space(sealed.space),
            error=keyring.root.open_text(sealed.error, "error").decode(),
        )
    except DecryptionError:
        return sealed
