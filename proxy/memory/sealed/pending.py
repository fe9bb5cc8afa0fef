"""Turns that wait for a model, and what it found in them, sealed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from proxy.memory.database import Database
from proxy.memory.extract.pending import Found, Pending, PendingStats
from proxy.memory.queue.codec import turn_from_json, turn_to_json
from proxy.memory.sealed.cipher import Cipher, Unreadable
from proxy.memory.sealed.keyring import Keyring
from proxy.memory.sealed.queue import UNREADABLE
from proxy.types import Fact, Millis, Source, Turn

log = logging.getLogger("rememberd.sealed")


class SealedPending(Pending):
    """The table has pseudonyms of users, scopes, conversations and turns; a turn is in its text, facts are in one
    fact's text. Errors may quote an answer, and are sealed with the root's key."""

    def __init__(self, database: Database, keyring: Keyring, **options: Any) -> None:
        super().__init__(database, **options)
        self.keyring = keyring

    async def enqueue(self, turn: Turn) -> None:
        cipher = await self.keyring.own(turn.space.user)
        conversation = turn.source.conversation and cipher.name(turn.source.conversation)
        sealed = Turn(
            id=self._id(turn.id),
            space=self.keyring.space(turn.space),
            created_at=turn.created_at,
            user_text=cipher.seal_text(turn_to_json(turn), f"reading {turn.id}"),
            answer="",
            receipt="",
            source=Source(conversation),
            taken_at=turn.taken_at,
        )
        await super().enqueue(sealed)

    async def claim(self) -> list[Turn]:
        return await self._opened(await super().claim())

    async def answered(self, limit: int) -> list[Turn]:
        return await self._opened(await super().answered(limit))

    async def _opened(self, turns: Sequence[Turn]) -> list[Turn]:
        opened = []
        for sealed in turns:
            try:
                opened.append(await self._plain(sealed))
            except Unreadable as error:
                UNREADABLE.labels("reading").inc()
                log.error("a turn that waits for a model cannot be decrypted (%s): it is a dead letter", error)
                await super().bury(sealed.id, self._error("cannot be decrypted"))
        return opened

    async def _plain(self, sealed: Turn) -> Turn:
        cipher, place = await self._cipher(sealed), f"reading {self.keyring.root.plain_id(sealed.id)}"
        return turn_from_json(cipher.open_text(sealed.user_text, place))

    async def _cipher(self, sealed: Turn) -> Cipher:
        cipher = await self.keyring.known(self.keyring.plain_space(sealed.space).user)
        if cipher is None:
            raise Unreadable("its user was erased")
        return cipher

    def spent(self, user: str) -> int:
        return super().spent(self.keyring.owner(user))

    async def found(self, turns: Sequence[Turn], facts: Found, tokens: int) -> None:
        await super().found(self._stubs(turns), await self._sealed(turns, facts), tokens)

    async def decided(self, turns: Sequence[Turn], facts: Found, tokens: int) -> None:
        await super().decided(self._stubs(turns), await self._sealed(turns, facts), tokens)

    async def _sealed(self, turns: Sequence[Turn], facts: Found) -> Found:
        sealed: dict[str, list[Fact]] = {}
        for turn in turns:
            if kept := facts.get(turn.id):
                cipher = await self.keyring.own(turn.space.user)
                text = cipher.seal_text(orjson.dumps(list(kept)), f"facts {turn.id}")
                sealed[self._id(turn.id)] = [Fact(text, "")]
        return sealed

    async def facts(self, turn: Turn) -> list[Fact]:
        cipher = await self.keyring.known(turn.space.user)
        if cipher is None:
            return []
        kept = await super().facts(replace(turn, id=self._id(turn.id)))
        return [
            Fact(**fact)
            for sealed in kept
            for fact in orjson.loads(cipher.open_text(sealed.text, f"facts {turn.id}"))
        ]

    async def spend(self, turns: Sequence[Turn], tokens: int) -> None:
        await super().spend(self._stubs(turns), tokens)

    async def fail(self, turns: Sequence[Turn], error: str, tokens: int) -> int:
        return await super().fail(self._stubs(turns), self._error(error), tokens)

    async def postpone(self, turns: Sequence[Turn], due: Millis, outcome: str) -> None:
        await super().postpone(self._stubs(turns), due, outcome)

    async def alive(self, turn_id: str) -> bool:
        return await super().alive(self._id(turn_id))

    async def stored(self, turn_id: str) -> None:
        await super().stored(self._id(turn_id))

    async def bury(self, turn_id: str, error: str) -> None:
        await super().bury(self._id(turn_id), self._error(error))

    async def done(self, turn_ids: Sequence[str]) -> None:
        await super().done([self._id(each) for each in turn_ids])

    def stats(self) -> PendingStats:
        stats = super().stats()
        errors = sorted({self.keyring.root.open_text(error, "error").decode() for error in stats.errors})
        return replace(stats, errors=errors)

    def _stubs(self, turns: Sequence[Turn]) -> list[Turn]:
        """What the table knows these turns by."""
        return [replace(turn, id=self._id(turn.id), space=self.keyring.space(turn.space)) for turn in turns]

    def _id(self, turn_id: str) -> str:
        return self.keyring.root.id(turn_id)

    def _error(self, error: str) -> str:
        return self.keyring.root.seal_text(error.encode(), "error")
