"""Starts a proxy for a single command and stops it at the command's end."""

import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rememberd.cli.terminal.client import Client, ProxyError, Where, connect
from rememberd.errors import ConfigError

_START_SECONDS = 90.0
# Only this machine can reach it, and the configured port may be in use. Its first recall waits for the model to load,
# so the deadline for chats would be too short.
_FOR_ONE_COMMAND = {
    "REMEMBERD_SERVER_HOST": "127.0.0.1",
    "REMEMBERD_SERVER_PORT": "0",
    "REMEMBERD_SERVER_WORKERS": "1",
    "REMEMBERD_MEMORY_DEADLINE_MS": "30000",
}


@contextmanager
def reachable(where: Where) -> Iterator[Client]:
    """The running proxy. If none runs and no address was given, starts one with the configured data folder and keys.
    Raises `ConfigError` and `ProxyError`."""
    proxy = connect(where)
    if where.url or os.environ.get("REMEMBERD_URL") or _answers(proxy):
        yield proxy
        return
    with serving(where.config, _FOR_ONE_COMMAND) as url:
        yield Client(url, proxy.headers)


@contextmanager
def serving(config: Path | None, environ: Mapping[str, str]) -> Iterator[str]:
    """Run `rememberd serve` and yield its address. Raises `ConfigError` with the log if it does not start."""
    named = [] if config is None else ["--config", str(config)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "rememberd", "serve", *named],
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **environ},
        )
        timeout = threading.Timer(_START_SECONDS, process.terminate)
        timeout.start()
        try:
            url = _address(process)
            timeout.cancel()
            if url is None:
                process.wait()
                log.seek(0)
                output = log.read().decode("utf-8", "replace")
                raise ConfigError(f"the proxy that this command needs did not start:\n{output}")
            yield url
        finally:
            timeout.cancel()
            process.terminate()
            process.wait()


def _address(process: subprocess.Popen[bytes]) -> str | None:
    """The URL that `serve` prints when it is ready; None if it exits before."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(rb"ready .*?(http://[^\s/]+)", line):
            return found[1].decode()
    return None


def _answers(proxy: Client) -> bool:
    """True if the proxy answers, also with an error."""
    try:
        proxy.open("GET", "/health/live").close()
    except ProxyError as error:
        return error.status != 0
    return True
