"""Many people at once, each of whom tries by every way to get, change or delete what is remembered of the others."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from loadtests.attack.attempt import Attempt
from loadtests.attack.kinds import KINDS
from loadtests.attack.leaks import DEFAULT, GROUP, OPEN, PRIVATE, WORK, leaked, marker, mixed
from loadtests.attack.model import Parrot
from loadtests.attack.people import people
from loadtests.attack.run import Findings, attack, in_clear, safe, table
from loadtests.attack.wire import Answer, Connection, request


@pytest.mark.parametrize(
    ("requests", "users"), [(200, 8), pytest.param(5_000, 200, marks=pytest.mark.slow)], ids=["quick", "whole"]
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
    """A marker is found in any letter case and at any place. One's own marker is no leak, unless this kind of memory
    must not be shown there."""
    mine, theirs = marker(7, DEFAULT), marker(8, DEFAULT)
    assert leaked(f'{{"text": "x{theirs.upper()}"}}'.encode(), 7, OPEN) == {(8, DEFAULT)}
    assert leaked(mine.encode(), 7, OPEN) == set()
    assert leaked(mine.encode(), None, OPEN) == {(7, DEFAULT)}
    assert leaked(marker(7, PRIVATE).encode(), 7, DEFAULT) == {(7, PRIVATE)}
    assert leaked(marker(7, WORK).encode(), 7, OPEN) == {(7, WORK)}


def test_a_prompt_of_two_people_is_seen() -> None:
    """Also a prompt with private memories, sent to a model that must not get them."""
    assert mixed(f"{marker(1, DEFAULT)} {marker(1, WORK)}".encode(), DEFAULT + WORK) == set()
    assert mixed(f"{marker(1, DEFAULT)} {marker(2, DEFAULT)}".encode(), DEFAULT) == {(1, DEFAULT), (2, DEFAULT)}
    assert mixed(marker(1, PRIVATE).encode(), DEFAULT + WORK) == {(1, PRIVATE)}


def test_a_marker_of_a_group_is_its_members() -> None:
    """In an answer and in a prompt; three people are a group."""
    ours = marker(3, GROUP).encode()
    assert [leaked(ours, owner, "") == set() for owner in (2, 3, 5, 6, None)] == [False, True, True, False, False]
    for person, others in ((4, set()), (6, {(3, GROUP), (6, DEFAULT)})):
        assert mixed(ours + marker(person, DEFAULT).encode(), DEFAULT) == others
    assert mixed(ours + marker(6, GROUP).encode(), DEFAULT) == {(3, GROUP), (6, GROUP)}


def test_what_goes_wrong_is_told() -> None:
    """A leak, a status that was not expected, somebody who does not find what is their own."""
    good = {"leaks": 0, "own_5xx": 0, "surprises": 0, "changed": [], "files_with_a_marker": []}
    assert safe(good | {"own_found": {"asks": 1.0}})
    assert not safe(good | {"own_found": {"asks": 0.9}})
    findings = Findings()
    findings.judge("reads", Attempt(b"GET /x", 1, honest=True), Answer(500, marker(2, DEFAULT).encode()), 6.5)
    told = findings.report()
    assert (told["leaks"], told["own_5xx"], told["surprises"], told["own_found"]) == (1, 1, 1, {"reads": 0.0})
    assert not safe(good | told)
    assert (told["slowest_s"], told["slowest_kind"]) == (6.5, "reads")
    assert findings.statuses == {"reads": Counter({500: 1})}


def test_who_was_not_answered_in_time_proves_nothing() -> None:
    """On a busy machine memory may miss its deadline: that is told, and is neither found nor missed."""
    findings = Findings()
    late = Answer(200, b"X-Memory-Status: degraded\r\n\r\n{}")
    for answer in (late, Answer(200, marker(1, DEFAULT).encode())):
        findings.judge("asks", Attempt(b"POST /x", 1, honest=True), answer, 0.1)
    assert (findings.report()["own_found"], findings.report()["degraded"]) == ({"asks": 1.0}, 1)


def test_a_file_with_a_marker_is_told_with_what_stands_around_it(tmp_path: Path) -> None:
    """Its path below the folder, and the bytes beside the marker: enough to find who wrote it. What only looks like a
    marker is none."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "sealed").write_text(marker(12, PRIVATE))
    mark = marker(12, PRIVATE)
    (tmp_path / "data" / "queue.db-wal").write_bytes(
        b"x" * 1000 + f"\x00nickname is {mark.upper()}.\xff".encode("latin-1")
    )
    (told,) = in_clear(tmp_path, f"{marker(1, WORK)} {mark}")
    assert told.startswith("data/queue.db-wal: xxx")
    assert told.endswith(f"\\x00nickname is {mark.upper()}.\\xff")
    assert len(told) < 200


def test_an_answer_that_depends_on_what_is_withheld_is_told() -> None:
    """It lacks what every such answer holds, or holds what none may."""
    guess = Attempt(b"GET /x", 1, holds=b"[]", withheld=b"private")
    for body, surprises in ((b"[]", 0), (b"[{}]", 1), (b"[] private", 1)):
        findings = Findings()
        findings.judge("guesses", guess, Answer(200, body, body), 0.1)
        assert findings.report()["surprises"] == surprises


def test_people_s_names_fall_together_only_for_a_careless_reader() -> None:
    """No two are equal; some are, once their bytes are read as Latin-1 and stripped."""
    names = [each.name for each in people(200)]
    assert len(set(names)) == 200
    assert len({name.encode().decode("latin-1").strip() for name in names}) < 200


async def test_what_reaches_the_provider_by_another_path_is_a_leak() -> None:
    leaks = Counter[str]()
    server = await asyncio.get_running_loop().create_server(lambda: Parrot(leaks), "127.0.0.1", 0)
    connection = Connection(server.sockets[0].getsockname()[1])
    for method, path in (
        ("POST", "/a/v1/embeddings"),
        ("GET", "/a/v1/files"),
        ("POST", "/b"),
        ("GET", "/a/v1/messages"),
    ):
        assert (await connection.ask(request(method, path, [], b"{}"))).status == 200
    await connection.close()
    server.close()
    assert leaks.total() == 3
