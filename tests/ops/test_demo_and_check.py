"""A stranger's first five minutes: the demo shows the whole path, check says what is wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command_line import check
from tests.support.fake_model import FakeModel
from tests.support.proxy_server import running


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    command = [sys.executable, "-m", "rememberd", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=plain | environ, check=False)


def config(folder: Path, **settings: object) -> str:
    path = folder / "rememberd.yaml"
    path.write_text(json.dumps({"data_dir": str(folder / "data"), "server": {"port": 0}} | settings))
    return str(path)


def deployment(name: str, base: str) -> dict[str, object]:
    return {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_base": base, "api_key": "k"}}


def test_the_demo_shows_the_fact_crossing_from_one_model_to_the_other() -> None:
    """Without a key and without a network; and the difference with memory off."""
    done = run("demo", COLUMNS="120")
    assert (done.returncode, done.stderr) == (0, "")
    on, off = done.stdout.split("X-Memory: off")
    assert "stand-in-a" in on
    assert "<memory>" in on
    assert "peanuts" in on.partition("WHAT CAME BACK")[2]
    assert "memory: hit" in on
    assert "memory: off" in off
    assert "<memory>" not in off
    assert "peanuts" not in off
    assert "base_url=" in off


@pytest.mark.slow
def test_the_demo_falls_back_when_the_real_models_do_not_answer() -> None:
    """A key in the environment and no way to its provider."""
    done = run("demo", OPENAI_API_KEY="sk-nobody", OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    assert done.returncode == 0
    assert "the built-in stand-ins are used" in done.stdout
    assert "memory: hit" in done.stdout


def test_check_says_what_is_right_in_one_line_each(tmp_path: Path, upstream: FakeModel) -> None:
    """`check` exits with code 0."""
    code, said = check(config(tmp_path, model_list=[deployment("model-a", upstream.url)]))
    assert code == 0
    assert [line.split()[1] for line in said.splitlines()] == [
        "server", "keys", "data", "format", "audit", "embedder",
        "statements", "queue", "store", "encryption", "model",
    ]  # fmt: skip
    assert "not encrypted" in said


@pytest.mark.slow
def test_check_asks_a_running_writer(tmp_path: Path, upstream: FakeModel) -> None:
    """Beside a proxy that is up."""
    with running(tmp_path, {"model-a": upstream.url}):
        done = run("check", "--config", str(tmp_path / "rememberd.yaml"))
    assert done.returncode == 0
    assert "the writer answers" in done.stdout


def test_check_names_the_part_that_is_wrong(tmp_path: Path) -> None:
    """A provider that is not there, a directory that cannot be written, no model at all."""
    code, said = check(config(tmp_path, model_list=[deployment("gone", "http://127.0.0.1:1/v1")]))
    assert code == 1
    assert [line.split()[1] for line in said.splitlines() if line.startswith("WRONG")] == ["model"]
    (tmp_path / "file").write_text("")
    code, said = check(config(tmp_path, data_dir=str(tmp_path / "file" / "data"), model_list=[]))
    assert code == 1
    wrong = [line.split()[1] for line in said.splitlines() if line.startswith("WRONG")]
    assert wrong[0] == "data"
    assert wrong[-1] == "models"
