"""A master key is replaced without touching what it protects; a wrong or missing one stops the start."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rememberd.encryption.master_key import masters
from rememberd.errors import ConfigError, StoreUnavailable
from rememberd.settings.schema import Encryption
from rememberd.storage.sqlite.database import Database
from rememberd.storage.sqlite.keyring import file_of
from tests.support.sealing import NEW, OLD, opened
from tests.support.tables import each_row


async def sealed_by(folder: Path, master: str) -> bytes:
    async with opened(folder, master) as keyring:
        return (await keyring.own("ada")).seal(b"I live in Oslo.", "here")


async def read_by(folder: Path, master: str, sealed: bytes) -> bytes:
    async with opened(folder, master, fresh=False) as keyring:
        return (await keyring.own("ada")).open(sealed, "here")


async def test_the_old_key_is_needed_until_the_rotation_and_not_after(tmp_path: Path) -> None:
    """New key in front of the old, rotate, old key away: what was sealed before is read at every step."""
    sealed = await sealed_by(tmp_path, OLD)
    both = f"{NEW}\n{OLD}\n"
    assert await read_by(tmp_path, both, sealed) == b"I live in Oslo."
    with pytest.raises(ConfigError, match="needs the master key with the id"):
        await read_by(tmp_path, NEW, sealed)
    async with opened(tmp_path, both) as keyring:
        pseudonym = keyring.owner("ada")
        assert await keyring.rotate() == 2  # ada's and the root's
        assert await keyring.rotate() == 0
        assert list(await keyring.versions()) == [keyring.newest.id]
    assert await read_by(tmp_path, NEW, sealed) == b"I live in Oslo."
    async with opened(tmp_path, NEW) as keyring:
        assert keyring.owner("ada") == pseudonym
    with pytest.raises(ConfigError, match="needs the master key with the id"):
        await read_by(tmp_path, OLD, sealed)


async def test_the_rotation_leaves_nothing_wrapped_by_the_old_key(tmp_path: Path) -> None:
    """Nor in free pages or the log: the old key, leaked later, opens nothing of this directory."""
    await sealed_by(tmp_path, OLD)
    async with opened(tmp_path, f"{NEW} {OLD}") as keyring:
        database = Database(file_of(tmp_path))
        wrapped = [row[0] for row in database.read("SELECT wrapped FROM keys")]
        await database.close()
        await keyring.rotate()
        files = b"".join(file.read_bytes() for file in tmp_path.glob("keyring.db*"))
        assert [each for each in wrapped if each in files] == []


async def test_a_key_made_meanwhile_by_a_newer_master_is_no_crash(tmp_path: Path) -> None:
    """A process that was not restarted goes without this user's memory, and says what it lacks."""
    async with opened(tmp_path, OLD) as old, opened(tmp_path, f"{NEW} {OLD}") as new:
        await new.own("ada")
        with pytest.raises(StoreUnavailable, match=new.newest.id):
            await old.known("ada")


async def test_a_damaged_key_is_named(tmp_path: Path) -> None:
    """Never garbage for a key: authenticated wrapping notices."""
    async with opened(tmp_path) as keyring:
        await keyring.own("ada")
        database = Database(file_of(tmp_path))
        await database.write(lambda db: db.execute("UPDATE keys SET wrapped = zeroblob(60)"))
        await database.close()
        with pytest.raises(StoreUnavailable, match=r"keyring\.db is damaged"):
            await keyring.known("ada")


async def test_what_was_kept_in_clear_text_is_not_mixed_with_sealed_data(tmp_path: Path) -> None:
    """Encryption that is turned on over old data is refused, with the way on."""
    with pytest.raises(ConfigError, match="not encrypted"):
        async with opened(tmp_path, fresh=False):
            pass
    async with opened(tmp_path):
        pass


def test_the_key_comes_from_a_file_or_a_command_too(tmp_path: Path) -> None:
    """The same key by each way; the file lists older ones behind it."""
    file = tmp_path / "master"
    file.write_text(f"{NEW}\n{OLD}\n")
    (plain,) = masters(Encryption(master_key=NEW))
    assert masters(Encryption(master_key_file=str(file)))[0] == plain
    printing = [sys.executable, "-c", f"print({NEW!r})"]
    assert masters(Encryption(master_key_command=printing)) == [plain]
    assert masters(Encryption()) == []


@each_row(
    ("encryption", "message"),
    [
        (Encryption(master_key="correct horse battery staple"), "openssl rand"),
        (Encryption(master_key="MTIzNA=="), "32 bytes"),
        (Encryption(master_key_file="/nowhere/master"), "cannot read /nowhere/master"),
        (Encryption(master_key_command=["false"]), "false did not print a key"),
        (Encryption(master_key_command=["/nowhere/vault"]), "did not print a key"),
        (Encryption(master_key_command=["true"]), "gives no key"),
        (Encryption(master_key=OLD, master_key_file="x"), "both set"),
    ],
)
def test_a_key_that_is_none_says_how_to_make_one(encryption: Encryption, message: str) -> None:
    """And never shows what was given."""
    with pytest.raises(ConfigError, match=message) as refused:
        masters(encryption)
    assert "horse" not in str(refused.value)


async def test_the_keys_are_for_their_owner_only(tmp_path: Path) -> None:
    """Mode 0600, like every file that holds what is private."""
    await sealed_by(tmp_path, OLD)
    assert file_of(tmp_path).stat().st_mode & 0o777 == 0o600
