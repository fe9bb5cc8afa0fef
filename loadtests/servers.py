"""What is measured: each server is started with its own files in a temporary folder, and known as a `Target`."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from loadtests.machine import Cores, children, pin

HERE = Path(__file__).parents[1]
START_SECONDS = 120.0
KEY = "sk-load-test-5d1f0c27a9e84b63"
CONFIG = "rememberd.json"
_MASTER_KEY = "5d" * 32
TRANSLATED = "translated-"  # a model of this prefix goes through litellm


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go. `path`, `headers` and `model` may hold `{model}`, the name of the fake model; `pids` are the
    processes whose CPU and memory count; `version` is the package of a peer."""

    host: str
    port: int
    path: str = "/v1/chat/completions"
    headers: Mapping[str, str] = field(default_factory=dict)
    pids: Sequence[int] = ()
    metrics: bool = False
    writer: int = 0
    data: Path | None = None
    model: str | None = None
    version: str = ""

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


def at(url: str, key: str | None = None, model: str | None = None) -> Target:
    """A server that runs already. Raises `ValueError` for anything but http://HOST:PORT."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"{url!r} is not http://HOST:PORT")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    base = parts.path.rstrip("/").removesuffix("/v1")
    return Target(parts.hostname, parts.port or 80, f"{base}/v1/chat/completions", headers, model=model)


def direct(upstream: int) -> Target:
    return Target("127.0.0.1", upstream, "/{model}/v1/chat/completions")


@contextmanager
def rememberd(
    folder: Path,
    upstream: int,
    models: Sequence[str],
    cores: Cores,
    workers: int = 1,
    sealed: bool = False,
    store: str | None = None,
) -> Iterator[Target]:
    """`rememberd serve` with its own data; its web processes on the server's cores, its writer on the others.
    `store` is the address of a Qdrant server; None for an embedded store."""
    with serving(folder, _config(folder, upstream, models, workers, sealed, store)) as (process, port):
        started = re.findall(r"(web|writer)\S* started, pid (\d+)", (folder / "log").read_text())
        web = [int(pid) for name, pid in started if name == "web"]
        writer = next(int(pid) for name, pid in started if name == "writer")
        pin(web, cores.server)
        pin([writer, process.pid], cores.others)
        headers = {"authorization": f"Bearer {KEY}"}
        yield Target("127.0.0.1", port, headers=headers, pids=web, metrics=True, writer=writer, data=folder / "data")


@contextmanager
def serving(folder: Path, settings: Mapping[str, object]) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """`rememberd serve` with these settings, and its port; what it logs goes to `log` in `folder`."""
    folder.mkdir(parents=True)
    config = folder / CONFIG
    config.write_text(json.dumps(settings))
    log = (folder / "log").open("w+")
    command = [sys.executable, "-m", "rememberd", "serve", "--config", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        yield process, _ready_port(process, folder / "log")
    finally:
        ended(process)
        log.close()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The process hangs meanwhile: its sockets stay open and nobody answers."""
    signal_all = [pid, *children(pid)]
    _signal(signal_all, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(signal_all, signal.SIGCONT)


def fetch(url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> bytes:
    request = urllib.request.Request(url, data=body, headers=dict(headers or {}))
    with urllib.request.urlopen(request, timeout=START_SECONDS) as response:
        return bytes(response.read())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _config(
    folder: Path, upstream: int, models: Sequence[str], workers: int, sealed: bool, store: str | None
) -> dict[str, object]:
    chat = [model_entry(model, model, upstream) for model in models]
    # A provider that is said not to take chat completions as they are: they go through litellm then.
    other = [
        {"model_info": {"supported_endpoints": ["/v1/responses"]}, **model_entry(TRANSLATED + m, m, upstream)}
        for m in models
    ]
    return {
        "server": {"port": 0, "workers": workers},
        "data_dir": str(folder / "data"),
        "model_list": chat + other,
        "keys": [{"name": "load", "key": KEY, "trust_identity": True}],
        "memory": {"encryption": {"master_key": _MASTER_KEY if sealed else None}, "store": {"url": store}},
    }


def model_entry(name: str, model: str, upstream: int) -> dict[str, object]:
    base = f"http://127.0.0.1:{upstream}/{model}/v1"
    return {"model_name": name, "litellm_params": {"model": f"openai/{model}", "api_base": base, "api_key": "sk-x"}}


def _ready_port(process: subprocess.Popen[str], log: Path) -> int:
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"ready at http://\S+:(\d+)", line):
            return int(found[1])
    raise RuntimeError("rememberd did not start:\n" + log.read_text())


def wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = START_SECONDS) -> None:
    """Until the process listens. Raises `RuntimeError` if it ends or takes longer."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"nothing listens on port {port}; exit code {process.poll()}")


def ended(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    """Terminates the process, or kills it if it does not end in time."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
