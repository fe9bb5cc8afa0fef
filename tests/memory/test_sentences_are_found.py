"""A text is split where its sentences end: initials, ordinals, abbreviations and names with marks do not end one."""

from __future__ import annotations

import itertools

from rememberd.memory.learn.rules.sentences import sentences
from tests.support.tables import each_row

WHOLE = [
    "My name is J. Smith.",
    "My favourite author is J. R. R. Tolkien.",
    "I was born on 3. May 1990.",
    "Ich wurde am 3. Mai 1990 geboren.",
    "Jeg er født den 17. mai 1985.",
    "I live at St. Olav's gate 5.",
    "Dr. Berg is my dentist.",
    "I work at e.l.f. Cosmetics.",
    "I'm Sam Jr. and I live in Rome.",
    "My height is 1.80 m.",
    "My blood type is AB-.",
    "My favourite musical is Oliver!",
    "Yahoo! is my employer.",
    "My favourite singer is P!nk.",
    "I write C# and .NET at work.",
    "I meet my coach at 5 p.m. on Fridays.",
    "I own a house in St. John's.",
    "I'm allergic to 🥜.",
    "I've lived in Washington D.C. since 2019.",
]


def split(text: str) -> list[str]:
    return [text[span.start : span.end] for span in sentences(text)]


@each_row("text", WHOLE)
def test_a_sentence_is_not_cut(text: str) -> None:
    """Marks inside it are no ends."""
    assert split(text) == [text]


def test_neighbours_are_told_apart() -> None:
    """Each sentence ends where the next begins, whatever stands between them."""
    missed = [
        (first, second, gap)
        for first, second, gap in itertools.product(WHOLE, ["I have a dog.", "My city is Porto."], [" ", "\n", "  "])
        if split(f"{first}{gap}{second}") != [first, second]
    ]
    assert missed == []


def test_scripts_without_spaces() -> None:
    """The full stop of Chinese and Japanese needs no space after it."""
    assert split("我叫王伟。我住在成都。") == ["我叫王伟。", "我住在成都。"]


def test_marks_of_other_scripts() -> None:
    """The full stops of Hindi and Urdu, and the question mark of Arabic."""
    assert split("मैं जयपुर में रहता हूँ। क्या करूँ?") == ["मैं जयपुर में रहता हूँ।", "क्या करूँ?"]
    assert split("میں نرس ہوں۔ کیا کروں؟ شکریہ") == ["میں نرس ہوں۔", "کیا کروں؟", "شکریہ"]


def test_spans_cover_what_is_no_space() -> None:
    """Nothing is lost, and nothing is reworded."""
    text = "Hi!  I'm Ada; I live in Oslo…\n\nAnd you?"
    assert "".join("".join(split(text)).split()) == "".join(text.split())
