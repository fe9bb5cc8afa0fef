"""The rules store what a person states about themselves, and as good as nothing else."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rememberd.memory.learn.rules.extract import Rules, extract
from rememberd.types import Space, Turn
from tests.support.rules_report import FIRST_RUNS, all_turns, facts, score, turns
from tests.support.tables import each_row

SIXTH = all_turns()[::6]  # reading all takes a tenth of the whole suite's CPU


@each_row("name", FIRST_RUNS)
@pytest.mark.slow
def test_precision_and_recall_of_each_set(name: str) -> None:
    """In every labelled set nearly nine in ten of the stored facts are right, and most stated facts are found."""
    result = score(turns(name))
    assert result.precision >= 0.90, result.mistakes
    assert result.recall >= 0.85, result.mistakes


def test_precision_and_recall_of_all_sets_together() -> None:
    """At least 95 of 100 stored facts are right, and nine in ten stated facts are found; here in every sixth turn."""
    result = score(SIXTH)
    assert result.precision >= 0.95, result.mistakes
    assert result.recall >= 0.9, result.mistakes


def test_the_labelled_turns_are_varied() -> None:
    """The figures stand on statements and corrections, and on as many turns from which nothing may be learned."""
    labelled = all_turns()
    kinds = Counter(turn["kind"] for turn in labelled)
    assert len(labelled) >= 150
    assert kinds.keys() >= {
        "statement",
        "correction",
        "joke",
        "hypothetical",
        "quote",
        "code",
        "roleplay",
        "third",
    }
    assert sum(1 for turn in labelled if not turn["facts"]) >= len(labelled) / 2


@each_row(
    ("text", "slot"),
    [
        ("I live in Oslo", "home"),
        ("my name is Ada", "name"),
        ("I'm vegetarian", "diet"),
        ("I work at Acme", "employer"),
        ("my dog is called Rex", "family"),
        ("my favourite colour is teal", "favourite_color"),
        ("my locker code word is Bramble", "locker_code_word"),
        ("remember that my bike is red", "possession"),
        ("I'm allergic to peanuts", "health"),
        ("I prefer tabs over spaces", "likes"),
        ("I have two kids", "children"),
        ("my birthday is March 3rd", "birthday"),
        ("my email is pat@hen.io", "contact"),
        ("turns out I'm allergic to cats as well", "health"),
        ("I'm moving to Bergen next month", "plan"),
    ],
)
def test_a_plain_statement_is_heard(text: str, slot: str) -> None:
    """What people say most plainly about themselves is never missed, alone, in a sentence or before a question."""
    assert [fact.slot for fact in extract(text, 0)] == [slot]
    assert [fact.slot for fact in extract(f"Hi! {text}. What should I cook tonight?", 0)] == [slot]


def test_a_fact_is_a_span_of_the_message() -> None:
    """Nothing is cut out of it and nothing is reworded: its text stands in the message. "I live in Oslo, no, in
    Bergen" is the exception."""
    for turn in SIXTH:
        for fact in facts(turn["text"]):
            assert fact.text == fact.evidence
            assert fact.evidence in turn["text"]
    (corrected,) = facts("I live in Oslo, no, in Bergen.")
    assert (corrected.text, corrected.evidence) == ("I live in Bergen", "no, in Bergen.")


def test_each_main_clause_is_a_fact() -> None:
    """A clause with a subject of its own stands alone; one that borrows it stays with the clause that has it, and
    then the sentence has no slot, since closing one of its attributes would hide the other."""
    facts = extract("hi, I'm Ada and I live in Oslo and work at Acme, thanks!", 7)
    assert [(fact.text, fact.slot, fact.valid_from) for fact in facts] == [
        ("I'm Ada", "name", 7),
        ("I live in Oslo and work at Acme, thanks!", None, 7),
    ]


def test_the_users_language_is_kept() -> None:
    """A fact is neither translated nor worded anew."""
    text = "Jeg heter Sindre og bor i Tromsø."
    assert [fact.text for fact in extract(f"Hei! {text}", 0)] == [text]


@each_row(
    ("text", "slot"),
    [
        ("I no longer work at Acme.", "employer"),
        ("I don't live in Oslo anymore", "home"),
        ("I'm not vegan anymore", "diet"),
        ("We got divorced last year", "relationship"),
    ],
)
def test_a_closing_statement_has_the_slot_it_closes(text: str, slot: str) -> None:
    """So that reconciling it makes the old value past."""
    assert [fact.slot for fact in extract(text, 0) if fact.slot] == [slot]


def test_a_fact_said_twice_in_a_message_is_one() -> None:
    """Repetition adds nothing."""
    assert len(extract("I live in Oslo. As I wrote, Oslo.\nI live in Oslo!", 0)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Classify the sentiment: I hate my phone",
        "Extract names from: My name is Laura and my son is Ben.",
        "Lyrics: I live in Rome",
    ],
)
def test_what_a_colon_presents_is_material(text: str) -> None:
    """A sentence handed over to be worked on is not a statement; the person's own introduction is."""
    assert extract(text, 0) == []
    assert extract(f"Quick intro: {text.partition(': ')[2]}", 0) != []


@each_row(
    "text",
    [
        "Which album is this on? I'm a lineman for the county / and I drive the main road",
        "What metre has this song?\n\nI was born beside the canal\nI live in a house with no door",
        "Welches Versmaß hat dieses Lied?\n\nIch wohne in Kiel\nIch bin der Müller",
        "Yeah right, I'm the Pope and I live in Rome.",
        "Mais oui bien sûr, je suis le Père Noël et j'habite à Lyon.",
        "Na klar, ich wohne in Versailles und bin der König.",
    ],
)
def test_verse_and_what_is_not_meant_teach_nothing(text: str) -> None:
    """Lines of a song, and what begins as irony does, are nobody's life."""
    assert extract(text, 0) == []


@each_row(
    "text",
    [
        "My address is 5 Main Street.",
        "My flat is at 12 Elm Road.",
        "Meine Adresse ist Hauptstraße 7.",
        "Mon adresse est 3 rue Victor Hugo.",
        "Mi dirección es calle Sol 3.",
        "Mijn adres is Keizersgracht 12.",
    ],
)
def test_an_address_is_no_other_town(text: str) -> None:
    """It replaces an older address, and leaves "I live in Leeds" alone."""
    assert [fact.slot for fact in extract(text, 0)] == ["address"]


def test_a_pasted_document_teaches_nothing() -> None:
    """A long text about other things is not a person talking about themselves, first person or not."""
    page = "The committee met on Tuesday. It approved the budget for the coming year. " * 30
    assert extract(page + "I live in Oslo.", 0) == []


def test_a_long_message_is_read_to_its_end() -> None:
    """Each paragraph is judged by itself: a statement after 8,000 characters counts, and so do more than twelve."""
    page = "The committee met on Tuesday. It approved the budget for the coming year. " * 110
    assert [fact.text for fact in extract(f"{page}\n\nI live in Oslo.", 0)] == ["I live in Oslo."]
    assert len(extract("\n".join(f"I own {number} boats." for number in range(2, 32)), 0)) == 30


@given(st.text(alphabet="I'm livework at ,.?!\n\"`<>aé我😂", max_size=200))
def test_any_text_is_read_without_error(text: str) -> None:
    """Whatever is typed, extraction answers, with evidence that stands in the text."""
    assert all(fact.evidence in text for fact in extract(text, 0))


async def test_the_extractor_reads_the_user_and_not_the_answer() -> None:
    """What the assistant says is nothing the user stated."""
    turn = Turn("t", Space("ada"), 5, user_text="I live in Oslo.", answer="I live in a data centre.", receipt="r")
    assert [fact.text for fact in await Rules().facts(turn)] == ["I live in Oslo."]
