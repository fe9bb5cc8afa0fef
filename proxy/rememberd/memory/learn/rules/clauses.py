"""Splits a sentence into its main clauses, as spans: each has a subject, so each is a whole statement. Pure."""

# ruff: noqa: E501  a pattern's alternatives stay together

import re
from collections.abc import Iterator

from rememberd.dialects.attribution_words import ASKS
from rememberd.memory.learn.rules.sentences import SPACES, Span
from rememberd.memory.learn.rules.table import tables_for

# The subject and the verb with which another statement about the person begins.
_SUBJECT = (
    r"(?:i|i['’](?:m|ve|d|ll)|we|we['’](?:re|ve)|ich|wir|je|j['’]\w+|nous|jeg|jag|eg|vi|ik|wij|io|eu|yo|я|мы"
    r"|(?:ya )?(?:no )?(?:vivo|trabajo|tengo|soy|me (?:llamo|gusta\w*)|moro|tenho|trabalho|sou|lavoro|abito|sono|ho|mieszkam|mam|pracuję|jestem))\b"
    r"|(?:my|our|meine?|unsere?|mon|ma|mes|mi|mis|min|mitt|mine|mijn|meu|minha|il mio|la mia|мой|моя)"
    r" (?:[\w'’-]+ ){1,3}(?:is|are|has|have|was|lives?|works?|loves?|hates?|likes?|ist|sind|heißt|hat|est|a|es|se|tiene|er|är|heter|hedder|heet|é|è)\b"
    r"|(?:her|his|their) name is\b|before that\b|[我私]"
)
_AND = r"(?:and|but|while|und|aber|et|mais|y|pero|e|mas|ma|og|och|men|en|maar|i|a|ale|и|но)"
_JOINT = re.compile(
    rf"(?:{SPACES})?[,;:]\s+(?:(?:{_AND}|so|donc|así que|quindi|dus)\s+)?(?={_SUBJECT})|{SPACES}{_AND}\s+(?={_SUBJECT})|{SPACES}[–—-]\s+"
    rf"|(?:{SPACES})?[，、；]\s*(?!还|也|和)",
    re.IGNORECASE,
)
_ASK = rf"(?:,|{SPACES}(?:and|but|so|[–—-]))\s+(?:so\s+|and\s+|but\s+)?(?=(?:ASK)(?!\w))"
_TAG = re.compile(
    r"(?:right|correct|or not|no|yes|huh|eh|oder|nicht wahr|verdad|non|vero|ikke sant"
    r"|, (?:\w+n['’]t|am|is|are|was|were|do|does|did|have|has|can|will) (?:i|we|he|she|it|they|you|that))\s*[?？؟]",
    re.IGNORECASE,
)


def clauses(sentence: str) -> Iterator[Span]:
    """The parts that may be statements. In a question, only the part before it asks ("I'm vegan, what can I
    eat?")."""
    start, end = 0, told_end(sentence)
    if not end:
        return
    for joint in [*_JOINT.finditer(sentence, 0, end), None]:
        stop = joint.start() if joint else end
        if (
            joint and _NAME.fullmatch(sentence, start, stop) and " and" in joint[0].lower()
        ):  # "Kim and I broke up" has one subject
            continue
        yield from _bare(sentence, start, stop)
        start = joint.end() if joint else end


def told_end(sentence: str) -> int:
    """Where a question or a request begins within the sentence; 0 if all of it is one, its length if there is none."""
    ask = _asks_from(sentence)
    if ask is not None:
        return ask
    if not sentence.rstrip("\"'”’)").endswith(ASKS):
        return len(sentence)
    wants = _WANTS.search(sentence)
    return wants.start() if wants and not _TAG.search(sentence) else 0


def without_lead(sentence: str) -> str:
    """Without greetings and labels before it: "Update: I live in Oslo"."""
    bare = next(_bare(sentence, 0, len(sentence)), None)
    return sentence[bare.start :] if bare else sentence


_NAME = re.compile(r"\s*(?:(?:[Mm]y|[Oo]ur) [\w-]+(?: [A-Z]\w+)?|[A-ZÀ-ÖØ-ÞĀ-ŽА-Я][\w'’-]*)\s*")
_WANTS = re.compile(
    r"(?<=\w)(?:,\s+|[，،]\s*)(?!\s|(?:right|correct|or|no|yes|true|according)\b)[^,，،?]{3,}[?？؟]\W*$",
    re.IGNORECASE,
)


def _asks_from(sentence: str) -> int | None:
    """Where a question or a request begins within the sentence; 0 if all of it is one."""
    for table in tables_for(sentence):
        pattern = table.lists.get("ask")
        if pattern is None:
            continue
        if sentence.endswith(ASKS) and pattern.match(sentence.lstrip()):
            return 0
        found = re.compile(_ASK.replace("ASK", pattern.pattern[7:-6]), re.IGNORECASE).search(sentence)
        if found:
            return found.start()
    return None


def _bare(sentence: str, start: int, end: int) -> Iterator[Span]:
    """Without greetings and conjunctions before it and without commas at its ends."""
    tables = tables_for(sentence)
    while not any(_matches(table.lists.get("remember"), sentence, start, end) for table in tables):
        while start < end and (sentence[start].isspace() or sentence[start] in ",;:–—-*•>"):
            start += 1
        lead = max((_lead_end(sentence, start, end, table.lists.get("lead")) for table in tables), default=start)
        if lead == start:
            break
        start = lead
    while end > start and (sentence[end - 1].isspace() or sentence[end - 1] in ",;:–—"):
        end -= 1
    if end - start > 1:
        yield Span(start, end)


def _matches(pattern: re.Pattern[str] | None, text: str, start: int, end: int) -> bool:
    return pattern is not None and pattern.match(text, start, end) is not None


def _lead_end(sentence: str, start: int, end: int, lead: re.Pattern[str] | None) -> int:
    found = lead.match(sentence, start, end) if lead else None
    if found is None or found.end() == start:
        return start
    after = _AFTER_LEAD.match(sentence, found.end(), end)
    return after.end() if after else start


_AFTER_LEAD = re.compile(r"\s*[,:!.–—-]+\s*|\s+")
