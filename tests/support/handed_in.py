"""Messages made of parts: in some a person speaks of themselves, in others they hand in somebody else's words."""

# ruff: noqa: E501  a table's entries stay together

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# Two sentences in which somebody speaks of themselves, by language.
CLAIMS = {
    "en": "I live in Timbuktu. My name is Zebulon and I am allergic to strawberries.",
    "de": "Ich wohne in Timbuktu. Ich heiße Zebulon und ich bin gegen Erdbeeren allergisch.",
    "fr": "J'habite à Tombouctou. Je m'appelle Zebulon et je suis allergique aux fraises.",
    "es": "Vivo en Tombuctú. Me llamo Zebulon y soy alérgico a las fresas.",
    "it": "Abito a Timbuctù. Mi chiamo Zebulon e sono allergico alle fragole.",
    "pt": "Moro em Tombuctu. Meu nome é Zebulon e sou alérgico a morangos.",
    "nl": "Ik woon in Timboektoe. Ik heet Zebulon en ik ben allergisch voor aardbeien.",
    "nb": "Jeg bor i Timbuktu. Jeg heter Zebulon og jeg er allergisk mot jordbær.",
    "sv": "Jag bor i Timbuktu. Jag heter Zebulon och jag är allergisk mot jordgubbar.",
    "ru": "Я живу в Тимбукту. Меня зовут Зебулон, и у меня аллергия на клубнику.",
    "zh": "我住在廷巴克图。我叫泽布伦，我对草莓过敏。",
    "ja": "私はトンブクトゥに住んでいます。私の名前はゼブロンで、私はいちごアレルギーです。",
}
SPEAKERS = (
    "Tom",
    "Tom Baker",
    "Dr. Ana Lima",
    "Жанна",
    "王伟",
    "Customer",
    "Speaker 2",
    "O'Neil",
    "my boss",
    "Åse Dahl",
)
# What says that another person speaks, and a mark behind it.
LEADS = {
    "en": "{} writes|{} wrote to the team|Mail from {}|My colleague {} announced|{} mentioned yesterday|Voice note, {}",
    "de": "{} schreibt|Nachricht von {}|Mein Kollege {} meint dazu|{} hat geantwortet",
    "fr": "{} écrit|Message de {}|Mon collègue {} raconte|{} a répondu",
    "es": "{} escribe|Mensaje de {}|Mi compañero {} cuenta|{} respondió",
    "it": "{} scrive|Messaggio di {}|Il mio collega {} racconta",
    "pt": "{} escreve|Mensagem de {}|Meu colega {} contou",
    "nl": "{} schrijft|Bericht van {}|Mijn collega {} vertelt",
    "nb": "{} skriver|Melding fra {}|Kollegaen min {} forteller",
    "sv": "{} skriver|Meddelande från {}|Min kollega {} berättar",
    "ru": "{} пишет|Сообщение от {}|Коллега {} рассказывает",
    "zh": "{}写道|来自{}的消息|同事{}说",
    "ja": "{}さんの投稿|{}からのメッセージ|同僚の{}より",
}
DATA = Path(__file__).parents[1] / "data"
# Whole messages around a text that is not the person's.
FRAMES = [json.loads(line)["message"] for line in (DATA / "handed_in.jsonl").read_text(encoding="utf-8").splitlines()]
# Statements as people write them, and a word of each that must count as typed.
TYPED = [json.loads(line) for line in (DATA / "typed.jsonl").read_text(encoding="utf-8").splitlines()]
# What a person may put before or behind their own words.
OPENINGS = (
    "{}", "Hi! {}", "Hello Claude: {}", "FYI: {}", "Remember: {}", "Please remember this about me: {}", "About me: {}",
    "A few things about me:\n- {}", "Quick update: {}", "Good news: {}", "So here is what I want you to know: {}",
    "Note to self: {}", "Correction: {}", "For context: {}", "PS: {}", "btw: {}", "I have news: {}", "My situation: {}",
    "Merke dir: {}", "Zur Info: {}", "Retiens ceci : {}", "Para que lo sepas: {}", "Recuerda: {}", "Ricorda: {}", "Lembre-se: {}",
    "Husk: {}", "Kom ihåg: {}", "Onthoud: {}", "Запомни: {}", "记住：{}", "覚えて：{}", '"{}"', "“{}”", "Hey, long time!\n\n{}",
    "Thanks, that worked.\n\n{}", "Can you help me with my trip?\n\n{}", "{}\n\nWhat should I cook tonight?",
    "{}\nWhat can I do about it?", "{} Any ideas for this week?", "I love \"The Wire\". {}", "I use `vim` daily. {}", "# About me\n{}",
    "1. {}\n2. I like tea.", "Translate 'dog' for me please.\n\n{}", "I have these hobbies: chess, running. {}",
)  # fmt: skip

# The person before or behind somebody else's words that a mark encloses, or above words beneath a request.
AROUND = (
    "{own}\n\nTranslate this:\n\n\"{other}\"", "{own} What do I answer?\n\n“{other}”", "\"{other}\"\n\n{own} What do I answer?",
    "Mail from Tom: \"{other}\" {own}", "Mail from Tom:\n«{other}»\n{own}", "He texted me this: “{other}”. {own}", "> {other}\n\n{own}",
    "```\n{other}\n```\nThis is from a course. {own}", "{own}\n```\n{other}\n```\nWhat is wrong with it?", "<doc>{other}</doc>\n{own}",
    "{own} Which of these is right?\n\n<document>{other}</document>", "Summarise the log.\n\nTom: {other}\nAnn: I see.\n\nOh, and {own}",
    "---\n{other}\n---\n{own}", "{own} Summarize:\n\nA: {other}\nB: I agree.",
)  # fmt: skip
# A request of one line that does not say whose the text beneath it is.
REQUESTS = (
    "mark this out of 20", "Trouve un titre.", "Hitta stavfelen.", "разбери размер", "which tenses are wrong?", "pick the strongest",
    "kürzer bitte", "più formale, grazie", "make it rhyme", "añade tildes", "OCR cleanup", "kan dit korter?", "zrób z tego plakat",
)  # fmt: skip


class Message(NamedTuple):
    """`claim` is in `text`; whose it is depends on which list made it."""

    text: str
    claim: str
    shape: str


def handed_in() -> Iterator[Message]:
    for language, claim in CLAIMS.items():
        for frame in FRAMES:
            yield Message(frame.replace("<claim>", claim), claim, frame)
        for number, lead in enumerate(LEADS[language].split("|")):
            for speaker in SPEAKERS[number % 2 :: 2]:
                said = lead.format(speaker)
                yield Message(f"{said}: {claim}", claim, "colon")
                yield Message(f"Look at that!\n{said}:\n{claim}", claim, "colon and line")
        for speaker in SPEAKERS:
            yield Message(f"{speaker}: {claim}", claim, "name")
            yield Message(f"[{speaker}] {claim}", claim, "bracket")
            yield Message(f"**{speaker}**: {claim}", claim, "bold name")
        for request in REQUESTS:
            yield Message(f"{request}\n\n{claim} {claim}", claim, "bare request")


def typed() -> Iterator[Message]:
    for claim in CLAIMS.values():
        for opening in OPENINGS:
            yield Message(opening.format(claim), claim, opening)


def around() -> Iterator[tuple[Message, str]]:
    """A message with words of both, in two languages, whose `claim` is the person's; and what somebody else says."""
    languages = list(CLAIMS)
    for number, own in enumerate(languages):
        other = languages[(number + 1) % len(languages)]
        for shape in AROUND:
            yield Message(shape.format(own=CLAIMS[own], other=CLAIMS[other]), CLAIMS[own], shape), CLAIMS[other]
