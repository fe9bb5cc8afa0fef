"""Helps users to keep their memory correct: counts by topic and person, memories that need a decision, and the origin
and use of one memory."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rememberd.access.apps import app_of
from rememberd.api.dependencies import CallerResolver
from rememberd.api.serializers import memory_json, rfc3339, time_from, unknown_memory
from rememberd.http.responses import json_response
from rememberd.memory.audit import Finding, Usage, to_review
from rememberd.memory.ids import episode_id
from rememberd.memory.learn.rules.groups import person_of, topic_of
from rememberd.memory.recall.aliases import Pair, aliases_in
from rememberd.memory.recall.block import sides
from rememberd.ports import MemoryStore, ReceiptStore
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Memory, Millis, Receipt

_RECEIPTS = 500  # the newest answers in which a memory's use is searched
_SHOWN = 50  # memories per list
_ANSWERS = 10  # answers per memory


class MemoryReview:
    def __init__(self, caller: CallerResolver, store: MemoryStore, receipts: ReceiptStore) -> None:
        self.caller, self.store, self.receipts = caller, store, receipts

    async def groups(self, request: Request) -> Response:
        """How many facts there are by topic, person, app and model; of a person also other names (`also`)."""
        memories = await self.store.all(self.caller.memories(request, reads=True), now=wall_clock(), kind="fact")
        return json_response({"object": "memory.groups", **await asyncio.to_thread(_counts, memories)})

    async def review(self, request: Request) -> Response:
        """Memories that are new since the time `since`, contradictory pairs, and memories that are in quarantine,
        expired or unused."""
        identity, now = self.caller.identity(request), wall_clock()
        since = time_from(request.query_params, "since")
        memories = await self.store.all(identity.memories, now=now, kind="fact", include_past=True)
        answers = await self.receipts.recent(identity.space, _RECEIPTS)
        used = frozenset(each for receipt in answers for each in receipt.recalled)
        usage = Usage(min(each.created_at for each in answers), used) if answers else None
        findings = await asyncio.to_thread(to_review, memories, now, usage)
        return json_response(await asyncio.to_thread(_piles, memories, findings, since, now))

    async def why(self, request: Request) -> Response:
        """The exchange that a memory is based on, and the newest answers that used it."""
        identity, memory_id = self.caller.identity(request), request.path_params["id"]
        space = identity.memories
        found = await self.store.get(space, [memory_id])
        if not found:
            raise unknown_memory(memory_id)
        turn = found[0].evidence.turn_id if found[0].evidence else None
        exchange = await self.store.get(space, [episode_id(space, turn)]) if turn else []
        answers = [
            each for each in await self.receipts.recent(identity.space, _RECEIPTS) if memory_id in each.recalled
        ]
        return json_response(
            {
                "object": "memory.why",
                "memory": memory_json(found[0]),
                "topic": topic_of(found[0]),
                "person": person_of(found[0]),
                "aliases": _aliases(found[0]),
                "exchange": memory_json(exchange[0]) if exchange else None,
                "uses": len(answers),
                "last_used": rfc3339(answers[0].created_at) if answers else None,
                "answers": [_use(each, memory_id) for each in answers[:_ANSWERS]],
            }
        )


def _counts(memories: Sequence[Memory]) -> dict[str, Any]:
    aliases = list(dict.fromkeys(pair for each in memories for pair in _aliases(each)))
    people = _ranked(person_of(each) for each in memories)
    return {
        "total": len(memories),
        "topics": _ranked(topic_of(each) for each in memories),
        "people": [each | {"also": _also(each["name"], aliases)} for each in people],
        "apps": _ranked(app_of(each.source.client) for each in memories),
        "models": _ranked(each.source.model for each in memories),
    }


def _aliases(memory: Memory) -> list[Pair]:
    return aliases_in(memory.text if memory.kind == "fact" else sides(memory)[0])


def _also(person: str, aliases: Sequence[Pair]) -> list[str]:
    """Other names of "sister Katharina", of "grandmother"."""
    words = person.split()
    pairs = [(one.split()[-1], two) for one, two in aliases] + [(two, one) for one, two in aliases]
    return list(dict.fromkeys(other for name, other in pairs if name in words))


def _ranked(names: Iterable[str | None]) -> list[dict[str, Any]]:
    counted = Counter(name for name in names if name)
    return [{"name": name, "count": count} for name, count in counted.most_common(100)]


def _piles(
    memories: Sequence[Memory], findings: Sequence[Finding], since: Millis | None, now: Millis
) -> dict[str, Any]:
    by_id = {each.id: each for each in memories}
    piles: dict[str, list[Finding]] = {name: [] for name in ("contradiction", "quarantined", "expired", "unused")}
    for each in findings:
        piles[each.complaint].append(each)

    def shown(found: Finding) -> Any:
        memory = memory_json(found.memory)
        return [memory, memory_json(by_id[found.other])] if found.other else memory

    new = [each for each in memories if since is not None and since < each.updated_at and each.valid_to is None]
    decide = {name: {"count": len(pile), "data": [*map(shown, pile[:_SHOWN])]} for name, pile in piles.items()}
    told = {"count": len(new), "data": [memory_json(each) for each in new[:_SHOWN]]}
    return {"object": "memory.review", "now": rfc3339(now), **decide, "new": told}


def _use(receipt: Receipt, memory_id: str) -> dict[str, Any]:
    reasons = dict(zip(receipt.recalled, receipt.reasons, strict=False))
    return {
        "receipt": receipt.id,
        "created_at": rfc3339(receipt.created_at),
        "model": receipt.model,
        "reason": reasons.get(memory_id),
    }
