"""`rememberd keys`: make, list and revoke API keys, while the proxy runs or before it does."""

from __future__ import annotations

import asyncio
import getpass
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from rememberd.access.api_keys import ApiKey, ApiKeyStore
from rememberd.access.audit_log import OPERATOR
from rememberd.access.auth import Auth
from rememberd.access.principals import digest
from rememberd.api.admin import asked_key
from rememberd.cli import command as a_command
from rememberd.cli import config_option, settings_of
from rememberd.errors import ConfigError, InputRejected, RequestError
from rememberd.processes.run import prepare
from rememberd.settings.schema import Settings, configured_keys
from rememberd.types import Millis
from rememberd.wiring.components import build_audit_log, build_keys
from rememberd.wiring.encryption import open_encryption

EXAMPLES = """\
  rememberd keys create ada --user ada                            # shown once; in force within a second
  rememberd keys create app --trust-identity --requests-per-minute 600 --expires-at 2027-01-31
  rememberd keys list
  rememberd keys revoke ada
  rememberd keys hash                                             # of a key typed in, for `key_hash` in the settings
"""


@a_command("keys", EXAMPLES)
@config_option
@click.argument("action", type=click.Choice(["create", "list", "revoke", "hash"]))
@click.argument("name", required=False)
@click.option("--user", help="whom the key speaks for")
@click.option("--trust-identity", is_flag=True, help="its requests may name the end user")
@click.option("--model", "models", multiple=True, help="a model that it may use, * for any text; repeatable")
@click.option("--scope", "scopes", multiple=True, help="a scope that it may name; repeatable")
@click.option("--requests-per-minute", type=int, metavar="N", help="how many requests it may make")
@click.option("--expires-at", metavar="TIME", help="when it ends, such as 2027-01-31, UTC")
def command(config: Path | None, action: str, name: str | None, **given: Any) -> int:
    if action == "hash":
        return _hash()
    if action != "list" and name is None:
        raise ConfigError(f"rememberd keys {action} needs a name")
    wanted = {"name": name} | {
        each: list(value) or None if isinstance(value, tuple) else value for each, value in given.items()
    }
    return asyncio.run(_run(settings_of(config), action, wanted))


def _hash() -> int:
    key = getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    print(f"sha256:{digest(key).hex()}")
    return 0


async def _run(settings: Settings, action: str, wanted: Mapping[str, Any]) -> int:
    """Raises `ConfigError`, `QueueUnavailable`."""
    prepare(settings)
    async with open_encryption(settings) as encryption:
        keys, log = build_keys(settings, encryption), build_audit_log(settings, encryption)
        try:
            if action == "list":
                _list(await keys.all())
            elif action == "revoke":
                revoked = await keys.revoke(wanted["name"], _now())
                log.record({"who": OPERATOR, "did": "keys.revoke", "key": revoked.principal.name})
                print(f"revoked {revoked.principal.name} ({revoked.id})")
            else:
                await _create(keys, wanted, Auth(configured_keys(settings.keys or ())))
                log.record({"who": OPERATOR, "did": "keys.create", "key": wanted["name"], "whose": wanted["user"]})
        except (InputRejected, RequestError) as error:
            raise ConfigError(error.message) from error
        finally:
            await keys.close()
            log.sync()
    return 0


async def _create(keys: ApiKeyStore, wanted: Mapping[str, Any], auth: Auth) -> None:
    made, key = await keys.create(asked_key(wanted, auth.configured), _now())
    print(f"{made.id} for {made.principal.name}; the key is shown this once:", file=sys.stderr)
    print(key)


def _list(keys: Sequence[ApiKey]) -> None:
    if not keys:
        print("no key was made yet: `rememberd keys create NAME --user USER`; keys in the settings are not listed")
    for key in keys:
        principal = key.principal
        whom = principal.user or "whom its requests name"
        state = (
            "revoked" if key.revoked_at else "expired" if (principal.expires_at or _now()) < _now() else "in force"
        )
        print(f"{key.id}  {state:<8}  {principal.name}: {whom}")


def _now() -> Millis:
    return time.time_ns() // 1_000_000
