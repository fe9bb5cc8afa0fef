"""`/openapi.json` says what the memory API takes and answers, and all of it is so."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.proxy_server import Proxy

ROUTES = Path(__file__).parents[2] / "proxy" / "rememberd" / "wiring" / "routes.py"


def test_every_path_of_the_memories_is_described(proxy: Proxy) -> None:
    """Paths and methods, by the routes as they are written."""
    document = httpx.get(f"{proxy.url}/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    described = {
        (path, method) for path, item in document["paths"].items() for method in item if method != "parameters"
    }
    written = set()
    for path, method in re.findall(
        r'Route\("(/v1/(?:memories|receipts)[^"]*)", .*methods=(\w+)\)', ROUTES.read_text()
    ):
        written.add((path, method.lower()))
    assert described == written


@pytest.mark.slow
def test_schemathesis_finds_no_error(proxy: Proxy, tmp_path: Path) -> None:
    """Generated requests, right and wrong: no 500, and every answer has a described status and shape."""
    tool = Path(sys.executable).with_name("schemathesis")
    found = str(tool) if tool.exists() else shutil.which("schemathesis")
    if found is None:
        pytest.skip("schemathesis is not installed: .ci/run installs it, with the extra `checks`")
    arguments = ["run", f"{proxy.url}/openapi.json", "--url", proxy.url, "--max-examples", "40"]
    arguments += ["--header", "Authorization: Bearer sk-webui", "--header", "X-Memory-User: schemathesis"]
    arguments += ["--checks", "not_a_server_error,status_code_conformance,response_schema_conformance"]
    arguments += ["--generation-database", ":memory:", "--no-color"]
    done = subprocess.run([found, *arguments], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
