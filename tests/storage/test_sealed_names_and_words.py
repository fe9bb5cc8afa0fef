"""What a key does to names, ids, words and vectors: enough to search by, too little to read."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rememberd.encryption.cipher import Cipher, DecryptionError
from rememberd.types import Sparse

ANN, BOB = Cipher(b"a" * 32, "ann"), Cipher(b"b" * 32, "bob")
ID = "2ffed402-671e-579e-9465-14748769c87b"


@given(st.text(st.characters(codec="utf-8")))
def test_names_and_ids_come_back(text: str) -> None:
    """Any text, empty or ending in zeros or not; by its own key only."""
    assert ANN.named(ANN.name(text)) == ANN.plain_id(ANN.id(text)) == text
    assert ANN.name(text) == ANN.name(text) != BOB.name(text)
    with pytest.raises(DecryptionError):
        BOB.named(ANN.name(text))


@pytest.mark.parametrize("plain", [ID, ID.replace("-", "")])
def test_an_id_stays_one_and_is_another_users_no_more(plain: str) -> None:
    """In the same form, so that every store can keep it; the same memory of two users has two."""
    sealed = ANN.id(plain)
    assert (len(sealed), sealed.count("-")) == (len(plain), plain.count("-"))
    assert ANN.plain_id(sealed) == plain
    assert len({plain, sealed, BOB.id(plain)}) == 3


def test_the_length_of_a_name_is_hidden() -> None:
    """Names are padded to 16 bytes, so that their length does not tell them apart."""
    assert len({len(ANN.name("x" * size)) for size in range(16)}) == 1


def test_words_meet_under_one_key_only() -> None:
    """A question's words are found in the memory that has them, with their weights; nobody else's are."""
    memory, question = ANN.words(Sparse([7, 2**32 - 1], [1.5, 0.5])), ANN.words(Sparse([2**32 - 1], [1.0]))
    assert dict(zip(*memory, strict=True))[question.indices[0]] == 0.5
    assert not {7, 2**32 - 1, *BOB.words(Sparse([7], [1.0])).indices} & set(memory.indices)
    assert ANN.words(Sparse([], [])) == Sparse([], [])


def test_a_turned_vector_keeps_its_cosines() -> None:
    """To float precision, with the same rotation each time and another one for another user."""
    one, two = [math.sin(n) for n in range(384)], [math.cos(n * n) for n in range(384)]
    assert cosine(ANN.rotated(one), ANN.rotated(two)) == pytest.approx(cosine(one, two), abs=1e-5)
    assert ANN.rotated(one) == Cipher(b"a" * 32, "ann").rotated(one)
    assert abs(cosine(ANN.rotated(one), one)) < 0.3
    assert abs(cosine(ANN.rotated(one), BOB.rotated(one))) < 0.3


def test_a_text_opens_at_its_own_place_for_its_owner_only() -> None:
    """Neither elsewhere, nor changed, nor for another owner; the same text never looks the same."""
    sealed = ANN.seal(b"I live in Oslo.", "memory 1")
    assert ANN.open(sealed, "memory 1") == b"I live in Oslo."
    assert sealed != ANN.seal(b"I live in Oslo.", "memory 1")
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    wrong = ((ANN, sealed, "memory 2"), (BOB, sealed, "memory 1"), (Cipher(b"a" * 32, "bob"), sealed, "memory 1"))
    for cipher, data, place in (*wrong, (ANN, changed, "memory 1"), (ANN, b"", "memory 1")):
        with pytest.raises(DecryptionError):
            cipher.open(data, place)


def cosine(one: list[float], two: list[float]) -> float:
    return sum(a * b for a, b in zip(one, two, strict=True)) / math.hypot(*one) / math.hypot(*two)
