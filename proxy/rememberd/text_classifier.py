"""A linear classifier of short texts by hashed words and characters. It takes microseconds, with numpy.

`python -m loadtests.quality.train` writes the file with its weights. The characters recognise inflected forms,
languages without spaces and typing errors.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import re
import string
import time
import unicodedata
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter

UNREADABLE = Counter(
    "rememberd_classifier_unreadable",
    "Failed attempts to read a packaged classifier; the texts are judged without it.",
    ["classifier"],
)

log = logging.getLogger("rememberd.classifier")

Buckets = NDArray[np.int64]
Hashes = NDArray[np.uint64]
Floats = NDArray[np.float32]

LONGEST = 1_000  # characters that are read, from the beginning
_LONGEST_GRAM = 5  # n-grams of 2 to 5 characters
_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")
_DIGITS = re.compile(r"\d+")
_W, _S, _BEGINS, _ENDS = map(zlib.crc32, (b"w", b"s", b"^", b"$"))  # start values of the hashes
_STEP = np.uint64(0x100000001B3)  # of FNV-1a
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / the golden ratio: the high bits of the product are the bucket

_BASE_85 = np.full(256, -1)  # the value of each character
_IN_ORDER = string.digits + string.ascii_uppercase + string.ascii_lowercase + "!#$%&()*+-;<=>?@^_`{|}~"
_BASE_85[list(_IN_ORDER.encode())] = range(85)
_POWERS = 85 ** np.arange(4, -1, -1)


def encode(text: str, buckets: int) -> tuple[Buckets, Floats]:
    """The buckets of a text (0 to `buckets` - 1, a power of 2) and their values. Words and characters are one unit
    vector each, so that the text's length does not matter; both may contain the same bucket."""
    return _encoded(text[:LONGEST], buckets)


@lru_cache(maxsize=16)  # several classifiers read the same message one after the other
def _encoded(text: str, buckets: int) -> tuple[Buckets, Floats]:
    words, characters = _hashes(text)
    said, _ = _distinct(words & (buckets - 1))
    shown, counts = _distinct(characters >> np.uint64(65 - buckets.bit_length()))
    found, values = np.empty(len(said) + len(shown), np.int64), np.empty(len(said) + len(shown), np.float32)
    found[: len(said)], found[len(said) :] = said, shown
    values[: len(said)] = 1 / max(1.0, math.sqrt(len(said)))
    values[len(said) :] = np.sqrt(counts) / max(1.0, math.sqrt(counts.sum()))
    return found, values


def _distinct(numbers: NDArray[Any]) -> tuple[NDArray[Any], Buckets]:
    """Each of them once, in order, and how often. `np.unique` imports `numpy.ma`, 1 MB, at its first call; `np.diff`
    and `np.append` take half of the time."""
    ordered = numbers.copy()
    ordered.sort()
    last = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=last[:-1])
    ends = last.nonzero()[0]
    counts = ends + 1
    counts[1:] -= counts[:-1].copy()
    return ordered[ends], counts


@lru_cache(maxsize=16)
def _hashes(text: str) -> tuple[Buckets, Hashes]:
    """The hashes of words, whose low bits are the bucket, and of characters, whose high bits are the bucket."""
    typed = unicodedata.normalize("NFC", text).replace("’", "'")
    words = _WORD.findall(_DIGITS.sub("0", typed.casefold()))
    # Names are replaced by "X", because they differ from text to text.
    shapes = [_shape(word, number) for number, word in enumerate(_WORD.findall(typed))]
    said, shown = ([word.encode(errors="surrogatepass") for word in each] for each in (words, shapes))
    named = [(_W, [*said, *_runs(said, 2)]), (_S, [*_runs(shown, 2), *_runs(shown, 3)])]
    named += [(_BEGINS, [*said[:3], b" ".join(said[:2])]), (_ENDS, [b" ".join(said[-2:])])]
    hashed = {zlib.crc32(each, kind) for kind, those in named for each in those}
    return np.fromiter(hashed, np.int64, len(hashed)), _characters(" " + " ".join(words) + " ")


def _shape(word: str, number: int) -> str:
    if word[0].isdigit():
        return "0"
    return "X" if number and word[0].isupper() and len(word) > 1 else word.casefold()


def _runs(items: list[bytes], length: int) -> Iterable[bytes]:
    return map(b" ".join, zip(*(items[at:] for at in range(length)), strict=False))


def _characters(text: str) -> Hashes:
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    found, hashed = [], codes
    for length in range(2, min(_LONGEST_GRAM, len(codes)) + 1):
        hashed = (hashed[:-1] * _STEP) ^ codes[length - 1 :]
        found.append(hashed)
    return np.concatenate(found) * _SPREAD


def decoded(text: str) -> bytes:
    """Like `base64.b85decode`, but takes 1 ms for a classifier instead of up to 40."""
    lacks = -len(text) % 5
    digits = _BASE_85[np.frombuffer(text.encode("ascii") + b"~" * lacks, np.uint8)]
    if (digits < 0).any():
        raise ValueError("the weights are not in base 85")
    words: bytes = (digits.reshape(-1, 5) @ _POWERS).astype(">u4").tobytes()
    return words[: len(words) - lacks]


@dataclass(frozen=True, slots=True)
class TextClassifier:
    """`weights` has one row per bucket and one column per label. With a `hidden` layer, the rows are the outputs of
    that; its labels mean nothing."""

    labels: tuple[str, ...]
    weights: NDArray[np.int8]
    scale: Floats  # for each label, the value of a weight of 1
    bias: Floats
    hidden: TextClassifier | None = None

    @classmethod
    def load(cls, path: Path) -> TextClassifier:
        """Raises `OSError`; and `ValueError`, `KeyError`, `TypeError` or `zlib.error` if `save` did not write the
        file."""
        return cls._read(json.loads(path.read_text(encoding="ascii")))

    @classmethod
    def _read(cls, stored: dict[str, Any]) -> TextClassifier:
        labels = tuple(stored["labels"])
        packed = zlib.decompress(decoded("".join(stored["weights"])))
        weights = np.frombuffer(packed, np.int8).reshape(len(labels), stored["buckets"]).T
        scale, bias = (np.array(stored[name], np.float32) for name in ("scale", "bias"))
        hidden = cls._read(stored["hidden"]) if "hidden" in stored else None
        return cls(labels, np.ascontiguousarray(weights), scale, bias, hidden)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self._stored(), indent=0) + "\n", encoding="ascii")

    def _stored(self) -> dict[str, Any]:
        packed = base64.b85encode(zlib.compress(np.ascontiguousarray(self.weights.T).tobytes(), 9)).decode()
        stored = {
            "labels": self.labels,
            "buckets": len(self.weights),
            "scale": [round(float(each), 6) for each in self.scale],
            "bias": [round(float(each), 4) for each in self.bias],
            "weights": [packed[at : at + 110] for at in range(0, len(packed), 110)],
        }
        return stored if self.hidden is None else {**stored, "hidden": self.hidden._stored()}

    def probabilities(self, text: str) -> dict[str, float]:
        """The probability of each label; their sum is 1."""
        return dict(zip(self.labels, np.exp(self.logarithms(*encode(text, len(self.weights)))).tolist(), strict=True))

    def logarithms(self, buckets: Buckets, values: Floats) -> Floats:
        """The logarithms of the probabilities, in the order of `labels`."""
        return normalized(self._scores(buckets, values))

    def _scores(self, buckets: Buckets, values: Floats) -> Floats:
        if self.hidden is None:
            return (values @ self.weights.take(buckets, 0)) * self.scale + self.bias
        shown = np.maximum(self.hidden._scores(buckets, values), 0)
        return (shown @ self.weights) * self.scale + self.bias


def normalized(scores: Floats) -> Floats:
    """Logarithms of probabilities whose sum is 1."""
    shifted = scores - scores.max()
    logarithms: Floats = shifted - np.log(np.exp(shifted).sum())
    return logarithms


_read: dict[Path, TextClassifier] = {}
_failed: dict[Path, float] = {}  # file -> `time.monotonic` of the last attempt
_RETRIED_AFTER_S = 30.0
_LEAST = 1e-6  # lowest probability of a label, so that it has a logarithm


def packaged(path: Path, otherwise: Mapping[str, float]) -> TextClassifier:
    """The classifier in a file of the package, read once. If the file is missing or damaged, a classifier that gives
    every text the probabilities `otherwise`: a broken installation must not lose messages. The file is tried again
    every half minute, so that a repair needs no restart."""
    if (found := _read.get(path)) is not None:
        return found
    if time.monotonic() - _failed.get(path, -_RETRIED_AFTER_S) >= _RETRIED_AFTER_S:
        try:
            return _read.setdefault(path, TextClassifier.load(path))
        except (OSError, ValueError, KeyError, TypeError, zlib.error) as error:
            UNREADABLE.labels(path.stem).inc()
            if path not in _failed:
                log.error("texts are judged without the classifier %s, which cannot be read: %r", path.name, error)
            _failed[path] = time.monotonic()
    bias = np.log(np.maximum(np.array([*otherwise.values()], np.float32), np.float32(_LEAST)))
    nothing = np.zeros((2, len(otherwise)), np.int8)
    return TextClassifier(tuple(otherwise), nothing, np.zeros(len(otherwise), np.float32), bias)
