"""`rememberd audit`: lists problems of the memories, per user and scope, as a table or JSON; `--fix` repairs them.

The command shows ids, kinds and reasons, so that an operator need not read users' texts. `--show-text` adds the first
words of each memory.
"""

import asyncio
import re
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from rememberd.access.audit_log import OPERATOR
from rememberd.api.serializers import rfc3339
from rememberd.cli import command as a_command
from rememberd.cli import config_option, settings_of
from rememberd.cli.terminal.output import print_json
from rememberd.errors import RememberdError
from rememberd.memory.audit import Finding, Usage, judge
from rememberd.memory.audit_repair import repair, write
from rememberd.memory.recall.block import clean
from rememberd.memory.safety.redact import redact
from rememberd.ports import Embedder, MemoryStore, ReceiptStore, TurnQueue
from rememberd.settings.schema import Settings
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Memory, Space
from rememberd.wiring import store as stores
from rememberd.wiring.components import build_audit_log, build_embedder
from rememberd.wiring.encryption import Encryption, open_encryption
from rememberd.wiring.queue import open_queue

EXAMPLES = """\
  rememberd audit                         # list problems, without showing users' texts
  rememberd audit --user alice --fix      # repair what can be repaired safely, and print what was done
"""

_USERS = 50
_ROWS = 20  # findings of one kind in the table; JSON has all
_EXCERPT = 32  # characters


@dataclass(frozen=True, slots=True)
class Audited:
    """`findings` are those that remain after the `repairs`."""

    space: Space
    memories: list[Memory]
    findings: list[Finding]
    repairs: list[Finding]


@a_command("audit", EXAMPLES)
@config_option
@click.option("--user", help="only this user's memories")
@click.option("--scope", help="only this scope's memories")
@click.option(
    "--fix",
    is_flag=True,
    help="merge duplicates, redact secrets, close outdated values, delete what has expired; print what was done",
)
@click.option("--json", "as_json", is_flag=True, help="print everything as JSON")
@click.option("--show-text", is_flag=True, help="also show the first words of each memory, with masked digits")
def command(config: Path | None, **given: Any) -> int:
    return asyncio.run(audit(settings_of(config), **given))


async def audit(
    settings: Settings, *, user: str | None, scope: str | None, fix: bool, as_json: bool, show_text: bool
) -> int:
    """Returns the exit code: 1 if the memories cannot be read. Raises `ConfigError`."""
    spaces: list[dict[str, Any]] = []
    found = 0
    try:
        async with open_encryption(settings) as seal:
            async for audited in _audits(settings, seal, user, scope, fix):
                found += 1
                if as_json:
                    spaces.append(_as_json(audited, show_text))
                else:
                    _print(audited, show_text)
    except RememberdError as error:
        print(f"rememberd: {error}", file=sys.stderr)
        return 1
    if as_json:
        print_json({"object": "audit", "spaces": spaces})
    elif not found:
        print("there are no memories" + (" of that user and scope" if user or scope else ""))
    return 0


async def _audits(
    settings: Settings, seal: Encryption, user: str | None, scope: str | None, fix: bool
) -> AsyncIterator[Audited]:
    records, embedder, log = open_queue(settings, seal), build_embedder(settings), build_audit_log(settings, seal)
    await embedder.start()
    try:
        async with stores.for_command(settings, embedder, seal.store) as store:
            async for space in _spaces(store, user):
                if scope in (None, space.scope):
                    repairs = await _repaired(store, embedder, records.queue, space) if fix else []
                    if repairs:
                        await records.block_cache.erase(space.user)
                    did, whose = "audit.fix" if fix else "audit", {"whose": space.user, "scope": space.scope}
                    log.record({"who": OPERATOR, "did": did, "count": len(repairs), **whose})
                    yield await _audited(store, records.receipts, space, repairs)
    finally:
        embedder.close()
        await records.queue.close()
        log.sync()


async def _spaces(store: MemoryStore, user: str | None) -> AsyncIterator[Space]:
    """The spaces of this user, or of all users, some users at a time."""
    spaces = await store.users("", _USERS) if user is None else await store.spaces(user)
    while spaces:
        for space in spaces:
            yield space
        spaces = await store.users(spaces[-1].user, _USERS) if user is None else []


async def _repaired(store: MemoryStore, embedder: Embedder, queue: TurnQueue, space: Space) -> list[Finding]:
    now = wall_clock()
    memories = await store.all(space, now=now, include_past=True)
    repaired = repair(memories, now)
    repairs = await write(store, embedder, space, memories, repaired)
    if await queue.erased(space.user, now):  # do not write memories of a user who was erased meanwhile
        await store.delete(space, [each.id for each in repaired.changed], at=0)
    await store.flush()
    return repairs


async def _audited(store: MemoryStore, receipts: ReceiptStore, space: Space, repairs: list[Finding]) -> Audited:
    now = wall_clock()
    memories = await store.all(space, now=now, include_past=True)
    since, recalled = await receipts.recalled(space)
    usage = Usage(since, recalled) if since is not None else None
    return Audited(space, memories, judge(memories, now, usage), repairs)


def _print(audited: Audited, show_text: bool) -> None:
    columns = shutil.get_terminal_size().columns
    for line in _lines(audited, show_text):
        print(line[:columns])


def _lines(audited: Audited, show_text: bool) -> Iterator[str]:
    counts = ", ".join(f"{number:,} {name}" for name, number in _counts(audited.memories).items())
    yield f"{clean(audited.space.user)} / {clean(audited.space.scope)}: {counts}"
    for finding in audited.repairs:
        yield _row(finding, "repaired", show_text=False)
    for complaint, group in groupby(audited.findings, key=lambda finding: finding.complaint):
        findings = list(group)
        yield from (_row(finding, "--fix repairs" if finding.safe else "", show_text) for finding in findings[:_ROWS])
        if len(findings) > _ROWS:
            yield f"  {complaint:<13} {len(findings) - _ROWS:,} more; --json lists all, with whole ids"
    if not audited.findings:
        yield "  no problems found"


def _row(finding: Finding, note: str, show_text: bool) -> str:
    memory = finding.memory
    other = f", see {finding.other[:8]}" if finding.other else ""
    noted = f" ({note})" if note else ""
    text = f"  {_excerpt(memory)}" if show_text else ""
    return f"  {finding.complaint:<13} {memory.id[:8]}  {memory.kind:<7}  {finding.reason}{other}{noted}{text}"


def _excerpt(memory: Memory) -> str:
    """The first words of the memory, without secrets and digits."""
    text = re.sub(r"\d", "•", clean(redact(memory.text).text))
    return f"“{text[:_EXCERPT]}…”" if len(text) > _EXCERPT else f"“{text}”"


def _counts(memories: list[Memory]) -> dict[str, int]:
    current = [each for each in memories if each.valid_to is None]
    facts = sum(each.kind == "fact" for each in current)
    return {"facts": facts, "episodes": len(current) - facts, "past": len(memories) - len(current)}


def _as_json(audited: Audited, show_text: bool) -> dict[str, Any]:
    return {
        "user": audited.space.user,
        "scope": audited.space.scope,
        **_counts(audited.memories),
        "repairs": [_finding_json(each, show_text=False) for each in audited.repairs],
        "findings": [_finding_json(each, show_text) for each in audited.findings],
    }


def _finding_json(finding: Finding, show_text: bool) -> dict[str, Any]:
    memory = finding.memory
    shown = {
        "complaint": finding.complaint,
        "id": memory.id,
        "kind": memory.kind,
        "created_at": rfc3339(memory.created_at),
        "reason": finding.reason,
        "other": finding.other,
        "safe": finding.safe,
    }
    return shown | {"excerpt": _excerpt(memory)} if show_text else shown
