"""Clients from their own packages, unchanged but for the base URL: told in one, known in another dialect."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.fake_model import FakeModel, newest_user_text
from tests.support.proxy_server import Proxy, ask, entry, remembered, running

pytestmark = pytest.mark.clients

NPM = ("openai", "@anthropic-ai/sdk", "ai", "@ai-sdk/openai")
PIP = ("langchain-openai", "llm", "litellm")


class Client(NamedTuple):
    """A program that asks `TEXT` of `MODEL` at `URL` with `KEY`, all from the environment, and prints the answer."""

    language: str
    code: str


NODE_OPENAI = """
import OpenAI from "openai";
const { URL: url, KEY: apiKey, MODEL: model, TEXT: text } = process.env;
const client = new OpenAI({ baseURL: url + "/v1", apiKey });
"""
NODE_ANTHROPIC = """
import Anthropic from "@anthropic-ai/sdk";
const { URL: url, KEY: apiKey, MODEL: model, TEXT: text } = process.env;
const client = new Anthropic({ baseURL: url, apiKey });
const asked = { model, max_tokens: 64, messages: [{ role: "user", content: text }] };
"""
AI_SDK = """
import { generateText, streamText } from "ai";
import { createOpenAI } from "@ai-sdk/openai";
const { URL: url, KEY: apiKey, MODEL: model, TEXT: prompt } = process.env;
const provider = createOpenAI({ baseURL: url + "/v1", apiKey });
"""
PYTHON = "import os\nURL, KEY, MODEL, TEXT = (os.environ[name] for name in ('URL', 'KEY', 'MODEL', 'TEXT'))\n"

CLIENTS = {
    "openai, node, chat": Client(
        "node",
        NODE_OPENAI
        + "const messages = [{ role: 'user', content: text }];\n"
        + "const answer = await client.chat.completions.create({ model, messages });\n"
        + "console.log(answer.choices[0].message.content);",
    ),
    "openai, node, responses, streamed": Client(
        "node",
        NODE_OPENAI
        + "for await (const event of await client.responses.create({ model, input: text, stream: true }))\n"
        + "  if (event.type === 'response.output_text.delta') process.stdout.write(event.delta);",
    ),
    "anthropic, node": Client(
        "node",
        NODE_ANTHROPIC + "console.log((await client.messages.create(asked)).content[0].text);",
    ),
    "anthropic, node, streamed": Client(
        "node", NODE_ANTHROPIC + "console.log(await client.messages.stream(asked).finalText());"
    ),
    "ai sdk, its default": Client(
        "node", AI_SDK + "console.log((await generateText({ model: provider(model), prompt })).text);"
    ),
    "ai sdk, streamed": Client(
        "node",
        AI_SDK
        + "for await (const text of streamText({ model: provider(model), prompt }).textStream)\n"
        + "  process.stdout.write(text);",
    ),
    "ai sdk, chat": Client(
        "node", AI_SDK + "console.log((await generateText({ model: provider.chat(model), prompt })).text);"
    ),
    "langchain-openai": Client(
        "python",
        PYTHON
        + "from langchain_openai import ChatOpenAI\n"
        + "model = ChatOpenAI(base_url=URL + '/v1', api_key=KEY, model=MODEL)\n"
        + "print(''.join(chunk.content for chunk in model.stream(TEXT)))",
    ),
    "langchain-openai, responses": Client(
        "python",
        PYTHON
        + "from langchain_openai import ChatOpenAI\n"
        + "model = ChatOpenAI(base_url=URL + '/v1', api_key=KEY, model=MODEL, use_responses_api=True)\n"
        + "print(model.invoke(TEXT).text)",
    ),
    "litellm, chat": Client(
        "python",
        PYTHON
        + "import litellm\n"
        + "said = [{'role': 'user', 'content': TEXT}]\n"
        + "answer = litellm.completion('openai/' + MODEL, said, api_base=URL + '/v1', api_key=KEY)\n"
        + "print(answer.choices[0].message.content)",
    ),
    "litellm, messages": Client(
        "python",
        PYTHON
        + "import litellm\n"
        + "said = [{'role': 'user', 'content': TEXT}]\n"
        + "answer = litellm.completion('anthropic/' + MODEL, said, api_base=URL, api_key=KEY)\n"
        + "print(answer.choices[0].message.content)",
    ),
    "llm": Client(
        "python",
        PYTHON
        + "import pathlib, subprocess, sys\n"
        + "home = pathlib.Path(os.environ['LLM_USER_PATH'])\n"
        + "home.mkdir(exist_ok=True)\n"
        + "(home / 'extra-openai-models.yaml').write_text(\n"
        + "    f'- model_id: mine\\n  model_name: {MODEL}\\n  api_base: {URL}/v1\\n  api_key_name: mine\\n')\n"
        + "command = [sys.executable, '-m', 'llm', '-m', 'mine', '--key', KEY, '--no-log', TEXT]\n"
        + "print(subprocess.run(command, check=True, capture_output=True, text=True).stdout)",
    ),
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which the npm packages can be imported."""
    folder = tmp_path_factory.mktemp("node")
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    install(["npm", "install", "--no-audit", "--no-fund", *NPM], folder)
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment that has the Python clients."""
    folder = tmp_path_factory.mktemp("python")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install([str(folder / "bin" / "pip"), "install", "-q", *PIP], folder)
    return folder / "bin" / "python"


def install(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot be had: {done.stderr[-300:]}")


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    """A proxy with a key and a user for each client: most of them can send nothing else."""
    keys = [{"name": name, "key": f"sk-{number}", "user": name} for number, name in enumerate(CLIENTS)]
    others = [
        entry("open", "hosted_vllm/open-x", upstream.url),
        entry("claude", "anthropic/claude-x", upstream.origin),
    ]
    with running(tmp_path_factory.mktemp("own"), {"model-a": upstream.url}, others=others, keys=keys) as proxy:
        yield proxy


def run(client: Client, proxy: Proxy, key: str, model: str, text: str, request: pytest.FixtureRequest) -> str:
    folder: Path = request.getfixturevalue("tmp_path")
    environ = {**os.environ, "URL": proxy.url, "KEY": key, "MODEL": model, "TEXT": text}
    environ["LLM_USER_PATH"] = str(folder / "llm")
    if client.language == "node":
        script = request.getfixturevalue("node") / f"{key}.mjs"
        command = ["node", str(script)]
    else:
        script = folder / "client.py"
        command = [str(request.getfixturevalue("python")), str(script)]
    script.write_text(client.code)
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("name", CLIENTS)
def test_a_client_tells_and_another_dialect_knows(
    own: Proxy, upstream: FakeModel, name: str, request: pytest.FixtureRequest
) -> None:
    """And what was told in another dialect, this client's next answer has seen, from each kind of provider."""
    key = f"sk-{list(CLIENTS).index(name)}"
    run(CLIENTS[name], own, key, "open", "My cat is called Miso.", request)
    with own.client(key=key) as client:
        assert remembered(client, "Miso", "fact")
        ask(client, "What is my cat called?", "claude")
        assert "Miso" in newest_user_text(upstream.chats[-1].json).partition("</memory>")[0]
        body = {"model": "claude", "max_tokens": 9, "messages": [{"role": "user", "content": "I live in Tromsø."}]}
        client.post("/v1/messages", json=body).raise_for_status()
        remembered(client, "Tromsø", "fact")
    for model in ("open", "model-a", "claude"):
        answer = run(CLIENTS[name], own, key, model, "Where do I live, and what is my cat called?", request)
        assert answer.strip().endswith("Where do I live, and what is my cat called?")  # the fake model echoes
        assert "Tromsø" in answer
        assert "Miso" in answer
