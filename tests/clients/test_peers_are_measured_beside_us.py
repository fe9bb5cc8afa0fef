"""Peers beside us in one run: `python -m loadtests.quality DATASET --peer NAME` asks them the same questions with the
same embedder, `python -m loadtests run --peer NAME` starts them and sends them the same load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from loadtests.arms import peers_named
from loadtests.quality.__main__ import run
from loadtests.quality.datasets.conversation import DAY_MS, Conversation, Question, exchange
from loadtests.quality.peers import embeddings
from loadtests.quality.peers.installed import PEERS
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.types import Space


async def test_the_stand_in_serves_the_packaged_embedder() -> None:
    embedder = FastEmbedder()
    await embedder.start()
    try:
        async with embeddings.serving(embedder) as url, httpx.AsyncClient(base_url=url) as http:
            answer = await http.post("/api/embed", json={"model": "any", "input": ["a boat", "a tax"]})
            vectors = [await embedder.dense("a boat"), await embedder.dense("a tax")]
            assert answer.json()["embeddings"] == vectors
            answer = await http.post("/v1/embeddings", json={"model": "any", "input": ["a boat", "a tax"]})
            assert [each["embedding"] for each in answer.json()["data"]] == vectors
            assert (await http.post("/api/chat", json={})).status_code == 404
    finally:
        embedder.close()


@pytest.mark.clients
@pytest.mark.parametrize("peer", sorted(PEERS))
async def test_a_memory_is_asked_the_same(peer: str) -> None:
    """Installed from its registry; what it shows is counted by turn, and its version and settings are reported."""
    space = Space("mia")
    said = [
        "I keep two goats called Nut and Bolt.",
        "My brother Jan works on a ferry.",
        "I sold my kayak.",
    ]
    turns = [exchange(space, str(n), n * DAY_MS, text, "Noted.", session=str(n)) for n, text in enumerate(said)]
    question = Question("What are my two goats called?", "plain", frozenset([turns[0].id]))
    result = await run([Conversation(space, turns, [question], 4 * DAY_MS)], check_folds=False, peers=[peer])
    package = PEERS[peer].package
    assert result["ways"][package]["1000"]["found"] == 100.0
    assert 0 < result["ways"][package]["1000"]["tokens"] <= 1000
    assert result["peers"][package]["recall_ms"]["p50"] > 0


SCENARIO = """
rounds: 1
arms:
  direct: {through: direct}
  "off": {through: rememberd, headers: {x-memory: "off"}}
measures:
  full: {load: closed, connections: 2, seconds: 0.5, arms: [direct, "off"]}
  busy: {load: closed, model: 1-1-20, stream: true, connections: 2, seconds: 0.5, arms: [direct, "off"]}
"""


def test_a_peer_that_nobody_can_start_is_refused() -> None:
    assert peers_named(["nginx", "litellm=/bin/litellm", "own=http://127.0.0.1:1"])["litellm"] == "/bin/litellm"
    for unknown in ("ngnix", "nginx=/usr/sbin/nginx", "own=127.0.0.1:1"):
        with pytest.raises(ValueError, match="not one of litellm, nginx, portkey, tensorzero"):
            peers_named([unknown])


@pytest.mark.clients
@pytest.mark.parametrize("peer", ["litellm", "tensorzero", "portkey"])
def test_a_gateway_is_started_by_name(peer: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Installed from its registry; its requests, its streamed tokens and its CPU are counted like ours."""
    where = "=" + request.getfixturevalue("litellm_command") if peer == "litellm" else ""
    scenario = tmp_path / "small.yaml"
    scenario.write_text(SCENARIO)
    command = ["run", "--scenario", str(scenario), "--peer", peer + where, "--out", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-m", "loadtests", *command], capture_output=True, text=True)
    if "cannot be had" in done.stderr:
        pytest.skip(done.stderr[-500:])
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert peer in result["machine"]["peers"][peer]
    whole, streamed = result["summary"]["full"][peer], result["summary"]["busy"][peer]
    assert whole["n"] > 0
    assert whole["cpu_us"] > 0
    assert whole["errors"] == 0
    if peer != "portkey":  # 1.15.2 answers streams with status 500 on Node 20.20: "TypeError: immutable"
        assert streamed["cpu_us_token"] > 0
        assert (streamed["errors"], streamed["lost"]) == (0, 0)
