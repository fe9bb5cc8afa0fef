"""What deploy/SCALING.md multiplies is what its command measures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests.units import MEMORIES

SCALING = Path(__file__).parents[2] / "deploy" / "SCALING.md"
ROW = re.compile(r"^\| ([^|]+) \| ([\d,.]+) (\S+) \|$", re.MULTILINE)
FACTOR = 3  # another allocator, another file system


def rows(text: str) -> dict[str, tuple[float, str]]:
    return {what: (float(figure.replace(",", "")), unit) for what, figure, unit in ROW.findall(text)}


@pytest.mark.slow
def test_the_command_gives_every_unit_of_the_plan() -> None:
    """The same rows in the same units. Sizes are of the same size; CPU is only measured, because the machine may be
    slow or busy (once 39 ms instead of 7)."""
    command = [sys.executable, "-m", "loadtests", "units", "--memories", str(MEMORIES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, cwd=SCALING.parents[1])
    written, measured = rows(SCALING.read_text().partition("## Which deployment")[0]), rows(done.stdout)
    assert measured
    assert {what: unit for what, (_, unit) in measured.items()}.items() <= {
        what: unit for what, (_, unit) in written.items()
    }.items()
    for what, (figure, unit) in measured.items():
        if unit != "ms":
            assert written[what][0] / FACTOR < figure < written[what][0] * FACTOR, what
