"""`rememberd dead`: the turns that could not be remembered, and another chance for them."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.api.shapes import rfc3339
from proxy.commands import config_option, settings_of
from proxy.ports import TurnQueue
from proxy.queues import build_records
from proxy.sealing import sealing
from proxy.settings import Settings
from proxy.terminal.table import table
from proxy.types import DeadLetter

EXAMPLES = """\
  rememberd dead list                     # whose, how often they were tried, and why they failed
  rememberd dead replay                   # once the cause is put right
"""

_MOST = 100


def options(parser: argparse.ArgumentParser) -> None:
    config_option(parser)
    parser.add_argument("do", metavar="{list,replay}", choices=("list", "replay"))


def run(arguments: argparse.Namespace) -> int:
    return asyncio.run((_list if arguments.do == "list" else _replay)(settings_of(arguments)))


async def _list(settings: Settings) -> int:
    async with _opened(settings) as queue:
        letters, count = await queue.dead(_MOST), (await queue.stats()).dead
    if letters:
        print("\n".join(table(("said", "user", "scope", "tries", "error"), [_row(each) for each in letters])))
    print(f"{count} dead letters" + (f", the oldest {_MOST} shown" if count > _MOST else ""))
    return 0


async def _replay(settings: Settings) -> int:
    async with _opened(settings) as queue:
        print(f"{await queue.replay()} turns will be tried again")
    return 0


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[TurnQueue]:
    async with sealing(settings) as seal:
        queue = build_records(settings, seal).queue
        try:
            yield queue
        finally:
            await queue.close()


def _row(letter: DeadLetter) -> tuple[str, ...]:
    said, space = str(rfc3339(letter.created_at)), letter.space
    return said, space.user, space.scope, str(letter.attempts), letter.error
