"""Each peer as its own documentation starts it for production, installed from its registry if need be.

All have the server's cores: LiteLLM and Portkey use one process, nginx a worker a core, TensorZero as many threads as
it finds cores. None has memory, so they are measured where the proxy's memory is off."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from loadtests.machine import Cores, children
from loadtests.servers import KEY, Target, ended, free_port, model_entry, wait_for

TENSORZERO = "tensorzero==2026.6.0"
TENSORZERO_NEEDS = ("dacite>=1.9.2", "httpx>=0.27", "typing-extensions>=4.12", "uuid-utils>=0.9")
PORTKEY = "@portkey-ai/gateway@1.15.2"
# Later versions need litellm-proxy, which the registry had not where this was measured.
LITELLM = "litellm[proxy]==1.106.12"
LITELLM_STARTS_WITHIN_S = 600.0  # it imports for half a minute of CPU, and compiles what it imports the first time
_NO_ANALYTICS = "TENSORZERO_DISABLE_PSEUDONYMOUS_USAGE_ANALYTICS"
CHILD = Path(__file__).with_name("tensorzero_child.py")

_NGINX = """
daemon off; worker_processes {workers}; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_max_body_size 32m; client_body_buffer_size 1m;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  upstream model {{ server {upstream}; keepalive 512; }}
  server {{
    listen 127.0.0.1:{port} backlog=2048; keepalive_requests 1000000;
    location / {{
      proxy_pass http://model; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""
_TENSORZERO_MODEL = """
[models."{model}"]
routing = ["fake"]
[models."{model}".providers.fake]
type = "openai"
model_name = "{model}"
api_base = "http://127.0.0.1:{upstream}/{model}/v1/"
api_key_location = "none"
"""


@contextmanager
def nginx(folder: Path, upstream: int, models: Sequence[str], cores: Cores) -> Iterator[Target]:
    """Raises `FileNotFoundError` when it is not installed."""
    binary = shutil.which("nginx") or "nginx"
    port, config = free_port(), folder / "nginx.conf"
    address = f"127.0.0.1:{upstream}"
    config.write_text(_NGINX.format(folder=folder, port=port, upstream=address, workers=len(cores.server)))
    with _process(folder, cores, [binary, "-c", str(config), "-p", str(folder)]) as process:
        wait_for(port, process)
        yield Target("127.0.0.1", port, "/{model}/v1/chat/completions", pids=_all(process), version=_version(binary))


@contextmanager
def litellm(folder: Path, upstream: int, models: Sequence[str], cores: Cores, binary: str = "") -> Iterator[Target]:
    """LiteLLM's proxy by its own command; `binary` is its path, else it is installed."""
    binary = binary or installed_litellm(folder)
    port, config = free_port(), folder / "litellm.json"
    config.write_text(json.dumps({"model_list": [model_entry(model, model, upstream) for model in models]}))
    command = [binary, "--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    environment = {"LITELLM_MODE": "PRODUCTION", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MASTER_KEY": KEY}
    with _process(folder, cores, command, {"PATH": "/usr/bin:/bin"} | environment) as process:
        wait_for(port, process, LITELLM_STARTS_WITHIN_S)
        headers = {"authorization": f"Bearer {KEY}"}
        yield Target("127.0.0.1", port, headers=headers, pids=_all(process), version=LITELLM)


def installed_litellm(folder: Path) -> str:
    """The path of its command, in a virtual environment under `folder`. Raises `RuntimeError` if it cannot be had."""
    venv.create(folder / "venv", with_pip=True)
    _run([str(folder / "venv/bin/pip"), "install", "--quiet", LITELLM])
    return str(folder / "venv/bin/litellm")


@contextmanager
def tensorzero(folder: Path, upstream: int, models: Sequence[str], cores: Cores) -> Iterator[Target]:
    """The gateway in TensorZero's Python package, a Rust server in a process of its own, without its database."""
    packages, config = folder / "packages", folder / "tensorzero.toml"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(packages)]
    _run([*install, TENSORZERO, *TENSORZERO_NEEDS])
    entries = "".join(_TENSORZERO_MODEL.format(model=model, upstream=upstream) for model in models)
    config.write_text("[gateway]\nobservability.enabled = false\n" + entries)
    command = [sys.executable, "-P", str(CHILD), str(config)]
    with _process(
        folder, cores, command, os.environ | {"PYTHONPATH": str(packages), _NO_ANALYTICS: "1"}, read=True
    ) as process:
        assert process.stdout is not None
        base = process.stdout.readline().decode().strip()
        if not base:
            raise RuntimeError("TensorZero does not start:\n" + (folder / "log").read_text()[-2000:])
        at = urlsplit(base)
        path, name = f"{at.path}/chat/completions", "tensorzero::model_name::{model}"
        yield Target(at.hostname or "", at.port or 80, path, pids=_all(process), model=name, version=TENSORZERO)


@contextmanager
def portkey(folder: Path, upstream: int, models: Sequence[str], cores: Cores) -> Iterator[Target]:
    """Portkey's gateway on Node. On Node 20.20, 1.15.2 answers streams with status 500: "TypeError: immutable".
    Raises `FileNotFoundError` without npm."""
    _run(["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), PORTKEY])
    port, script = free_port(), folder / "node_modules/@portkey-ai/gateway/build/start-server.js"
    command = ["node", str(script), f"--port={port}", "--headless"]
    with _process(folder, cores, command, os.environ | {"NODE_ENV": "production"}) as process:
        wait_for(port, process)
        headers = {
            "authorization": "Bearer sk-x",
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/{{model}}/v1",
        }
        yield Target("127.0.0.1", port, headers=headers, pids=_all(process), version=PORTKEY)


Start = Callable[[Path, int, Sequence[str], Cores], AbstractContextManager[Target]]
PEERS: dict[str, Start] = {"litellm": litellm, "nginx": nginx, "portkey": portkey, "tensorzero": tensorzero}


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[-1]} cannot be had: {done.stderr.strip()[-2000:]}")


@contextmanager
def _process(
    folder: Path,
    cores: Cores,
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    read: bool = False,
) -> Iterator[subprocess.Popen[bytes]]:
    """On the server's cores from its start, so that it has threads for so many. It logs to `log` in `folder`; with
    `read` its stdout is a pipe."""
    pipe, usable = subprocess.PIPE, os.sched_getaffinity(0)
    with (folder / "log").open("w") as log:
        os.sched_setaffinity(0, cores.server)
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe if read else log, stderr=log, cwd=folder, env=environment
        )
        os.sched_setaffinity(0, usable)
        try:
            yield process
        finally:
            ended(process)


def _all(process: subprocess.Popen[bytes]) -> list[int]:
    return [process.pid, *children(process.pid)]


def _version(binary: str) -> str:
    return subprocess.run([binary, "-v"], capture_output=True, text=True).stderr.strip()
