"""`rememberd serve`: says what it found, drains on SIGTERM, stops on a bad configuration."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from loadtests.machine import children, memory_mb
from rememberd.cli.main import main
from tests.support.fake_model import Behaviour, FakeModel
from tests.support.proxy_server import PATIENCE, Proxy, ask, eventually, remembered, running


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rememberd", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ | environ,
        check=False,
    )


def write(folder: Path, **settings: object) -> str:
    path = folder / "rememberd.yaml"
    path.write_text(json.dumps({"data_dir": str(folder / "data"), "model_list": []} | settings))
    return str(path)


@pytest.mark.slow
def test_streams_in_flight_finish_after_sigterm_and_the_queue_is_kept(tmp_path: Path, upstream: FakeModel) -> None:
    """A deployment must not cut anybody off, nor forget what was said last."""
    upstream.script(Behaviour(answer="slow but whole " * 10, delay_chunk=0.05))
    with running(tmp_path, {"model-a": upstream.url}) as proxy:
        pids = proxy.pids("web") + proxy.pids("writer")
        got: list[str] = []

        def stream() -> None:
            with proxy.client("drain") as client:
                got.append(ask(client, "I live in Visby.", stream=True).text)

        talker = threading.Thread(target=stream)
        before = len(upstream.chats)
        talker.start()
        eventually(lambda: len(upstream.chats) > before)
        proxy.process.send_signal(signal.SIGTERM)
        talker.join(PATIENCE)
        assert proxy.process.wait(PATIENCE) == 0
        assert got[0].endswith("data: [DONE]\n\n")
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    with running(tmp_path, {"model-a": upstream.url}) as again, again.client("drain") as client:
        remembered(client, "Visby", "episode")


def test_when_the_parent_is_killed_the_children_stop(tmp_path: Path, upstream: FakeModel) -> None:
    """No orphan keeps the port or the store's lock."""
    with running(tmp_path, {"model-a": upstream.url}) as proxy:
        pids = proxy.pids("web") + proxy.pids("writer")
        assert len(pids) == 2
        proxy.process.kill()
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


@pytest.mark.alone
@pytest.mark.slow
def test_all_processes_together_fit_in_250_megabytes(tmp_path: Path, upstream: FakeModel) -> None:
    """Idle, once all is loaded; pages that several of them share count once."""
    with running(tmp_path, {"model-a": upstream.url}) as proxy:
        proxy.wait_ready()
        assert memory_mb([proxy.process.pid, *children(proxy.process.pid)]) < 250


@pytest.mark.slow
def test_two_workers_share_one_memory(tmp_path: Path, upstream: FakeModel) -> None:
    """Whichever of them answers."""
    with running(tmp_path, {"model-a": upstream.url}, server={"port": 0, "workers": 2}) as proxy:
        eventually(lambda: len(proxy.pids("web")) == 2)
        with proxy.client("shared") as client:
            client.post("/v1/memories", json={"text": "I live in Skagen."})
        for number in range(8):
            with proxy.client("shared") as fresh:  # a new connection each time
                assert ask(fresh, f"Where do I live? ({number})").headers["X-Memory-Status"] == "hit"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"server": {"prot": 1}}, ["rememberd.yaml:1", "server.prot", "port"]),
        ({"server": {"port": "high"}}, ["server.port", "whole number"]),
        ({"memory": {"placement": "above"}}, ["memory.placement", "user, system"]),
        ({"server": {"host": "0.0.0.0"}}, ["0.0.0.0", "keys"]),
        ({"keys": [{"name": "a", "key": "k"}]}, ["'a'", "user"]),
        ({"keys": [{"name": "a", "key": "os.environ/NOT_SET", "user": "u"}]}, ["NOT_SET", "not set"]),
    ],
)
def test_a_bad_setting_stops_the_start_and_says_where(
    tmp_path: Path, settings: dict[str, object], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the line, the name and what would be right."""
    assert main(["serve", "--config", write(tmp_path, **({"server": {"port": 0}} | settings))]) == 2
    told = capsys.readouterr().err
    assert [word for word in words if word not in told] == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"model_list": [{"model_name": "x"}]}, ["model_list", "litellm_params"]),
        pytest.param(
            {"model_list": [{"model_name": "x", "litellm_params": {"model": "unheard-of"}}]},
            ["x", "api_base"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"memory": {"embedding": {"path": "/no/such/model"}}},
            ["memory.embedding.path", "/no/such/model"],
            marks=pytest.mark.slow,
        ),
        pytest.param(
            {"memory": {"encryption": {"master_key": "m"}}}, ["memory.encryption.master_key"], marks=pytest.mark.slow
        ),
    ],
)
def test_what_a_process_finds_wrong_stops_the_start(
    tmp_path: Path, settings: dict[str, object], words: list[str]
) -> None:
    """A web process or the writer says it, once, and is not started again and again."""
    done = run("serve", "--config", write(tmp_path, **({"server": {"port": 0}} | settings)))
    assert done.returncode == 2
    assert [word for word in words if word not in done.stderr] == []
    assert "Traceback" not in done.stderr
    assert "SIGABRT" not in done.stderr


# A `rememberd web` that is refused while the embedder's thread is inside onnxruntime, and stays there.
BUSY = """
import asyncio, threading
from rememberd.memory.embedding import embedder
from rememberd.wiring import queue

inside = threading.Event()

def busy(directory):
    encode = embedder.LocalModel(directory)
    inside.set()
    while True:
        encode("word " * 400)

async def until_inside(settings):
    while not inside.is_set():
        await asyncio.sleep(0.01)

embedder.local_model, embedder._ENDS_WITHIN_SECONDS, queue.require_format = busy, 0.0, until_inside
"""
# One that says so when the embedder's thread is started.
TELLS = """
import sys
from rememberd.memory.embedding import embedder

class Thread(embedder._Thread):
    def __init__(self, *arguments):
        print("its thread is started", file=sys.stderr)
        super().__init__(*arguments)

embedder._Thread = Thread
"""


def refused_web(folder: Path, changed: str) -> subprocess.CompletedProcess[str]:
    """With a wrong master key."""
    config = write(folder, memory={"encryption": {"master_key": "m"}}, server={"port": 0})
    script = changed + "from rememberd.cli.main import run\nrun()\n"
    command = [sys.executable, "-c", script, "web", "--config", config]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_a_process_ends_as_it_should_whatever_its_threads_do(tmp_path: Path) -> None:
    """Python would abort it (SIGABRT): on a busy machine a model takes longer than the process waits for it."""
    done = refused_web(tmp_path, BUSY)
    assert done.returncode == 2, done
    assert "memory.encryption.master_key" in done.stderr


def test_a_process_that_is_refused_does_not_begin_to_load_the_model(tmp_path: Path) -> None:
    """It did so after it had closed the embedder, and ended in the midst of it."""
    done = refused_web(tmp_path, TELLS)
    assert "memory.encryption.master_key" in done.stderr
    assert "its thread" not in done.stderr


def test_output_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """As on a full disk."""
    with Path("/dev/full").open("w") as full:
        script = "from rememberd.cli import main\nmain.main = lambda: print('a memory') or 0\nmain.run()"
        buffered = os.environ | {"PYTHONUNBUFFERED": ""}  # as on a user's machine
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=buffered, check=False)
    assert done.returncode == 1
    assert done.stderr == "rememberd: cannot write the output: No space left on device\n"


def test_a_port_that_is_taken_is_said_plainly(
    tmp_path: Path, upstream: FakeModel, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second most frequent mistake."""
    port = int(upstream.url.rpartition(":")[2].removesuffix("/v1"))
    assert main(["serve", "--config", write(tmp_path, server={"port": port})]) == 2
    said = capsys.readouterr().err
    assert f"127.0.0.1:{port}" in said
    assert "server.port" in said


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("REMEMBERD_SERVER_WORKERS", "0", "server.workers"),
        ("REMEMBERD_SERVER_WORKRES", "2", "did you mean REMEMBERD_SERVER_WORKERS"),
    ],
)
def test_the_environment_overrides_the_file_and_its_typing_errors_are_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str,
    words: str,
) -> None:
    """Containers get their settings from the environment."""
    monkeypatch.setenv(variable, value)
    assert main(["serve", "--config", write(tmp_path)]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.slow
def test_a_second_proxy_on_the_same_data_is_refused(tmp_path: Path, upstream: FakeModel) -> None:
    """Two writers on one embedded store would corrupt it."""
    with running(tmp_path, {"model-a": upstream.url}) as proxy:
        done = run("writer", "--config", write(tmp_path, server={"port": 0}))
        assert done.returncode == 2
        assert str(proxy.data) in done.stderr


def resident(pid: int) -> int:
    """The bytes of memory that the process uses."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.alone
@pytest.mark.slow
def test_web_never_imports_litellm_before_a_model_needs_it(tmp_path: Path, upstream: FakeModel) -> None:
    """litellm is not imported: that would take seconds and 170 MB."""
    with running(tmp_path, {"model-a": upstream.url}) as proxy:
        with proxy.client("small") as client:
            ask(client, "Hi")
        for pid in proxy.pids("web"):
            assert "tiktoken" not in Path(f"/proc/{pid}/maps").read_text()  # litellm's, and compiled
            assert resident(pid) < 162e6  # 156 MB once the model is loaded


def test_data_is_for_its_owner_only(proxy: Proxy) -> None:
    """On a shared machine other accounts read nothing."""
    assert proxy.data.stat().st_mode & 0o077 == 0
