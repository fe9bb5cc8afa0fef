"""A real `rememberd serve` on a free port, with its own data directory."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

PATIENCE = 120.0
ON_SERVERS = "REMEMBERD_TESTS_ON_SERVERS"  # set: all proxies have their memory on servers, under a master key

T = TypeVar("T")

KEYS = [
    {"name": "alice", "key": "sk-alice", "user": "alice"},
    {"name": "bob", "key": "sk-bob", "user": "bob"},
    {"name": "webui", "key": "sk-webui", "trust_identity": True},
    {
        "name": "signed",
        "key": "sk-signed",
        "trust_identity": True,
        "jwt_secret": "a secret of at least 32 bytes, say",
    },
    {"name": "work", "key": "sk-work", "user": "wilma", "scopes": ["work"]},
    {"name": "all", "key": "sk-all", "user": "wilma"},
]


@dataclass
class Proxy:
    data: Path
    url: str = ""
    log: list[str] = field(default_factory=list)
    process: subprocess.Popen[str] = field(init=False, repr=False)  # none if it runs in the tests' own

    def client(self, user: str | None = None, *, key: str = "sk-webui", **headers: str) -> httpx.Client:
        """As `user` through the key that may name users; without a user, as the key's own."""
        named = {"X-Memory-User": user} if user else {}
        sent = {"Authorization": f"Bearer {key}", **named, **headers}
        return httpx.Client(base_url=self.url, headers=sent, timeout=PATIENCE)

    def pids(self, name: str) -> list[int]:
        """Of the children called `name` that the supervisor started and that still run."""
        started = [re.search(rf"{name}\S* started, pid (\d+)", line) for line in self.log]
        return [pid for pid in (int(found[1]) for found in started if found) if _alive(pid)]

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        for pid in self.pids(name):
            os.kill(pid, number)

    def is_ready(self) -> bool:
        return httpx.get(f"{self.url}/health/ready").status_code == 200

    def wait_ready(self) -> None:
        eventually(self.is_ready)


def entry(name: str, model: str, base: str, **info: Any) -> dict[str, Any]:
    """One of `model_list`; `info` is its `model_info`."""
    params = {"model": model, "api_base": base, "api_key": "sk-up"}
    return {"model_name": name, "litellm_params": params} | ({"model_info": info} if info else {})


@contextmanager
def running(
    folder: Path,
    models: Mapping[str, str],
    *,
    others: Sequence[Mapping[str, Any]] = (),
    options: Sequence[str] = (),
    **settings: Any,
) -> Iterator[Proxy]:
    """`settings`, `models` and `others` as of `configured`; `options` are further ones of `serve`."""
    with configured(folder, models, others, settings) as path:
        yield from _running(path, options)


@contextmanager
def configured(
    folder: Path, models: Mapping[str, str], others: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]
) -> Iterator[Path]:
    """The file with the settings of a proxy. `models` maps a model's name to its API base, `others` are entries of
    `model_list`; `settings` replaces tables; `keys=None` runs without keys."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = [
        {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_base": base, "api_key": "sk-up"}}
        for name, base in models.items()
    ]
    config = {
        "server": {"port": 0},
        "memory": {"deadline_ms": 5000},  # a busy test machine must not look like a slow store
        "data_dir": str(folder / "data"),
        "model_list": [*listed, *others],
        "keys": KEYS,
    } | dict(settings)
    with ExitStack() as stack:
        if os.environ.get(ON_SERVERS):
            from tests.support.servers import encrypted_on_servers

            config["memory"] = stack.enter_context(encrypted_on_servers(folder)) | config["memory"]
        path = folder / "rememberd.yaml"
        path.write_text(json.dumps(config))
        yield path


def _running(config: Path, options: Sequence[str]) -> Iterator[Proxy]:
    process = subprocess.Popen(
        [sys.executable, "-m", "rememberd", "serve", "--config", str(config), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    proxy = Proxy(config.parent / "data")
    proxy.process = process
    reader = threading.Thread(target=_collect, args=(proxy,), daemon=True)
    reader.start()
    try:
        proxy.url = _address(process, proxy)
        yield proxy
    finally:
        process.terminate()
        process.wait(PATIENCE)
        reader.join(PATIENCE)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def eventually(look: Callable[[], T], seconds: float = PATIENCE) -> T:
    """What `look` returns as soon as it is true; no connection and a 503 count as not yet."""
    end, pause = time.monotonic() + seconds, 0.005
    while True:
        try:
            if found := look():
                return found
        except httpx.HTTPError:
            pass
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def ask(client: httpx.Client, text: str, model: str = "model-a", **body: Any) -> httpx.Response:
    messages = [{"role": "user", "content": text}]
    return client.post("/v1/chat/completions", json={"model": model, "messages": messages} | body)


def remembered(client: httpx.Client, text: str, kind: str | None = None) -> dict[str, Any]:
    """The memory that holds `text`, as soon as it is there."""

    def look() -> dict[str, Any] | None:
        return next((m for m in memories(client, kind) if text in m["text"]), None)

    found = eventually(look)
    assert found is not None
    return found


def memories(client: httpx.Client, kind: str | None = None) -> list[dict[str, Any]]:
    found, cursor = [], None
    while True:
        asked = {"limit": "500"} | ({"kind": kind} if kind else {}) | ({"cursor": cursor} if cursor else {})
        page = client.get("/v1/memories", params=asked).raise_for_status().json()
        found += page["data"]
        if not (cursor := page["next_cursor"]):
            return found


def _collect(proxy: Proxy) -> None:
    assert proxy.process.stderr is not None
    for line in proxy.process.stderr:
        proxy.log.append(line)


def _address(process: subprocess.Popen[str], proxy: Proxy) -> str:
    assert process.stdout is not None
    impatient = threading.Timer(PATIENCE, process.terminate)
    impatient.start()
    try:
        for line in process.stdout:
            if found := re.search(r"ready at (http://\S+)", line):
                return found[1]
    finally:
        impatient.cancel()
    raise AssertionError("serve stopped at its start, or was not ready in time:\n" + "".join(proxy.log))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
