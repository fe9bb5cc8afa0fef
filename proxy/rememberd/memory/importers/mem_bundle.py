"""MacPaw's portable memory, a `.mem` bundle (format 1), both ways: `manifest.json` with a checksum of each file,
records as JSON lines in `items/`, deletions in `audit/tombstones.jsonl`. https://github.com/MacPaw/portable-memory

A bundle is a folder, or a zip of one. An export puts data without a field in the format under `rememberd`, which
other readers ignore."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson

from rememberd.memory.importers.pam import OURS, canonical, kept, kept_in, seconds
from rememberd.memory.importers.records import BadFile, Line, memory

MANIFEST = "manifest.json"
_KINDS = ("core", "preference", "fact", "episode")  # of records that say something about the person
_EXCHANGES = ("chat", "conversation", "message")  # `sourceType` of an episode that was said in a chat
_TOMBSTONES = "audit/tombstones.jsonl"
_DATA = ("items/", "audit/", "embeddings/")  # folders with no files but those in the manifest
_CHECKSUMS = "CHECKSUMS"
_LARGEST = 2**28  # bytes of a file, the format's own limit


class Bundle:
    """The files of a bundle, by their paths within it."""

    def __init__(self, names: Sequence[str], read: Callable[[str], bytes]) -> None:
        hidden = {name for name in names if name.rpartition("/")[2].startswith(".")}  # a desktop's `.DS_Store`
        self.names, self.read = frozenset(names) - hidden, read

    @classmethod
    def in_folder(cls, folder: Path) -> Bundle:
        """Raises `BadFile` if the folder is not a bundle."""
        if not (folder / MANIFEST).is_file():
            raise BadFile(f"{folder} is a folder without {MANIFEST}: name a .mem bundle or a file")
        files = [each for each in folder.rglob("*") if each.is_file() and not each.is_symlink()]
        return cls([each.relative_to(folder).as_posix() for each in files], lambda name: _bytes(folder / name))

    @classmethod
    def in_zip(cls, archive: zipfile.ZipFile) -> Bundle | None:
        """None if the archive holds no bundle."""
        names = {info.filename: info for info in archive.infolist() if not info.is_dir()}
        root = min(
            (name.removesuffix(MANIFEST) for name in names if _ends_with_manifest(name)), key=len, default=None
        )
        if root is None or not any(name.startswith((f"{root}items/", f"{root}audit/")) for name in names):
            return None

        def read(name: str) -> bytes:
            if names[root + name].file_size > _LARGEST:
                raise BadFile(f"{name} of the bundle is larger than {_LARGEST >> 20} MB")
            return archive.read(root + name)

        return cls([name.removeprefix(root) for name in names if name.startswith(root)], read)

    def lines(self) -> Iterator[Line]:
        """Raises `BadFile` for a bundle that is damaged or of a later format."""
        self._check()
        gone = {str(each.get("targetID")) for each in self._records(_TOMBSTONES)}
        for kind in _KINDS:
            for record in self._records(f"items/{kind}.jsonl"):
                if str(record.get("id")) not in gone and not record.get("deletedAt"):
                    yield from _line(kind, record)

    def _check(self) -> None:
        manifest = _object(self.read(MANIFEST), MANIFEST)
        if str(manifest.get("format", "")).partition(".")[0] != "1":
            raise BadFile(f"the bundle is of format {manifest.get('format')!r}; this version reads format 1")
        sums = _sums(manifest)
        if unlisted := sorted(name for name in self.names - sums.keys() if name.startswith(_DATA)):
            raise BadFile(f"{unlisted[0]} is not listed in the bundle's manifest: export the bundle again")
        for path, digest in sums.items():
            if path not in self.names:
                raise BadFile(f"{path} of the bundle is missing: copy the whole bundle again")
            if hashlib.sha256(self.read(path)).hexdigest() != digest:
                raise BadFile(f"{path} of the bundle does not match its checksum: it is damaged, export it again")

    def _records(self, path: str) -> Iterator[dict[str, Any]]:
        if path in self.names:
            for number, line in enumerate(self.read(path).splitlines(), 1):
                if line.strip():
                    yield _object(line, f"line {number} of {path}")


def archive(memories: Sequence[Mapping[str, Any]], at: str, version: str) -> bytes:
    """The zip of a bundle of memories as `GET /v1/memories` shows them. `at` is RFC 3339."""
    taken = [each for each in memories if not each["quarantined"]]
    facts = _stream(_fact(each) for each in taken if each["kind"] == "fact")
    episodes = _stream(_episode(each) for each in taken if each["kind"] != "fact")
    files = {name: body for name, body in (("items/episode.jsonl", episodes), ("items/fact.jsonl", facts)) if body}
    sums = {path: hashlib.sha256(body).hexdigest() for path, body in files.items()}
    checksums = "".join(f"{digest}  {path}\n" for path, digest in sorted(sums.items())).encode()
    manifest = {
        "format": "1.0.0",
        "generator": f"{OURS}/{version}",
        "conformanceLevel": "L0",
        "createdAt": seconds(at),
        "exportMode": "full",
        "schemaVersion": 1,
        "embeddingModel": "",
        "embeddingDim": 0,
        "embeddingsIncluded": False,
        "capabilities": [],
        "counts": {Path(path).stem: body.count(b"\n") for path, body in files.items()},
        "files": [{"path": path, "sha256": sums[path], "bytes": len(files[path])} for path in sorted(files)],
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as zipped:
        for path, body in {**files, _CHECKSUMS: checksums, MANIFEST: canonical(manifest)}.items():
            zipped.writestr(f"memories.mem/{path}", body)
    return buffer.getvalue()


def _line(kind: str, record: dict[str, Any]) -> Iterator[Line]:
    texts = {
        "fact": record.get("text"),
        "episode": record.get("details") or record.get("summary"),
        "core": record.get("content"),
        "preference": f"{record.get('key')}: {record.get('value')}",
    }
    text = texts[kind]
    if not isinstance(text, str) or not text.strip():
        return
    at = record.get("createdAt") or record.get("eventTime")
    line = memory(text, at, "mem") | {"valid_from": record.get("tValidFrom") or record.get("eventTime")}
    line |= {"valid_to": record.get("tValidTo") or record.get("prunedAt"), "expires_at": record.get("expirationDate")}
    line |= {"pinned": record.get("pinned") is True}
    if kind == "episode" and record.get("sourceType") in _EXCHANGES:
        line |= {"kind": "episode"}
    line |= kept_in(record)
    yield {name: value for name, value in line.items() if value is not None}


def _fact(given: Mapping[str, Any]) -> dict[str, Any]:
    turn = (given["evidence"] or {}).get("turn_id")
    return {
        "id": given["id"],
        "episodeID": turn or given["id"],
        "subject": "user",
        "predicate": given["slot"] or "states",
        "object": given["text"],
        "text": given["text"],
        "tValidFrom": seconds(given["valid_from"]),
        "tValidTo": seconds(given["valid_to"]),
        "confidence": 1,
        "importance": 1 if given["pinned"] else 0.5,
        "createdAt": seconds(given["created_at"]),
    } | kept(given)


def _episode(given: Mapping[str, Any]) -> dict[str, Any]:
    at = seconds(given["created_at"])
    return {
        "id": given["id"],
        "eventTime": at,
        "mentionTime": at,
        "ingestionTime": seconds(given["updated_at"]),
        "sourceType": "chat",
        "actors": [],
        "summary": given["text"].partition("\n")[0][:120],
        "details": given["text"],
        "sensitivity": "high" if given["private"] else "low",
        "metadata": {},
        "categories": [],
        "importance": 0.5,
        "confidence": 1,
        "lifecycleState": "HOT",
        "extractionState": "done",
        "accessCount": 0,
        "pinned": given["pinned"],
        "vaultRefs": [],
        "expirationDate": seconds(given["expires_at"]),
    } | kept(given)


def _stream(records: Iterator[dict[str, Any]]) -> bytes:
    rows = [canonical({name: value for name, value in each.items() if value is not None}) for each in records]
    return b"".join(row + b"\n" for row in sorted(rows))


def _ends_with_manifest(name: str) -> bool:
    return name.rpartition("/")[2] == MANIFEST


def _sums(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The checksum of each file by its path. Format 1.1 may have one for the list of checksums itself."""
    try:
        sums = {entry["path"]: entry["sha256"] for entry in manifest["files"]}
    except (KeyError, TypeError) as error:
        raise BadFile(f"{MANIFEST} lists no files: the bundle is damaged, export it again") from error
    return sums | ({_CHECKSUMS: manifest["bundleDigest"]} if manifest.get("bundleDigest") else {})


def _object(raw: bytes, name: str) -> dict[str, Any]:
    with suppress(orjson.JSONDecodeError):
        if isinstance(found := orjson.loads(raw), dict):
            return found
    raise BadFile(f"{name} is not a JSON object: the bundle is damaged, export it again")


def _bytes(path: Path) -> bytes:
    if path.stat().st_size > _LARGEST:
        raise BadFile(f"{path} is larger than {_LARGEST >> 20} MB")
    return path.read_bytes()
