"""No telemetry: no process and no command opens a connection, or looks up a name, that nobody configured."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.fake_model import FakeModel
from tests.support.proxy_server import entry

# onnxruntime's report is made by native code, which no audit hook of Python sees: the system calls are read.
TRACED = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,sendmmsg"]
ADDRESS = re.compile(r'sa_family=AF_INET6?,.*?htons\((\d+)\).*?(?:inet_addr\("|inet_pton\(AF_INET6, ")([^"]+)"')


def _strace_works() -> bool:
    return (
        shutil.which("strace") is not None and subprocess.run([*TRACED, "true"], capture_output=True).returncode == 0
    )


needs_strace = pytest.mark.skipif(not _strace_works(), reason="there is no strace here, or it may not trace")


class Listener:
    """Stands in for a proxy of the environment, and keeps what it was sent."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                self.heard.append(connection.recv(4096))

    def close(self) -> None:
        self._server.close()


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()
    try:
        yield listener
    finally:
        listener.close()


def environment(home: Path, proxy: str) -> dict[str, str]:
    """Of a stranger: nothing in it that happens to turn telemetry off here."""
    proxies = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy"), proxy)
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    return {**kept, **proxies, "NO_PROXY": "127.0.0.1,localhost", "HOME": str(home)}


def config(folder: Path, upstream: FakeModel) -> Path:
    path = folder / "rememberd.yaml"
    models = [entry("model-a", "openai/model-a", upstream.url), entry("claude", "anthropic/c", upstream.origin)]
    extract = {"model": "claude"}  # the writer imports litellm for it
    tables = {"server": {"port": 0}, "memory": {"extract": extract}, "data_dir": str(folder / "data")}
    path.write_text(json.dumps({**tables, "model_list": models}))
    return path


def foreign(trace: Path) -> list[str]:
    """The system calls to other machines, and the questions to a name server, wherever that is."""
    found = []
    for line in trace.read_text(errors="replace").splitlines():
        address = ADDRESS.search(line)
        if address and (address[1] == "53" or address[2] not in ("127.0.0.1", "::1", "::ffff:127.0.0.1")):
            found.append(line)
    return found


def run(command: list[str], folder: Path, *, seconds: float | None = None) -> tuple[list[str], list[bytes]]:
    """What `command` sent abroad: its system calls, and what came to the proxy of its environment. With `seconds` it
    is stopped after that time, else it ends by itself."""
    trace, home = folder / "trace", folder / "home"
    home.mkdir()
    with listening() as listener:
        process = subprocess.Popen(
            [*TRACED, "-o", str(trace), *command],
            env=environment(home, listener.url),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        if seconds is not None:
            time.sleep(seconds)
            assert process.poll() is None, process.communicate()
            os.killpg(process.pid, signal.SIGTERM)
        written, _ = process.communicate(timeout=120)
        assert seconds is not None or process.returncode == 0, written
        assert not list(home.rglob("*onnxruntime*")), "onnxruntime has written down what it would report"
        return foreign(trace), listener.heard


@needs_strace
def test_loading_the_embedding_model_reports_to_nobody(tmp_path: Path) -> None:
    """`import rememberd` comes first, as a library too. onnxruntime 1.32 reports within a second of its import."""
    wait = "import time; time.sleep(2)"
    assert run([sys.executable, "-c", f"import rememberd, onnxruntime; {wait}"], tmp_path) == ([], [])


@needs_strace
def test_the_check_would_see_a_report(tmp_path: Path) -> None:
    """A name lookup and a request by the proxy of the environment, as a library might make them."""
    calls = "import urllib.request as r; r.urlopen('http://telemetry.invalid/', timeout=5)"
    lookup = "import socket; socket.getaddrinfo('telemetry.invalid', 80)"
    code = f"try:\n    {calls}\nexcept OSError:\n    pass\ntry:\n    {lookup}\nexcept OSError:\n    pass"
    lookups, asked = run([sys.executable, "-c", code], tmp_path)
    assert lookups
    assert asked


@needs_strace
@pytest.mark.slow
def test_the_demo_and_check_ask_only_whom_they_name(tmp_path: Path, upstream: FakeModel) -> None:
    for number, command in enumerate((["demo"], ["check", "--config", str(config(tmp_path, upstream))])):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert run([sys.executable, "-m", "rememberd", *command], folder) == ([], []), command


@needs_strace
@pytest.mark.slow
@pytest.mark.parametrize("command", ["serve", "web", "writer"])
def test_the_servers_ask_only_whom_they_name(tmp_path: Path, upstream: FakeModel, command: str) -> None:
    """For twenty seconds, with litellm imported in the writer."""
    argv = [sys.executable, "-m", "rememberd", command, "--config", str(config(tmp_path, upstream))]
    assert run(argv, tmp_path, seconds=20) == ([], [])


@pytest.mark.slow
def test_it_serves_where_there_is_no_network(tmp_path: Path) -> None:
    """In a network namespace with nothing but loopback, the demo shows the whole path."""
    alone = ["unshare", "--net", "--map-root-user", "sh", "-c", 'ip link set lo up 2>/dev/null; exec "$@"', "sh"]
    if subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("this machine allows no network namespaces")
    up = subprocess.run([*alone, sys.executable, "-c", _REACHES_ITSELF], capture_output=True)
    if up.returncode:
        pytest.skip("loopback cannot be brought up in a network namespace here: there is no `ip`")
    done = subprocess.run(
        [*alone, sys.executable, "-m", "rememberd", "demo"],
        env=environment(tmp_path, "http://127.0.0.1:9"),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "memory: hit" in done.stdout


_REACHES_ITSELF = (
    "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())"
)
