"""After `rememberd connect`, a real coding agent remembers in its project's scope. Those on PATH are run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, entry, memories, remembered, running

pytestmark = pytest.mark.clients

SAID = "I live in Tromsø."
AGENTS = {
    "claude-code": ["claude", "-p", "--model", "claude", SAID],
    "codex": ["codex", "exec", "--skip-git-repo-check", "-m", "model-a", SAID],
    "opencode": ["opencode", "run", "-m", "rememberd/model-a", SAID],
    "aider": ["aider", "--model", "openai/model-a", "--yes-always", "--no-check-update", "--no-stream", "-m", SAID],
}


@pytest.fixture(scope="module")
def keyless(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    others = [entry("claude", "anthropic/claude-x", upstream.origin)]
    folder = tmp_path_factory.mktemp("keyless")
    with running(folder, {"model-a": upstream.url}, others=others, keys=None) as proxy:
        yield proxy


@pytest.mark.parametrize("agent", AGENTS)
def test_what_an_agent_is_told_is_remembered_for_its_project(agent: str, keyless: Proxy, tmp_path: Path) -> None:
    """It remembers in this scope, and in no other."""
    command = AGENTS[agent]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    project, scope = tmp_path / "project", f"acme-{agent}"
    subprocess.run(["git", "init", "-q", str(project)], check=True)
    subprocess.run(["git", "-C", str(project), "remote", "add", "origin", f"git@host:acme/{agent}.git"], check=True)
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "OPENAI_"))},
        "HOME": str(tmp_path),
        "PWD": str(project),  # as a shell sets it; opencode takes its folder from it
        "CODEX_HOME": str(tmp_path / ".codex"),
        "REMEMBERD_SCOPE": scope,
        "ANTHROPIC_AUTH_TOKEN": "local",
        "OPENAI_API_KEY": "local",
        "REMEMBERD_KEY": "",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "AIDER_ANALYTICS": "false",
    }
    connect = [sys.executable, "-m", "rememberd", "connect", agent, "--url", keyless.url]
    subprocess.run(connect, cwd=project, env=environ, check=True)
    done = subprocess.run(
        command, cwd=project, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    with keyless.client(key="local", **{"X-Memory-Scope": scope}) as inside, keyless.client(key="local") as outside:
        assert remembered(inside, "Tromsø", "fact")
        assert memories(outside) == []
