"""A data directory of an earlier version is upgraded at the start, once; one of a later version is refused."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from rememberd import __version__
from rememberd.cli.main import main
from rememberd.errors import ConfigError
from rememberd.settings.schema import Settings
from rememberd.storage import formats
from rememberd.storage.backup import erasures_in
from rememberd.storage.format_version import FORMAT
from rememberd.storage.spool import FileSpool
from rememberd.storage.sqlite.database import Database
from rememberd.wiring.components import build_audit_log
from rememberd.wiring.encryption import Encryption
from tests.support.fake_model import FakeModel
from tests.support.proxy_server import KEYS, ask, memories, remembered, running
from tests.support.queue_contract import turn

FOLDERS = Path(__file__).parents[1] / "data" / "folders"
VERSIONS = sorted(path.name.removesuffix(".tar.xz") for path in FOLDERS.glob("*.tar.xz"))


def unpacked(version: str, folder: Path) -> Path:
    """The data directory that this version made, with memories of ada, and eve erased."""
    data = folder / "data"
    with tarfile.open(FOLDERS / f"{version}.tar.xz") as tar:
        tar.extractall(data, filter="data")
    return data


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.slow
def test_every_memory_of_an_older_folder_is_there(tmp_path: Path, upstream: FakeModel, version: str) -> None:
    """With all that it said, its deletions and its keys; new turns are learned beside them; the second start changes
    nothing."""
    data = unpacked(version, tmp_path)
    wanted = json.loads((FOLDERS / f"{version}.json").read_text())
    for _ in range(2):
        with running(tmp_path, {"model-a": upstream.url}, keys=KEYS) as proxy, proxy.client("ada") as client:
            listed = client.get("/v1/memories", params={"include_past": "true", "limit": "500"}).json()["data"]
            found = {each["id"]: each for each in listed}
            for each in wanted:
                assert found[each["id"]].items() >= each.items()
            assert not [each for each in memories(client) if "cat" in each["text"]]
            with proxy.client("eve") as eve:
                assert memories(eve) == []
        assert json.loads((data / "format.json").read_text())["format"] == FORMAT
    with running(tmp_path, {"model-a": upstream.url}, keys=KEYS) as proxy, proxy.client("ada") as client:
        ask(client, "I moved to Trondheim.")
        remembered(client, "Trondheim", "episode")


@pytest.mark.parametrize("version", VERSIONS)
def test_an_upgrade_can_be_rehearsed(tmp_path: Path, capsys: pytest.CaptureFixture[str], version: str) -> None:
    """`check --upgrade` takes every step on copies and says what they are; the folder stays as it is."""
    data = unpacked(version, tmp_path)
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    config = tmp_path / "rememberd.yaml"
    config.write_text(json.dumps({"data_dir": str(data), "server": {"port": 0}, "model_list": []}))
    main(["check", "--upgrade", "--config", str(config)])
    said = capsys.readouterr().out
    for step in formats.STEPS:
        assert step.about in said
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before
    formats.upgrade(data)
    main(["check", "--upgrade", "--config", str(config)])
    assert f"{FORMAT}, up to date" in capsys.readouterr().out


def test_a_step_that_fails_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    """And is taken again at the next start; those before it are not."""
    data, taken = unpacked(VERSIONS[0], tmp_path), list[int]()

    def half(folder: Path) -> None:
        taken.append(3)
        formats._execute(folder / "keys.db", "DROP TABLE nowhere")

    steps = (formats.Step(2, "first", lambda _: taken.append(2)), formats.Step(3, "second", half))
    for _ in range(2):
        with pytest.raises(ConfigError, match="was not changed"):
            formats.upgrade(data, steps)
    assert taken == [2, 3, 3]
    assert formats.format_of(data) == 2
    with sqlite3.connect(data / "keys.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    db.close()


def test_a_folder_of_a_later_version_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything in it is touched; both versions are named."""
    data = unpacked(VERSIONS[0], tmp_path)
    (data / "format.json").write_text(json.dumps({"format": 99, "version": "9.9.9"}))
    config = tmp_path / "rememberd.yaml"
    config.write_text(json.dumps({"data_dir": str(data), "server": {"port": 0}, "model_list": []}))
    for words in (["serve"], ["web"], ["writer"], ["keys", "list"]):
        assert main([*words, "--config", str(config)]) == 2
        said = capsys.readouterr().err
        assert "rememberd 9.9.9" in said
        assert "this is rememberd 0." in said
    assert main(["check", "--config", str(config)]) == 1
    assert "9.9.9" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["queue.db", "changes.db"])
async def test_each_database_says_who_made_it(tmp_path: Path, name: str) -> None:
    """So that one file of a later version, copied into an older folder, is refused too; both versions are named."""
    formats.upgrade(tmp_path)
    database = Database(tmp_path / name)
    await database.write(lambda db: None)
    await database.close()
    assert formats.made_by(tmp_path / name) == (FORMAT, __version__)
    assert formats.upgrade(tmp_path) == []
    with closing(sqlite3.connect(tmp_path / name)) as db:
        db.execute("UPDATE made_by SET format = 99, version = '9.9.9'")
        db.commit()
    with pytest.raises(ConfigError, match=rf"{name} has the format 99 of rememberd 9\.9\.9; this is rememberd 0\."):
        formats.upgrade(tmp_path)


async def _spooled(folder: Path) -> Path:
    spool = FileSpool(folder / "spool")
    await spool.append(turn("a" * 32))
    return next((folder / "spool").glob("*.spool"))


async def _dead(folder: Path) -> Path:
    await FileSpool(folder / "spool").dead_letter(turn("a" * 32), "nobody takes it")
    return next((folder / "spool").glob("*.dead"))


async def _audited(folder: Path) -> Path:
    log = build_audit_log(Settings(data_dir=str(folder)), Encryption(None))
    log.record({"who": "operator", "did": "backup"})
    return log.path


@pytest.mark.parametrize("made", [_spooled, _dead, _audited])
async def test_each_other_file_says_who_made_it(tmp_path: Path, made: Callable[[Path], Awaitable[Path]]) -> None:
    """A file of the spool in its name, the audit log in each line; a later version's is refused, both are named. What
    0.1 left says nothing and is taken, and so is a line that a power cut has shortened."""
    formats.upgrade(tmp_path)
    path = await made(tmp_path)
    for left in (tmp_path / "spool" / "12-ab.spool", tmp_path / "spool" / "34-cd.dead"):
        left.parent.mkdir(exist_ok=True)
        left.touch()
    assert formats.format_of(tmp_path) == FORMAT
    own = (f".v{FORMAT}-{__version__}", ".v99-9.9.9")
    later = (f'"format":{FORMAT}', '"format":99')
    if path.name == "audit.jsonl":
        text = path.read_text()
        path.write_text(text + text[:20])
        assert formats.format_of(tmp_path) == FORMAT
        path.write_text(text + text.replace(*later).replace(f'"{__version__}"', '"9.9.9"'))
        with pytest.raises(ConfigError, match=r"9\.9\.9"):
            erasures_in([path])
    else:
        path.rename(path.with_name(path.name.replace(*own)))
    with pytest.raises(ConfigError, match=r"has the format 99 of rememberd 9\.9\.9; this is rememberd 0\."):
        formats.upgrade(tmp_path)


def test_an_upgraded_folder_says_so_in_each_file(tmp_path: Path) -> None:
    data = unpacked(VERSIONS[0], tmp_path)
    present = [path for path in data.glob("*.db") if path.name != "limits"]
    assert {formats.made_by(path) for path in present} == {None}
    formats.upgrade(data)
    assert {formats.made_by(path) for path in present} == {(FORMAT, __version__)}
    assert formats.STEPS[-1].number == FORMAT


def test_a_new_folder_has_the_newest_format(tmp_path: Path) -> None:
    """No step is taken on it, now or later."""
    assert formats.upgrade(tmp_path) == []
    assert formats.format_of(tmp_path) == FORMAT
    (tmp_path / "queue.db").touch()
    assert formats.due(tmp_path) == []
