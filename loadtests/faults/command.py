"""`python -m loadtests faults`: one part after the other fails under load, and a table shows the result."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.faults.deployment import DEADLINE_MS
from loadtests.faults.kills import killed
from loadtests.faults.kinds import FAULTS
from loadtests.faults.row import markdown
from loadtests.faults.run import run
from loadtests.faults.saturation import saturate
from loadtests.machine import describe


def add_command(commands: Any) -> None:
    names = ", ".join(FAULTS)
    faults = commands.add_parser("faults", help="break one part after the other under load", description=__doc__)
    faults.add_argument("--minutes", type=float, help="how long each fault lasts (default: half a minute to ten)")
    faults.add_argument(
        "--deadline-ms", type=int, default=DEADLINE_MS, help=f"memory.deadline_ms (default: {DEADLINE_MS})"
    )
    faults.add_argument("--only", action="append", choices=FAULTS, metavar="NAME", help=f"one or more of: {names}")
    faults.add_argument(
        "--out", type=Path, default=Path("loadtests-report"), help="directory for faults.json and .md"
    )
    faults.add_argument("--kills", type=int, metavar="N", help="instead: N kills of random processes on one host")
    faults.add_argument(
        "--saturate", type=float, metavar="MINUTES", help="instead: load without a pause, 30 %% of it cancelled"
    )
    faults.set_defaults(do=_faults)


def _faults(arguments: argparse.Namespace) -> int:
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.saturate:
        return _saturate(arguments)
    chosen = [FAULTS[name] for name in arguments.only or FAULTS]
    if arguments.kills:
        chosen = [killed(arguments.kills)]
    seconds = None if arguments.minutes is None else arguments.minutes * 60
    rows = asyncio.run(run(chosen, seconds, arguments.deadline_ms))
    table = markdown(rows)
    print(table)
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    result = {"at": at, "machine": describe(), "rows": [asdict(row) for row in rows]}
    name = "kills" if arguments.kills else "faults"
    (arguments.out / f"{name}.json").write_text(json.dumps(result, indent=1))
    (arguments.out / f"{name}.md").write_text(table)
    print(f"{arguments.out}: {name}.json and {name}.md", file=sys.stderr)
    return 0


def _saturate(arguments: argparse.Namespace) -> int:
    found = asyncio.run(saturate(arguments.saturate))
    print(found.line(), *found.examples, sep="\n")
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    result = {"at": at, "machine": describe(), **asdict(found)}
    (arguments.out / "saturation.json").write_text(json.dumps(result, indent=1))
    return 1 if found.lost or found.doubled or found.upstream else 0
