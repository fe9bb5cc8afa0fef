"""`python -m loadtests faults`: one part after the other fails under load, and a table says what came of it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.faults.kinds import FAULTS
from loadtests.faults.row import markdown
from loadtests.faults.run import run
from loadtests.machine import describe


def add_command(commands: Any) -> None:
    names = ", ".join(FAULTS)
    faults = commands.add_parser("faults", help="break one part after the other under load", description=__doc__)
    faults.add_argument("--minutes", type=float, help="how long each fault lasts (default: half a minute to ten)")
    faults.add_argument("--only", action="append", choices=FAULTS, metavar="NAME", help=f"one or more of: {names}")
    faults.add_argument(
        "--out", type=Path, default=Path("loadtests-report"), help="directory for faults.json and .md"
    )
    faults.set_defaults(do=_faults)


def _faults(arguments: argparse.Namespace) -> int:
    arguments.out.mkdir(parents=True, exist_ok=True)
    chosen = [FAULTS[name] for name in arguments.sole_deployment or FAULTS]
    seconds = None if arguments.minutes is None else arguments.minutes * 60
    rows = asyncio.run(run(chosen, seconds))
    table = markdown(rows)
    print(table)
    at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    result = {"at": at, "machine": describe(), "rows": [asdict(row) for row in rows]}
    (arguments.out / "faults.json").write_text(json.dumps(result, indent=1))
    (arguments.out / "faults.md").write_text(table)
    print(f"{arguments.out}: faults.json and faults.md", file=sys.stderr)
    return 0
