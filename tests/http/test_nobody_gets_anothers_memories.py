"""Many people at once, each of whom tries by every way to get, change or delete what is remembered of the others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from loadtests.attack.attempt import Attempt
from loadtests.attack.kinds import KINDS
from loadtests.attack.leaks import DEFAULT, OPEN, PRIVATE, WORK, leaked, marker, mixed
from loadtests.attack.run import Findings, attack, safe, table
from loadtests.attack.wire import Answer


@pytest.mark.parametrize(
    ("requests", "users"), [(400, 8), pytest.param(5_000, 200, marks=pytest.mark.slow)], ids=["quick", "whole"]
)
def test_nobody_gets_at_what_is_anothers(tmp_path: Path, requests: int, users: int) -> None:
    """Forged names and tokens, known ids, cursors and receipts, the same question at the same instant, MCP, the admin
    API, imports, erasures: no marker of another in an answer or a prompt, nobody's memories changed, no error of the
    server, no word in clear on the disk; while everybody finds what is their own."""
    found = attack(requests, users, 2, tmp_path / "proxy")
    assert safe(found), table(found)
    assert found["requests"] >= requests
    if requests > 2_000:
        assert set(found["kinds"]) == {kind.__name__ for kind in KINDS} | {"same_instant"}


def test_another_persons_marker_is_seen() -> None:
    """In any case and anywhere; one's own is none, unless it is of a kind that has no business there."""
    mine, theirs = marker(7, DEFAULT), marker(8, DEFAULT)
    assert leaked(f'{{"text": "x{theirs.upper()}"}}'.encode(), 7, OPEN) == {(8, DEFAULT)}
    assert leaked(mine.encode(), 7, OPEN) == set()
    assert leaked(mine.encode(), None, OPEN) == {(7, DEFAULT)}
    assert leaked(marker(7, PRIVATE).encode(), 7, DEFAULT) == {(7, PRIVATE)}
    assert leaked(marker(7, WORK).encode(), 7, OPEN) == {(7, WORK)}


def test_a_prompt_of_two_people_is_seen() -> None:
    """And one with what is private, where it must not be."""
    assert mixed(f"{marker(1, DEFAULT)} {marker(1, WORK)}".encode(), DEFAULT + WORK) == set()
    assert mixed(f"{marker(1, DEFAULT)} {marker(2, DEFAULT)}".encode(), DEFAULT) == {(1, DEFAULT), (2, DEFAULT)}
    assert mixed(marker(1, PRIVATE).encode(), DEFAULT + WORK) == {(1, PRIVATE)}


def test_what_goes_wrong_is_told() -> None:
    """A leak, a status that was not expected, somebody who does not find what is their own."""
    good = {"leaks": 0, "server_errors": 0, "surprises": 0, "changed": [], "files_with_a_marker": []}
    assert safe(good | {"own_found": {"asks": 1.0}})
    assert not safe(good | {"own_found": {"asks": 0.9}})
    findings = Findings()
    findings.judge("reads", Attempt(b"GET /x", 1, honest=True), Answer(500, marker(2, DEFAULT).encode()))
    told = findings.report()
    assert (told["leaks"], told["server_errors"], told["surprises"], told["own_found"]) == (1, 1, 1, {"reads": 0.0})
    assert not safe(good | told)
    assert findings.statuses == {"reads": Counter({500: 1})}
