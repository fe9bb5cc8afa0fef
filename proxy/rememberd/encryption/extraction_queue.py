"""Seals turns that wait for a model, and the facts that it found in them, before they are stored."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from rememberd.encryption.cipher import Cipher, DecryptionError
from rememberd.encryption.keyring import Keyring
from rememberd.encryption.queue import UNREADABLE, opened_letter, opened_turn, sealed_turn
from rememberd.errors import MemoryUnavailable
from rememberd.ports import ExtractionQueue
from rememberd.ports.queues import DeadLetter, PendingStats, Spent
from rememberd.types import Millis, Source, Turn

log = logging.getLogger("rememberd.sealed")


class SealedExtractionQueue:
    """The `ExtractionQueue` port around another queue, which gets pseudonyms of users, scopes, conversations and
    turns. Errors may quote a model's answer, so they are sealed with the root's key."""

    def __init__(self, extraction_queue: ExtractionQueue, keyring: Keyring) -> None:
        self.extraction_queue, self.keyring = extraction_queue, keyring

    async def add(self, turn: Turn) -> None:
        await self.extraction_queue.add(self._sealed(turn, await self.keyring.own(turn.space.user)))

    async def claim(self) -> list[Turn]:
        turns = await self.extraction_queue.claim()
        try:
            opened = [await self._opened(turn) for turn in turns]
        except MemoryUnavailable:
            await self.extraction_queue.defer([turn.id for turn in turns], 0, "unavailable")
            raise
        return [turn for turn in opened if turn is not None]

    async def keep(self, turns: Sequence[Turn]) -> None:
        for turn in turns[:1]:
            cipher = await self.keyring.known(turn.space.user)
            if cipher is not None:  # otherwise the user was erased, and the turns with them
                await self.extraction_queue.keep([self._sealed(each, cipher) for each in turns])

    async def done(self, turn_ids: Sequence[str]) -> None:
        await self.extraction_queue.done(self._ids(turn_ids))

    async def fail(self, turn_ids: Sequence[str], error: str) -> int:
        return await self.extraction_queue.fail(self._ids(turn_ids), self._error(error))

    async def defer(self, turn_ids: Sequence[str], delay_ms: Millis, outcome: str) -> None:
        await self.extraction_queue.defer(self._ids(turn_ids), delay_ms, outcome)

    async def spent(self, user: str) -> Spent:
        return await self.extraction_queue.spent(self.keyring.owner(user))

    async def spend(self, user: str, tokens: int) -> None:
        await self.extraction_queue.spend(self.keyring.owner(user), tokens)

    async def erase(self, user: str, at: Millis) -> None:
        await self.extraction_queue.erase(self.keyring.owner(user), at)

    async def stats(self) -> PendingStats:
        return await self.extraction_queue.stats()

    async def dead(self, limit: int = 100) -> list[DeadLetter]:
        return [opened_letter(self.keyring, letter) for letter in await self.extraction_queue.dead(limit)]

    async def replay(self) -> int:
        return await self.extraction_queue.replay()

    async def release(self) -> int:
        return await self.extraction_queue.release()

    def _sealed(self, turn: Turn, cipher: Cipher) -> Turn:
        source = Source(turn.source.conversation and cipher.name(turn.source.conversation))
        return replace(sealed_turn(self.keyring, cipher, turn, "reading"), source=source, taken_at=turn.taken_at)

    async def _opened(self, sealed: Turn) -> Turn | None:
        """Turns that cannot be read become dead letters."""
        try:
            return await opened_turn(self.keyring, sealed, "reading")
        except DecryptionError as error:
            UNREADABLE.labels("reading").inc()
            log.error("a turn that waits for a model cannot be decrypted (%s)", error)
            await self.extraction_queue.fail([sealed.id], self._error("cannot be decrypted"))
            return None

    def _ids(self, turn_ids: Sequence[str]) -> list[str]:
        return [self.keyring.root.id(each) for each in turn_ids]

    def _error(self, error: str) -> str:
        return self.keyring.root.seal_text(error.encode(), "error")
