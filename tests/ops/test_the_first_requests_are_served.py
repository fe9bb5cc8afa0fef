"""What is asked while the proxy starts is answered: chats at once, the memory's own requests when it is ready."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from loadtests.servers import free_port
from tests.support.fake_model import FakeModel
from tests.support.proxy_server import PATIENCE, ask, entry


@pytest.mark.slow
def test_requests_during_the_start_wait_instead_of_failing(tmp_path: Path, upstream: FakeModel) -> None:
    """Each sent as soon as the port is open: a memory is added, listed and searched; a chat is answered, with memory
    or without; a command works on the store that is being opened."""
    port, path = free_port(), tmp_path / "rememberd.yaml"
    models = [entry("model-a", "openai/model-a", upstream.url)]
    path.write_text(json.dumps({"data_dir": str(tmp_path / "data"), "server": {"port": port}, "model_list": models}))
    command = [sys.executable, "-m", "rememberd"]
    serving = subprocess.Popen([*command, "serve", "--config", str(path)], stdout=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client:
            wait_for_port(port)
            with ThreadPoolExecutor(4) as at_once:
                added = at_once.submit(client.post, "/v1/memories", json={"text": "I live in Oslo."})
                listed = at_once.submit(client.get, "/v1/memories")
                found = at_once.submit(client.post, "/v1/memories/search", json={"query": "home"})
                chat = at_once.submit(ask, client, "Hi")
            answers = {"add": added, "list": listed, "search": found, "chat": chat}
            statuses = {name: answer.result().status_code for name, answer in answers.items()}
            assert statuses == dict.fromkeys(answers, 200), [answer.result().text for answer in answers.values()]
            assert chat.result().headers["x-memory-status"] in ("hit", "miss", "degraded")
        erased = subprocess.run(
            [*command, "erase", "local", "--config", str(path)], capture_output=True, text=True, check=False
        )
        assert "memories of local" in erased.stdout
    finally:
        serving.terminate()
        assert serving.wait(PATIENCE) == 0


def wait_for_port(port: int) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.01)
        else:
            return
    raise AssertionError("the port was not opened in time")
