"""Dates within a statement: since when it holds ("in 2015"), and when it ends by itself ("on Friday", an age).
Pure."""

# ruff: noqa: E501  a pattern's alternatives stay together

import re
from datetime import UTC, date, datetime, timedelta

from rememberd.types import Millis

_DAY_MS = 86_400_000
_AGE_DAYS, _PREGNANCY_DAYS, _SOON_DAYS = 365, 290, 2
_YEAR = re.compile(
    r"\b(?:in|since|seit|en|depuis|desde|i|sedan|siden|dal|nel|em|sinds|с|в)\s+(19\d\d|20\d\d)\b|((?:19|20)\d\d)年",
    re.IGNORECASE,
)
_MONTHS = (
    "jan(?:uary|uar|uari|eiro|vier)?|ene(?:ro)?|gennaio", "feb(?:ruary|ruar|rero|ruari|raio)?|févr(?:ier)?|fevereiro",
    "mar(?:ch|zo|s|ço|z)?|märz|maart", "a[pv]r(?:il|ile)?|abril", "may|mai|maj|mayo|mei|maggio|maio", "june?|juni|juin|junio|junho|giugno",
    "july?|juli|juillet|julio|julho|luglio", "aug(?:ust|usti|ustus)?|août|agosto", "sept?(?:ember|embre|iembre|tembre)?|setembro|settembre",
    "o[ck]t(?:ober|obre|ubre)?|outubro|ottobre", "nov(?:ember|embre|iembre|embro)?", "de[csz](?:ember|embre|iembre)?|décembre|dezembro|dicembre",
)  # fmt: skip
_DAYS = ("mon|mandag|måndag|lun", "tue|dienstag|tirsdag|tisdag|mar(?:di|tes)", "wed|mittwoch|onsdag|mi[eé]r", "thu|donnerstag|torsdag|jeu", "fri|freitag|fredag|vendredi|viernes", "sat|samstag|sonnabend|lørdag|lördag|samedi|s[aá]bado", "sun|sonntag|søndag|söndag|dimanche|domingo")  # fmt: skip
_MONTH = [re.compile(rf"(?:(\d{{1,2}})(?:st|nd|rd|th|er|\.)?(?: of| de)? )?\b(?:{month})\b\.?(?: (\d{{1,2}})(?:st|nd|rd|th)?\b(?!:))?(?:,? (\d{{4}}))?", re.IGNORECASE) for month in _MONTHS]  # fmt: skip
_WEEKDAY = [re.compile(rf"\b(?:{day})\w*\b", re.IGNORECASE) for day in _DAYS]
_RELATIVE = (
    (re.compile(r"\b(?:tomorrow|morgen|demain|mañana|domani|amanhã|imorgen|i morgen|imorgon)\b|明天|明日", re.IGNORECASE), 2),
    (re.compile(r"\b(?:today|tonight|heute|aujourd['’]hui|hoy|oggi|hoje|vandaag|i dag|idag)\b|今天|今日", re.IGNORECASE), 1),
    (re.compile(r"\bnext week\b|\bnächste woche\b|\bprochaine semaine\b", re.IGNORECASE), 14),
    (re.compile(r"\bnext month\b|\bnächsten monat\b", re.IGNORECASE), 62),
)  # fmt: skip


def dated(text: str, at: Millis) -> Millis | None:
    """The first day of the year in which it began, if the text names a year before `at`."""
    found = _YEAR.search(text)
    if found is None:
        return None
    since = int(datetime(int(found[1] or found[2]), 1, 1, tzinfo=UTC).timestamp() * 1000)
    return since if since < at else None


def ends_at(slot: str, text: str, at: Millis) -> Millis | None:
    """When a statement of this slot, made at `at`, ends by itself; None if it has no such end."""
    if slot.rpartition(".")[2] == "age":
        return at + _AGE_DAYS * _DAY_MS
    if slot == "pregnancy":
        return at + _PREGNANCY_DAYS * _DAY_MS
    if slot != "plan":
        return None
    day = _next_day(text, datetime.fromtimestamp(at / 1000, UTC).date())
    return None if day is None else int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _next_day(text: str, today: date) -> date | None:
    """The day after the named one, in UTC and half a day later, for time zones west of it."""
    try:
        return _named(text, today)
    except ValueError:  # 31 February
        return None


def _named(text: str, today: date) -> date | None:
    for pattern, days in _RELATIVE:
        if pattern.search(text):
            return today + timedelta(days=days + 1)
    for number, pattern in enumerate(_MONTH, 1):
        if found := pattern.search(text):
            day, year = found[1] or found[2], found[3]
            if number == 5 and not day and not year and not re.search(r"\b(?:in|im|en|i) \w+", text):
                continue
            at = date(int(year or today.year), number, int(day or 28))
            if not year and at < today:
                at = at.replace(year=today.year + 1)
            return at + timedelta(days=2 if day else 6)
    for number, pattern in enumerate(_WEEKDAY):
        if pattern.search(text):
            ahead = (number - today.weekday()) % 7 or 7
            return today + timedelta(days=ahead + (9 if re.search(r"\bnext\b", text) else 2))
    if year := re.search(r"\b(?:in|im) (20\d\d)\b", text):
        return date(int(year[1]) + 1, 1, 2)
    return None
