"""`rememberd dead`: list the turns that could not be queued, stored or read by a model, and try them again."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import click

from rememberd.api.serializers import rfc3339
from rememberd.cli import command as a_command
from rememberd.cli import config_option, settings_of
from rememberd.cli.terminal.output import print_table
from rememberd.ports import TurnQueue
from rememberd.settings.schema import Settings
from rememberd.types import DeadLetter, Turn
from rememberd.wiring.encryption import open_encryption
from rememberd.wiring.queue import QueueBundle, open_queue

EXAMPLES = """\
  rememberd dead list                     # whose, how often they were tried, and why they failed
  rememberd dead replay                   # once the cause is put right
"""

_MOST = 100


@a_command("dead", EXAMPLES)
@config_option
@click.argument("action", type=click.Choice(["list", "replay"]))
def command(config: Path | None, action: str) -> int:
    return asyncio.run((_list if action == "list" else _replay)(settings_of(config)))


async def _list(settings: Settings) -> int:
    async with _opened(settings) as records:
        refused = await records.spool.dead()
        letters = [*await records.queue.dead(_MOST), *await records.extraction_queue.dead(_MOST), *refused][:_MOST]
        count = len(refused) + (await records.queue.stats()).dead + (await records.extraction_queue.stats()).dead
    if letters:
        print_table(("said", "user", "scope", "tries", "error"), [_row(each) for each in letters])
    print(f"{count} dead letters" + (f", {_MOST} of them shown" if count > _MOST else ""))
    return 0


async def _replay(settings: Settings) -> int:
    async with _opened(settings) as records:
        replayed = await records.queue.replay() + await records.extraction_queue.replay()
        replayed += await records.spool.replay(partial(_taken, records.queue))
    print(f"{replayed} turns will be tried again")
    return 0


async def _taken(queue: TurnQueue, turn: Turn) -> bool:
    """False: the queue still refuses it. A turn whose user was erased meanwhile is taken and dropped."""
    try:
        await queue.put(turn)
    except (ValueError, TypeError, OverflowError) as error:
        print(f"the queue refuses a turn of {turn.space.user}: {type(error).__name__}", file=sys.stderr)
        return False
    return True


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[QueueBundle]:
    async with open_encryption(settings) as seal:
        records = open_queue(settings, seal)
        try:
            yield records
        finally:
            await records.queue.close()


def _row(letter: DeadLetter) -> tuple[str, ...]:
    said, space = str(rfc3339(letter.created_at)), letter.space
    return said, space.user, space.scope, str(letter.attempts), letter.error
