"""The load tests: a stall is charged to everyone it hits, a lost token is seen, one command makes the report."""

from __future__ import annotations

import asyncio
import json
import math
import re
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from loadtests import fake, recall_cost, stack_profile
from loadtests.__main__ import main
from loadtests.attack import watch
from loadtests.client import Job, Load, Outcome
from loadtests.prompts import Prompt
from loadtests.soak import slope
from tests.support.proxy_server import PATIENCE

SCENARIO = """
rounds: 2
pinned: false
arms:
  direct: {through: direct}
  "off": {through: rememberd, headers: {x-memory: "off"}}
  hit: {through: rememberd, memories: 300, headers: {x-memory: read}}
measures:
  steady: {load: open, rate: 20, seconds: 0.5, arms: [direct, "off", hit]}
  busy: {load: closed, connections: 2, seconds: 0.3, stream: true, model: 1-1-20, arms: [direct, "off"]}
"""


class Stalls(fake.Model):
    """Answers nothing before the moment `until`."""

    until = 0.0

    def answer(self, request: bytes) -> None:
        self.loop.call_at(max(self.until, self.loop.time()), super().answer, request)


class Loses(fake.Model):
    """Sends no token number three."""

    def _write(self, data: bytes) -> None:
        if b'"3:' not in data:
            super()._write(data)


async def outcome(model: type[fake.Model], *, rate: float | None = None, stream: bool = False) -> Outcome:
    server = await asyncio.get_running_loop().create_server(model, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    prompt = Prompt("0-1-5", stream=stream)
    path = "/0-1-5/v1/chat/completions"
    job = Job("127.0.0.1", port, path, {}, prompt, seconds=0.4, start=time.monotonic(), rate=rate, each=5)
    try:
        return await asyncio.wait_for(Load(job).run(), PATIENCE)
    finally:
        server.close()


async def test_a_stall_is_charged_to_every_request_that_was_due_meanwhile() -> None:
    """No coordinated omission: ten requests were due while the server stalled, and all ten were slow."""
    Stalls.until = asyncio.get_running_loop().time() + 0.4
    seen = await outcome(Stalls, rate=25)
    assert len(seen.latency) == 10
    waits = sorted(seen.latency)
    assert waits[-1] > 350
    assert waits[5] > 150


async def test_lost_tokens_are_counted() -> None:
    """A stream that lacks a token does not pass for whole, and a whole one does."""
    assert (await outcome(fake.Model, stream=True)).lost == 0
    lossy = await outcome(Loses, stream=True)
    assert lossy.tokens > 0
    assert lossy.lost >= lossy.tokens / 4


def test_a_leak_is_a_slope() -> None:
    """Growth in the first fifth is caches; growth after it is told per hour."""
    flat = [(hour / 10, 100.0 if hour < 2 else 120.0) for hour in range(10)]
    assert abs(slope(flat)) < 0.01
    assert abs(slope([(hour, 100 + 3.0 * hour) for hour in range(10)]) - 3) < 0.01


@pytest.mark.slow
def test_one_command_makes_the_report(tmp_path: Path) -> None:
    """`python -m loadtests run` starts model, proxy and clients, and leaves figures and a page behind."""
    scenario = tmp_path / "tiny.yaml"
    scenario.write_text(SCENARIO)
    command = [sys.executable, "-m", "loadtests", "run", "--scenario", str(scenario), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "out" / "result.json").read_text())["summary"]
    assert summary["steady"]["hit"]["status_hit"] == 1
    assert summary["steady"]["off"]["errors"] == summary["busy"]["off"]["lost"] == 0
    assert summary["busy"]["off"]["tokens"] > 0
    assert "added p99" in done.stdout
    page = (tmp_path / "out" / "report.html").read_text()
    assert "added p99" in page


SERVER = """
rounds: 3
pinned: false
arms:
  embedded: {through: rememberd, memories: 300, headers: {x-memory: read}}
  server: {through: rememberd, memories: 300, store: server, headers: {x-memory: read}}
  embedded_learns: {through: rememberd, memories: 300, users: 10, headers: {x-memory: write}}
  server_learns: {through: rememberd, memories: 300, users: 10, store: server, headers: {x-memory: write}}
measures:
  steady: {load: closed, connections: 1, seconds: 3, arms: [embedded, server]}
  learn: {load: closed, connections: 8, seconds: 1, drain: true, rounds: 2, arms: [embedded_learns, server_learns]}
"""
# On the real server it is to be 5 ms more than some 10; the stand-in is a Python process on the same busy cores.
_SERVER_TO_EMBEDDED = 4.0
_WRITER_TO_EMBEDDED = 2.0  # its CPU a turn; turns a second would measure the stand-in, which takes a core


@pytest.mark.alone
@pytest.mark.slow
def test_a_question_to_a_server_costs_little_more_than_to_an_embedded_store(tmp_path: Path) -> None:
    """Ratios within one run, of the medians of latency and of the writer's CPU a turn: two waits of 40 ms for each
    recall, as there were, would be seen."""
    scenario = tmp_path / "server.yaml"
    scenario.write_text(SERVER)
    command = [sys.executable, "-m", "loadtests", "run", "--scenario", str(scenario), "--out", str(tmp_path / "out")]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    rows = json.loads((tmp_path / "out" / "result.json").read_text())["rows"]
    best: dict[str, float] = {}
    for measure, arm, _, figures in rows:
        assert figures["errors"] == 0
        if measure == "learn":
            best[arm] = min(best.get(arm, math.inf), figures["learn_cpu_ms"])
            continue
        assert figures["status_hit"] > 0.5, f"{arm} answers from memory"
        best[arm] = min(best.get(arm, figures["p50"]), figures["p50"])
    assert best["server"] <= _SERVER_TO_EMBEDDED * best["embedded"], best
    assert best["server_learns"] <= _WRITER_TO_EMBEDDED * best["embedded_learns"], best


@pytest.mark.slow
async def test_what_a_recall_costs_is_shown_beside_its_embedding(capsys: pytest.CaptureFixture[str]) -> None:
    """The parts of a recall are no more than the whole, and the ratio is that of the two figures."""
    await recall_cost.main(60, rounds=3)
    rows = dict(line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:])
    whole, embedding = float(rows["without the embedding, CPU"]), float(rows["the embedding, CPU"])
    assert len([name for name in rows if name.startswith("…")]) == 4
    assert abs(float(rows["recall / embedding"]) - whole / embedding) < 0.02


def test_each_command_says_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "loadtests", "--help"], capture_output=True, text=True)
    assert (done.returncode, done.stdout[:6]) == (0, "usage:"), done.stderr
    for command in ("run", "attack", "faults", "overload"):
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])
        assert capsys.readouterr().out.startswith(f"usage: python -m loadtests {command}")


def test_a_stack_counts_for_the_part_that_ran() -> None:
    """py-spy's lines: the innermost frame decides, ours by room, a library by its name."""
    stacks = (
        "<module> (rememberd/__main__.py:3);run (uvloop/a.py:96);send (rememberd/upstream/connection.py:120) 7\n"
        "run (uvloop/__init__.py:96);write (rememberd/http/relay.py:9);observe (prometheus_client/metrics.py:690) 2\n"
        "run (uvloop/__init__.py:96) 4\n"
        "run (uvloop/__init__.py:96);recall (rememberd/memory/recall/recall.py:20) 1\n"
    )
    found = stack_profile.parts(stacks)
    assert found == {"upstream": 7, "prometheus_client": 2, "uvloop": 4, "memory/recall": 1}
    assert "| uvloop | 29 |" in stack_profile.table({("full", "off"): found})


def test_a_process_that_hangs_is_noticed_although_others_take_the_new_connections() -> None:
    """Its connections are among those that are asked again and again; a new one would go to another process."""
    over, asked, connections = threading.Event(), list[int](), set[int]()

    class Process(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            connections.add(id(self.connection))
            asked.append(self.client_address[1])
            if len(asked) == 3 * watch.CONNECTIONS:
                time.sleep(0.4)
                over.set()
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Process)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found = watch.watch(server.server_address[1], over)
    server.shutdown()
    server.server_close()
    assert len(connections) == watch.CONNECTIONS
    assert asked[: watch.CONNECTIONS] * 3 == asked
    assert (found["asked"], found["refused"]) == (len(asked), 0)
    assert found["slowest_ms"] >= 400


@pytest.mark.alone
@pytest.mark.slow
def test_no_recall_from_a_qdrant_server_holds_the_event_loop() -> None:
    """No turn of it takes 2 ms of CPU; with pydantic's models one took 11. Of every question's longest turn the
    median counts, so that what else the machine does counts little."""
    command = [sys.executable, "-m", "loadtests.event_loop", "2000"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
    longest = [float(each) for each in re.findall(r"turn ([\d.]+) ms \(median", told)]
    assert len(longest) == 2, told
    assert max(longest) < 2, told
