"""The attack itself: who is there, what is sent, what came of it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtests.attack import honest
from loadtests.attack.attempt import QUESTION, Attempt, Game, ask, chat
from loadtests.attack.kinds import KINDS
from loadtests.attack.leaks import GROUP, first_of, leaked, marker, markers, shown
from loadtests.attack.model import Parrot
from loadtests.attack.people import ADMIN_KEY, Person, group_of, groups, people, settings
from loadtests.attack.watch import watched
from loadtests.attack.wire import Answer, Connection
from loadtests.fake import shared_listener
from loadtests.servers import serving

_KNOWN_SECONDS = 2.5  # until a key that was made is known in every process
_EXTRA = 8  # people who only come to be erased
_TOGETHER = 20  # after so many rounds everybody asks the same at once
_FOUND = 0.98  # of the honest requests: a question may come while its words are being changed
_SHOWN = 50  # leaks and surprises that are told one by one


@dataclass
class Findings:
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    leaks: Counter[str] = field(default_factory=Counter)
    surprises: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)  # for what is their own, and answered in time
    hits: Counter[str] = field(default_factory=Counter)
    degraded: int = 0

    slowest: dict[str, float] = field(default_factory=dict)  # seconds, by kind
    ended: dict[str, float] = field(default_factory=dict)  # when the slowest of each kind ended, by time.monotonic()

    def judge(self, kind: str, attempt: Attempt, answer: Answer, seconds: float) -> None:
        self.statuses[kind][answer.status] += 1
        if seconds > self.slowest.get(kind, 0.0):
            self.slowest[kind], self.ended[kind] = seconds, time.monotonic()
        for owner, which in leaked(answer.raw, attempt.owner, attempt.kinds):
            self.leaks[f"{kind}: person {attempt.owner} was shown a marker of {owner}, kind {which}"] += 1
        told = attempt.withheld is not None and attempt.withheld in answer.body
        if answer.status not in attempt.expected or attempt.holds not in answer.body or told:
            request = attempt.data.split(b"\r\n", 1)[0][:100].decode("latin-1")
            self.surprises[f"{kind}: {answer.status} to {request}: {answer.body[:120].decode('latin-1')}"] += 1
        degraded = b"x-memory-status: degraded" in answer.raw.lower()
        self.degraded += degraded
        if attempt.honest and not degraded:
            self.asked[kind] += 1
            wanted = GROUP if "group" in kind else attempt.kinds
            found = markers(answer.raw)
            self.hits[kind] += any(
                each in wanted and (owner == attempt.owner or each == GROUP) for owner, each in found
            )

    def report(self) -> dict[str, Any]:
        by_status = sum(self.statuses.values(), Counter[int]())
        slowest = sorted(self.slowest.items(), key=lambda each: -each[1])
        kinds = {name: dict(sorted(found.items())) for name, found in sorted(self.statuses.items())}
        return {
            "requests": by_status.total(),
            "leaks": self.leaks.total(),
            "own_5xx": sum(count for status, count in by_status.items() if status >= 500),
            "surprises": self.surprises.total(),
            "slowest_s": round(slowest[0][1], 2),
            "slowest_kind": slowest[0][0],
            "slowest_by_kind": {name: round(seconds, 2) for name, seconds in slowest},
            "degraded": self.degraded,
            "own_found": {name: round(self.hits[name] / count, 4) for name, count in self.asked.items()},
            "statuses": dict(sorted(by_status.items())),
            "kinds": kinds,
            "told": [*self.leaks.most_common(_SHOWN), *self.surprises.most_common(_SHOWN)],
        }


def attack(requests: int, users: int, workers: int, folder: Path) -> dict[str, Any]:
    """`requests` by `users` people at once. `folder` is where the proxy keeps what is to be looked through."""
    return asyncio.run(_attack(requests, users, workers, folder))


async def _attack(requests: int, users: int, workers: int, folder: Path) -> dict[str, Any]:
    everybody = people(users + _EXTRA)
    findings, listener = Findings(), shared_listener(0)
    model = await asyncio.get_running_loop().create_server(lambda: Parrot(findings.leaks), sock=listener)
    upstream = listener.getsockname()[1]
    persons, extra = everybody[:users], everybody[users:]
    config = settings(everybody, folder, upstream, workers) | {"groups": groups(persons)}
    with serving(folder, config) as (_, port):
        await _make_keys(everybody, port)
        await asyncio.gather(*(_prepare(each, port) for each in persons))
        knows = await _tell_groups(persons, port)
        began = time.monotonic()
        together = asyncio.Barrier(users)
        rounds = -(-requests // users)
        async with watched(port) as health:
            await asyncio.gather(*(_play(each, persons, extra, rounds, port, findings, together) for each in persons))
        seconds = time.monotonic() - began
        changed = [name for each in persons if (name := await _changed(each, port))]
        changed += [name for name, text in knows.items() if not await _is_as_told(name, text, persons, port)]
    model.close()
    await model.wait_closed()
    found = {"users": users, "seconds": round(seconds), "changed": changed, "health": health}
    made = " ".join([*(mark for each in everybody for mark in each.marks.values()), *knows.values()])
    report = findings.report()
    report["slowest_at_s"] = round(findings.ended[report["slowest_kind"]] - began)
    return found | {"files_with_a_marker": in_clear(folder, made)} | report


async def _make_keys(everybody: Sequence[Person], port: int) -> None:
    """Makes the keys, and waits until every process knows them."""
    admin = Connection(port)
    for each in everybody:
        if each.way == "made":
            headers = [("Authorization", f"Bearer {ADMIN_KEY}")]
            answer = await admin.ask(ask("POST", "/admin/keys", headers, {"name": each.name, "user": each.name}))
            each.key = str(answer.json["key"])
    await admin.close()
    await asyncio.sleep(_KNOWN_SECONDS)


async def _prepare(person: Person, port: int) -> None:
    """Fill their memory, and note its ids, a receipt and a cursor for others to misuse."""
    connection = Connection(port)
    for headers, body in person.memories():
        given = [*person.credentials(), *headers.items()]
        added = (await connection.ask(ask("POST", "/v1/memories", given, body))).json
        person.ids.append(str(added["id"]))
        person.texts[str(added["id"])] = str(added["text"])
    answer = await connection.ask(chat(person.credentials(), QUESTION))
    person.receipt = _header(answer, "x-memory-receipt")
    page = (await connection.ask(ask("GET", "/v1/memories?limit=1", person.credentials()))).json
    person.cursor = str(page["next_cursor"])
    await connection.close()


async def _tell_groups(persons: Sequence[Person], port: int) -> dict[str, str]:
    """What each group's owner tells it, by its name."""
    knows = {}
    for owner in persons:
        if owner.number != first_of(owner.number):
            continue
        name, connection = group_of(owner.number), Connection(port)
        text = f"Our group has the code word {marker(owner.number, GROUP)}."
        headers = [*owner.credentials(), ("X-Memory-Scope", f"@{name}")]
        added = (await connection.ask(ask("POST", "/v1/memories", headers, {"text": text}))).json
        await connection.close()
        for member in persons:
            if group_of(member.number) == name:
                member.group_memory = str(added["id"])
        knows[name] = text
    return knows


async def _is_as_told(name: str, text: str, persons: Sequence[Person], port: int) -> bool:
    """Nobody has changed what the group knows, nor added anything."""
    owner = next(each for each in persons if group_of(each.number) == name)
    connection = Connection(port)
    headers = [*owner.credentials(), ("X-Memory-Scope", f"@{name}")]
    answer = await connection.ask(ask("GET", "/v1/memories/export", headers))
    await connection.close()
    return [each["text"] for each in map(json.loads, answer.body.splitlines()) if "text" in each] == [text]


async def _play(
    me: Person, persons: Sequence[Person], extra: Sequence[Person], rounds: int, port: int, findings: Findings,
    together: asyncio.Barrier,
) -> None:  # fmt: skip
    chance, connection = random.Random(me.number), Connection(port)
    kinds, weights = list(KINDS), list(KINDS.values())
    names = frozenset(each.name.encode() for each in persons)
    for number in range(rounds):
        if number % _TOGETHER == 0:
            await together.wait()
            await _try(findings, "same_instant", honest.same_instant(me), connection)
            continue
        victim = chance.choice([each for each in persons if each is not me])
        (kind,) = chance.choices(kinds, weights)
        await _try(findings, kind.__name__, kind(Game(me, victim, chance, extra, names)), connection)
    await connection.close()


async def _try(findings: Findings, kind: str, attempt: Attempt, connection: Connection) -> None:
    began = time.monotonic()
    answer = await connection.ask(attempt.data)
    findings.judge(kind, attempt, answer, time.monotonic() - began)


async def _changed(person: Person, port: int) -> str | None:
    """The name of somebody who has not got what they had, or has somebody else's."""
    connection, found = Connection(port), dict[str, str]()
    seen = b""
    for scope in ("default", "work"):
        headers = [*person.credentials(), ("X-Memory-Scope", scope)]
        answer = await connection.ask(ask("GET", "/v1/memories/export", headers))
        seen += answer.body
        found |= {each["id"]: each["text"] for each in map(json.loads, answer.body.splitlines()) if "id" in each}
    await connection.close()
    whole = all(found.get(id) == text for id, text in person.texts.items())
    return None if whole and not leaked(seen, person.number, "dwp") else person.name


def in_clear(folder: Path, made: str) -> list[str]:
    """Files of the data directory, and the log, in which a marker can be read that stands in `made`: the path below
    `folder`, and what stands around the first one."""
    found = ((path, shown(path.read_bytes(), made)) for path in sorted(folder.rglob("*")) if path.is_file())
    return [f"{path.relative_to(folder)}: {marked}" for path, marked in found if marked]


def _header(answer: Answer, name: str) -> str:
    lines = answer.raw.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    return next(line.partition(": ")[2] for line in lines if line.lower().startswith(f"{name}:"))


def safe(found: dict[str, Any]) -> bool:
    """No leak of any kind, nothing lost, no error of the server, and everybody found what is their own. Times depend
    on the machine and on what else it does: they are reported."""
    wrong = ("leaks", "own_5xx", "surprises", "changed", "files_with_a_marker")
    return not any(found[each] for each in wrong) and min(found["own_found"].values()) > _FOUND


def table(found: dict[str, Any]) -> str:
    """For the README, with what was wrong below it."""
    health = found["health"]
    rows = [
        ("requests, by so many people at once", f"{found['requests']:,}, {found['users']}"),
        ("markers of others, in answers or prompts", found["leaks"]),
        ("answers in which one's own were found, where they should be", f"{min(found['own_found'].values()):.1%}"),
        ("answers without memory, because it took too long", found["degraded"]),
        ("people whose memories were changed by another", len(found["changed"])),
        ("files in which a marker can be read", len(found["files_with_a_marker"])),
        ("5xx of our own, unexpected answers", f"{found['own_5xx']}, {found['surprises']}"),
        (
            "slowest request, its kind, and when it ended",
            f"{found['slowest_s']} s, {found['slowest_kind']}, {found['slowest_at_s']} s after the begin",
        ),
        ("`/health/live` all the time: asked, refused", f"{health['asked']:,}, {health['refused']}"),
        (
            "its p99, its slowest, and when that came",
            f"{health['p99_ms']} ms, {health['slowest_ms']} ms, {health['slowest_at_s']} s after the begin",
        ),
        ("seconds", found["seconds"]),
    ]
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)]
    told = [f"{count} x {text}" for text, count in found["told"]]
    return "\n".join([*lines, "", *told, *(f"in a file: {each}" for each in found["files_with_a_marker"])])
