"""Sorts texts into labels by examples: by their vectors, and their words and characters. Also reads and writes the
files of the learned weights.

A ridge regression on the similarity of sentences. The threshold is the one that sorts the examples best when each is
left out in turn."""

from __future__ import annotations

import base64
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rememberd.search_results import Floats
from rememberd.text_classifier import encode

# Chosen by the same leave-one-out score over the examples of `data/topics.toml` (`left_out`), flat around these.
SHARPNESS, RIDGE = 2.0, 0.3
BUCKETS = 2048

log = logging.getLogger("rememberd.recall")

Singles = NDArray[np.float32]


class Words(NamedTuple):
    """The words of a text and their characters, by bucket, of unit length."""

    buckets: NDArray[np.int64]
    values: NDArray[np.float32]

    @classmethod
    def of(cls, text: str) -> Words:
        buckets, values = encode(text, BUCKETS)
        return cls(buckets, values * np.float32(0.5**0.5))

    def dense(self) -> Floats:
        row = np.zeros(BUCKETS)
        np.add.at(row, self.buckets, self.values)
        return row


@dataclass(frozen=True, slots=True)
class Sorter:
    """Sorts texts into labels, any number of them for each."""

    examples: Singles  # their vectors
    near: Singles  # what the similarity to each counts: a column a label, over its threshold
    words: Singles  # what each bucket of words counts, in the same way

    @classmethod
    def fit(
        cls, vectors: Floats, words: Floats, labels: NDArray[np.bool_], weight: float, ridge: float = RIDGE
    ) -> Sorter:
        alike = similarity(vectors, vectors) + weight * (words @ words.T)
        near, threshold, _ = left_out(alike, labels, ridge)
        near = (near / threshold).astype(np.float32)
        return cls(vectors.astype(np.float32), near, (weight * words.T @ near).astype(np.float32))

    def beside(self, other: Sorter) -> Sorter:
        """A sorter with the labels of `other`, then those of this one: one pass over the examples costs less."""
        own, its = self.near, other.near
        near = np.zeros((len(own) + len(its), its.shape[1] + own.shape[1]), np.float32)
        near[: len(own), its.shape[1] :] = own
        near[len(own) :, : its.shape[1]] = its
        return Sorter(np.vstack([self.examples, other.examples]), near, np.hstack([other.words, self.words]))

    def scores(self, vector: Sequence[float], words: Words) -> Singles:
        """For each label; 1 is the threshold."""
        found: Singles = similarity(np.asarray(vector, dtype=np.float32), self.examples) @ self.near
        return found + words.values @ self.words[words.buckets]


def left_out(alike: Floats, labels: NDArray[np.bool_], ridge: float) -> tuple[NDArray[Any], float, float]:
    """The weight of each example for each label; and the threshold at which the examples, each left out in turn, are
    sorted best, with the F1 of that."""
    inverse = np.linalg.inv(alike + ridge * np.eye(len(alike)))
    weights = inverse @ labels.astype(np.float64)
    scores = labels - weights / np.diag(inverse)[:, None]
    f1, threshold = max((_f1(scores > each, labels), each) for each in np.arange(0.1, 0.6, 0.025).tolist())
    return weights, threshold, f1


def similarity(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
    alike: NDArray[Any] = np.exp(SHARPNESS * (one @ other.T - 1))
    return alike


def _f1(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> float:
    return 2 * float((found & wanted).sum()) / max(1.0, float(found.sum() + wanted.sum()))


def read_tables(file: Path) -> dict[str, NDArray[Any]] | None:
    """None if the file is missing or unreadable."""
    tables, packed = iter(_lines(file)), dict[str, NDArray[Any]]()
    try:
        for head in tables:
            name, kind, rows, scale = head.split()
            table = [np.frombuffer(base64.b64decode(next(tables)), kind) for _ in range(int(rows))]
            packed[name] = np.array(table, np.float32) * np.float32(scale)
    except (ValueError, TypeError, StopIteration):
        return None
    return packed or None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text("ascii").splitlines()
    except (OSError, ValueError):
        return []


def write_tables(file: Path, packed: dict[str, NDArray[Any]]) -> None:
    """Each table is a line with its name, and a line for each row: its numbers as 8 or 16 bits in base64. The file is
    replaced as a whole, because several processes may write it at once."""
    lines = []
    for name, table in packed.items():
        kind = np.int8 if name.endswith("examples") else np.int16
        scale = max(float(np.abs(table).max()), 1e-9) / np.iinfo(kind).max
        rows = np.rint(np.atleast_2d(table) / scale).astype(kind)
        lines += [f"{name} {np.dtype(kind)} {len(rows)} {scale!r}", *(base64.b64encode(row).decode() for row in rows)]
    draft = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft.write_text("\n".join(lines) + "\n", "ascii")
        draft.replace(file)
    except OSError as error:
        log.warning("the topics are learned again at the next start, for they cannot be stored: %s", error)
