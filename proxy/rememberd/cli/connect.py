"""`rememberd connect`: this proxy's address and the project's scope, in the settings files of a coding agent.

What else is in a file stays. A file is not changed if it has comments that JSON does not allow, if a setting of the
user would have to be replaced, or if another setting would be read differently afterwards. No key is written."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import click
import yaml

from rememberd.cli import command as a_command
from rememberd.cli.terminal.client import Client, Where, proxy_options
from rememberd.cli.terminal.client import connect as client_of
from rememberd.errors import RememberdError
from rememberd.types import SCOPE

EXAMPLES = """\
  rememberd connect claude-code            # in the project's folder; its scope is named after its git remote
  rememberd connect aider --scope work
  rememberd disconnect claude-code         # removes what was written, and nothing else
"""

_BEGIN, _END = "# >>> rememberd: `rememberd disconnect` removes this", "# <<< rememberd"
_BLOCK = re.compile(rf"^{re.escape(_BEGIN)}$.*?^{re.escape(_END)}$\n?", re.MULTILINE | re.DOTALL)
_URL, _HEADERS, _SCOPE_LINE = "ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS", "X-Memory-Scope:"


class ConnectError(RememberdError):
    """A settings file cannot be changed; says what to do by hand."""


class Connection(NamedTuple):
    """What is written. `keyed`: the proxy has keys, and the agent finds the user's in $REMEMBERD_KEY."""

    url: str
    scope: str
    models: list[str]
    keyed: bool


Edit = Callable[[str, Connection | None], str]  # the file's text, without what was ours if there is no connection


class Change(NamedTuple):
    path: Path
    old: str
    new: str
    clean: str  # without anything of ours


@a_command("connect", EXAMPLES)
@proxy_options
@click.argument("agent", type=click.Choice(["claude-code", "codex", "opencode", "aider"]))
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False, exists=True), help="default: this folder")
def command(where: Where, agent: str, folder: Path | None) -> int:
    root = project_root(folder or Path.cwd())
    proxy = client_of(where)
    scope = where.scope or project_scope(root)
    if not SCOPE.fullmatch(scope):
        raise ConnectError(f"{scope!r} is no scope: use 1 to 64 letters, digits, dots, dashes and underscores")
    models = _models(proxy) if agent == "opencode" else []
    write(changes(agent, root, Connection(proxy.url, scope, models, "Authorization" in proxy.headers)))
    print(f"{agent} asks {proxy.url}, and remembers in the scope {scope!r}")
    print(_NEXT[agent].format(scope=scope))
    return 0


def changes(agent: str, root: Path, connection: Connection | None) -> list[Change]:
    """What would be written. Raises `ConnectError`, before anything is written."""
    planned = []
    for place, edit in _FILES[agent]:
        path = place(root).resolve()  # a link stays a link
        try:
            old = path.read_text(encoding="utf-8") if path.exists() else ""
            planned.append(Change(path, old, edit(old, connection), edit(old, None)))
        except (ValueError, yaml.YAMLError) as error:
            raise ConnectError(f"{path} cannot be read, and was not changed: {error}") from error
        except ConnectError as error:
            raise ConnectError(f"{path} was not changed: {error}") from error
    return planned


def write(planned: list[Change]) -> None:
    """A file that holds nothing of ours yet is copied before. A file in which nothing is left is deleted."""
    for path, old, new, clean in planned:
        backup = path.with_name(f"{path.name}.before-rememberd")
        if new == old:
            print(f"unchanged: {path}")
            continue
        if old and old == clean:
            shutil.copy2(path, backup)
            print(f"copied: {path} to {backup.name}")
        if new.strip():
            _replace(path, new)
        else:
            path.unlink()
        print(f"{'written' if new.strip() else 'deleted'}: {path}")
        if new == clean and backup.exists() and backup.read_text(encoding="utf-8") == new:
            backup.unlink()


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.rememberd-new")
    fresh.write_text(text, encoding="utf-8")
    if path.exists():
        shutil.copymode(path, fresh)
    os.replace(fresh, path)


def project_root(folder: Path) -> Path:
    found = _git(folder, "rev-parse", "--show-toplevel")
    return Path(found) if found else folder.resolve()


def project_scope(root: Path) -> str:
    """Owner and name of the git remote, or the folder's name. Holds no password that stands in the remote."""
    remote = _git(root, "remote", "get-url", "origin")
    path = urlsplit(remote).path if "://" in remote else remote.rpartition(":")[2]
    names = path.rstrip("/").removesuffix(".git").strip("/").split("/")[-2:] if remote else [root.name]
    scope = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(names)).strip("._-")[:64]
    return scope or f"project-{blake2b(root.name.encode(), digest_size=4).hexdigest()}"


def _git(folder: Path, *arguments: str) -> str:
    """What git answers; empty if it cannot or is not installed."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)  # noqa: S607
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _models(proxy: Client) -> list[str]:
    return [each["id"] for each in proxy.ask("GET", "/v1/models")["data"]]


def _json(change: Callable[[dict[str, Any], Connection | None], None]) -> Edit:
    def edit(text: str, connection: Connection | None) -> str:
        data = json.loads(text) if text.strip() else {}
        if not isinstance(data, dict):
            raise ConnectError("it must hold a JSON object")
        before = json.dumps(data)
        change(data, connection)
        if json.dumps(data) == before:
            return text
        return json.dumps(data, indent=2, ensure_ascii=False) + "\n" if data else ""

    return edit


def _table(data: dict[str, Any], name: str) -> dict[str, Any]:
    found = data.get(name, {})
    if not isinstance(found, dict):
        raise ConnectError(f"`{name}` must be an object")
    return found


def _claude_code(data: dict[str, Any], connection: Connection | None) -> None:
    """The scope's header tells that the address is ours."""
    env = dict(_table(data, "env"))
    headers = str(env.pop(_HEADERS, "")).split("\n")
    others = [line for line in headers if line and not line.startswith(_SCOPE_LINE)]
    ours = any(line.startswith(_SCOPE_LINE) for line in headers)
    if ours:
        env.pop(_URL, None)
    elif connection is None:
        return
    if connection:
        if env.get(_URL, connection.url) != connection.url:
            raise ConnectError(f"its env has the {_URL} {env[_URL]}: remove it first")
        env[_URL] = connection.url
        others.append(f"{_SCOPE_LINE} {connection.scope}")
    _set(data, "env", env | ({_HEADERS: "\n".join(others)} if others else {}))


def _opencode(data: dict[str, Any], connection: Connection | None) -> None:
    providers = {name: each for name, each in _table(data, "provider").items() if name != "rememberd"}
    if connection:
        providers["rememberd"] = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "rememberd",
            "options": {
                "baseURL": f"{connection.url}/v1",
                "apiKey": "{env:REMEMBERD_KEY}" if connection.keyed else "local",
                "headers": {"X-Memory-Scope": connection.scope},
            },
            "models": {name: {"name": name} for name in connection.models},
        }
    if connection or "rememberd" in _table(data, "provider"):
        _set(data, "provider", providers)


def _set(data: dict[str, Any], name: str, value: dict[str, Any]) -> None:
    if value:
        data[name] = value
    else:
        data.pop(name, None)


def _codex(text: str, connection: Connection | None) -> str:
    """Codex reads the provider from the user's own file only, so that the scope comes from the environment. Keys of
    the file's head must stand before its tables."""
    text = _BLOCK.sub("", text)
    before = tomllib.loads(text)
    if connection is None:
        return text
    if "rememberd" in before.get("model_providers", {}):
        raise ConnectError("it has a model provider named rememberd: remove it first")
    provider = {"name": "rememberd", "base_url": f"{connection.url}/v1", "wire_api": "responses"}
    provider |= {"env_key": "REMEMBERD_KEY"} if connection.keyed else {}
    lines = ["[model_providers.rememberd]", *(f"{name} = {json.dumps(each)}" for name, each in provider.items())]
    lines.append('env_http_headers = { "X-Memory-Scope" = "REMEMBERD_SCOPE" }')
    head = "" if "model_provider" in before else _block('model_provider = "rememberd"')
    new = head + _ended(text) + _block(*lines)
    after = tomllib.loads(new)
    del after["model_providers"]["rememberd"]
    ours = {"model_provider": after["model_provider"]} | (
        {} if "model_providers" in before else {"model_providers": {}}
    )
    if after != before | ours:
        raise ConnectError("its form does not allow it: write the provider as deploy/CLIENTS.md shows")
    return new


def _yaml(lines: Callable[[Connection], list[str]], empty: Any, taken: Callable[[Any], bool]) -> Edit:
    """Lines at the end of a mapping or a list (`empty` is of its type)."""

    def edit(text: str, connection: Connection | None) -> str:
        text = _BLOCK.sub("", text)
        before = yaml.safe_load(text) or empty
        if connection is None:
            return text
        if taken(before):
            raise ConnectError(f"it has a setting of its own for `{lines(connection)[0]}`: remove it first")
        new = _ended(text) + _block(*lines(connection))
        ours = yaml.safe_load("\n".join(lines(connection)))
        if type(before) is not type(ours) or yaml.safe_load(new) != (
            before + ours if isinstance(ours, list) else before | ours
        ):
            raise ConnectError(f"its form does not allow it: add `{lines(connection)[0]}` by hand")
        return new

    return edit


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"


def _block(*lines: str) -> str:
    return "\n".join((_BEGIN, *lines, _END, ""))


_EXTRA = "- name: aider/extra_params"  # aider sends these with every model
_aider = _yaml(
    lambda to: [f"openai-api-base: {json.dumps(f'{to.url}/v1')}"], {}, lambda before: "openai-api-base" in before
)
_aider_models = _yaml(
    lambda to: [_EXTRA, "  extra_params:", "    extra_headers:", f"      X-Memory-Scope: {json.dumps(to.scope)}"],
    [],
    lambda before: any(isinstance(each, dict) and each.get("name") == "aider/extra_params" for each in before),
)

_FILES: dict[str, list[tuple[Callable[[Path], Path], Edit]]] = {
    "claude-code": [(lambda root: root / ".claude" / "settings.json", _json(_claude_code))],
    "codex": [(lambda _: Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex") / "config.toml", _codex)],
    "opencode": [(lambda root: root / "opencode.json", _json(_opencode))],
    "aider": [
        (lambda root: root / ".aider.conf.yml", _aider),
        (lambda root: root / ".aider.model.settings.yml", _aider_models),
    ],
}
_NEXT = {
    "claude-code": "set ANTHROPIC_AUTH_TOKEN to your key of rememberd, or to any word where it has no keys",
    "codex": "for this project's scope: export REMEMBERD_SCOPE={scope}; where another model_provider is set:"
    " codex -c model_provider=rememberd",
    "opencode": "choose a model of the provider rememberd with /models",
    "aider": "set OPENAI_API_KEY to your key of rememberd, or to any word where it has no keys;"
    " name models as openai/NAME",
}
