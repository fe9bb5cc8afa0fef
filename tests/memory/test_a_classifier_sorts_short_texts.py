"""The classifier of short texts: what it learned, it says again, of any text, after any number of starts."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rememberd.text_classifier import TextClassifier, decoded, encode

BUCKETS = 1 << 12
SORTED = [
    ("home", "I live in Oslo"),
    ("home", "Ich wohne in Köln"),
    ("home", "我住在上海"),
    ("none", "How do I parse JSON?"),
    ("none", "Danke, das hilft"),
    ("none", "给我写一首诗"),
]


def taught(examples: list[tuple[str, str]]) -> TextClassifier:
    """The mean of the texts of each label: enough to tell them apart."""
    labels = tuple(sorted({label for label, _ in examples}))
    weights = np.zeros((BUCKETS, len(labels)))
    for label, text in examples:
        buckets, values = encode(text, BUCKETS)
        np.add.at(weights[:, labels.index(label)], buckets, values)
    scale = weights.max(axis=0) / 100
    return TextClassifier(
        labels, np.rint(weights / scale).astype(np.int8), scale.astype(np.float32), np.zeros(len(labels), np.float32)
    )


def best(classifier: TextClassifier, text: str) -> str:
    sure = classifier.probabilities(text)
    return max(sure, key=lambda label: sure[label])


def test_texts_like_the_examples_are_sorted_like_them() -> None:
    """Texts like those learned are sorted rightly: in any script, in other letter cases, with other names and
    numbers."""
    classifier = taught(SORTED)
    like = [("home", "i live in Bergen"), ("home", "我住在北京"), ("none", "how do i parse CSV?"), ("none", "danke!")]
    assert [label for label, text in like if best(classifier, text) != label] == []


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    """The file is text, and says exactly the same."""
    classifier = taught(SORTED)
    classifier.save(tmp_path / "weights.json")
    (tmp_path / "weights.json").read_text(encoding="ascii")
    loaded = TextClassifier.load(tmp_path / "weights.json")
    for _, text in SORTED:
        assert loaded.probabilities(text) == pytest.approx(classifier.probabilities(text), abs=1e-3)


def test_a_text_has_the_same_buckets_for_ever() -> None:
    """Weights that were learned before stay right: to change the features is to train all classifiers anew."""
    buckets, values = encode("Ada's 3 cats 住", 1 << 15)
    assert (len(buckets), int(buckets.sum())) == (70, 1_324_954)
    assert float((values**2).sum()) == pytest.approx(2)


@pytest.mark.parametrize("text", ["住", "Ada", "ha " * 300, "Ada lives in Oslo. " * 50])
def test_a_long_text_weighs_as_much_as_a_short_one(text: str) -> None:
    """Otherwise the score would grow with the length, and a threshold would mean something else for each text."""
    _, values = encode(text, 1 << 15)
    assert float((values**2).sum()) == pytest.approx(2, rel=1e-5)


@given(st.text(max_size=300))
def test_any_text_is_sorted(text: str) -> None:
    """Nothing that can be typed makes an error, and the probabilities sum up to 1."""
    assert sum(taught(SORTED[:4]).probabilities(text).values()) == pytest.approx(1, abs=1e-4)


def test_weights_are_read_as_python_itself_would() -> None:
    """Of any length, with all bytes; and a file that is damaged is refused."""
    for length in (*range(12), 999, 1_000):
        packed = bytes((7 * at * at + length) % 256 for at in range(length))
        assert decoded(base64.b85encode(packed).decode()) == packed
    with pytest.raises(ValueError, match="base 85"):
        decoded("abc,e")
