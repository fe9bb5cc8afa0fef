"""A Qdrant server in a process of its own: the `qdrant` on the PATH, or what stands in for it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from loadtests.servers import free_port

_ROOT = Path(__file__).parents[2]
_START_SECONDS = 60


@contextmanager
def qdrant_running() -> Iterator[str]:
    """The URL of an empty server on a free port."""
    port, binary = free_port(), shutil.which("qdrant")
    command = [binary] if binary else [sys.executable, "-m", "tests.support.qdrant_double", "--port", str(port)]
    own = {
        "QDRANT__SERVICE__HOST": "127.0.0.1",
        "QDRANT__SERVICE__HTTP_PORT": str(port),
        "QDRANT__SERVICE__GRPC_PORT": str(free_port()),
        "QDRANT__TELEMETRY_DISABLED": "true",
        "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory(prefix="qdrant-") as folder:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | own, stdout=subprocess.DEVNULL)
        try:
            end = time.monotonic() + _START_SECONDS
            while not _is_ready(url):
                assert process.poll() is None, f"{command[0]} did not start"
                assert time.monotonic() < end, f"{command[0]} does not listen"
                time.sleep(0.05)
            yield url
        finally:
            process.kill()
            process.wait()


def _is_ready(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"{url}/readyz", timeout=1) as answer:
        return bool(answer.status == 200)
    return False
