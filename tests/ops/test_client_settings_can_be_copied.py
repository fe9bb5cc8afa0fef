"""`rememberd connect CLIENT --print` and the page show a client's settings, ready to be used."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from rememberd.api.client_settings import ClientSettings, client_settings
from rememberd.cli.agent_files import AGENTS
from rememberd.cli.main import main
from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy

URL, KEY, MODEL = "https://memory.example/team", 'sk-it\'s "so" $HOME', "openai/gpt-4o"
ALL = client_settings()
CLIENTS = Path(__file__).parents[2] / "deploy" / "CLIENTS.md"


def _shell(text: str) -> str:
    """What a shell makes of it, without running curl or aider."""
    shown = text.replace("curl ", "printf '%s\\n' ").replace("aider ", "printf '%s\\n' ")
    return subprocess.run(["sh", "-euc", f"set -a\n{shown}\nenv"], capture_output=True, text=True, check=True).stdout


READ: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("librechat", "continue"), yaml.safe_load),
    **dict.fromkeys(("claude-code", "opencode", "mcp"), json.loads),
    "codex": tomllib.loads,
    **dict.fromkeys(("open-webui", "aider", "curl", "ollama"), _shell),
    **dict.fromkeys(
        ("openai-python", "anthropic-python", "langchain"),
        lambda text: [each.value for each in ast.walk(ast.parse(text)) if isinstance(each, ast.Constant)],
    ),
    **dict.fromkeys(("openai-js", "anthropic-js", "ai-sdk"), lambda text: text.replace('\\"', '"')),
}


@pytest.mark.parametrize("name", ALL)
def test_the_settings_hold_the_address_and_the_key_as_the_client_reads_them(name: str) -> None:
    """The key may have any characters."""
    text = ALL[name].filled(URL, KEY, MODEL)
    assert "@" not in text.replace("@ai-sdk", "").replace("@anthropic-ai", "")
    read = READ[name](text)
    flat = read if isinstance(read, str) else json.dumps(read, ensure_ascii=False).replace('\\"', '"')
    assert URL in flat
    if "@KEY@" in ALL[name].text:
        assert KEY in flat


def test_the_command_prints_what_the_page_shows(proxy: Proxy, capsys: pytest.CaptureFixture[str]) -> None:
    """With a model that the proxy has, and without writing anything; the key only because it was given."""
    table = [ClientSettings(**row) for row in httpx.get(f"{proxy.url}/page/clients.json").raise_for_status().json()]
    assert table == list(ALL.values())
    for settings in table:
        assert main(["connect", settings.name, "--print", "--url", f"{proxy.url}/v1", "--key", "sk-webui"]) == 0
        printed = capsys.readouterr()
        assert printed.out == settings.filled(proxy.url, "sk-webui", "model-a")
        assert settings.where in printed.err


def test_without_a_proxy_the_model_is_an_example(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REMEMBERD_KEY", raising=False)
    assert main(["connect", "librechat", "--url", "http://127.0.0.1:9"]) == 0
    printed = capsys.readouterr()
    custom = yaml.safe_load(printed.out)["endpoints"]["custom"][0]
    assert (custom["baseURL"], custom["apiKey"]) == ("http://127.0.0.1:9/v1", "local")
    assert "only an example" in printed.err


def test_the_documents_name_every_client() -> None:
    text = CLIENTS.read_text()
    assert [name for name in ALL if f"`{name}`" not in text] == []
    assert set(AGENTS) <= set(ALL)


def test_what_is_copied_works(
    proxy: Proxy, upstream: FakeModel, capsys: pytest.CaptureFixture[str], user: str
) -> None:
    """The SDKs' lines are run as they are printed, and curl's."""
    for name, model in (("openai-python", "model-a"), ("anthropic-python", "claude"), ("langchain", "model-a")):
        if name == "langchain" and find_spec("langchain_openai") is None:
            continue
        before = len(upstream.requests)
        exec(compile(ALL[name].filled(proxy.url, "sk-alice", model), name, "exec"), {})
        assert capsys.readouterr().out.strip(), name
        assert len(upstream.requests) == before + 1
    if shutil.which("curl"):
        text = ALL["curl"].filled(proxy.url, "sk-alice", "model-a")
        done = subprocess.run(["sh", "-euc", text], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["choices"]
