"""The load: people who chat, ask, move house, look at their memories, delete some, and in the end erase them all."""

from __future__ import annotations

import asyncio
import random
import re
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from loadtests.faults.deployment import EVERY_MS, FIRST_MS, TOKENS, Deployment
from loadtests.faults.ledger import Life, Verdict, judge
from loadtests.servers import KEY

LIFE = 30  # things a person does before the next one comes
_CITIES = (
    "Oslo",
    "Bergen",
    "Lisbon",
    "Porto",
    "Madrid",
    "Seville",
    "Paris",
    "Lyon",
    "Rome",
    "Vienna",
    "Graz",
    "Prague",
)
_THINGS = (
    "kettle",
    "ladder",
    "violin",
    "lantern",
    "bicycle",
    "carpet",
    "teapot",
    "mirror",
    "hammer",
    "saddle",
    "anchor",
)
_TOKEN = re.compile(rb'"content":"(\d+):')
_MODEL_MS = {True: FIRST_MS + EVERY_MS * (TOKENS - 1), False: FIRST_MS}
# Shorter than a web process drains, as in a load balancer: no connection is used that is about to be closed.
_IDLE_S = 0.5


@dataclass(frozen=True, slots=True)
class Chatted:
    """`at` is a `time.monotonic`; `added_ms` what the model did not take; `failed` says how, if it did."""

    at: float
    added_ms: float
    status: str
    failed: str


@dataclass
class Crowd:
    """`refused`: requests to the memory API answered 503, or not at all. `shown`: what was listed after its deletion.
    A chat that fails is sent `retries` times more; a share of them, `cancels`, is broken off by the client at some
    moment."""

    deployment: Deployment
    session: aiohttp.ClientSession
    people: int
    pause_s: float
    name: str
    movers: bool = False
    retries: int = 0
    cancels: float = 0.0
    chats: list[Chatted] = field(default_factory=list)
    refused: list[tuple[float, str]] = field(default_factory=list)
    lives: list[Life] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    stopping: bool = False
    busy: int = 0
    most_at_once: int = 0

    async def run(self) -> None:
        """Until `stopping`."""
        await asyncio.gather(self._bury_the_dead(), *(self._generations(n) for n in range(self.people)))

    async def ask(self, user: str, text: str, *, remember: bool = True) -> tuple[Chatted, bool]:
        """Sends the turn. Returns whether it was acknowledged."""
        stream = random.random() < 0.5
        body = {"model": "steady", "stream": stream, "messages": [{"role": "user", "content": text}]}
        began = time.monotonic()
        status, failed, acknowledged = "", "", False
        patience = random.uniform(0, _MODEL_MS[stream] / 1000) if random.random() < self.cancels else None
        try:
            headers = {"X-Memory": "on" if remember else "read"}
            async with asyncio.timeout(patience):
                code, answered, content = await self._request("POST", "/v1/chat/completions", user, body, headers)
            status, acknowledged = answered.get("X-Memory-Status", ""), answered.get("X-Memory-Write") == "on"
            failed = "" if code == 200 and _whole(content, stream) else f"{code} {content[-200:]!r}"
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            failed = "cancelled" if patience is not None and isinstance(error, TimeoutError) else repr(error)
        now = time.monotonic()
        chatted = Chatted(now, (now - began) * 1000 - _MODEL_MS[stream], status, failed)
        return chatted, acknowledged and not failed

    async def memories(self, user: str) -> list[dict[str, Any]] | None:
        """All that hold; None if the API cannot tell now."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            answer = await self._api("GET", f"/v1/memories?limit=500{cursor}", user)
            if answer is None:
                return None
            found += answer["data"]
            if not answer["next_cursor"]:
                return found
            cursor = f"&cursor={answer['next_cursor']}"

    async def page(self, path: str) -> bytes | None:
        """Of any process; None if it is not shown."""
        try:
            code, _, content = await self._request("GET", path, "")
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None
        return content if code == 200 else None

    async def verdict(self) -> Verdict | None:
        """The verdict over the lives of all people; None while the API cannot tell."""
        together = Verdict()
        for life in self.lives:
            memories = await self.memories(life.user)
            if memories is None:
                return None
            together.add(judge(life, memories))
        return together

    async def erase(self, user: str) -> None:
        """So that the next fault begins with few memories again."""
        while await self._api("DELETE", "/v1/memories", user) is None:  # noqa: ASYNC110 - it was refused
            await asyncio.sleep(0.5)

    async def _generations(self, person: int) -> None:
        number = 0
        while not self.stopping:
            life = Life(f"{self.name}-{person}-{number}")
            self.lives.append(life)
            number += 1
            for step in range(LIFE):
                if self.stopping:
                    return
                await self._live(life, step)
                await asyncio.sleep(self.pause_s * random.uniform(0.5, 1.5))
            life.over = True

    async def _live(self, life: Life, step: int) -> None:
        chance = random.random()
        if step == 0 or self.movers or chance < 0.15:
            text = f"I moved to {random.choice(_CITIES)} on trip {step} with {life.user}."
            life.homes.append((text, await self._say(life, text)))
        elif chance < 0.6:
            await self._say(life, f"On day {step} {life.user} put a {random.choice(_THINGS)} in the attic.")
        elif chance < 0.85:
            await self._say(life, f"Which city did I move to? {life.user} asks it as question {step}.")
        elif chance < 0.95:
            answer = await self._api("GET", "/v1/memories?limit=20", life.user)
            texts = {each["evidence"]["text"] for each in (answer or {"data": []})["data"] if each["evidence"]}
            self.shown += sorted(texts & life.deleted)
        else:
            await self._delete_one(life)

    async def _say(self, life: Life, text: str) -> bool:
        self.busy += 1
        self.most_at_once = max(self.busy, self.most_at_once)
        for _ in range(1 + self.retries):
            while self.retries and not self.deployment.ready:  # noqa: ASYNC110 - the balancer knows
                await asyncio.sleep(0.05)
            chatted, acknowledged = await self.ask(life.user, text)
            self.chats.append(chatted)
            if not chatted.failed:
                break
            await asyncio.sleep(self.pause_s)
        self.busy -= 1
        (life.said if acknowledged else life.tried).append(text)
        return acknowledged

    async def _delete_one(self, life: Life) -> None:
        answer = await self._api("GET", "/v1/memories?limit=20&kind=episode", life.user)
        plain = [each for each in (answer or {"data": []})["data"] if each["evidence"]["text"].startswith("On day")]
        if not plain:
            return
        text = plain[-1]["evidence"]["text"]
        life.unsure.add(text)
        if await self._api("DELETE", f"/v1/memories/{plain[-1]['id']}", life.user) is not None:
            life.deleted.add(text)

    async def _bury_the_dead(self) -> None:
        """Erase whoever is done, once all they said is known to be remembered."""
        while not self.stopping:
            await asyncio.sleep(1)
            for life in [each for each in self.lives if each.over and not each.erased]:
                memories = await self.memories(life.user)
                if memories is None or judge(life, memories) != Verdict():
                    continue
                if await self._api("DELETE", "/v1/memories", life.user) is not None:
                    life.erased = True

    async def _api(self, method: str, path: str, user: str) -> Any:
        """Returns None if it was refused, or broke off."""
        try:
            code, _, content = await self._request(method, path, user)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self.refused.append((time.monotonic(), repr(error)))
            return None
        if code != 200:
            self.refused.append((time.monotonic(), f"{code} {content[:200]!r}"))
            return None
        return orjson.loads(content)

    async def _request(
        self, method: str, path: str, user: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, bytes]:
        """As through a load balancer: to a web process that is ready, and to another if the door is closed."""
        named = {"Authorization": f"Bearer {KEY}", "X-Memory-User": user} | (headers or {})
        ready = random.sample(sorted(self.deployment.ready), len(self.deployment.ready))
        for name in ready:
            try:
                async with self.session.request(
                    method, self.deployment.urls[name] + path, json=body, headers=named
                ) as answer:
                    return answer.status, answer.headers, await answer.read()
            except aiohttp.ClientConnectorError:
                continue
        raise OSError(f"none of {ready} answers")


def _whole(content: bytes, stream: bool) -> bool:
    if not stream:
        return bool(orjson.loads(content)["choices"])
    tokens = [int(number) for number in _TOKEN.findall(content)]
    return tokens == list(range(1, TOKENS + 1)) and content.endswith(b"data: [DONE]\n\n")


def session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_IDLE_S)
    return aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60))
