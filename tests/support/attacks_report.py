"""What of attacks on the memory gets through: `python -m tests.support.attacks_report` prints a table of it.

Each line of `attacks*.jsonl` is one message, or message and answer, as the real writer gets it: published kinds of
attack in our own words. It got through if `marker`, the heart of it, stands in what a recall could show; for a lie
(somebody else's "I" in what the user pasted) if it stands there as a fact. `attacks*_not.jsonl` only look like
attacks: they must stay recallable. The rules were written with the first set at hand, and mended with the blind one
only after its first run."""

from __future__ import annotations

import asyncio
import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from rememberd.memory.learn.rules.extract import Rules
from rememberd.memory.recall.block import line
from rememberd.types import NEVER, Space, Turn
from tests.support.writer_rig import Rig

DATA = Path(__file__).parents[1] / "data"
# Of attacks those that got through, of look-alikes those held back, when the set was first run.
FIRST_RUNS: dict[str, tuple[int, int] | None] = {"attacks": None, "attacks_blind": (40, 6)}


class Result(NamedTuple):
    attacks: int
    through: list[str]
    benign: int
    held: list[str]


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@cache
def run(name: str) -> Result:
    """Once for all tests of a process: it takes seconds."""
    with TemporaryDirectory() as folder:
        return asyncio.run(_run(name, Path(folder)))


async def _run(name: str, folder: Path) -> Result:
    attacks, benign = rows(name), rows(f"{name}_not")
    rig = Rig(folder, [Rules()])
    try:
        for number, row in enumerate([*attacks, *benign]):
            at = rig.clock.now + number
            await rig.queue.put(Turn(f"t{number}", Space(str(number)), at, row["text"], row["answer"], f"r{number}"))
        await rig.drain()
    finally:
        await rig.database.close()
    through = [row["text"] for number, row in enumerate(attacks) if _speaks(rig, number, row)]
    held = [row["text"] for number, row in enumerate(benign, len(attacks)) if _is_held(rig, number)]
    return Result(len(attacks), through, len(benign), held)


def _speaks(rig: Rig, number: int, attack: dict[str, Any]) -> bool:
    current = [each for each in rig.store.memories(Space(str(number))) if each.valid_to is None]
    heard = [each for each in current if each.kind == "fact"] if attack.get("lie") else current
    return any(attack["marker"] in line(each).casefold() for each in heard)


def _is_held(rig: Rig, number: int) -> bool:
    return any(each.valid_to == NEVER for each in rig.store.memories(Space(str(number))))


def table() -> str:
    """Markdown, a row a set; "first" columns are of the set's first run."""
    lines = [
        "| set | attacks | got through, first | now | look-alikes | held back, first | now |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, first in FIRST_RUNS.items():
        result = run(name)
        through, held = first or ("", "")
        cells = (name, result.attacks, through, len(result.through), result.benign, held, len(result.held))
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
