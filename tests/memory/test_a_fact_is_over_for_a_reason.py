"""A fact is closed by another present value of the same single-valued attribute, or because the person says that this
very thing has ended; nothing else closes it."""

# ruff: noqa: E501  a table of cases stays short

from __future__ import annotations

from functools import cache

import pytest

from rememberd.memory.learn.build_memories import facts
from rememberd.memory.learn.reconcile import merge
from rememberd.memory.learn.rules.extract import extract
from rememberd.types import Millis, Space, Turn
from tests.support.fakes import EmbedderFake, MemoryStoreFake
from tests.support.tables import each_row

ADA = Space("ada")
DAY: Millis = 86_400_000
NOW: Millis = 1_700_000_000_000


heard = cache(extract)  # most statements stand in several dialogues


async def current(*messages: str) -> list[str]:
    """The facts that hold after these messages, a day apart."""
    store, embedder = MemoryStoreFake(), EmbedderFake()
    for number, text in enumerate(messages):
        at = NOW + number * DAY
        turn = Turn(f"t{number}", ADA, at, user_text=text, answer="", receipt="r")
        await merge(store, embedder, ADA, facts(turn, heard(text, at)), at)
    return sorted(each.text for each in store.memories(ADA) if each.valid_to is None)


REPLACED = [
    ("I live in Oslo.", "I moved to Bergen."), ("I live in Oslo.", "I live in an old house in Porto."), ("i live in oslo", "i live in the uk now"), ("My name is Jon.", "My name is Jan."), ("I'm 34.", "Typo, I'm 43."),
    ("I work at Acme.", "I work at Globex now."), ("I'm single.", "I'm married."), ("My partner is An.", "My partner is My."),
    ("My blood type is B+.", "My blood type is B-."), ("My favourite language is C.", "My favourite language is C#."),
    ("My brother Tom lives in Leeds.", "My brother Tom moved to York."), ("My son is 5.", "My son is 6 now."),
    ("im at tesco on the tills", "i work for lidl now, better rota"), ("My anniversary is 6 June.", "My anniversary is 9 June."), ("My address is 18 Tanner Row, York.", "my new address: 4 Birch Court, Selby."),
    ("Ich wohne in Kiel.", "Ich bin nach Bremen gezogen."), ("J'habite à Lyon.", "J'ai déménagé à Lille."),
    ("Vivo en Lima.", "Me mudé a Quito."), ("Jeg bor i Bodø.", "Jeg flyttet til Oslo."), ("We have two kids.", "We have three kids."),
    ("I'm married.", "I got divorced."), ("I'm married to Bo.", "We got divorced last year."), ("Ich bin verheiratet.", "Ich bin geschieden."),
    ("Wir sind verheiratet.", "Wir haben uns scheiden lassen."), ("Estoy casada.", "Me divorcié."), ("Estamos casados.", "Nos divorciamos."),
    ("Ik ben getrouwd.", "We zijn gescheiden."), ("Jeg er gift.", "Vi har skilt oss."),
]  # fmt: skip
ENDED = [
    ("I'm a teacher.", "I'm no longer a teacher."), ("I work as a nurse.", "I stopped working as a nurse."),
    ("I live in Oslo.", "I left Oslo for good."), ("I work at Acme.", "Today was my last day at Acme."),
    ("I'm vegan.", "I eat meat again."), ("I'm pregnant.", "We had the baby on Monday, a girl."),
    ("My partner is Kim.", "Kim and I broke up."), ("I smoke.", "I quit smoking."), ("I'm learning Spanish.", "I gave up on Spanish."),
    ("I take ibuprofen daily.", "The doctor took me off ibuprofen."), ("I own a Volvo.", "I sold my Volvo."),
    ("I love Thai food.", "I hate Thai food."), ("Ich bin Vegetarier.", "Ich bin nicht mehr Vegetarier."),
    ("Ich mag Oliven.", "Ich mag keine Oliven."), ("Soy vegana.", "Ya no soy vegana."), ("Je suis végane.", "Je ne suis plus végane."),
    ("Jeg liker fisk.", "Jeg liker ikke fisk."), ("我对花生过敏。", "我对花生不过敏。"), ("Abito a Torino.", "Non abito più a Torino."),
    ("Moro no Porto.", "Não moro mais no Porto."), ("Ik woon in Delft.", "Ik woon niet meer in Delft."),
]  # fmt: skip
BOTH_HOLD = [
    ("I'm gluten-free.", "I'm vegan."), ("I work as a nurse.", "I'm a painter at weekends."), ("I work at Acme.", "I also work at Globex."),
    ("I live in Oslo.", "I've lived in Lyon as a child."), ("I live in Oslo.", "I rent a cabin in Hemsedal for Easter."),
    ("I live in Oslo.", "I'm living at my sister's in Ghent until the flood damage is fixed."), ("I love the sea.", "I love the mountains."),
    ("I live in Oslo.", "In 2010 I moved to Paris."), ("I work at Acme.", "I got laid off from Globex in 2012."), ("I ski.", "I sail."),
    ("I work at Acme.", "I'm with Anna now."), ("I live in Oslo.", "My sister lives in Bonn."), ("My son Max is 5.", "My son Tom is 8."),
    ("I'm married.", "I was married to a Dane in the nineties."), ("I live in Oslo.", "I'm moving to Berlin in March."),
    ("My mobile number is +47 900 00 001.", "My phone number is +47 220 00 002."), ("I'm vegetarian.", "I'm on a keto diet this week."),
    ("I live in Lisbon.", "I live in a small flat without a balcony."), ("We live on the fifth floor.", "I live in Lisbon."),
    ("I live in Oslo.", "We moved into a bigger flat."), ("Ich wohne in Kiel.", "Ich wohne in einer kleinen Wohnung."),
    ("J'habite à Lyon.", "J'habite dans un petit appartement."), ("Vivo en Lima.", "Vivo en un piso pequeño."),
    ("Jeg bor i Bodø.", "Jeg bor i en leilighet."), ("Я живу в Казани.", "Я живу в маленькой квартире."), ("我住在成都。", "我住在一个小公寓里。"),
    ("My sister lives in Bonn.", "My sister lives in an old house."), ("Abito a Torino.", "Abito in un piccolo appartamento."),
    ("I stopped eating meat.", "I eat fish every day."), ("I live in Oslo.", "I don't live in Bergen."), ("I own a Volvo.", "I sold my boat."),
]  # fmt: skip


@pytest.mark.parametrize(
    ("end", "value"),
    [
        ("I no longer live in Oslo.", "I moved to Ghent."),
        ("Ich wohne nicht mehr in Oslo.", "Ich bin nach Gent gezogen."),
        ("I no longer work at Acme.", "I work at Globex now."),
        ("I left Acme.", "I joined Globex."),
    ],
)
async def test_an_end_that_is_said_again_closes_no_later_value(end: str, value: str) -> None:
    began = {"Oslo": "I live in Oslo.", "Acme": "I work at Acme."}["Oslo" if "Oslo" in end else "Acme"]
    assert value in await current(began, end, value, end)
    assert value in await current(began, end, began, end, value, end)


@pytest.mark.parametrize(("old", "new"), [*REPLACED, *ENDED])
async def test_the_later_statement_closes_the_earlier(old: str, new: str) -> None:
    """Another value, or the end of this one, in each language in which it can be stated."""
    assert old.rstrip(".") in [text.rstrip(".") for text in await current(old)]
    assert old not in await current(old, new)


@each_row(("one", "other"), BOTH_HOLD)
async def test_nothing_else_closes_a_fact(one: str, other: str) -> None:
    """Nothing is closed by one more value, by a past value, by what will not last, or by what is said of another
    person or thing."""
    assert one in await current(one, other)


# What a person says, and puts right in the same breath: frame, then how they take it back.
_REPAIRS = {
    ("I live in {}", "Leeds", "York"): (", no, {}", ", sorry, {}", ", I mean {}", ". Wait, no, {}", ". Scratch that, {}", " - sorry, {}", ", or rather {}"),
    ("I work at {}", "Acme", "Globex"): (", no, at {}", ", no wait, {}", ". Sorry, {}", ", correction: {}"),
    ("I'm {}", "45", "46"): (", no, {}", ". Wait, {}", ", sorry, {}"),
    ("Ich wohne in {}", "Mainz", "Worms"): (", nein, {}", ", nein, ich meine {}", ". Quatsch, {}", ", Entschuldigung, {}"),
    ("J'habite à {}", "Lyon", "Dijon"): (", non, {}", ", pardon, {}", ". Non, attends, {}"),
    ("Vivo en {}", "Cádiz", "Huelva"): (", no, en {}", ", digo, en {}", ". Perdón, {}"),
    ("Abito a {}", "Pisa", "Lucca"): (", no, {}", ", anzi a {}", ". Scusa, {}"),
    ("Ik woon in {}", "Breda", "Gouda"): (", nee, {}", ", sorry, {}"),
    ("Mieszkam w {}", "Łodzi", "Gdyni"): (", nie, w {}", ". Przepraszam, w {}"),
    ("Jag bor i {}", "Lund", "Malmö"): (", nej, {}", ", förlåt, {}"),
}  # fmt: skip
REPAIRED = [
    (f"{frame.format(old)}{repair.format(new)}.", old)
    for (frame, old, new), repairs in _REPAIRS.items()
    for repair in repairs
]
NO_REPAIR = ["I'm vegan, no dairy please.", "I live in Rome, not Milan.", "I'm a nurse, sorry for the long message.", "I live in Oslo. No, thanks.", "I moved to Ghent, wait for me!", "I live in Oslo. Sorry, I forgot to say hi."]  # fmt: skip


@each_row(("said", "old"), REPAIRED)
async def test_what_is_taken_back_in_the_same_breath_is_no_fact(said: str, old: str) -> None:
    """The exchange has both."""
    assert not [text for text in await current(said) if old in text]


@each_row("said", NO_REPAIR)
async def test_an_apology_takes_nothing_back(said: str) -> None:
    assert await current(said) != []


async def test_dates_decide_between_moves() -> None:
    """Not the order in which they are told."""
    assert await current("I moved to Lima in 2020. I moved to Rome in 2015.") == ["I moved to Lima in 2020."]


@each_row(
    "messages",
    [
        ("I live in Lima.", "I moved to Quito.", "I moved back to Lima."),
        ("I have a dog.", "I don't have a dog any more.", "I have a dog again."),
        ("I'm vegan.", "I'm not vegan any more.", "I'm vegan."),
        ("I work at Acme.", "I left Acme.", "I'm back at Acme."),
    ],
)
async def test_a_return_reopens(messages: tuple[str, ...]) -> None:
    """What holds again is current, and what had closed it is not."""
    assert await current(*messages) == [messages[-1]]


_BACK = ("Couldn't stand it, I'm back living in {}.", "Couldn't hack it there, I'm back living in {}.")


@each_row(("one", "other"), [("Stroud", "Bath"), ("Oslo", "Ghent"), ("Boise", "Spokane")])
async def test_a_return_to_an_earlier_value_ends_the_one_between(one: str, other: str) -> None:
    """Though no table knows the attribute of the return itself."""
    for back in _BACK:
        between = f"I live in {other} now."
        assert between not in await current(f"I live in {one}.", between, back.format(one))


# A thing, a fact about it, and how it may happen once more.
_ONCE_MORE = {
    "the bassoon/the harp/the viola": ("I play {}.", "Ugh, {} again tonight", "{} again, and no strings left", "oh no, {} again"),
    "yoga/judo/pottery": ("I do {} on Mondays.", "Ugh, {} again tonight", "{} again already", "and {} again in an hour"),
    "Lidl/Acme/Globex": ("I work at {}.", "Off to {} again tomorrow", "{} again, eight hours"),
}  # fmt: skip


async def test_what_happens_once_more_has_not_returned() -> None:
    """Nothing was over, so "again" tells nothing to remember."""
    told = [
        (fact.format(thing), said.format(thing))
        for things, (fact, *more) in _ONCE_MORE.items()
        for thing in things.split("/")
        for said in more
    ]
    assert [said for fact, said in told if await current(fact, said) != [fact]] == []


async def test_a_denial_of_what_was_never_said_is_no_fact() -> None:
    """It makes no fact; only its exchange is kept."""
    for text in (
        "No soy vegetariano.",
        "My name is not Bob.",
        "I don't live in Oslo.",
        "Non sono vegetariano.",
        "Я не живу в Москве.",
    ):
        assert await current(text) == []


async def test_what_ends_by_nature_carries_its_date() -> None:
    """An age for a year, an appointment until its day."""
    age, exam = extract("I'm 34 years old. I have an exam next Friday.", NOW)
    assert age.expires_at == NOW + 365 * DAY
    assert exam.expires_at is not None
    assert NOW + 3 * DAY < exam.expires_at < NOW + 14 * DAY
