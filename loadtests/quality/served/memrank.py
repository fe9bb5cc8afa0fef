"""`memrank` (PyPI), which tests any agent behind an OpenAI-compatible URL, against a running proxy and a real model.

Each case is a person who tells a few things, each in a conversation of its own, and is asked for them afterwards. An
answer is right if it holds the expected word, so no judge and no account is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loadtests.quality.served.reader import ANSWER_TOKENS
from loadtests.quality.served.small_model import Unavailable
from loadtests.quality.served.told import Told
from loadtests.servers import KEY

PACKAGE = "memrank==0.5.2"
CHILD = Path(__file__).with_name("memrank_child.py")
_KEY_NAME = "MEMRANK_AGENT_KEY"


def installed(folder: Path) -> Path:
    """memrank and what it needs, in an environment of its own. Raises Unavailable with pip's own words."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Unavailable(f"{PACKAGE} cannot be had: {done.stderr.strip()[-300:]}")
    return folder


def ranked(packages: Path, folder: Path, url: str, name: str, people: Sequence[Sequence[Told]]) -> dict[str, Any]:
    """memrank's result for the model `name` at the proxy `url`. Raises RuntimeError with what memrank says."""
    folder.mkdir(parents=True)
    agent, evaluation = folder / "agent.yaml", folder / "told.yaml"  # JSON is YAML
    agent.write_text(json.dumps(_agent(url, name)))
    evaluation.write_text(json.dumps(_evaluation(people)))
    environment = os.environ | {"PYTHONPATH": str(packages), _KEY_NAME: KEY, "HOME": str(folder)}
    command = [sys.executable, "-P", str(CHILD), str(agent), str(evaluation), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise RuntimeError(f"memrank: {done.stderr.strip()[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _agent(url: str, name: str) -> dict[str, Any]:
    """memrank's own preset for chat completions, but an answer is short and always the same."""
    body = {"model": "{model}", "user": "{session_id}", "messages": "{messages}", "temperature": 0}
    call = {"method": "POST", "path": "/v1/chat/completions"}
    return {
        "name": "rememberd",
        "connector": "openai-chat",
        "base_url": url,
        "auth": {"env": _KEY_NAME},
        "vars": {"model": name},
        "feed": call | {"per": "session", "body": body | {"max_tokens": 1}},
        "ask": call | {"body": body | {"max_tokens": ANSWER_TOKENS}, "answer": "choices[0].message.content"},
    }


def _evaluation(people: Sequence[Sequence[Told]]) -> dict[str, Any]:
    cases = [
        {
            "id": f"person-{number}",
            "history": [{"turns": [{"role": "user", "text": each.said}]} for each in told],
            "questions": [{"question": each.asked, "answer": each.answer} for each in told],
        }
        for number, told in enumerate(people)
    ]
    return {"name": "told", "grade": {"command": ["{python}", str(CHILD)]}, "cases": cases}
