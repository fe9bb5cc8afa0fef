"""Writes rememberd's settings into the settings files of coding agents, and removes them again."""

import json
import os
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from rememberd.errors import RememberdError

_BEGIN, _END = "# >>> rememberd: `rememberd disconnect` removes this", "# <<< rememberd"
_BLOCK = re.compile(rf"^{re.escape(_BEGIN)}$.*?^{re.escape(_END)}$\n?", re.MULTILINE | re.DOTALL)
_SKILL = Path(__file__).with_name("agent_skill.md")
_OF_SKILL = "written-by: rememberd connect"
SKILL_FOLDER = "rememberd"
_URL, _HEADERS, _SCOPE_LINE = "ANTHROPIC_BASE_URL", "ANTHROPIC_CUSTOM_HEADERS", "X-Memory-Scope:"


class ConnectError(RememberdError):
    """A settings file cannot be changed; the message says what to do by hand."""


class Connection(NamedTuple):
    """The settings to write. `keyed`: the proxy needs a key, which the agent reads from $REMEMBERD_KEY."""

    url: str
    scope: str
    models: list[str]
    keyed: bool


Edit = Callable[[str, Connection | None], str]  # gives the file's new text; without a connection, removes our part


def _json(change: Callable[[dict[str, Any], Connection | None], None]) -> Edit:
    def edit(text: str, connection: Connection | None) -> str:
        data = json.loads(text) if text.strip() else {}
        if not isinstance(data, dict):
            raise ConnectError("it must contain a JSON object")
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
    """The address is ours if the file also has the scope's header."""
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
    """Codex reads the provider only from the user's own file, so the scope comes from the environment. Top-level keys
    must be placed before the tables."""
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
        raise ConnectError("its format does not allow it: write the provider as deploy/CLIENTS.md shows")
    return new


def _yaml(lines: Callable[[Connection], list[str]], empty: Any, taken: Callable[[Any], bool]) -> Edit:
    """Adds lines at the end of a mapping or a list (`empty` has its type)."""

    def edit(text: str, connection: Connection | None) -> str:
        text = _BLOCK.sub("", text)
        before = yaml.safe_load(text) or empty
        if connection is None:
            return text
        if taken(before):
            raise ConnectError(f"it already has a setting for `{lines(connection)[0]}`: remove it first")
        new = _ended(text) + _block(*lines(connection))
        ours = yaml.safe_load("\n".join(lines(connection)))
        if type(before) is not type(ours) or yaml.safe_load(new) != (
            before + ours if isinstance(ours, list) else before | ours
        ):
            raise ConnectError(f"its format does not allow it: add `{lines(connection)[0]}` by hand")
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


def _skill(text: str, connection: Connection | None) -> str:
    """Our own file, written as a whole. A file of the same name that is not ours stays."""
    if text.strip() and _OF_SKILL not in text:
        if connection is None:
            return text
        raise ConnectError("it is another skill of the same name: remove it first")
    return "" if connection is None else _fill(_SKILL.read_text(encoding="utf-8"), connection)


def _fill(text: str, connection: Connection) -> str:
    return text.replace("{url}", connection.url).replace("{scope}", connection.scope)


def _skill_in(folder: str) -> tuple[Callable[[Path], Path], Edit]:
    """Not in `.opencode`: if that folder exists, opencode installs packages into it."""
    return lambda root: root / folder / "skills" / SKILL_FOLDER / "SKILL.md", _skill


AGENTS: dict[str, list[tuple[Callable[[Path], Path], Edit]]] = {
    "claude-code": [(lambda root: root / ".claude" / "settings.json", _json(_claude_code)), _skill_in(".claude")],
    "codex": [
        (lambda _: Path(os.environ.get("CODEX_HOME") or Path.home() / ".codex") / "config.toml", _codex),
        _skill_in(".agents"),
    ],
    "opencode": [(lambda root: root / "opencode.json", _json(_opencode)), _skill_in(".agents")],
    "aider": [
        (lambda root: root / ".aider.conf.yml", _aider),
        (lambda root: root / ".aider.model.settings.yml", _aider_models),
    ],
}
NEXT = {
    "claude-code": "set ANTHROPIC_AUTH_TOKEN to your key of rememberd, or to any word if it has no keys",
    "codex": "for this project's scope: export REMEMBERD_SCOPE={scope}; if another model_provider is set:"
    " codex -c model_provider=rememberd",
    "opencode": "choose a model of the provider rememberd with /models",
    "aider": "set OPENAI_API_KEY to your key of rememberd, or to any word if it has no keys;"
    " name models as openai/NAME",
}
