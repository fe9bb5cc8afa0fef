"""Questions about a time bring what was said then, in the user's own time zone, without a word in common."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from rememberd.encryption.store import SealedStore
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.recall.dates import asked_about, offset_of
from rememberd.memory.recall.lexicon import asks_only_when, telling_words
from rememberd.memory.recall.recall import Recall
from rememberd.types import Evidence, Memory, Source, Space
from tests.support.fakes import EmbedderFake, MemoryStoreFake
from tests.support.sealing import opened
from tests.support.tables import each_row

ADA = Space("ada")
NOON = datetime(2026, 3, 11, 12, tzinfo=UTC)  # a Wednesday
NOW = int(NOON.timestamp() * 1000)


def said(text: str, ago: timedelta, conversation: str) -> Memory:
    at = NOW - int(ago.total_seconds() * 1000)
    source, evidence = Source(conversation), Evidence(text, "user", f"turn {text}")
    return Memory(text, f"User: {text}", "episode", at, at, at, source=source, evidence=evidence)


async def recall_of(*memories: Memory) -> Recall:
    store, embedder = MemoryStoreFake(), EmbedderFake()
    await store.put(ADA, [await to_point(each, embedder) for each in memories])
    return Recall(store, embedder, 600, deadline_ms=30_000)


async def asked(recall: Recall, question: str, zone: str | None = None) -> tuple[str, ...]:
    offset = offset_of(zone, NOW)
    found = await recall.recall(ADA, question, now=NOW, turn_id=None, conversation="now", offset=offset)
    return found.ids


HOURS = {"kiln": 26, "tomatoes": 30, "novel": 76, "bridge": 24 * 7, "sails": 24 * 31}


@each_row(
    ("question", "wanted"),
    [
        ("What did we talk about yesterday?", {"kiln", "tomatoes"}),
        ("What did I tell you three days ago?", {"novel"}),
        ("what did we discuss 7 days ago", {"bridge"}),
        ("What did we talk about on Sunday?", {"novel"}),
        ("What did we talk about a month ago?", {"sails"}),
        ("What did I say last week?", {"bridge", "novel"}),
        ("What did we talk about on 2026-03-10?", {"kiln", "tomatoes"}),
        ("What did we talk about on 10.03.2026?", {"kiln", "tomatoes"}),
        ("What did we talk about last time?", {"kiln"}),
        ("Where were we?", {"kiln"}),
    ],
)
async def test_a_time_is_enough(question: str, wanted: set[str]) -> None:
    """No word of the question stands in what was said."""
    recall = await recall_of(*(said(text, timedelta(hours=hours), text) for text, hours in HOURS.items()))
    assert set(await asked(recall, question)) == wanted


# Yesterday, three days ago, a month ago, last week, last time: each asked for nothing else.
IN_OTHER_LANGUAGES = {
    "de": (
        "Worüber haben wir gestern gesprochen?",
        "Was habe ich dir vor drei Tagen erzählt?",
        "Um was ging es vor einem Monat?",
        "Was hatte ich dich letzte Woche gefragt?",
        "Wo waren wir?",
    ),
    "fr": (
        "De quoi avons-nous parlé hier ?",
        "Qu'est-ce que je t'ai dit il y a trois jours ?",
        "De quoi on a discuté il y a un mois ?",
        "Qu'est-ce que je t'ai demandé la semaine dernière ?",
        "On a parlé de quoi la dernière fois ?",
    ),
    "es": (
        "¿De qué hablamos ayer?",
        "¿Qué te dije hace tres días?",
        "¿Qué te conté hace un mes?",
        "¿Qué te pregunté la semana pasada?",
        "¿Dónde nos quedamos?",
    ),
    "it": (
        "Di cosa abbiamo parlato ieri?",
        "Cosa ti ho detto tre giorni fa?",
        "Cosa ti ho raccontato un mese fa?",
        "Cosa ti avevo chiesto la settimana scorsa?",
        "Dove eravamo rimasti?",
    ),
    "pt": (
        "Sobre o que falamos ontem?",
        "O que eu te disse há três dias?",
        "O que te contei há um mês?",
        "O que te perguntei na semana passada?",
        "Onde paramos?",
    ),
    "nl": (
        "Waar hadden we het gisteren over?",
        "Wat heb ik je drie dagen geleden verteld?",
        "Wat vertelde ik je een maand geleden?",
        "Wat vroeg ik je vorige week?",
        "Waar waren we gebleven?",
    ),
    "sv": (
        "Vad pratade vi om igår?",
        "Vad sa jag till dig för tre dagar sedan?",
        "Vad berättade jag för en månad sedan?",
        "Vad frågade jag dig förra veckan?",
        "Vad pratade vi om senast?",
    ),
    "nb": (
        "Hva snakket vi om i går?",
        "Hva sa jeg til deg for tre dager siden?",
        "Hva fortalte jeg deg for en måned siden?",
        "Hva spurte jeg deg om forrige uke?",
        "Hva snakket vi om sist?",
    ),
    "ru": (
        "О чём мы говорили вчера?",
        "Что я тебе сказал три дня назад?",
        "О чём мы говорили месяц назад?",
        "Что я тебя спрашивал на прошлой неделе?",
        "На чём мы остановились?",
    ),
    "pl": (
        "O czym rozmawialiśmy wczoraj?",
        "Co ci powiedziałem trzy dni temu?",
        "O czym rozmawialiśmy miesiąc temu?",
        "O co cię pytałem w zeszłym tygodniu?",
        "Na czym skończyliśmy?",
    ),
    "tr": (
        "Dün ne konuştuk?",
        "Üç gün önce sana ne söyledim?",
        "Bir ay önce ne konuştuk?",
        "Geçen hafta sana ne sordum?",
        "Geçen sefer ne konuştuk?",
    ),
    "zh": (
        "昨天我们聊了什么？",
        "三天前我跟你说了什么？",
        "一个月前我们谈了什么？",
        "上周我问了你什么？",
        "上次我们聊到哪了？",
    ),
    "ja": (
        "昨日は何を話しましたか？",
        "3日前に何を話しましたか？",
        "1か月前に何の話をしましたか？",
        "先週は何を聞きましたか？",
        "前回は何の話をしたっけ？",
    ),
    "ko": (
        "어제 우리 무슨 얘기 했지?",
        "3일 전에 무슨 얘기 했지?",
        "1개월 전에 무슨 얘기 했지?",
        "지난주에 무슨 얘기 했지?",
        "지난번에 무슨 얘기 했지?",
    ),
    "ar": (
        "ماذا ناقشنا أمس؟",
        "ماذا قلت لك قبل 3 أيام؟",
        "ماذا قلت لك قبل شهر؟",
        "عن ماذا تحدثنا الأسبوع الماضي؟",
        "أين توقفنا؟",
    ),
}
TOLD_THEN = ({"kiln", "tomatoes"}, {"novel"}, {"sails"}, {"bridge", "novel"}, {"kiln"})


async def test_a_time_is_enough_in_fifteen_languages() -> None:
    """The same five times; none of the words stands in what was said."""
    recall = await recall_of(*(said(text, timedelta(hours=hours), text) for text, hours in HOURS.items()))
    missed = [
        question
        for questions in IN_OTHER_LANGUAGES.values()
        for question, wanted in zip(questions, TOLD_THEN, strict=True)
        if set(await asked(recall, question)) != wanted
    ]
    assert not missed


@pytest.mark.parametrize(
    "question",
    [
        "Ist hier noch Platz?",  # yesterday in French
        "When was the last time I went to the dentist?",
        "Wann war ich zuletzt beim Zahnarzt?",
        "¿Quién ganó el partido ayer?",
        "昨日の試合は誰が勝った？",
        "Quel temps fait-il aujourd'hui ?",
    ],
)
def test_what_asks_for_more_than_a_time_is_searched(question: str) -> None:
    """It does not bring whatever was told then, nor is a word taken for one of another language."""
    assert not asks_only_when(question)


@each_row(
    ("question", "wanted"),
    [
        ("Which vegetable was it that I asked you about yesterday?", "tomatoes"),
        ("Vor einer Woche haben wir etwas geplant, was war das?", "bridge"),
        ("hace tres días te pregunté por un libro, ¿cuál?", "novel"),
        ("Il y a trois jours, je t'ai demandé quel livre ?", "novel"),
        ("三日前に聞いた本は何だっけ？", "novel"),
        ("What did we talk about in the winter?", "sails"),
        ("Worüber haben wir im Winter gesprochen?", "sails"),
        ("De quoi avons-nous parlé en hiver ?", "sails"),
        ("was war vor drei Tagen in den Nachrichten?", None),
        ("Who won yesterday?", None),
    ],
)
async def test_what_was_told_then_is_found_by_its_kind(question: str, wanted: str | None) -> None:
    """No word in common with the question; what happened in the world then is no question about the talks."""
    recall = await recall_of(*(said(text, timedelta(hours=hours), text) for text, hours in HOURS.items()))
    ids = await asked(recall, question)
    assert wanted in ids if wanted else not ids


@each_row("question", ["Where were we?", "What did we talk about last time?", "What did we talk about yesterday?"])
async def test_the_outcome_is_told(question: str) -> None:
    """What the assistant said last in each conversation, and nothing else that it said; however long the talk was,
    its beginning and its end come first."""
    talk = [said(f"step {number} of the kiln", timedelta(hours=26, minutes=-number), "kiln") for number in range(60)]
    answered = [replace(each, text=f"{each.text}\nAssistant: answer {n}.") for n, each in enumerate(talk)]
    recall = await recall_of(*answered)
    found = await recall.recall(ADA, question, now=NOW, turn_id=None, conversation="now")
    lines = found.block.splitlines()
    assert [each for each in lines if "Assistant:" in each] == ["User: step 59 of the kiln Assistant: answer 59."]
    assert "User: step 0 of the kiln" in lines
    assert found.tokens <= 600


async def test_where_we_were_is_known_under_encryption(tmp_path: Path) -> None:
    """The order of an encrypted store is one of its keys; the conversation and its outcome are the same."""
    async with opened(tmp_path) as keyring:
        store, embedder = SealedStore(MemoryStoreFake(), keyring), EmbedderFake()
        talk = [said(f"step {number}", timedelta(hours=26, minutes=-number), "kiln") for number in range(9)]
        older = said("sails", timedelta(hours=80), "sails")
        answered = [replace(each, text=f"{each.text}\nAssistant: answer {n}.") for n, each in enumerate(talk)]
        await store.put(ADA, [await to_point(each, embedder) for each in [older, *answered]])
        recall = Recall(store, embedder, 600, deadline_ms=30_000)
        found = await recall.recall(ADA, "Where were we?", now=NOW, turn_id=None, conversation="now")
    assert [each for each in found.block.splitlines() if each.startswith("User: ")] == [
        *(f"User: step {number}" for number in range(8)),
        "User: step 8 Assistant: answer 8.",
    ]


async def test_yesterday_is_the_users() -> None:
    """At noon in UTC it is 1 in the morning in Auckland, so this morning's words in UTC were said yesterday."""
    recall = await recall_of(said("kiln", timedelta(hours=2), "a"))
    assert await asked(recall, "What did we talk about yesterday?") == ()
    assert await asked(recall, "What did we talk about yesterday?", "Pacific/Auckland") == ("kiln",)


async def test_the_block_is_dated_in_the_users_zone() -> None:
    """The day headers too."""
    recall = await recall_of(said("I fired the kiln", timedelta(hours=11), "a"))
    for zone, day in ((None, "Wed 11 Mar"), ("America/Los_Angeles", "Tue 10 Mar")):
        offset = offset_of(zone, NOW)
        found = await recall.recall(
            ADA, "When did I fire the kiln?", now=NOW, turn_id=None, conversation=None, offset=offset
        )
        assert day in found.block


@each_row(
    ("question", "start", "end"),
    [
        ("two weeks ago", date(2026, 2, 22), date(2026, 3, 1)),
        ("the day before yesterday", date(2026, 3, 9), date(2026, 3, 10)),
        ("last night", date(2026, 3, 10), date(2026, 3, 12)),
        ("in the last 3 days", date(2026, 3, 8), date(2026, 3, 12)),
        ("last Monday", date(2026, 3, 9), date(2026, 3, 10)),
        ("on 3/6/2025", date(2025, 6, 3), date(2025, 6, 4)),
        ("on 13/6/2025", date(2025, 6, 13), date(2025, 6, 14)),
        ("on 6/13/2025", date(2025, 6, 13), date(2025, 6, 14)),
        ("Was habe ich am Montag gesagt?", date(2026, 3, 9), date(2026, 3, 10)),
        ("Qu'est-ce que je t'ai dit le 3 juin 2025 ?", date(2025, 6, 3), date(2025, 6, 4)),
        ("¿De qué hablamos en mayo?", date(2025, 5, 1), date(2025, 6, 1)),
        ("6月3日に何を話しましたか？", date(2025, 6, 3), date(2025, 6, 4)),
        ("Wat zei ik in december 2024?", date(2024, 12, 1), date(2025, 1, 1)),
        ("О чём мы говорили две недели назад?", date(2026, 2, 22), date(2026, 3, 1)),
    ],
)
def test_spans(question: str, start: date, end: date) -> None:
    """What people mean by it."""
    assert asked_about(question, NOW) == (start, end)


def test_what_is_no_zone_is_refused() -> None:
    """Not taken for UTC."""
    for name in ("Mars/Olympus", "../etc/passwd", ""):
        with pytest.raises(ValueError, match="zone"):
            offset_of(name, NOW)


def test_words_that_say_nothing_are_left_out_and_no_others() -> None:
    """Of a question in another language; English ones are the engine's business."""
    rows = {
        "¿Dónde trabajo?": "trabajo",
        "¿Cuál es mi empleo?": "empleo",
        "¿Dónde vivo?": "vivo",
        "Onde eu trabalho?": "trabalho",
        "Wo arbeite ich?": "arbeite",
        "Where do I work?": "Where do I work?",
    }
    assert {question: telling_words(question) for question in rows} == rows
