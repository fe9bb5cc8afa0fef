"""Splits a text into sentences, as spans of it: nothing is reworded. Pure and linear."""

import re
from collections.abc import Iterator
from typing import NamedTuple

LONGEST_SENTENCE = 400  # characters; a longer one is not a simple statement
# The beginning of a pattern: only where white space begins, or a long run would be read again from each of its
# characters.
SPACES = r"(?<!\s)\s+"


class Span(NamedTuple):
    start: int
    end: int


# A full stop, or what may be one: the whole run of marks, and the closing quotes and brackets after it. A run is read
# from its beginning only and never read again (`++`), or 100,000 marks before a letter would take minutes.
_END = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'”’»)\]]*+(?=\s|\Z|[\U0001F000-\U0001FAFF])|[。！？｡।۔؟]+[」』”）]*|\n+|;(?=\s)"
)
_TITLE = re.compile(r"\b(?:St|Dr|Mr|Mrs|Ms|Prof|Sr?a|Dra|Mme|Mlle|Sgt|Capt|Rev|Hon)\Z")
_ABBREVIATION = re.compile(
    r"\b(?:jr|sr|no|nr|vs|etc|ca|approx|dept|inc|ltd|co|corp|str|bzw|usw|evtl|ggf|ave|blvd|mt|ft|lt|gen|fig|vol|tel|av|ing"
    r"|lic|ul|al|ev|jan|feb|mar|apr|jun|jul|aug|sept?|oct|okt|nov|dec|dez)\Z",
    re.IGNORECASE,
)
_INITIAL = re.compile(r"(?<![\w'’.])[^\W\d_](?:\.[^\W\d_])*\Z")  # J, or e.l.f, or a.m
_ORDINAL = re.compile(r"(?<![\d.,])\d{1,2}\Z")
_OPENS = re.compile(
    r"\s+(?:I|I['’]\w+|My|We|Our|The|It|This|That|He|She|They|You|What|How|When|Where|Why|Can|Could|Please|But|And|So|Ich"
    r"|Mein\w*|Wir|Je|J['’]\w+|Mon|Ma|Yo|Mi|Soy|Vivo|Jeg|Jag|Vi|Min|Ik|Mijn|Io|Sono|Eu|Sou|Moro|Я|Мой|Моя|Also|Today|Any)\b"
)
_MONTH = re.compile(
    r"\s+(?:jan|feb|m[aä]r|apr|may|mai|maj|mei|jun|jul|aug|sep|o[ck]t|nov|de[csz]|kwi|maj|lip|sie|wrz|pa[zź]|lis|gru)\w*\b"
    r"|\s+(?-i:[a-zà-ž])",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"\s+(?:is|was|are|has|had|and|or|in|at|on|for|with|since|from|to|by|made|makes)\b")


def sentences(text: str) -> Iterator[Span]:
    """The sentences, without the white space around them, with their end marks. A line break ends a sentence."""
    start = 0
    for mark in _END.finditer(text):
        if _ends_here(text, mark):
            yield from _trimmed(text, start, mark.end())
            start = mark.end()
    yield from _trimmed(text, start, len(text))


def _ends_here(text: str, mark: re.Match[str]) -> bool:
    if mark[0][0] in "!?":
        return _GOES_ON.match(text, mark.end()) is None
    if mark[0].rstrip("\"'”’»)]") != ".":
        return True
    before = text[max(0, mark.start() - 12) : mark.start()]
    if before[-1:].isdigit():  # an ordinal ("3. May", "den 3. var") has up to two digits, and its phrase goes on
        return not (_ORDINAL.search(before) and _MONTH.match(text, mark.end()))
    if _TITLE.search(before):
        return False
    short = _ABBREVIATION.search(before) or _INITIAL.search(before)
    return not short or _OPENS.match(text, mark.end()) is not None or not text[mark.end() : mark.end() + 40].strip()


def _trimmed(text: str, start: int, end: int) -> Iterator[Span]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if start < end:
        yield Span(start, end)
