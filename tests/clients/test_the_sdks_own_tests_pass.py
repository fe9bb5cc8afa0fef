"""The tests that the makers of the SDKs wrote for each of their methods pass through the proxy wherever they pass
against the same server directly, with memory on and off."""

from __future__ import annotations

import asyncio
import os
import queue
import re
import subprocess
import sys
import tarfile
import threading
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import web

from tests.support import sdk_answers
from tests.support.proxy_server import running

pytestmark = pytest.mark.clients

NEEDS = ("pytest", "pytest-asyncio", "pytest-xdist", "aiohttp", "respx", "rich", "dirty-equals", "inline-snapshot")
MORE = {"openai": ("httpx2",), "anthropic": ("httpx2", "http-snapshot")}
LEAST = 3_000  # pass directly: some 3,430 of openai 3.57.0, 3,550 of anthropic 2.14.0
KEYS = ("My API Key", "My Admin API Key", "my-anthropic-api-key")  # of the SDKs' tests
ENDED = re.compile(r"^(PASSED|FAILED|ERROR) (\S+)", re.MULTILINE)


class Sdk(NamedTuple):
    name: str
    python: Path
    folder: Path  # of its source

    def passing(self, url: str, answers: Path) -> set[str]:
        """The tests of its methods that pass against `url`. The server's strictness is of no account here, so of the
        two clients, strict and loose, one is enough."""
        command = [str(self.python), "-m", "pytest", "-p", "tests_support_sdk_answers", "-p", "no:cacheprovider"]
        command += ["-o", "addopts=", "-o", "filterwarnings=", "-q", "-rpfE", "--tb=no", "-n", "2", "-k", "loose"]
        told = {"SDK_NAME": self.name, "SDK_ANSWERS": str(answers), "TEST_API_BASE_URL": url}
        paths = os.pathsep.join((str(self.folder), str(self.folder.parent / "plugin")))
        ran = subprocess.run(
            [*command, "tests/api_resources"],
            cwd=self.folder,
            env=os.environ | told | {"PYTHONPATH": paths},
            capture_output=True,
            text=True,
        )
        found = {test for outcome, test in ENDED.findall(ran.stdout) if outcome == "PASSED"}
        assert found, ran.stdout[-2000:] + ran.stderr[-2000:]
        return found


@pytest.fixture(params=["openai", "anthropic"])
def sdk(request: pytest.FixtureRequest, tmp_path: Path) -> Sdk:
    """Its newest release: the package, and the source with its tests."""
    name = request.param
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    download = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d"]
    install = [str(python), "-m", "pip", "install", "-q", *NEEDS, *MORE[name]]
    for command in ([*download, str(tmp_path), name], install):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(done.stderr[-500:])
    (archive,) = tmp_path.glob(f"{name}-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    folder = tmp_path / archive.name.removesuffix(".tar.gz")
    subprocess.run([str(python), "-m", "pip", "install", "-q", str(folder)], check=True)
    (tmp_path / "plugin").mkdir()
    source = Path(sdk_answers.__file__).read_text()
    (tmp_path / "plugin/tests_support_sdk_answers.py").write_text(source)
    return Sdk(name, python, folder)


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    (tmp_path / "answers").mkdir()
    return tmp_path / "answers"


@pytest.fixture
def provider(answers: Path) -> Iterator[str]:
    """Answers each request with the file that it names."""

    async def answer(request: web.Request) -> web.Response:
        body = await request.read()
        if b'"stream":true' in body.replace(b" ", b""):
            return web.Response(body=b"data: {}\n\ndata: [DONE]\n\n", content_type="text/event-stream")
        name = request.headers.get(sdk_answers.HEADER)
        return web.Response(body=(answers / name).read_bytes() if name else b"{}", content_type="application/json")

    application = web.Application(client_max_size=2**26)
    application.router.add_route("*", "/{path:.*}", answer)
    port, ended = queue.Queue[int](), threading.Event()

    async def serve() -> None:
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port.put(runner.addresses[0][1])
        await asyncio.to_thread(ended.wait)
        await runner.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port.get(timeout=30)}"
    ended.set()
    thread.join()


def test_each_method_s_own_tests(sdk: Sdk, provider: str, answers: Path, tmp_path: Path) -> None:
    base = f"{provider}/v1" if sdk.name == "openai" else provider
    directly = sdk.passing(base, answers)
    assert len(directly) > LEAST
    params = {"model": f"{sdk.name}/*", "api_base": base, "api_key": "sk-up"}
    models = [{"model_name": "*", "litellm_params": params}]
    failed = {}
    for mode in ("on", "off"):
        keys = [{"name": key, "key": key, "user": "ada", "memory": mode} for key in KEYS]
        with running(tmp_path / mode, {}, others=models, keys=keys) as proxy:
            url = f"{proxy.url}/v1" if sdk.name == "openai" else proxy.url
            failed[mode] = sorted(directly - sdk.passing(url, answers))
    assert failed == {"on": [], "off": []}
