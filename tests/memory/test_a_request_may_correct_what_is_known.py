"""What a request or a question says by the way of the person, or corrects, is learned; the rest of it is not."""

# ruff: noqa: E501  a table of cases stays short

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path

from rememberd.memory.learn.rules.extract import Rules
from tests.support.queue_contract import turn
from tests.support.tables import sampled
from tests.support.writer_rig import ADA, Rig

DAY = 86_400_000
REQUESTS = {
    "en": ("Can you draft a short thank-you note?", "Plan a cheap weekend for us.", "What should I cook tonight?"),
    "de": ("Kannst du mir eine kurze Dankeskarte schreiben?", "Was koche ich heute Abend?"),
    "fr": ("Tu peux me rédiger un mot de remerciement ?", "Écris-moi une liste pour la montagne."),
    "es": ("¿Puedes escribirme una nota de agradecimiento?", "Hazme una lista para la montaña."),
    "it": ("Puoi scrivermi un biglietto di ringraziamento?", "Fammi una lista per la montagna."),
    "nl": ("Kun je een bedankbriefje schrijven?", "Maak een paklijst voor de bergen."),
    "sv": ("Kan du skriva ett tackkort?", "Gör en packlista för fjällen."),
}  # fmt: skip
AGES, PLACES, FIRMS, NAMES = [("8", "9"), ("14", "41")], [("Truro", "Leeds"), ("Kiel", "Gent")], [("Acme", "Nokia"), ("Globex", "IKEA")], [("Marit", "Berit"), ("Tess", "June")]  # fmt: skip
# What is known, what a request says beside it, and the values: the old and the new one.
CORRECTED = {
    "en": [
        ("My son is {a}.", "my son is {b} now, not {a}", AGES), ("My son is {a}.", "by the way my son is {b}, not {a}", AGES), ("My landlord is Mr. {a}.", "my landlord is Mr. {b}, not Mr. {a} as I said", NAMES),
        ("I live in {a}.", "by the way I moved to {b}", PLACES), ("I live in {a}.", "I live in {b}, not {a} any more", PLACES), ("I work at {a}.", "I work at {b} now, by the way", FIRMS),
        ("My sister is called {a}.", "my sister's name is {b}, not {a}", NAMES),
    ],
    "de": [("Mein Sohn ist {a}.", "mein Sohn ist übrigens {b}, nicht {a}", AGES), ("Ich wohne in {a}.", "ich wohne übrigens jetzt in {b}", PLACES), ("Ich arbeite bei {a}.", "ich arbeite inzwischen bei {b}", FIRMS), ("Meine Schwester heißt {a}.", "meine Schwester heißt {b}, nicht {a}", NAMES)],
    "fr": [("J'habite à {a}.", "au fait j'habite maintenant à {b}", PLACES), ("Je travaille chez {a}.", "je travaille chez {b} maintenant", FIRMS), ("Ma sœur s'appelle {a}.", "ma sœur s'appelle {b}, pas {a}", NAMES)],
    "es": [("Vivo en {a}.", "por cierto, ahora vivo en {b}", PLACES), ("Trabajo en {a}.", "ahora trabajo en {b}", FIRMS), ("Mi hermana se llama {a}.", "mi hermana se llama {b}, no {a}", NAMES)],
    "it": [("Abito a {a}.", "comunque ora abito a {b}", PLACES), ("Lavoro per {a}.", "adesso lavoro per {b}", FIRMS), ("Mia sorella si chiama {a}.", "mia sorella si chiama {b}, non {a}", NAMES)],
    "nl": [("Ik woon in {a}.", "ik woon trouwens nu in {b}", PLACES), ("Ik werk bij {a}.", "ik werk nu bij {b}", FIRMS), ("Mijn zus heet {a}.", "mijn zus heet {b}, niet {a}", NAMES)],
    "sv": [("Jag bor i {a}.", "jag bor förresten i {b} nu", PLACES), ("Jag jobbar på {a}.", "jag jobbar på {b} nu", FIRMS), ("Min syster heter {a}.", "min syster heter {b}, inte {a}", NAMES)],
}  # fmt: skip
# Nothing of it is the person's, though a name or number stands in place of a known one.
OTHERS = [
    ("My sister is called {a}.", "Write a story. The hero's name is {b}, not {a}.", NAMES), ("I live in {a}.", "Capital of the county? It's {b}, not {a}.", PLACES), ("I live in {a}.", "Is {b} (not {a}) on the coast?", PLACES),
    ("I work at {a}.", "Who makes that phone, {b} or {a}? It's {b}, not {a}, I think.", FIRMS), ("My son is {a}.", "My niece is {b}, not {a}. What shall I give her?", AGES), ("My son is {a}.", "Divide it (the answer is {b}, not {a})?", AGES),
    ("I work at {a}.", "I was wrong, I meet {b} on Friday. Plan my day.", NAMES), ("Ich wohne in {a}.", "Wie weit ist es nach {b} (nicht {a})?", PLACES), ("Ma sœur s'appelle {a}.", "Un nom de chat ? Je préfère {b}, pas {a}.", NAMES),
    ("My sister is called {a}.", "How do you say that in Welsh (her boss is called {b})?", NAMES), ("Vivo en {a}.", "¿Cuál es más grande? Es {b}, no {a}.", PLACES),
]  # fmt: skip


def within(request: str, said: str) -> list[str]:
    """The request with what is said before it, after it, in brackets and behind a dash."""
    bare, mark, begun = request.rstrip(" ?."), request[-1], said[0].upper() + said[1:]
    return [
        f"{begun}. {request}",
        f"{request} {begun}.",
        f"{bare} ({said}){mark}",
        f"{bare} – {said}{mark.strip('?')}",
    ]


def dialogues() -> list[tuple[str, str, str]]:
    """What is known, the message, and the new value."""
    return [
        (known.format(a=old), message, new)
        for language, corrected in CORRECTED.items()
        for (known, said, values), request in itertools.product(corrected, REQUESTS[language])
        for old, new in values
        for message in within(request, said.format(a=old, b=new))
    ]


async def holding(folder: Path, *messages: str) -> list[str]:
    """The facts that hold after these messages, a day apart."""
    rig = Rig(folder, [Rules()])
    for number, text in enumerate(messages):
        said = turn(f"t{number}", text=text, at=rig.clock.now + number * DAY)
        await rig.queue.put(replace(said, answer="Fine."))
        await rig.drain()
    await rig.queue.close()
    return [each.text for each in rig.store.memories(ADA) if each.kind == "fact" and each.valid_to is None]


def names(value: str, text: str) -> bool:
    return re.search(rf"(?<!\w){value}(?!\w)", text) is not None


@sampled(9)
async def test_what_a_request_corrects_holds_instead(tmp_path: Path, step: int) -> None:
    """In 85 of 100 messages of seven languages, wherever it stands; what is asked for is no fact."""
    missed, made = [], []
    told = dialogues()[::step]
    for number, (known, message, value) in enumerate(told):
        held = await holding(tmp_path / str(number), known, message)
        missed += [] if known not in held and any(names(value, each) for each in held) else [(message, held)]
        made += [each for each in held if each != known and not names(value, each)]
    assert len(missed) <= 0.15 * len(told), missed
    assert made == []


async def test_what_is_asked_about_others_corrects_nothing(tmp_path: Path) -> None:
    """Not once."""
    cases = [(known.format(a=a), text.format(a=a, b=b)) for known, text, values in OTHERS for a, b in values]
    held = [
        (known, text, await holding(tmp_path / str(number), known, text))
        for number, (known, text) in enumerate(cases)
    ]
    assert [each for each in held if each[0] not in each[2]] == []
