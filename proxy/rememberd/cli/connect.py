"""`rememberd connect`: writes this proxy's address, the project's scope and a skill about the memory into the
settings files of a coding agent; or prints the settings of any client.

All other content of a file stays. A file is not changed if it has comments that JSON does not allow, if a user's
setting would have to be replaced, or if the meaning of another setting would change. No key is written."""

import os
import re
import shutil
import subprocess
import sys
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import click
import yaml

from rememberd.api.client_settings import NO_KEY, client_settings
from rememberd.cli import command as a_command
from rememberd.cli.agent_files import AGENTS, NEXT, SKILL_FOLDER, ConnectError, Connection
from rememberd.cli.terminal.client import Client, ProxyError, Where, proxy_options
from rememberd.cli.terminal.client import connect as client_of
from rememberd.types import SCOPE

EXAMPLES = """\
  rememberd connect claude-code            # in the project's folder; its scope is named after its git remote
  rememberd connect aider --scope work
  rememberd connect librechat --print      # with the address and the key, to be copied
  rememberd disconnect claude-code         # removes what was written, and nothing else
"""

_ANY_MODEL = "gpt-4o"


class Change(NamedTuple):
    path: Path
    old: str
    new: str
    clean: str  # the text without our part


@a_command("connect", EXAMPLES)
@proxy_options
@click.argument("agent", metavar="CLIENT", type=click.Choice([*client_settings()]))
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="the project's folder (default: this one)",
)
@click.option("--print", "prints", is_flag=True, help="write no file: print the settings, with address and key")
def command(where: Where, agent: str, folder: Path | None, prints: bool) -> int:
    proxy = client_of(where)
    if prints or agent not in AGENTS:
        return _print_settings(agent, proxy)
    root = project_root(folder or Path.cwd())
    scope = where.scope or project_scope(root)
    if not SCOPE.fullmatch(scope):
        raise ConnectError(f"{scope!r} is not a scope: use 1 to 64 letters, digits, dots, dashes and underscores")
    models = _models(proxy) if agent == "opencode" else []
    write(changes(agent, root, Connection(proxy.url, scope, models, "Authorization" in proxy.headers)))
    print(f"{agent} now uses {proxy.url} with the memory scope {scope!r}")
    print(NEXT[agent].format(scope=scope))
    return 0


def _print_settings(client: str, proxy: Client) -> int:
    """Only the settings are printed to standard output, so that they can be redirected into a file."""
    settings = client_settings()[client]
    key = proxy.headers.get("Authorization", NO_KEY).removeprefix("Bearer ")
    try:
        model = next(iter(_models(proxy)), _ANY_MODEL)
    except ProxyError as error:
        print(f"{error}\nthe model is only an example", file=sys.stderr)
        model = _ANY_MODEL
    print(f"{settings.title}: {settings.where}\n{settings.note}".rstrip(), file=sys.stderr)
    print(settings.filled(proxy.url, key, model), end="")
    return 0


def changes(agent: str, root: Path, connection: Connection | None) -> list[Change]:
    """The planned changes of files. Raises `ConnectError` before anything is written."""
    planned = []
    for place, edit in AGENTS[agent]:
        path = place(root).resolve()  # a link stays a link
        try:
            old = path.read_text(encoding="utf-8") if path.exists() else ""
            planned.append(Change(path, old, edit(old, connection), edit(old, None)))
        except (ValueError, yaml.YAMLError) as error:
            raise ConnectError(f"{path} cannot be read and was not changed: {error}") from error
        except ConnectError as error:
            raise ConnectError(f"{path} was not changed: {error}") from error
    return planned


def write(planned: list[Change]) -> None:
    """Write the files. A file without our settings is copied first. An empty file is deleted."""
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
            if path.parent.name == SKILL_FOLDER and not any(path.parent.iterdir()):
                path.parent.rmdir()
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
    """Owner and name of the git remote, else the folder's name. Never contains the remote's password."""
    remote = _git(root, "remote", "get-url", "origin")
    path = urlsplit(remote).path if "://" in remote else remote.rpartition(":")[2]
    names = path.rstrip("/").removesuffix(".git").strip("/").split("/")[-2:] if remote else [root.name]
    scope = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(names)).strip("._-")[:64]
    return scope or f"project-{blake2b(root.name.encode(), digest_size=4).hexdigest()}"


def _git(folder: Path, *arguments: str) -> str:
    """The output of git; empty if it fails or is not installed."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)  # noqa: S607
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _models(proxy: Client) -> list[str]:
    return [each["id"] for each in proxy.ask("GET", "/v1/models")["data"]]
