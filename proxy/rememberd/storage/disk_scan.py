"""Searches the disk for texts. It reads the bytes of every file: databases with their free pages and logs, segments,
the audit log. It does not find compressed or encrypted texts."""

import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import orjson

_CHUNK = 4 * 2**20
_LONGEST = 64  # the bytes of a text that are searched for: a database may split a longer text over two pages


class ScanResult(NamedTuple):
    """`found` are the labels of the texts that are in the file."""

    path: Path
    size: int
    found: list[str]


def scan(places: Sequence[Path], texts: Mapping[str, str]) -> Iterator[ScanResult]:
    """Search all files under `places` for `texts` (by label), in UTF-8 and as JSON writes them. A file that is
    deleted meanwhile is left out."""
    needles = {label: _forms(text) for label, text in texts.items() if text.strip()}
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            with suppress(FileNotFoundError):
                if stat.S_ISREG(path.lstat().st_mode):
                    yield _scan_file(path, needles)


def _scan_file(path: Path, needles: Mapping[str, set[bytes]]) -> ScanResult:
    found: dict[str, None] = {}
    size, tail = 0, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            window = tail + chunk
            found |= {label: None for label, forms in needles.items() if any(form in window for form in forms)}
            tail = window[-_LONGEST:]
    return ScanResult(path, size, list(found))


def _forms(text: str) -> set[bytes]:
    return {form[:_LONGEST] for form in (text.encode(), orjson.dumps(text)[1:-1])}
