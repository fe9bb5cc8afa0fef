"""The open formats with their makers' own samples and validators, which come with the SDKs from PyPI."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from rememberd import __version__
from rememberd.memory.importers import mem_bundle, pam
from rememberd.memory.importers.files import opened
from tests.memory.imports.test_portable_formats import AT, MEMORIES

pytestmark = pytest.mark.clients

SDKS = ("portable-memory==0.3.0", "portable-ai-memory==1.0.0")
VALIDATE = """
import sys
from portable_memory import BundleValidator
from portable_ai_memory.core.io import load_memory_store
from portable_ai_memory.core.validator import validate
bundle, store = sys.argv[1:]
print(BundleValidator().validate(bundle).issues)
print([str(issue) for issue in validate(load_memory_store(store)).issues])
"""
# Kinds of `.mem` that say something about a person, and the field with the words.
TEXTS = {"episode": "details", "fact": "text", "core": "content", "preference": "value"}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sources of both SDKs, and so with their samples."""
    folder = tmp_path_factory.mktemp("sources")
    pip(["download", "-q", "--no-deps", "--no-binary", ":all:", "-d", str(folder), *SDKS])
    for archive in folder.glob("*.tar.gz"):
        with tarfile.open(archive) as sources:
            sources.extractall(folder, filter="data")
    return folder


def pip(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the SDKs cannot be had: {done.stderr[-300:]}")


def read(path: Path) -> list[dict[str, Any]]:
    with opened(path) as exports:
        found = [line for export in exports for line in export.lines()]
        assert [export.unreadable for export in exports] == [[] for _ in exports]
    return found


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_every_published_bundle_is_read_whole(samples: Path) -> None:
    """All of its records about a person but those that its tombstones delete, with the times that they have."""
    bundles = [each.parent for each in samples.rglob("*.mem/manifest.json")]
    assert len(bundles) >= 3
    for bundle in bundles:
        gone = {each["targetID"] for each in records(bundle / "audit/tombstones.jsonl")}
        wanted = {
            record[text]: record.get("eventTime")
            for kind, text in TEXTS.items()
            for record in records(bundle / f"items/{kind}.jsonl")
            if record.get("id") not in gone
        }
        assert {line["text"]: line.get("created_at") for line in read(bundle)} == wanted, bundle.name


def test_the_published_list_of_an_assistant_is_read_as_its_makers_read_it(samples: Path) -> None:
    """Entry by entry, dates too; theirs have the time of reading where no date is given."""
    (folder,) = (each.parent for each in samples.rglob("transfer/sample-export.txt"))
    theirs = records(folder / "expected-episode.jsonl")
    wanted = {
        each["details"].replace("\n", " "): each["eventTime"][:10]
        for each in theirs
        if each["eventTime"] != each["ingestionTime"]
    }
    ours = {line["text"]: line.get("created_at", "")[:10] for line in read(folder / "sample-export.txt")}
    assert ours.keys() == {each["details"].replace("\n", " ") for each in theirs}
    assert {text: at for text, at in ours.items() if at} == wanted


def test_the_published_memory_store_is_read_whole(samples: Path) -> None:
    """With its checksum, and with each memory's time and source."""
    (path,) = samples.rglob("example-memory-store.json")
    wanted = [
        (each["content"], each["temporal"]["created_at"], each["provenance"]["platform"])
        for each in json.loads(path.read_text())["memories"]
    ]
    assert [(line["text"], line["created_at"], line["source"]["client"]) for line in read(path)] == wanted


def test_their_validators_find_no_fault_in_what_goes_out(tmp_path: Path) -> None:
    """Errors or warnings; memories that are past, private, pinned and in other scripts are among them."""
    pip(["install", "-q", "--target", str(tmp_path / "sdks"), *SDKS])
    (tmp_path / "memories.zip").write_bytes(mem_bundle.archive(MEMORIES, AT, __version__))
    with zipfile.ZipFile(tmp_path / "memories.zip") as archive:
        archive.extractall(tmp_path)
    (tmp_path / "memory-store.json").write_bytes(pam.document(MEMORIES, "ada", AT, __version__))
    command = [sys.executable, "-c", VALIDATE, str(tmp_path / "memories.mem"), str(tmp_path / "memory-store.json")]
    environ = {"PYTHONPATH": str(tmp_path / "sdks")}
    done = subprocess.run(command, capture_output=True, text=True, env=environ)
    assert done.stdout.split() == ["[]", "[]"], done.stderr
