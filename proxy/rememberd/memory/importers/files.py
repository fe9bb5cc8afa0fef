"""Reads any file into lines: finds the export in a zip, recognises the format, reads it as a stream."""

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

import orjson

from rememberd.memory.importers import chatgpt, claude, pam, statements
from rememberd.memory.importers import json_stream as arrays
from rememberd.memory.importers.mem_bundle import Bundle
from rememberd.memory.importers.records import BadFile, Line

FORMATS = ("auto", "chatgpt", "claude", "mem0", "pam", "mem", "pasted", "text", "ndjson")
EXPECTED = (
    "expected ChatGPT's or Claude's export (the zip, or its conversations.json), a Mem0 or OpenMemory export (JSON), "
    "a portable memory (a .mem bundle or its zip, or PAM's memory-store.json), our own NDJSON, the list that an "
    "assistant wrote of its memory, or plain text or Markdown with one statement a line"
)
_MEMBERS = (  # the first kind that is there; Claude's export has conversations and memories
    r"(?:.*/)?memory-store\.json",
    r"(?:.*/)?(?:conversations(?:-\d+)?|memories(?:/[\w-]+)?)\.json",
    r"(?:.*/)?memories\.jsonl(?:\.gz)?",
)
_LISTS = ("conversations", "results", "memories")  # names under which an object holds the list
_ZIP = b"PK\x03\x04"  # the first bytes of a zip
_HEAD = 2**16  # bytes that are read to recognise the format
# In a zip, chats shrink to a tenth, at most to a fiftieth; a file that shrinks more was made to exhaust the memory.
_MOST_SHRUNK, _ALWAYS_TAKEN = 100, 2**20

Reader = Callable[[Any], Iterator[Line]]
READERS: dict[str, Reader] = {
    "chatgpt": chatgpt.lines,
    "claude": claude.lines,
    "mem0": statements.mem0,
    "pam": pam.lines,
    "ndjson": statements.ours,
}


@dataclass
class Export:
    """An opened file. `fraction` is the part that has been read, `unreadable` names entries that could not be
    read."""

    stream: IO[bytes]
    size: int
    format: str
    unreadable: list[str] = field(default_factory=list)
    bundle: Bundle | None = None

    @property
    def fraction(self) -> float:
        return min(1.0, self.stream.tell() / self.size) if self.size else 1.0

    def lines(self) -> Iterator[Line]:
        """Raises `BadFile`."""
        if self.bundle is not None:
            yield from self.bundle.lines()
            return
        if self.format in ("text", "pasted"):
            read = statements.pasted if self.format == "pasted" else statements.text
            yield from read(line.decode("utf-8-sig", "replace") for line in self.stream)
            return
        for number, entry in enumerate(_entries(self.stream), 1):
            try:
                yield from (READERS.get(self.format) or reader_of(entry))(entry)
            except BadFile:
                if number - 1 == len(self.unreadable):  # none before it could be read either
                    raise
                self.unreadable.append(f"entry {number}")
            except (KeyError, TypeError, AttributeError, ValueError):
                self.unreadable.append(f"entry {number}")


@contextmanager
def opened(source: Path | io.BytesIO, wanted: str = "auto", name: str = "") -> Iterator[list[Export]]:
    """The exports in a file, or in an upload called `name`, which is never written to disk because it may be private.
    A zip may hold several. Raises `BadFile`."""
    name = name or (str(source) if isinstance(source, Path) else "the file")
    try:
        if isinstance(source, Path) and source.is_dir():
            yield [_of_bundle(Bundle.in_folder(source))]
        elif zipfile.is_zipfile(source):
            with zipfile.ZipFile(source) as archive:
                bundle = Bundle.in_zip(archive)
                yield (
                    [_of_bundle(bundle)]
                    if bundle
                    else [
                        _export(archive.open(info), info.file_size, info.filename, wanted)
                        for info in _chosen(archive)
                    ]
                )
        elif isinstance(source, Path):
            with source.open("rb") as stream:
                yield [_export(stream, source.stat().st_size, source.name, wanted)]
        else:
            source.seek(0)
            yield [_export(source, source.getbuffer().nbytes, name, wanted)]
    except (zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error, NotImplementedError) as error:
        raise BadFile(f"{name} is damaged ({error}): download it again") from error
    except OSError as error:
        raise BadFile(f"cannot read {name}: {error.strerror or error}") from error


def _chosen(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    """The members of the first kind that is there."""
    for pattern in _MEMBERS:
        found = [info for info in archive.infolist() if re.fullmatch(pattern, info.filename)]
        if found:
            bombs = [
                each.filename
                for each in found
                if each.file_size > max(_ALWAYS_TAKEN, _MOST_SHRUNK * each.compress_size)
            ]
            if bombs:
                raise BadFile(
                    f"{bombs[0]} in the zip grows over {_MOST_SHRUNK} times: unpack it first, and import that"
                )
            return sorted(found, key=lambda info: info.filename)
    names = ", ".join(info.filename for info in archive.infolist()[:5]) or "nothing"
    raise BadFile(f"the zip holds no conversations.json and no memories.json but {names}: {EXPECTED}")


def _of_bundle(bundle: Bundle) -> Export:
    return Export(io.BytesIO(), 0, "mem", bundle=bundle)


def _export(stream: IO[bytes], size: int, name: str, wanted: str) -> Export:
    if name.endswith(".gz"):
        stream = cast("IO[bytes]", gzip.GzipFile(fileobj=stream))
    head = stream.read(_HEAD)
    stream.seek(0)
    if head.startswith(_ZIP):
        raise BadFile(f"{name} is a zip that breaks off: download it again")
    if wanted in ("text", "pasted"):
        return Export(stream, size, wanted)
    if wanted == "auto" and statements.PASTED.search(head.decode("utf-8", "replace")):
        return Export(stream, size, "pasted")
    if wanted == "auto" and Path(name).suffix.lower() in (".md", ".txt", ".markdown"):
        return Export(stream, size, "text")
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{"):
        return Export(stream, size, wanted)
    if wanted != "auto" or b"\0" in head or not _is_text(head):
        raise BadFile(f"{name} is neither JSON nor text: {EXPECTED}")
    return Export(stream, size, "text")


def _is_text(head: bytes) -> bool:
    """The last character may be incomplete."""
    return bool(head.strip()) and "�" not in head.decode("utf-8", "replace")[:-1]


def _entries(stream: IO[bytes]) -> Iterator[Any]:
    """The entries of a JSON list, of the list in a JSON object, or of JSON lines."""
    head = stream.read(_HEAD)
    stream.seek(0)
    if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"[":
        return arrays.items(stream)
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")[0]
    return _of_lines(stream) if _parsed(first) is not None else _of_object(stream.read())


def _of_lines(stream: IO[bytes]) -> Iterator[Any]:
    for number, line in enumerate(stream, 1):
        if line.strip():
            entry = _parsed(line)
            if entry is None:
                raise BadFile(f"line {number} is not a JSON object: {EXPECTED}")
            yield from _inner(entry)


def _of_object(raw: bytes) -> Iterator[Any]:
    entry = _parsed(raw)
    if entry is None:
        raise BadFile(f"the file is not complete JSON: if it was cut off, export it again; {EXPECTED}")
    yield from _inner(entry)


def _inner(entry: Any) -> list[Any]:
    """The inner list, if the object is only a wrapper. Raises `BadFile` for a damaged memory-store."""
    if isinstance(entry, dict) and entry.get("schema") == pam.SCHEMA:
        pam.check(entry)
    held = [entry[name] for name in _LISTS if isinstance(entry, dict) and isinstance(entry.get(name), list)]
    return held[0] if held else [entry]


def _parsed(raw: bytes) -> Any:
    try:
        return orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError:
        return None


def reader_of(entry: Any) -> Reader:
    """The reader of an entry, by the name that only its format has. Raises `BadFile` for an unknown format."""
    if isinstance(entry, dict):
        if "mapping" in entry:
            return chatgpt.lines
        if "chat_messages" in entry or claude.NOTES in entry:
            return claude.lines
        if pam.is_entry(entry):
            return pam.lines
        if "user" in entry or entry.get("object") == "memory" or ("text" in entry and "memory" not in entry):
            return statements.ours
        if any(isinstance(entry.get(name), str) for name in ("memory", "content", "data", "fact")):
            return statements.mem0
    raise BadFile(f"an entry of the file is of no known format: {EXPECTED}")
