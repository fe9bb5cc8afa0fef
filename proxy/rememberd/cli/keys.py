"""`rememberd keys`: make, list and revoke API keys, while the proxy runs or before it does."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rememberd.access.api_keys import ApiKey, ApiKeyStore
from rememberd.access.audit_log import OPERATOR, AuditLog
from rememberd.access.auth import Auth
from rememberd.access.principals import digest
from rememberd.api.admin import asked_key
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


def options(parser: argparse.ArgumentParser) -> None:
    config_option(parser)
    parser.add_argument("do", metavar="{create,list,revoke,hash}", choices=("create", "list", "revoke", "hash"))
    parser.add_argument("name", nargs="?", help="what logs call the holder; to revoke, the name or the id")
    parser.add_argument("--user", help="whom the key speaks for")
    parser.add_argument("--trust-identity", action="store_true", help="its requests may name the end user")
    parser.add_argument("--model", action="append", dest="models", help="that it may ask for, * for any text; again")
    parser.add_argument("--scope", action="append", dest="scopes", help="that it may name; again")
    parser.add_argument("--requests-per-minute", type=int, metavar="N")
    parser.add_argument("--expires-at", metavar="TIME", help="such as 2027-01-31, UTC")


def run(arguments: argparse.Namespace) -> int:
    if arguments.do == "hash":
        return _hash()
    if arguments.do != "list" and arguments.name is None:
        raise ConfigError(f"rememberd keys {arguments.do} needs a name")
    return asyncio.run(_run(arguments))


def _hash() -> int:
    key = getpass.getpass("API key: ") if sys.stdin.isatty() else sys.stdin.readline().strip()
    print(f"sha256:{digest(key).hex()}")
    return 0


async def _run(arguments: argparse.Namespace) -> int:
    """Raises `ConfigError`, `QueueUnavailable`."""
    settings = settings_of(arguments)
    prepare(settings)
    async with open_encryption(settings) as seal:
        return await _done(arguments, settings, build_keys(settings, seal), build_audit_log(settings, seal))


async def _done(arguments: argparse.Namespace, settings: Settings, keys: ApiKeyStore, log: AuditLog) -> int:
    try:
        if arguments.do == "list":
            _list(await keys.all())
        elif arguments.do == "revoke":
            revoked = await keys.revoke(arguments.name, _now())
            log.record({"who": OPERATOR, "did": "keys.revoke", "key": revoked.principal.name})
            print(f"revoked {revoked.principal.name} ({revoked.id})")
        else:
            await _create(keys, vars(arguments), Auth(configured_keys(settings.keys or ())))
            log.record({"who": OPERATOR, "did": "keys.create", "key": arguments.name, "whose": arguments.user})
    except (InputRejected, RequestError) as error:
        raise ConfigError(error.message) from error
    finally:
        await keys.close()
        log.sync()
    return 0


async def _create(keys: ApiKeyStore, given: Mapping[str, Any], auth: Auth) -> None:
    wanted = ("name", "user", "trust_identity", "models", "scopes", "requests_per_minute", "expires_at")
    made, key = await keys.create(asked_key({name: given[name] for name in wanted}, auth.configured), _now())
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
