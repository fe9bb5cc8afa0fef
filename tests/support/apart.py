"""`rememberd web` and `rememberd writer` as processes of their own, and who asks them as a load balancer would."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx

from tests.support.proxy_server import KEYS, PATIENCE, entry, eventually

OPENS_IN = 60.0


class Apart:
    """`start` and `stop` by name: "writer", or "web-0", "web-1" …, which each have a port."""

    def __init__(
        self, folder: Path, upstream: str, memory: dict[str, Any], *, drain_seconds: int = 1, **settings: Any
    ) -> None:
        self.folder, self.running = folder, dict[str, subprocess.Popen[bytes]]()
        self.urls: dict[str, str] = {}
        self.config = folder / "rememberd.yaml"
        self.config.write_text(
            json.dumps(
                {
                    "data_dir": str(folder / "data"),
                    "server": {"drain_seconds": drain_seconds},
                    "memory": {"deadline_ms": 2000} | memory,
                    "model_list": [entry("model-a", "openai/model-a", upstream)],
                    "keys": KEYS,
                }
                | settings
            )
        )

    def start(self, name: str) -> None:
        command = name.partition("-")[0]
        argv = [sys.executable, "-m", "rememberd", command, "--config", str(self.config)]
        if command == "web" and name not in self.urls:
            with socket.create_server(("127.0.0.1", 0)) as free:
                self.urls[name] = f"http://127.0.0.1:{free.getsockname()[1]}"
        port = {"REMEMBERD_SERVER_PORT": self.urls[name].rpartition(":")[2]} if command == "web" else {}
        log = (self.folder / f"{name}.log").open("ab")
        self.running[name] = subprocess.Popen(argv, env=os.environ | port, stderr=log, stdout=log)
        log.close()

    def wait_ready(self, name: str) -> None:
        eventually(lambda: self.ready(name), OPENS_IN)

    def ready(self, name: str) -> bool:
        try:
            return httpx.get(f"{self.urls[name]}/health/ready", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def serves(self, name: str) -> bool:
        try:
            return bool(httpx.get(f"{self.urls[name]}/health/ready", timeout=5).json()["status"] != "stopping")
        except httpx.HTTPError:
            return False

    def stop(self, name: str, number: signal.Signals = signal.SIGTERM) -> int:
        """Returns its exit code."""
        process = self.running.pop(name)
        process.send_signal(number)
        return process.wait(PATIENCE)

    def close(self) -> None:
        for name in list(self.running):
            self.stop(name, signal.SIGKILL)


class Balanced(threading.Thread):
    """One user who chats on and on, each time with a web process that the balancer holds to be ready."""

    def __init__(self, apart: Apart, ready: set[str], user: str) -> None:
        super().__init__()
        self.apart, self.ready, self.user = apart, ready, user
        self.stopping = threading.Event()
        self.said: list[str] = []
        self.failed: list[str] = []

    def run(self) -> None:
        headers = {"Authorization": "Bearer sk-webui", "X-Memory-User": self.user}
        with httpx.Client(headers=headers, timeout=PATIENCE) as client:
            while not self.stopping.wait(0.03):
                name = random.choice(sorted(self.ready))
                text = f"This is sentence number {len(self.said)} of {self.user}."
                body = {"model": "model-a", "messages": [{"role": "user", "content": text}]}
                self.said.append(text)
                try:
                    answer = client.post(f"{self.apart.urls[name]}/v1/chat/completions", json=body)
                except httpx.HTTPError as error:
                    self.failed.append(f"{name}: {error!r}")
                else:
                    if answer.status_code != 200:
                        self.failed.append(f"{name}: {answer.status_code} {answer.text}")
