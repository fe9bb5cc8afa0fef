"""A reader for each data set: its published file or folder as conversations and questions."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from loadtests.quality.datasets import beam, halumem, locomo, longmemeval, personamem, realtalk, synthetic
from loadtests.quality.datasets.conversation import Conversation

READERS: dict[str, Callable[[Path], list[Conversation]]] = {
    "beam": beam.load,
    "halumem": halumem.load,
    "locomo": locomo.load,
    "locomo-told": locomo.load_told,
    "longmemeval": longmemeval.load,
    "personamem": personamem.load,
    "realtalk": realtalk.load,
    "synthetic": synthetic.load,
}

# As others publish them for the files of today; the project has not checked them against the sources.
SHA256 = {
    "locomo10.json": "79fa87e90f04081343b8c8debecb80a9a6842b76a7aa537dc9fdf651ea698ff4",
    "longmemeval_s_cleaned.json": "d6f21ea9d60a0d56f34a05b609c79c88a451d2ae03597821ea3d5a9678c3a442",
}


def checked(path: Path) -> str:
    """A line that says which data was read: the sha256 of a file, and whether it is the known one."""
    if path.is_dir():
        return f"{path.name}: a folder, not checked"
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    known = SHA256.get(path.name)
    verdict = "not checked" if known is None else "as published" if known == digest else "NOT the published file"
    return f"{path.name}: sha256 {digest}, {verdict}"
