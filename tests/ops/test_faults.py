"""Each fault for some seconds, in real processes under load: no chat fails, no turn is lost or doubled, and memory
comes back by itself. A full run is `python -m loadtests faults`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from loadtests.faults.kinds import FAULTS
from loadtests.faults.ledger import Life, judge

pytestmark = [pytest.mark.slow, pytest.mark.alone]  # whether it recovers in time depends on the processor

DEADLINE_MS = 3000
OF_A_NODE = [name for name in FAULTS if name.startswith(("qdrant-node", "qdrant-rolled"))]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Those of a node with a deadline that no recall misses only because the machine is busy."""
    others = [name for name in FAULTS if name not in OF_A_NODE]
    found = list[dict[str, Any]]()
    for names, options in ((OF_A_NODE, ("--deadline-ms", str(DEADLINE_MS))), (others, ())):
        only = [option for name in names for option in ("--only", name)]
        found += _run(tmp_path_factory.mktemp("faults"), "faults", "--minutes", "0.12", *only, *options)["rows"]
    return {row["fault"]: row for row in found}


def _run(out: Path, name: str, *options: str) -> dict[str, Any]:
    """The file `name`.json that the command writes."""
    argv = [sys.executable, "-m", "loadtests", "faults", *options, "--out", str(out)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads((out / f"{name}.json").read_text())
    return found


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_costs_memory_at_most(rows: dict[str, dict[str, Any]], name: str) -> None:
    """Chats are whole; acknowledged turns are there once; the last home alone holds, unless the clock
    was set back; and it recovers. What is in a web process that is killed breaks off. One of two Qdrant nodes costs
    memory for one deadline at most, and what was deleted is never shown."""
    row, fault = rows[name], FAULTS[name]
    if row["skipped"]:
        pytest.skip(row["skipped"])
    assert row["chats"] > 0
    assert row["doubled"] == 0, row["examples"]
    assert row["lost"] == 0, row["examples"]
    assert row["recovery_s"] is not None
    if not fault.breaks:
        assert row["failed"] == 0, row["examples"]
    if not fault.reorders:
        assert row["disorder"] == 0, row["examples"]
    if name in OF_A_NODE:
        assert row["shown"] == 0, row["examples"]
        if row["added_p99_before_ms"] < DEADLINE_MS / 2:  # else the machine was too busy before the fault began
            assert row["degraded_for_s"] <= DEADLINE_MS / 1000
    if name == "rolling":
        assert row["refused"] == 0, row["examples"]
    if name != "qdrant-node-stale":  # which answers in time, so that nobody need turn to the other node
        assert row["grew_by"] > 0, fault.metric


def test_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """Of random processes, with a slow disk and a locked database in between; `--kills 1000` is the full run."""
    (row,) = _run(tmp_path, "kills", "--kills", "25")["rows"]
    assert row["chats"] > 100
    assert (row["lost"], row["doubled"], row["disorder"]) == (0, 0, 0), row["examples"]
    assert row["recovery_s"] is not None


def test_saturation_with_cancels_leaves_nothing_behind(tmp_path: Path) -> None:
    """No turn is lost, no connection to the model stays; `--saturate 10` is the full run, which shows the memory."""
    found = _run(tmp_path, "saturation", "--saturate", "0.3")
    assert found["chats"] > 100
    assert found["cancelled"] > 0.1 * found["chats"]
    assert (found["failed"], found["lost"], found["doubled"]) == (0, 0, 0), found["examples"]
    assert found["upstream"] == 0


def test_the_account_finds_what_is_wrong() -> None:
    """A turn that is not there, one that is there twice, one that came back, an old home, words of the erased."""
    life = Life("ann", said=["a", "b", "c", "I moved to Rome."], deleted={"c"})
    life.homes = [("I moved to Oslo.", True), ("I moved to Rome.", True)]

    def episode(text: str) -> dict[str, Any]:
        return {"kind": "episode", "text": text, "slot": None, "evidence": {"text": text}}

    rome = {"kind": "fact", "text": "", "slot": "home", "evidence": {"text": "I moved to Rome"}}
    oslo = {"kind": "fact", "text": "", "slot": "home", "evidence": {"text": "I moved to Oslo"}}
    right = [episode("a"), episode("b"), episode("I moved to Rome."), rome]
    assert not (found := judge(life, right)).notes
    assert (found.lost, found.doubled, found.disorder) == (set(), 0, 0)
    assert judge(life, right[1:]).lost == {"a"}
    assert judge(life, [*right, episode("a")]).doubled == 1
    assert judge(life, [*right, episode("c")]).doubled == 1
    assert judge(life, [*right[:3], oslo]).disorder == 1
    life.erased = True
    assert judge(life, right[:1]).doubled == 1
