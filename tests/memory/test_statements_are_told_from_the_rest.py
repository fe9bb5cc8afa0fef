"""Rates over generated messages: statements become facts, whole, wherever they stand; what states nothing makes none.

The bounds are those of DESIGN: at least 95 of 100 plain statements, no cut and no reworded one, at most one false
fact in a hundred."""

# ruff: noqa: E501  a table of cases stays short

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rememberd.memory.embedding import embedder
from rememberd.memory.learn.rules import judge
from rememberd.memory.learn.rules.extract import extract
from tests.support.tables import each_row, sampled

# A statement, and the attribute that it states.
STATED = {
    "en": [
        ("I live in {place}", "home"), ("My name is {name}", "name"), ("I work at {firm}", "employer"),
        ("I'm allergic to peanuts", "health"), ("I don't eat pork", "diet"), ("My son is called {name}", "family"),
        ("I drive a {firm}", "possession"), ("I'm not vegan any more", "diet"), ("I love {place}", "likes"),
        ("My blood type is AB-", "blood_type"), ("I moved to {place} in 2020", "home"),
    ],
    "de": [
        ("Ich wohne in {place}", "home"), ("Ich heiße {name}", "name"), ("Ich arbeite bei {firm}", "employer"),
        ("Ich bin allergisch gegen Nüsse", "health"), ("Mein Hund heißt {name}", "family"), ("Ich mag keine Oliven", "likes"),
    ],
    "fr": [
        ("J'habite à {place}", "home"), ("Je m'appelle {name}", "name"), ("Je travaille chez {firm}", "employer"),
        ("Mon chien s'appelle {name}", "family"), ("Je suis végétarienne", "diet"),
    ],
    "es": [
        ("Vivo en {place}", "home"), ("Me llamo {name}", "name"), ("Trabajo en {firm}", "employer"),
        ("Mi perro se llama {name}", "family"), ("Soy vegana", "diet"),
    ],
    "it": [("Abito a {place}", "home"), ("Mi chiamo {name}", "name"), ("Lavoro per {firm}", "employer")],
    "pt": [("Moro em {place}", "home"), ("Me chamo {name}", "name"), ("Trabalho na {firm}", "employer")],
    "nl": [("Ik woon in {place}", "home"), ("Ik heet {name}", "name"), ("Ik werk bij {firm}", "employer")],
    "no": [("Jeg bor i {place}", "home"), ("Jeg heter {name}", "name"), ("Jeg jobber i {firm}", "employer")],
    "ru": [("Я живу в {place}", "home"), ("Меня зовут {name}", "name")],
    "zh": [("我住在{place}", "home"), ("我叫{name}", "name")],
}  # fmt: skip
NAMES = ("Ada", "J. Smith", "María-José O'Brien", "An", "Do")
PLACES = ("Oslo", "St. John's", "Recife", "Åmål", "Aix-en-Provence")
FIRMS = ("Acme", "Yahoo!", "e.l.f. Cosmetics", "Volvo")
AROUND = ("{}.", "{}", "{}!", "{} 😀", "Hello there.\n\n{}.", "{}. 1 + 1 = 2.")


def variants(language: str) -> list[tuple[str, str, str]]:
    """Message, statement and slot: two of the six frames around each value, in turn; all of them around a lone one."""
    local = {"zh": (("王伟",), ("成都",)), "ru": (("Олег",), ("Казани",))}.get(language, (NAMES, PLACES))
    made = []
    for form, slot in STATED[language]:
        values = itertools.product(
            *(each for key, each in (("{name}", local[0]), ("{place}", local[1]), ("{firm}", FIRMS)) if key in form)
        )
        for number, filled in enumerate(values):
            frames = AROUND if len(local[0]) == 1 else AROUND[number % 3 :: 3]
            keys = [key for key in ("name", "place", "firm") if f"{{{key}}}" in form]
            said = form.format(**dict(zip(keys, filled, strict=True)))
            made += [(frame.format(said), said, slot) for frame in frames]
    return made


@sampled(3)
@each_row("language", STATED)
def test_statements_become_whole_facts(language: str, step: int) -> None:
    """With the right attribute, over names with marks, positions and punctuation."""
    messages = [(message, said, slot, extract(message, 0)) for message, said, slot in variants(language)[::step]]
    missed = [
        message
        for message, said, slot, facts in messages
        if not any(said in fact.text and fact.slot == slot for fact in facts)
    ]
    assert len(missed) <= 0.05 * len(messages), missed
    assert [
        (fact.text, message) for message, *_, facts in messages for fact in facts if fact.text not in message
    ] == []


NOT_STATED = {
    "question": ("{}?", "Do you think {}?", "Is it true that {}?"),
    "hypothesis": ("If {}, what then?", "Suppose {}.", "Imagine {}.", "What if {}?", "Let's say {}."),
    "play": ("Let's pretend: {}.", "In the game {}.", "Thought experiment. {}."),
    "hearsay": ("My colleague says {}.", "He said {}.", "She wrote: {}."),
    "work": ("Translate into French: {}.", 'Is "{}" correct?', "Example: {}.", "Fix the grammar: {}"),
    "hedge": ("Maybe {}.", "I almost wish {}."),
}  # fmt: skip
WHAT = ("I live in Oslo", "my name is Bob", "I'm allergic to nuts", "I work at Acme", "I have two dogs", "I'm vegan")


def test_what_states_nothing_makes_no_fact() -> None:
    """Questions, hypotheses, play, hearsay, material and hedges: at most one false fact in a hundred."""
    messages = [frame.format(what) for frames in NOT_STATED.values() for frame in frames for what in WHAT]
    false = [(message, fact.text) for message in messages for fact in extract(message, 0)]
    assert len(false) <= 0.01 * len(messages), false


NOT_MEANT = (
    "I'm married to my job.", "I'm allergic to Mondays.", "I own the night.", "I have a question about cats.",
    "I have a meeting in ten minutes.", "I love it when a plan comes together.", "I live in fear of regressions.",
    "I am ready.", "I'm done.", "I have two left feet.", "I work on the second chapter now.", "My code is broken.",
    "I have an idea.", "I like the second version.", "I could have worked at Apple.", "I might move to Berlin.",
    "I'm going to bed.", "I need help with my essay.", "Call me when the job is done.", "I was going to study law.",
)  # fmt: skip


def test_idioms_and_the_work_at_hand_are_no_statements() -> None:
    """They are about the moment, not about the person."""
    assert [(text, fact.text) for text in NOT_MEANT for fact in extract(text, 0)] == []


def test_other_peoples_lives_are_not_the_users() -> None:
    """The subject is the nearest one, and a relative's attribute is not the person's."""
    texts = ("my mom, she's 72 and retired", "My friend lives in Boston.", "My boss is a vegan.", "Her name is Olga.")
    found = [fact for text in texts for fact in extract(text, 0)]
    assert [fact for fact in found if fact.slot in ("age", "job", "home", "diet", "name")] == []


def test_a_label_before_a_statement_takes_nothing_from_it() -> None:
    """ "Correction: I am 22" begins no document and no game."""
    labels = ("Correction: ", "Update: ", "Background: ", "For context: ", "FYI: ")
    stated = (
        "I am 22.",
        "I've moved to Kraków.",
        "My new employer is Wonka.",
        "I've been vegan for a while.",
        "I'm single.",
    )
    missed = [label + each for label, each in itertools.product(labels, stated) if not extract(label + each, 0)]
    assert missed == []


RARE = (
    "I'm a glazier in Stornoway.", "Our spaniel is called Marmalade.", "My husband is a chimney sweep.",
    "Ich bin Orgelbauerin in Thüringen.", "Mein Sohn hat Neurodermitis.", "Wir wohnen in einem alten Bahnhof.",
    "Je suis ferronnier d'art à Nevers.", "Ma sœur élève des alpagas.", "Je suis allergique aux acariens.",
    "Soy farera en la Costa da Morte.", "Mi hija es zurda y toca el fagot.", "Vivo en una casa cueva en Guadix.",
    "Sono un arrotino di Pisa.", "Mia madre coltiva carciofi.", "Sou calceteiro em Lisboa.",
    "Ik ben rietdekker in Giethoorn.", "Jestem zegarmistrzem w Toruniu.", "Jag är renskötare i Jokkmokk.",
)  # fmt: skip
NOT_RARE = (
    "The glazier comes at nine.", "Is a spaniel loud?", "Chimney sweeps were often children.",
    "Was verdient eine Orgelbauerin?", "Der Bahnhof ist heute gesperrt.", "Wenn ich in einem Bahnhof wohnte, wäre es laut.",
    "Combien coûte une grille en fer ?", "Les alpagas crachent-ils ?", "Si j'étais allergique, je le saurais.",
    "¿Cómo funciona un faro?", "El fagot suena fatal hoy.", "¿Qué es una casa cueva?",
    "Quanto costa un arrotino?", "I carciofi sono finiti.", "A calçada está molhada.",
    "Wat kost een rieten dak?", "Ile kosztuje zegarek?", "Vad äter renar?",
)  # fmt: skip


def test_words_that_nobody_has_labelled_are_understood() -> None:
    """Four of five statements with rare words become a fact by their meaning; what only has the same words does not."""
    assert sum(bool(extract(text, 0)) for text in RARE) >= 0.8 * len(RARE), [t for t in RARE if not extract(t, 0)]
    assert [text for text in NOT_RARE if extract(text, 0)] == []


@pytest.mark.parametrize(
    "text",
    [
        "For me, I had a setback last week and messed up my knee.",
        "As for me, I've been limping since the accident in March.",
        "Whenever I can, I go to the parks near my flat.",
        "For me, adoption was the way to become a mother.",
    ],
)
def test_how_a_statement_begins_makes_it_no_instruction(text: str) -> None:
    """What is taken for one stands in every block."""
    assert [fact for fact in extract(text, 0) if fact.slot == "instruction"] == []


async def test_the_model_that_judges_by_meaning_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute after the last sentence its 100 MB are free again, and with the next one it is back."""
    monkeypatch.setattr(judge, "_RESTS_AFTER_S", 0.05)
    monkeypatch.setattr(judge._Meaning, "encode", None)
    monkeypatch.setattr(embedder, "_loaded", weakref.WeakValueDictionary())  # the other tests' keeps it
    try:
        found = await judge.judging(lambda: [bool(extract(text, 0)) for text in RARE])
        encode = judge._Meaning.encode
        assert encode is not None
        used = weakref.ref(encode)
        del encode
        while used() is not None:
            await asyncio.sleep(0.01)
        judge.judge.cache_clear()
        assert await judge.judging(lambda: [bool(extract(text, 0)) for text in RARE]) == found
    finally:
        judge.read_meaning()


async def test_calls_side_by_side_load_the_model_once_and_none_unloads_it_for_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sixteen turns are learned at once under a backlog. Each left a timer of its own, so that a minute later the
    model was unloaded sixteen times, and it was loaded by each that came first."""
    loads: list[Path] = []

    def counted(directory: Path) -> embedder.Encode:
        loads.append(directory)
        return lambda text: np.zeros(384, np.float32)

    loop = asyncio.get_running_loop()
    later, timers = loop.call_later, list[asyncio.TimerHandle]()

    def kept(delay: float, call: Callable[..., object], *arguments: object) -> asyncio.TimerHandle:
        timer = later(delay, call, *arguments)
        timers.extend([timer] if call is judge._rest else [])
        return timer

    monkeypatch.setattr(embedder, "LocalModel", counted)
    monkeypatch.setattr(embedder, "_loaded", weakref.WeakValueDictionary())
    monkeypatch.setattr(loop, "call_later", kept)
    monkeypatch.setattr(judge._Meaning, "encode", None)
    try:
        await asyncio.gather(*(judge.judging(lambda: None) for _ in range(16)))
        assert len(loads) == 1
        assert [timer.cancelled() for timer in timers] == [True] * 15 + [False]
    finally:
        timers[-1].cancel()
        judge.judge.cache_clear()
