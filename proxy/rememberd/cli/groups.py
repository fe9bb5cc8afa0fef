"""`rememberd groups`: manages groups of people who share memories, whether or not the proxy runs."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import click

from rememberd.access.audit_log import OPERATOR
from rememberd.access.groups import ROLES, Group, Groups
from rememberd.api.groups import asked_group, group_json
from rememberd.cli import command as a_command
from rememberd.cli import config_option, settings_of
from rememberd.cli.erase import erase_user
from rememberd.cli.terminal.output import print_json, print_table
from rememberd.errors import ConfigError, InputRejected, RequestError
from rememberd.processes.run import prepare
from rememberd.settings.schema import Settings
from rememberd.types import Role
from rememberd.wiring import store as stores
from rememberd.wiring.components import build_audit_log, build_groups
from rememberd.wiring.encryption import Encryption, open_encryption
from rememberd.wiring.erasure import opened_erasure

EXAMPLES = """\
  rememberd groups create research --claim-role reader   # users whose sign-in names `research` are readers
  rememberd groups add research ada --role owner         # valid within a second
  rememberd groups add research bob                      # a writer
  rememberd groups remove research bob                   # from the next request on, bob reads nothing there
  rememberd groups remove research                       # removes the group with all its memories
  rememberd groups list --json
"""


@a_command("groups", EXAMPLES)
@config_option
@click.argument("action", type=click.Choice(["create", "add", "remove", "list"]))
@click.argument("name", required=False)
@click.argument("user", required=False)
@click.option("--role", type=click.Choice(ROLES), default="writer", help="add: the member's role (writer)")
@click.option("--claim-role", type=click.Choice(ROLES), help="create: role of users whose sign-in names the group")
@click.option("--keep-contributions", is_flag=True, help="create: keep an erased member's memories, without the name")
@click.option("--json", "as_json", is_flag=True, help="list: as JSON")
def command(
    config: Path | None, action: str, name: str | None, user: str | None, role: Role, as_json: bool, **rules: Any
) -> int:
    if action != "list" and name is None:
        raise ConfigError(f"rememberd groups {action} needs the name of a group")
    if action == "add" and user is None:
        raise ConfigError("rememberd groups add needs a group and a user")
    return asyncio.run(_run(settings_of(config), action, name or "", user, role, rules, as_json))


async def _run(
    settings: Settings, action: str, name: str, user: str | None, role: Role, rules: dict[str, Any], as_json: bool
) -> int:
    """Raises `ConfigError`, `MemoryUnavailable`."""
    prepare(settings)
    async with open_encryption(settings) as encryption:
        groups, log = build_groups(settings, encryption), build_audit_log(settings, encryption)
        try:
            await groups.look()
            if action == "list":
                _list(groups, as_json)
                return 0
            if action == "create":
                await groups.create(asked_group({"name": name, **rules}))
                print(f"created @{name}")
            elif user is not None:
                asked_group({"name": name, "members": {user: role}})
                await groups.set_member(name, user, role if action == "add" else None)
                print(f"{user} is {role if action == 'add' else 'no member'} of @{name} now")
            else:
                erased = await groups.remove(name, partial(_erased, settings, encryption))
                print(f"removed @{name}, with {erased} memories")
            log.record({"who": OPERATOR, "did": f"groups.{action}", "scope": f"@{name}", "whose": user})
        except (InputRejected, RequestError) as error:
            raise ConfigError(error.message) from error
        finally:
            await groups.close()
            log.sync()
    return 0


async def _erased(settings: Settings, encryption: Encryption, user: str) -> int:
    """Erases the group's memories. Returns their number."""
    if not stores.exists(settings):
        return 0
    async with opened_erasure(settings, encryption) as erasure:
        return await erase_user(settings, encryption, erasure, user)


def _list(groups: Groups, as_json: bool) -> None:
    known = sorted(groups.all.items())
    if as_json:
        data = [group_json(each, configured=name in groups.configured) for name, each in known]
        print_json({"object": "list", "data": data})
    elif known:
        titles = ("GROUP", "FROM", "MEMBERS", "BY SIGN-IN", "ERASED MEMBERS' MEMORIES")
        print_table(titles, [_row(each, configured=name in groups.configured) for name, each in known])
    else:
        print("there is no group: `rememberd groups create NAME`")


def _row(group: Group, *, configured: bool) -> tuple[str, ...]:
    members = ", ".join(f"{user} ({role})" for user, role in sorted(group.members.items())) or "none"
    where, kept = "the settings" if configured else "here", "stay, nameless" if group.keep_contributions else "go too"
    return f"@{group.name}", where, members, group.claim_role or "nothing", kept
