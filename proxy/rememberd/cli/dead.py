"""`rememberd dead`: lists the turns that could not be queued, stored or read by a model, and retries them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click

from rememberd.api.dead_letters import MOST, DeadLetters
from rememberd.api.serializers import rfc3339
from rememberd.cli import command as a_command
from rememberd.cli import config_option, settings_of
from rememberd.cli.terminal.output import print_table
from rememberd.ports.queues import DeadLetter
from rememberd.settings.schema import Settings
from rememberd.wiring.encryption import open_encryption
from rememberd.wiring.queue import open_queue

EXAMPLES = """\
  rememberd dead list                     # users, numbers of attempts, and reasons
  rememberd dead replay                   # after you removed the cause
"""


@a_command("dead", EXAMPLES)
@config_option
@click.argument("action", type=click.Choice(["list", "replay"]))
def command(config: Path | None, action: str) -> int:
    return asyncio.run((_list if action == "list" else _replay)(settings_of(config)))


async def _list(settings: Settings) -> int:
    async with _opened(settings) as dead:
        count, letters = await dead.list()
    if letters:
        print_table(("said", "user", "scope", "tries", "error"), [_row(each) for each in letters])
    print(f"{count} dead letters" + (f", {MOST} of them shown" if count > MOST else ""))
    return 0


async def _replay(settings: Settings) -> int:
    async with _opened(settings) as dead:
        replayed = await dead.replay()
    print(f"{replayed} turns will be tried again")
    return 0


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[DeadLetters]:
    async with open_encryption(settings) as seal:
        records = open_queue(settings, seal)
        try:
            yield DeadLetters(records.queue, records.extraction_queue, records.spool)
        finally:
            await records.queue.close()


def _row(letter: DeadLetter) -> tuple[str, ...]:
    said, space = str(rfc3339(letter.created_at)), letter.space
    return said, space.user, space.scope, str(letter.attempts), letter.error
