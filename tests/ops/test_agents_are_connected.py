"""`rememberd connect` writes a coding agent's settings and keeps what is there; `disconnect` removes only its own."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from rememberd.cli.connect import project_scope
from rememberd.cli.main import main
from tests.support.fake_model import FakeModel, newest_user_text
from tests.support.proxy_server import Proxy, ask, remembered

URL = "http://127.0.0.1:9999"
CLAUDE, CODEX, OPENCODE = ".claude/settings.json", "home/config.toml", "opencode.json"
AIDER, AIDER_MODELS = ".aider.conf.yml", ".aider.model.settings.yml"
FILES = {"claude-code": [CLAUDE], "codex": [CODEX], "opencode": [OPENCODE], "aider": [AIDER, AIDER_MODELS]}

# Where the agents' documentation says that skills of a project stand. aider has none.
SKILLS = {
    "claude-code": [".claude/skills/rememberd/SKILL.md"],
    "codex": [".agents/skills/rememberd/SKILL.md"],
    "opencode": [".agents/skills/rememberd/SKILL.md"],
    "aider": [],
}

# What people have in these files; each must be there, byte by byte, after connecting and disconnecting.
OWN = {
    CLAUDE: json.dumps(
        {"env": {"A": "é", "ANTHROPIC_CUSTOM_HEADERS": "X-A: 1\nX-B: 2"}}, indent=2, ensure_ascii=False
    )
    + "\n",
    CODEX: '# mine\nmodel = "gpt-5"\n\n[model_providers.other]\nname = "other"\n\n[tools]\nweb = true\n',
    OPENCODE: '{\n  "theme": "x",\n  "provider": {\n    "other": {}\n  }\n}\n',
    AIDER: "# mine\nmodel: openai/gpt-4o\nread: [a.md]\n",
    AIDER_MODELS: "- name: gpt-4o\n  edit_format: diff\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, with its own home, without a key."""
    monkeypatch.setenv("CODEX_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("REMEMBERD_KEY", raising=False)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(project: Path, name: str, text: str) -> None:
    (project / name).parent.mkdir(exist_ok=True)
    (project / name).write_text(text, encoding="utf-8")


def connect(agent: str, proxy: Proxy, *more: str) -> int:
    """opencode's models come from the proxy; the others need none that runs."""
    where = ["--url", proxy.url, "--key", "sk-webui"] if agent == "opencode" else ["--url", URL]
    return main(["connect", agent, *where, "--scope", "acme-app", *more])


def kept(project: Path) -> dict[str, str]:
    return {str(each.relative_to(project)): each.read_text() for each in project.rglob("*") if each.is_file()}


@pytest.mark.parametrize("own", [True, False], ids=["a file of one's own", "no file"])
@pytest.mark.parametrize("agent", FILES)
def test_what_is_written_is_removed_and_nothing_else(agent: str, own: bool, project: Path, proxy: Proxy) -> None:
    """Connected twice is connected once, and the copy is of what was there before."""
    for name in FILES[agent] if own else ():
        put(project, name, OWN[name])
    before = kept(project)
    assert connect(agent, proxy) == 0
    once = kept(project)
    assert connect(agent, proxy) == 0
    assert kept(project) == once
    assert set(once) == {*FILES[agent], *SKILLS[agent], *(f"{name}.before-rememberd" for name in before)}
    assert all(once[f"{name}.before-rememberd"] == text for name, text in before.items())
    assert main(["disconnect", agent]) == 0
    assert kept(project) == before
    assert not any((project / name).parent.exists() for name in SKILLS[agent])
    assert main(["disconnect", agent]) == 0
    assert kept(project) == before


def test_the_skill_is_of_the_standards_form_and_names_what_there_is(project: Path, proxy: Proxy) -> None:
    """Name and description as agents want them; every tool and command that it names can be used."""
    server = import_module("rememberd.api.mcp.server")
    for agent, names in SKILLS.items():
        assert connect(agent, proxy) == 0
        for name in names:
            _, head, text = (project / name).read_text(encoding="utf-8").split("---\n", 2)
            fields = yaml.safe_load(head)
            assert set(fields) <= {"name", "description", "license", "compatibility", "metadata"}
            assert fields["name"] == (project / name).parent.name == "rememberd"
            assert 1 <= len(fields["description"]) <= 1024
            assert all(isinstance(each, str) for each in fields["metadata"].values())
            assert "acme-app" in text
            assert "{" not in text
            assert set(re.findall(r"`([a-z]+_memor(?:y|ies))`", text)) <= set(server.TOOLS)
            assert all(line.startswith("rememberd memories add") for line in re.findall(r"^rememberd .*", text, re.M))


@pytest.mark.parametrize("agent", [agent for agent, names in SKILLS.items() if names])
def test_a_skill_of_that_name_that_is_not_ours_stays(agent: str, project: Path, proxy: Proxy) -> None:
    """Then nothing else is written, and nothing is removed afterwards."""
    path = project / SKILLS[agent][0]
    path.parent.mkdir(parents=True)
    path.write_text("---\nname: rememberd\ndescription: mine\n---\n", encoding="utf-8")
    before = kept(project)
    assert connect(agent, proxy) == 1
    assert kept(project) == before
    assert main(["disconnect", agent]) == 0
    assert kept(project) == before


def test_each_agent_finds_address_and_scope(project: Path, proxy: Proxy) -> None:
    """Where its documentation says, beside what was there."""
    for agent, names in FILES.items():
        for name in names:
            put(project, name, OWN[name])
        assert connect(agent, proxy) == 0
    env = json.loads((project / CLAUDE).read_text())["env"]
    headers = "X-A: 1\nX-B: 2\nX-Memory-Scope: acme-app"
    assert env == {"A": "é", "ANTHROPIC_CUSTOM_HEADERS": headers, "ANTHROPIC_BASE_URL": URL}
    codex = tomllib.loads((project / CODEX).read_text())
    assert (codex["model"], codex["model_provider"], set(codex["model_providers"])) == (
        *("gpt-5", "rememberd"),
        {"other", "rememberd"},
    )
    assert codex["model_providers"]["rememberd"] == {
        "name": "rememberd",
        "base_url": f"{URL}/v1",
        "wire_api": "responses",
        "env_http_headers": {"X-Memory-Scope": "REMEMBERD_SCOPE"},
    }
    opencode = json.loads((project / OPENCODE).read_text())["provider"]
    assert opencode["other"] == {}
    assert opencode["rememberd"]["options"] == {
        "baseURL": f"{proxy.url}/v1",
        "apiKey": "{env:REMEMBERD_KEY}",
        "headers": {"X-Memory-Scope": "acme-app"},
    }
    assert "model-a" in opencode["rememberd"]["models"]
    aider = yaml.safe_load((project / AIDER).read_text())
    assert aider == {"model": "openai/gpt-4o", "read": ["a.md"], "openai-api-base": f"{URL}/v1"}
    assert yaml.safe_load((project / AIDER_MODELS).read_text())[1] == {
        "name": "aider/extra_params",
        "extra_params": {"extra_headers": {"X-Memory-Scope": "acme-app"}},
    }
    assert "sk-webui" not in "".join(kept(project).values())


REFUSED: list[tuple[str, str, str]] = [
    ("claude-code", CLAUDE, '{"env": {"ANTHROPIC_BASE_URL": "http://other"}}'),
    ("claude-code", CLAUDE, '{"env": []}'),
    ("claude-code", CLAUDE, '{"a": 1, // mine\n}'),
    ("opencode", OPENCODE, "[]"),
    ("codex", CODEX, '[model_providers.rememberd]\nname = "mine"\n'),
    ("codex", CODEX, "model_providers = {}\n"),
    ("codex", CODEX, "a = = 1\n"),
    ("aider", AIDER, "openai-api-base: http://other\n"),
    ("aider", AIDER, "{model: x}\n"),
    ("aider", AIDER_MODELS, "- name: aider/extra_params\n"),
    ("aider", AIDER_MODELS, "a: 1\n"),
]


@pytest.mark.parametrize(("agent", "name", "text"), REFUSED)
def test_what_cannot_be_kept_is_not_touched(
    agent: str, name: str, text: str, project: Path, proxy: Proxy, capsys: pytest.CaptureFixture[str]
) -> None:
    """None of the agent's files; the message names the file."""
    put(project, name, text)
    assert connect(agent, proxy) == 1
    assert str(project / name) in capsys.readouterr().err
    assert kept(project) == {name: text}


def test_another_provider_of_codex_stays_in_force(project: Path, proxy: Proxy) -> None:
    """The user is told how to choose ours."""
    put(project, CODEX, 'model_provider = "other"\n')
    assert connect("codex", proxy) == 0
    assert tomllib.loads((project / CODEX).read_text())["model_provider"] == "other"


def test_a_link_stays_a_link_and_rights_stay(project: Path, proxy: Proxy) -> None:
    """As people have them who keep their settings in a repository."""
    put(project, "dotfiles", OWN[AIDER])
    (project / "dotfiles").chmod(0o600)
    (project / AIDER).symlink_to(project / "dotfiles")
    assert connect("aider", proxy) == 0
    assert (project / AIDER).is_symlink()
    assert (project / "dotfiles").stat().st_mode & 0o777 == 0o600
    assert "openai-api-base" in (project / "dotfiles").read_text()


def test_a_projects_standing_instructions_stay_in_it(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """They come with every question there, and with none in another project or outside of all."""
    said = "Always answer me in Danish."
    with proxy.client(user, **{"X-Memory-Scope": "acme-app"}) as inside:
        ask(inside, said)
        remembered(inside, "Danish", "fact")
    for scope in ("acme-app", "acme-site", None):
        named = {} if scope is None else {"X-Memory-Scope": scope}
        with proxy.client(user, **named) as client:
            ask(client, "Explain tides.")
            shown = newest_user_text(upstream.chats[-1].json)
            assert ("Danish" in shown) is (scope == "acme-app"), scope


REMOTES: dict[str | None, str] = {
    "git@github.com:acme/app.git": "acme-app",
    "https://github.com/acme/app": "acme-app",
    "https://ada:s3cret@host.example/app.git": "app",
    "ssh://git@host:2222/group/sub/app.git/": "sub-app",
    None: "my-folder",
}


@pytest.mark.parametrize("remote", REMOTES)
def test_a_projects_scope_is_named_after_its_remote(remote: str | None, project: Path) -> None:
    """Without a remote it is named after its folder. A password in the remote's address is never a part of the
    name."""
    folder = project / "my folder"
    folder.mkdir()
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    if remote:
        subprocess.run(["git", "-C", str(folder), "remote", "add", "origin", remote], check=True)
    assert project_scope(folder) == REMOTES[remote]
