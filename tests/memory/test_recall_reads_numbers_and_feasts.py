"""Numbers in words, seasons and feasts mean days, in each language by generated questions."""

from __future__ import annotations

import tomllib
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

from rememberd.memory.recall import lexicon
from rememberd.memory.recall.dates import days_asked_about
from rememberd.memory.recall.feasts import FEASTS, feast
from tests.support.tables import each_row

TODAY = date(2026, 11, 30)  # a Monday
FEAST_WORDS = tomllib.loads((Path(lexicon.__file__).parent / "data" / "feasts.toml").read_text())

# In words: 1, 2, 3, 13, 14, 20, 21, 23, 30 as people say them in front of "days ago".
DAYS_AGO = {
    "What did I tell you {} days ago?": "two three thirteen fourteen twenty twenty-one twenty-three thirty",
    "Was habe ich dir vor {} Tagen erzählt?": "zwei drei dreizehn vierzehn zwanzig einundzwanzig"
    " dreiundzwanzig dreißig",
    "Qu'est-ce que je t'ai dit il y a {} jours ?": "deux trois treize quatorze vingt vingt-et-un vingt-trois trente",
    "¿Qué te dije hace {} días?": "dos tres trece catorce veinte veintiuno veintitrés treinta",
    "Cosa ti ho detto {} giorni fa?": "due tre tredici quattordici venti ventuno ventitré trenta",
    "Wat heb ik je {} dagen geleden verteld?": "twee drie dertien veertien twintig eenentwintig drieëntwintig dertig",
    "Vad sa jag till dig för {} dagar sedan?": "två tre tretton fjorton tjugo tjugoett tjugotre trettio",
    "Hva sa jag til deg for {} dager siden?": "to tre tretten fjorten tjue tjueen tjuetre tretti",
    "Что я тебе сказал {} дней назад?": "две три тринадцать четырнадцать двадцать двадцать-один"
    " двадцать-три тридцать",
    "Sana {} gün önce ne söyledim?": "iki üç on-üç on-dört yirmi yirmi-bir yirmi-üç otuz",
}
COUNTS = (2, 3, 13, 14, 20, 21, 23, 30)

# The days 1, 2, 3, 13, 20, 21, 23, 30 in words, in front of or behind June.
IN_JUNE = {
    "What did I tell you on the {} of June?": "first second third thirteenth twentieth twenty-first twenty-third"
    " thirtieth",
    "What did we discuss on June {}?": "first second third thirteenth twentieth twenty-first twenty-third thirtieth",
    "Was habe ich am {} Juni gesagt?": "ersten zweiten dritten dreizehnten zwanzigsten einundzwanzigsten"
    " dreiundzwanzigsten dreißigsten",
    "Qu'est-ce que je t'ai dit le {} juin ?": "premier deux trois treize vingt vingt-et-un vingt-trois trente",
    "¿Qué te dije el {} de junio?": "uno dos tres trece veinte veintiuno veintitrés treinta",
    "Cosa ti ho detto il {} giugno?": "primo due tre tredici venti ventuno ventitré trenta",
    "Wat zei ik op {} juni?": "één twee drie dertien twintig eenentwintig drieëntwintig dertig",
    "Что я тебе сказал {} июня?": "первого второго третьего тринадцатого двадцатого двадцать-первого"
    " двадцать-третьего тридцатого",
    "Co ci powiedziałem {} czerwca?": "pierwszego drugiego trzeciego trzynastego dwudziestego dwudziestego-pierwszego"
    " dwudziestego-trzeciego trzydziestego",
}
DAYS = (1, 2, 3, 13, 20, 21, 23, 30)


def test_numbers_of_days_in_words() -> None:
    """As in "twenty-one days ago", in ten languages."""
    asked = [
        (form.format(word.replace("-", " ")), TODAY - timedelta(days=count))
        for form, words in DAYS_AGO.items()
        for word, count in zip(words.split(), COUNTS, strict=True)
    ]
    missed = [
        question for question, day in asked if days_asked_about(question, TODAY) != (day, day + timedelta(days=1))
    ]
    assert not missed


def test_days_of_a_month_in_words() -> None:
    """As in "the twenty-third of June", as each language says it."""
    asked = [
        (form.format(word.replace("-", " ")), date(2026, 6, day))
        for form, words in IN_JUNE.items()
        for word, day in zip(words.split(), DAYS, strict=True)
    ]
    missed = [
        question for question, day in asked if days_asked_about(question, TODAY) != (day, day + timedelta(days=1))
    ]
    assert not missed


@each_row(
    ("question", "start", "end"),
    [
        ("Which 3 books did I mention in June?", date(2026, 6, 1), date(2026, 7, 1)),
        ("Welche 3 Bücher habe ich dir im Juni genannt?", date(2026, 6, 1), date(2026, 7, 1)),
        ("六月二十三日に何を話しましたか？", date(2026, 6, 23), date(2026, 6, 24)),
        ("六月我们聊了什么？", date(2026, 6, 1), date(2026, 7, 1)),
        ("二十三天前我跟你说了什么？", date(2026, 11, 7), date(2026, 11, 8)),
        ("May one ask what I said?", None, None),
    ],
)
def test_a_number_is_a_day_where_it_stands_beside_the_month(
    question: str, start: date | None, end: date | None
) -> None:
    """And the number of a month is no day of it."""
    assert days_asked_about(question, TODAY) == ((start, end) if start else None)


# Something that was asked then, with a blank for the time.
ASKED = {
    "en": "What did I tell you {}?",
    "de": "Was habe ich dir {} erzählt?",
    "fr": "Qu'est-ce que je t'ai dit {} ?",
    "es": "¿Qué te dije {}?",
    "it": "Cosa ti ho detto {}?",
    "pt": "O que eu te disse {}?",
    "nl": "Wat heb ik je {} verteld?",
    "sv": "Vad berättade jag för dig {}?",
    "nb": "Hva fortalte jeg deg {}?",
    "da": "Hvad fortalte jeg dig {}?",
    "pl": "Co ci powiedziałem {}?",
    "cs": "Co jsem ti řekl {}?",
    "ru": "Что я тебе сказал {}?",
    "uk": "Що я тобі сказав {}?",
    "tr": "Sana {} ne söyledim?",
    "fi": "Mitä kerroin sinulle {}?",
    "hu": "Mit mondtam neked {}?",
    "ro": "Ce ți-am spus {}?",
    "el": "Τι σου είπα {};",
    "ar": "ماذا قلت لك {}؟",
    "hi": "मैंने तुम्हें {} क्या बताया?",
    "zh": "{}我跟你说了什么？",
    "ja": "{}何を話しましたか？",
    "ko": "{} 무슨 얘기 했지?",
}


def test_every_season_and_feast_of_every_language() -> None:
    """Each name with each word that may stand before it."""
    assert ASKED.keys() == FEAST_WORDS.keys()
    missed = []
    for language, words in FEAST_WORDS.items():
        for name in FEASTS:
            said = [(f"{at} {each}", False) for each in words.get(name, ()) for at in words["at"]]
            said += [(f"{last} {each}", True) for each in words.get(name, ()) for last in words["last"]]
            said += [(f"{each} {past}", True) for each in words.get(name, ()) for past in words.get("past", ())]
            said += [(each, False) for each in words.get("alone", {}).get(name, ())]
            for each, before in said:
                question = ASKED[language].format(each.strip())
                if days_asked_about(question, TODAY) != feast(name, TODAY, before=before):
                    missed.append(question)
    assert len(missed) <= 3, missed


@each_row(
    ("question", "start", "end"),
    [
        ("What did I cook over Christmas?", date(2025, 12, 22), date(2025, 12, 30)),
        ("Where did we hike in the autumn?", date(2026, 9, 1), date(2026, 12, 1)),
        ("Where did we hike last autumn?", date(2025, 9, 1), date(2025, 12, 1)),
        ("Was haben wir an Ostern gemacht?", date(2026, 4, 2), date(2026, 4, 7)),
        ("Qu'est-ce qu'on a fait à Noël dernier ?", date(2025, 12, 22), date(2025, 12, 30)),
        ("¿Qué te conté el verano pasado?", date(2026, 6, 1), date(2026, 9, 1)),
        ("Что мы обсуждали на Пасху?", date(2026, 4, 9), date(2026, 4, 14)),
        ("春节我跟你说了什么？", date(2026, 2, 15), date(2026, 2, 24)),
        ("How tall is a spring onion?", None, None),
        ("Was ist ein Osterei?", None, None),
    ],
)
def test_seasons_and_feasts(question: str, start: date | None, end: date | None) -> None:
    """The latest that has begun; of the last autumn, one that is over."""
    assert days_asked_about(question, TODAY) == ((start, end) if start else None)


# Easter of both churches, the Chinese new year, Diwali and the first of Ramadan, as calendars have them.
KNOWN = {
    "easter": ["2022-04-17", "2023-04-09", "2024-03-31", "2025-04-20", "2026-04-05"],
    "orthodox_easter": ["2022-04-24", "2023-04-16", "2024-05-05", "2025-04-20", "2026-04-12"],
    "thanksgiving": ["2022-11-24", "2023-11-23", "2024-11-28", "2025-11-27", "2026-11-26"],
    "lunar_new_year": ["2022-02-01", "2023-01-22", "2024-02-10", "2025-01-29", "2026-02-17"],
    "diwali": ["2022-10-24", "2023-11-12", "2024-11-01", "2025-10-20", "2026-11-08"],
    "ramadan": ["2022-04-02", "2023-03-23", "2024-03-11", "2025-03-01", "2026-02-18"],
    "eid": ["2022-05-02", "2023-04-21", "2024-04-10", "2025-03-30", "2026-03-20"],
}


def test_feasts_of_the_moon_are_where_calendars_have_them() -> None:
    """Within the days that people mean by them."""
    for name, days in KNOWN.items():
        for day in map(date.fromisoformat, days):
            start, end = feast(name, date(day.year, 12, 31), before=False)
            assert start <= day < end, (name, day)


def test_every_feast_comes_once_a_year() -> None:
    """Asked a day later, it is the same one or a later one, and never more than 13 months ago."""
    for name in FEASTS:
        days = [date(2024, 1, 1) + timedelta(days=each) for each in range(1_000)]
        begun = [feast(name, day, before=False)[0] for day in days]
        assert all(one <= other for one, other in pairwise(begun)), name
        assert all(day - start < timedelta(days=395) for day, start in zip(days, begun, strict=True)), name
