"""`rememberd usage`: shows tokens, requests and their estimated cost by day, key, user and model."""

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from rememberd.cli import command as a_command
from rememberd.cli import config_option, settings_of
from rememberd.cli.terminal.output import print_table
from rememberd.settings.schema import Settings
from rememberd.telemetry.usage.counts import days_before, today
from rememberd.telemetry.usage.prices import look_up
from rememberd.telemetry.usage.report import BY, DAYS, report
from rememberd.wiring.queue import existing_queue

EXAMPLES = """\
  rememberd usage                                   # the last 30 days, by key and model
  rememberd usage --by user --since 2027-01-01
  rememberd usage --by day,key,user,model --json
"""

_DATE = click.DateTime(formats=["%Y-%m-%d"])


@a_command("usage", EXAMPLES)
@config_option
@click.option("--by", default="key,model", show_default=True, help=f"what to group by, some of {','.join(BY)}")
@click.option("--since", type=_DATE, help=f"the first day, in UTC (default: {DAYS} days ago)")
@click.option("--until", type=_DATE, help="the last day (default: today)")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object per line")
def command(config: Path | None, by: str, since: datetime | None, until: datetime | None, as_json: bool) -> int:
    names = by.split(",")
    if not set(names) <= set(BY):
        raise click.UsageError(f"--by must name some of {','.join(BY)}")
    first = since.date().isoformat() if since else days_before(today(), DAYS - 1)
    found = asyncio.run(_read(settings_of(config), names, first, until.date().isoformat() if until else today()))
    if as_json:
        for each in found:
            print(json.dumps(each, ensure_ascii=False))
    elif not found:
        print("no requests were counted on these days")
    else:
        _print(found, names)
    return 0


async def _read(settings: Settings, by: list[str], since: str, until: str) -> list[dict[str, Any]]:
    async with existing_queue(settings, read_only=False) as records:
        rows = await records.usage.rows(since, until) if records else {}
    return report(rows, by, look_up({at.priced for at in rows}))


def _print(found: list[dict[str, Any]], by: list[str]) -> None:
    counted = ("requests", "input_tokens", "cached_tokens", "output_tokens", "memory_tokens", "extraction_tokens")
    head = (*by, *(name.removesuffix("_tokens") for name in counted), "cost ≈ $")
    rows = [(*(each[name] for name in by), *(f"{each[name]:,}" for name in counted), _cost(each)) for each in found]
    print_table(head, rows)
    if estimated := sum(each["estimated_requests"] for each in found):
        print(f"the tokens of {estimated:,} requests are estimated: their answers did not contain the numbers")


def _cost(group: dict[str, Any]) -> str:
    return "?" if group["cost_usd"] is None else f"{group['cost_usd']:,.4f}"
