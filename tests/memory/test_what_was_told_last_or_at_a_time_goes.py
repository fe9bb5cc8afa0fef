"""What the user told last, or on some days, is forgotten at their wish, and nothing else with it."""

# ruff: noqa: E501  a table of cases stays short

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import orjson
import pytest

from rememberd.memory.learn.wishes.memory_commands import memory_command
from tests.support.fake_model import FakeModel, newest_user_text
from tests.support.proxy_server import Proxy, ask, eventually, memories, remembered

# What is told first, what is told last with a word of it, and the wish to forget the latter.
LAST = {
    "en": ("I keep bees.", "I use a stoma bag.", "stoma", "What I told you just now was too private. Please delete it."),
    "de": ("Ich spiele Skat.", "Ich trage eine Perücke.", "Perücke", "Bitte lösch, was ich dir gerade erzählt habe."),
    "fr": ("Je suis luthier.", "Je porte une perruque.", "perruque", "Efface ce que je viens de te dire, s'il te plaît."),
    "es": ("Soy veterinaria.", "Llevo peluca.", "peluca", "Por favor, olvida lo que te acabo de contar."),
    "it": ("Faccio l'idraulico.", "Porto la parrucca.", "parrucca", "Cancella quello che ti ho appena raccontato, ti prego."),
    "pt": ("Sou cabeleireiro.", "Uso peruca.", "peruca", "Por favor apaga o que acabei de te contar."),
    "nl": ("Ik ben imker.", "Ik draag een pruik.", "pruik", "Wis alsjeblieft wat ik je zojuist zei."),
    "sv": ("Jag bor i Kiruna.", "Jag bär peruk.", "peruk", "Radera det jag nyss berättade, tack."),
    "ru": ("Я слесарь.", "Я ношу парик.", "парик", "Пожалуйста, удали то, что я только что написал."),
    "pl": ("Lubię szachy.", "Noszę perukę.", "perukę", "Usuń proszę to, co przed chwilą napisałem."),
    "zh": ("我喜欢爬山。", "我戴假发。", "假发", "请把我刚才告诉你的删掉。"),
}  # fmt: skip
NOT_THE_LAST = (
    "Never mind. Forget that I asked.",
    "forget it",
    "Forget about it.",
    "I forgot what I just said.",
    "Forget what I just asked, what's the time?",
    "what was the last thing I said?",
    "translate what I just told you into French",
    "ach vergiss es",
    "Ich habe vergessen, was ich gerade sagen wollte.",
    "olvídalo, da igual",
)


def talk(client: httpx.Client, *said: str) -> httpx.Response:
    """One conversation; each of its messages but the last was already answered."""
    history = [{"role": "user", "content": said[0]}]
    for text in said[1:]:
        history += [{"role": "assistant", "content": "I see."}, {"role": "user", "content": text}]
    return client.post("/v1/chat/completions", json={"model": "model-a", "messages": history}).raise_for_status()


def settled(client: httpx.Client, reply: httpx.Response) -> str:
    """What became of the turn, once the writer is done with it."""
    path = f"/v1/receipts/{reply.headers['X-Memory-Receipt']}"
    found = eventually(lambda: (write := client.get(path).json()["write"]) != "pending" and write)
    return str(found)


@pytest.mark.parametrize("language", LAST)
def test_what_was_told_last_in_a_conversation_goes(
    proxy: Proxy, upstream: FakeModel, user: str, language: str
) -> None:
    """Before the answer, with its exchange; what was told before it stays."""
    first, last, word, wish = LAST[language]
    with proxy.client(user) as client:
        settled(client, talk(client, first))
        settled(client, talk(client, first, last))
        assert any(word in each["text"] for each in memories(client))
        reply = talk(client, first, last, wish)
        assert "Done" in newest_user_text(upstream.chats[-1].json)
        assert settled(client, reply) == "forgotten"
        left = [each["text"] for each in memories(client)]
    assert not any(word in text for text in left)
    assert any(first in text for text in left)


@pytest.mark.parametrize("language", LAST)
def test_what_was_told_last_goes_from_a_conversation_of_its_own(proxy: Proxy, user: str, language: str) -> None:
    """Many clients begin one for each message. It is done after the answer, when all that came before is stored."""
    first, last, word, wish = LAST[language]
    with proxy.client(user) as client:
        for text in (first, last):
            settled(client, ask(client, text))
        assert settled(client, ask(client, wish)) == "forgotten"
        left = [each["text"] for each in memories(client)]
    assert not any(word in text for text in left)
    assert any(first in text for text in left)


def test_what_is_no_such_wish_deletes_nothing(proxy: Proxy, user: str) -> None:
    """Small talk about forgetting, and work on what was just said."""
    with proxy.client(user) as client:
        settled(client, talk(client, "I keep bees."))
        for text in NOT_THE_LAST:
            settled(client, talk(client, "I keep bees.", text))
        assert any("I keep bees." in each["text"] for each in memories(client))


def told_on(client: httpx.Client, days_ago: int, text: str) -> None:
    at = datetime.now(UTC) - timedelta(days=days_ago)
    line = {
        "id": uuid4().hex,
        "conversation": uuid4().hex,
        "user": text,
        "created_at": at.isoformat(),
        "answer": "OK.",
    }
    client.post("/v1/memories/import", content=orjson.dumps(line)).raise_for_status()
    remembered(client, text)


@pytest.mark.parametrize(
    ("wish", "yes"),
    [
        ("Delete everything I said yesterday.", "Yes"),
        ("Lösch alles, was ich gestern erzählt habe.", "Ja"),
        ("Olvida todo lo que te conté ayer.", "Sí"),
        ("删除我昨天说的所有内容。", "是的"),
    ],
    ids=["en", "de", "es", "zh"],
)
def test_what_was_told_on_a_day_goes_after_a_second_yes(
    proxy: Proxy, upstream: FakeModel, user: str, wish: str, yes: str
) -> None:
    """Exactly that day's; the model is told which days, before and after."""
    with proxy.client(user) as client:
        for days, text in ((8, "I keep bees."), (1, "I play the oboe."), (0, "I grow quinces.")):
            told_on(client, days, text)
        ask(client, wish)
        day = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
        block = newest_user_text(upstream.chats[-1].json)
        assert "second yes" in block
        assert f"from {day} to {day}" in block
        assert any("oboe" in each["text"] for each in memories(client))
        settled(client, talk(client, wish, yes))
        assert "was deleted" in newest_user_text(upstream.chats[-1].json)
        left = " ".join(each["text"] for each in memories(client))
    assert "oboe" not in left
    assert "bees" in left
    assert "quinces" in left


# Wishes for a part of all, by what is asked, what is meant and when it was told.
PARTS = {
    "en": (("Delete", "please forget", "wipe", "Erase"), ("everything I said", "all I told you", "everything"),
           ("last week", "yesterday", "today", "last month", "in May", "since March", "on Monday", "two weeks ago", "before June")),
    "de": (("Lösch bitte alles, was ich", "Vergiss alles, was ich", "Entferne alles, was ich"), ("",), ("letzte Woche gesagt habe", "gestern erzählt habe", "seit Montag gesagt habe", "im Mai gesagt habe", "dir heute erzählt habe")),
    "fr": (("Efface", "Oublie"), ("tout ce que je t'ai dit", "tout ce que j'ai raconté"), ("la semaine dernière", "hier", "aujourd'hui", "en mai")),
    "es": (("Borra", "Olvida"), ("todo lo que te dije", "todo lo que te conté"), ("la semana pasada", "ayer", "hoy", "en mayo")),
    "it": (("Cancella", "Dimentica"), ("tutto quello che ti ho detto",), ("la settimana scorsa", "ieri", "oggi", "a maggio")),
    "pt": (("Apaga", "Esquece"), ("tudo o que te disse", "tudo o que te contei"), ("na semana passada", "ontem", "hoje", "em maio")),
    "nl": (("Wis", "Vergeet"), ("alles wat ik zei", "alles wat ik je vertelde"), ("vorige week", "gisteren", "vandaag", "in mei")),
    "sv": (("Radera", "Glöm"), ("allt jag sa", "allt jag berättade"), ("förra veckan", "igår", "idag", "i maj")),
    "ru": (("Удали", "Забудь"), ("всё, что я говорил", "всё, что я рассказывал"), ("на прошлой неделе", "вчера", "сегодня", "в мае")),
    "pl": (("Usuń", "Zapomnij"), ("wszystko, co mówiłem", "wszystko, co powiedziałam"), ("w zeszłym tygodniu", "wczoraj", "dzisiaj", "w maju")),
    "tr": (("",), ("",), ("Geçen hafta söylediğim her şeyi sil", "Dün anlattığım her şeyi unut", "Bugün söylediğim her şeyi sil")),
    "zh": (("",), ("",), ("删除我上周说的所有内容", "忘掉我昨天说的一切", "删除我今天说的所有话", "把我上个月说的都忘了")),
    "ja": (("",), ("",), ("先週話したことを全部消して", "昨日言ったことを全部忘れて", "今日言ったことを全部削除して")),
}  # fmt: skip


def test_a_part_of_all_is_never_all() -> None:
    """In thirteen languages: no wish that names a time is taken for one to forget everything, and most are understood
    as one for that time."""
    wishes = [" ".join(filter(None, each)) for parts in PARTS.values() for each in itertools.product(*parts)]
    kinds = {wish: command.kind if (command := memory_command(wish)) else None for wish in wishes}
    assert [wish for wish, kind in kinds.items() if kind == "forget_all"] == []
    others = {wish: kind for wish, kind in kinds.items() if kind != "forget_time"}
    assert len(others) <= 0.1 * len(wishes), others


# Wishes for what was told last, by what is asked and what is meant, in other words than above.
JUST_TOLD = {
    "en": (("Forget {}.", "please delete {}", "can you erase {}?", "I don't want {} in your memory, wipe it"),
           ("what I just said", "what I told you a moment ago", "the last thing I mentioned", "what I've just written")),
    "de": (("Vergiss {}.", "Kannst du {} bitte löschen?"), ("was ich eben gesagt habe", "das Letzte, was ich erzählt habe", "was ich gerade geschrieben habe")),
    "fr": (("Oublie {}.", "Tu peux effacer {} ?"), ("ce que je viens d'écrire", "ce que je viens de te raconter", "la dernière chose que je t'ai dite")),
    "es": (("Olvida {}.", "¿Puedes borrar {}?"), ("lo que acabo de escribir", "lo último que te conté", "lo que te acabo de decir")),
    "it": (("Dimentica {}.", "Puoi cancellare {}?"), ("quello che ho appena scritto", "l'ultima cosa che ti ho detto", "quello che ti ho detto poco fa")),
    "pt": (("Esquece {}.", "Podes apagar {}?"), ("o que acabei de escrever", "a última coisa que te disse", "o que te disse agora mesmo")),
    "nl": (("Vergeet {}.", "Kun je {} wissen?"), ("wat ik net schreef", "het laatste wat ik je vertelde", "wat ik daarnet zei")),
    "sv": (("Glöm {}.", "Kan du radera {}?"), ("det jag precis sa", "det sista jag berättade", "det jag nyss skrev")),
    "nb": (("Glem {}.", "Kan du slette {}?"), ("det jeg nettopp sa", "det siste jeg fortalte", "det jeg nettopp skrev")),
    "ru": (("Забудь {}.", "Можешь удалить {}?"), ("то, что я только что сказала", "последнее, что я написал")),
    "pl": (("Zapomnij {}.", "Możesz usunąć {}?"), ("to, co właśnie powiedziałem", "to, co przed chwilą mówiłam")),
    "zh": (("请忘记{}。", "把{}删掉"), ("我刚才说的话", "我刚刚告诉你的事", "我最后说的")),
    "ja": (("{}を忘れてください。", "{}を消して"), ("さっき言ったこと", "今話したこと")),
}  # fmt: skip
NOT_JUST_TOLD = {
    "en": ("I forgot {}", "what was {}?", "Translate {} into Greek", "did you forget {}?", "don't forget {}", "how do I delete {} in WhatsApp?"),
    "de": ("Ich habe vergessen, {}", "Übersetze, {}", "Vergiss nicht, {}"),
    "fr": ("J'ai oublié {}", "Traduis {} en anglais", "N'oublie pas {}"),
    "es": ("Olvidé {}", "Traduce {} al inglés", "No olvides {}"),
    "it": ("Ho dimenticato {}", "Traduci {}", "Non dimenticare {}"),
    "nl": ("Ik ben vergeten {}", "Vertaal {}", "Vergeet niet {}"),
    "ru": ("Я забыл {}", "Переведи {}", "Не забудь {}"),
}  # fmt: skip


def test_what_was_just_told_is_understood_in_thirteen_languages() -> None:
    """And no complaint, translation or question about it is taken for a wish."""
    wishes = [form.format(what) for forms, whats in JUST_TOLD.values() for form in forms for what in whats]
    kinds = {wish: command.kind if (command := memory_command(wish)) else None for wish in wishes}
    missed = {wish: kind for wish, kind in kinds.items() if kind != "forget_last"}
    assert len(missed) <= 0.1 * len(wishes), missed
    others = [
        form.format(what)
        for language, forms in NOT_JUST_TOLD.items()
        for form in forms
        for what in JUST_TOLD[language][1]
    ]
    taken = [text for text in others if (command := memory_command(text)) and command.kind == "forget_last"]
    assert taken == []
