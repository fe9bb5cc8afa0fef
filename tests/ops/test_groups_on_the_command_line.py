"""`rememberd groups` makes groups and members, also while no proxy runs, and refuses what belongs in the settings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rememberd.cli.main import main


def test_groups_are_made_listed_and_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "rememberd.yaml"
    fixed = {"name": "fixed", "members": {"ada": "owner"}}
    config.write_text(json.dumps({"data_dir": str(tmp_path / "data"), "groups": [fixed]}))

    def groups(*words: str) -> int:
        return main(["groups", *words, "--config", str(config)])

    assert groups("create", "research", "--claim-role", "reader") == 0
    assert groups("add", "research", "ada", "--role", "owner") == 0
    assert groups("add", "research", "bob") == 0
    assert groups("remove", "research", "ada") == 0
    assert [groups("create", "research"), groups("add", "fixed", "bob"), groups("add", "x", "bob")] == [2, 2, 2]
    capsys.readouterr()
    assert groups("list", "--json") == 0
    listed = {each["name"]: each for each in json.loads(capsys.readouterr().out)["data"]}
    assert (listed["fixed"]["configured"], listed["fixed"]["members"]) == (True, {"ada": "owner"})
    assert (listed["research"]["claim_role"], listed["research"]["members"]) == ("reader", {"bob": "writer"})
    assert groups("remove", "research") == 0
    assert groups("remove", "research") == 2
