"""Is a text left on the disk? Looks at the bytes of every file, whatever they mean: databases with their free pages
and logs, segments, the audit log. What is compressed or encrypted there it does not see."""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

_CHUNK = 4 * 2**20
_LONGEST = 64  # bytes of a text that are looked for: pages of a database may cut longer ones in two


class Looked(NamedTuple):
    """`found` are the labels of the texts that stand in the file."""

    path: Path
    size: int
    found: list[str]


def look(places: Sequence[Path], texts: Mapping[str, str]) -> Iterator[Looked]:
    """Through all files under `places` for `texts`, by label; in UTF-8, and as they stand in JSON."""
    needles = {label: _forms(text) for label, text in texts.items() if text.strip()}
    for place in places:
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if stat.S_ISREG(path.lstat().st_mode):
                yield _look_into(path, needles)


def _look_into(path: Path, needles: Mapping[str, set[bytes]]) -> Looked:
    found: dict[str, None] = {}
    size, tail = 0, b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            window = tail + chunk
            found |= {label: None for label, forms in needles.items() if any(form in window for form in forms)}
            tail = window[-_LONGEST:]
    return Looked(path, size, list(found))


def _forms(text: str) -> set[bytes]:
    return {form[:_LONGEST] for form in (text.encode(), orjson.dumps(text)[1:-1])}
