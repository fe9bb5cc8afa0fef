"""`rememberd keys`: create, list, rotate and revoke API keys, whether or not the proxy runs."""

import asyncio
import getpass
import re
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from rememberd.access.api_keys import ApiKey, ApiKeyStore
from rememberd.access.audit_log import OPERATOR
from rememberd.access.auth import LOCAL, Auth
from rememberd.access.principals import digest
from rememberd.api.admin import asked_key, key_json
from rememberd.cli import command as a_command
from rememberd.cli import config_option, settings_of
from rememberd.cli.terminal.output import print_json, print_table
from rememberd.cli.terminal.running_proxy import running_proxy
from rememberd.errors import ConfigError, InputRejected, RequestError
from rememberd.memory.adoption import adopt, adopt_preferences
from rememberd.processes.run import prepare
from rememberd.settings.schema import Settings, configured_keys
from rememberd.telemetry.clock import wall_clock
from rememberd.types import Millis, Principal
from rememberd.wiring import store as stores
from rememberd.wiring.components import build_audit_log, build_embedder, build_keys, key_mark
from rememberd.wiring.encryption import Encryption, open_encryption
from rememberd.wiring.queue import existing_queue

EXAMPLES = """\
  rememberd keys create ada --user ada                            # the key is shown once; valid within a second
  rememberd keys create ada --user ada --adopt-local              # the first key: ada gets what was remembered so far
  rememberd keys create app --trust-identity --requests-per-minute 600 --expires-at 2027-01-31
  rememberd keys list --json
  rememberd keys rotate ada --overlap 1h                          # a new key; the old one is accepted for an hour
  rememberd keys revoke ada
  rememberd keys hash                                             # hashes a key that you type, for `key_hash`
"""

_KEYLESS_ENDS = """
This was the first key. From now on every request needs a key, even after this one is revoked."""
_OWNED_BY_LOCAL = """
Without a key you were the user `local`: its {held} memories stay there, and this key does not open them.
  To move them to a user:    rememberd keys create ANOTHER-NAME --user {user} --adopt-local
  To open them as they are:  rememberd keys create ANOTHER-NAME --user local"""
_ELSEWHERE = """
The proxy at {host}:{port} does not accept this key: it seems to read other settings than this command, which keeps
keys in {place}. Run the command with the proxy's --config (or $REMEMBERD_CONFIG) and its environment."""
_STILL_WAITING = """
Some of what was said without a key is not learned yet, and will be remembered for `local`. When the proxy runs and
`rememberd check` says that 0 turns are waiting:  rememberd keys create ANOTHER-NAME --user {user} --adopt-local"""
_LEARNED_WITHIN_SECONDS = 30.0
_ACCEPTED_WITHIN_SECONDS, _BETWEEN_SECONDS = 4.0, 0.25
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class _Duration(click.ParamType[int]):
    """A number and a unit, such as 90s, 30m, 1h or 2d; in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        found = re.fullmatch(r"(\d+)([smhd])", str(value))
        if found is None:
            self.fail(f"{value!r} is not a duration: write a number and a unit, such as 30m, 1h or 2d", param, ctx)
        return int(found[1]) * _SECONDS[found[2]]


@a_command("keys", EXAMPLES)
@config_option
@click.argument("action", type=click.Choice(["create", "list", "rotate", "revoke", "hash"]))
@click.argument("name", required=False)
@click.option("--user", help="the user that the key belongs to")
@click.option("--trust-identity", is_flag=True, help="its requests may name the end user")
@click.option("--model", "models", multiple=True, help="a model that it may use, * for any text; repeatable")
@click.option("--scope", "scopes", multiple=True, help="a scope that it may name; repeatable")
@click.option("--requests-per-minute", type=int, metavar="N", help="how many requests it may make per minute")
@click.option("--tokens-per-day", type=int, metavar="N", help="how many input and output tokens it may use per day")
@click.option("--expires-at", metavar="TIME", help="when it expires, such as 2027-01-31, UTC")
@click.option(
    "--adopt-local", is_flag=True, help="create: move the memories of `local`, the user without a key, to --user"
)
@click.option("--overlap", type=_Duration(), default="0s", help="rotate: how long the old key is still accepted (1h)")
@click.option("--json", "as_json", is_flag=True, help="list: as JSON")
def command(
    config: Path | None, action: str, name: str | None, adopt_local: bool, overlap: int, as_json: bool, **given: Any
) -> int:
    if action == "hash":
        return _hash()
    if action != "list" and name is None:
        raise ConfigError(f"rememberd keys {action} needs a name")
    if adopt_local and not given["user"]:
        raise ConfigError("--adopt-local needs --user: the user who gets the memories of `local`")
    wanted = {"name": name} | {
        each: list(value) or None if isinstance(value, tuple) else value for each, value in given.items()
    }
    return asyncio.run(_run(settings_of(config), action, wanted, adopt_local, overlap * 1000, as_json))


def _hash() -> int:
    key = getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    print(f"sha256:{digest(key).hex()}")
    return 0


async def _run(
    settings: Settings, action: str, wanted: Mapping[str, Any], adopt_local: bool, overlap: Millis, as_json: bool
) -> int:
    """Raises `ConfigError`, `QueueUnavailable`, `StoreUnavailable`."""
    prepare(settings)
    async with open_encryption(settings) as encryption:
        keys, log = build_keys(settings, encryption), build_audit_log(settings, encryption)
        try:
            if action == "list":
                _list(await keys.all(), as_json)
            elif action == "revoke":
                revoked = await keys.revoke(wanted["name"], wall_clock())
                log.record({"who": OPERATOR, "did": "keys.revoke", "key": revoked.principal.name})
                print(f"revoked {revoked.principal.name} ({revoked.id})")
                _warn_if_closed(settings, await keys.all())
            elif action == "rotate":
                made, key = await keys.rotate(wanted["name"], wall_clock(), wall_clock() + overlap)
                log.record({"who": OPERATOR, "did": "keys.rotate", "key": made.principal.name})
                ends = f"is accepted until {_time(wall_clock() + overlap)}" if overlap else "is not accepted any more"
                print(f"{made.id} for {made.principal.name}; the old key {ends}; the new key is shown this once:",
                      file=sys.stderr)  # fmt: skip
                print(key, flush=True)
                await _warn_if_elsewhere(settings, key)
            else:
                await _create(settings, encryption, keys, wanted, adopt_local)
                log.record({"who": OPERATOR, "did": "keys.create", "key": wanted["name"], "whose": wanted["user"]})
        except (InputRejected, RequestError) as error:
            raise ConfigError(error.message) from error
        finally:
            await keys.close()
            log.sync()
    return 0


async def _create(
    settings: Settings, encryption: Encryption, keys: ApiKeyStore, wanted: Mapping[str, Any], adopt_local: bool
) -> None:
    configured = Auth(configured_keys(settings.keys or ())).configured
    first = not settings.closed and settings.server.local_only and not await keys.all()
    made, key = await keys.create(asked_key(wanted, configured), wall_clock())
    key_mark(settings).set()
    print(f"{made.id} for {made.principal.name}; the key is shown this once:", file=sys.stderr)
    print(key, flush=True)
    if first:
        print(_KEYLESS_ENDS, file=sys.stderr)
    await _warn_if_elsewhere(settings, key)
    if first or adopt_local:
        await _tell_or_adopt(settings, encryption, wanted["user"], adopt_local)


async def _warn_if_elsewhere(settings: Settings, key: str) -> None:
    """A command with another data directory or without Redis would make a key that the running proxy never sees."""
    running = await asyncio.to_thread(running_proxy, settings)
    if running is None or running.parts is None:
        return
    for _ in range(int(_ACCEPTED_WITHIN_SECONDS / _BETWEEN_SECONDS)):
        if await asyncio.to_thread(running.models, key) is not None:
            return
        await asyncio.sleep(_BETWEEN_SECONDS)
    place = "Redis" if settings.memory.queue.url else settings.data_path
    print(_ELSEWHERE.format(host=running.host, port=running.port, place=place), file=sys.stderr)


async def _tell_or_adopt(settings: Settings, encryption: Encryption, user: str | None, adopt_local: bool) -> None:
    """Tell that memories from the time without keys belong to the user `local`, or move them to `user`."""
    if user == LOCAL.name or not stores.exists(settings):
        return
    embedder = build_embedder(settings)
    await embedder.start()
    try:
        async with stores.for_command(settings, embedder, encryption.store) as store:
            if adopt_local and user is not None:
                waiting = await _wait_until_learned(settings)
                moved = await adopt(store, embedder, LOCAL.name, user, wall_clock())
                async with existing_queue(settings, read_only=False) as records:
                    if records is not None:
                        await adopt_preferences(records.preferences, LOCAL.name, user)
                print(f"{moved} memories of `local` belong to {user} now", file=sys.stderr)
                if waiting:
                    print(_STILL_WAITING.format(user=user), file=sys.stderr)
                return
            spaces = await store.spaces(LOCAL.name)
            held = sum([await store.count(space, now=wall_clock(), include_past=True) for space in spaces])
    finally:
        embedder.close()
    if held:
        print(_OWNED_BY_LOCAL.format(held=held, user=user or "USER"), file=sys.stderr)


async def _wait_until_learned(settings: Settings) -> bool:
    """Wait for the turns of `local` in the queue: the writer stores what they say for `local`. Returns whether some
    still wait; those of a proxy that does not run are not waited for."""
    runs = await asyncio.to_thread(running_proxy, settings) is not None
    end, now = time.monotonic() + runs * _LEARNED_WITHIN_SECONDS, wall_clock()
    async with existing_queue(settings) as records:
        while records is not None and await records.queue.has_earlier(LOCAL.name, now):
            if time.monotonic() >= end:
                return True
            await asyncio.sleep(_BETWEEN_SECONDS)
    return False


def _warn_if_closed(settings: Settings, keys: Sequence[ApiKey]) -> None:
    if not settings.keys and not any(_state(key) == "in force" for key in keys):
        print("no key is valid now: nobody can use the proxy until you create one",
              file=sys.stderr)  # fmt: skip


def _list(keys: Sequence[ApiKey], as_json: bool) -> None:
    if as_json:
        data = [key_json(key) | {"state": _state(key)} for key in keys]
        print_json({"object": "list", "data": data})
    elif keys:
        titles = ("ID", "STATE", "NAME", "USER", "CREATED", "LAST USED", "EXPIRES", "RIGHTS")
        print_table(titles, [_row(key) for key in keys])
    else:
        print("no key was created yet: `rememberd keys create NAME --user USER`; keys in the settings are not listed")


def _row(key: ApiKey) -> tuple[str, ...]:
    holder = key.principal
    user = holder.user or "named by requests"
    times = (_time(key.created_at), _time(key.last_used_at), _time(holder.expires_at))
    return key.id, _state(key), holder.name, user, *times, _rights(holder)


def _rights(holder: Principal) -> str:
    rights = []
    if holder.trust_identity and holder.user:
        rights.append("may name users")
    rights += [f"scope {each}" for each in holder.scopes or ()] + [f"model {each}" for each in holder.models or ()]
    if holder.requests_per_minute is not None:
        rights.append(f"{holder.requests_per_minute} requests a minute")
    if holder.tokens_per_day is not None:
        rights.append(f"{holder.tokens_per_day} tokens a day")
    return ", ".join(rights) or "all"


def _state(key: ApiKey) -> str:
    ends = key.principal.expires_at
    if key.revoked_at is not None:
        return "revoked"
    if not key.readable:
        return "unreadable"
    return "expired" if ends is not None and ends <= wall_clock() else "in force"


def _time(at: Millis | None) -> str:
    return "never" if at is None else f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M}"
