"""Which days a question asks about: "in May 2023", "on 3 June", "yesterday", "last week" (pure, English)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from rememberd.types import Millis

MONTHS = (
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)
_MONTH = "|".join(MONTHS)
_DAY_MONTH = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_MONTH})\b(?:,? (\d{{4}}))?", re.IGNORECASE)
_MONTH_DAY = re.compile(rf"\b({_MONTH}) (\d{{1,2}})(?:st|nd|rd|th)?\b(?!\d)(?:,? (\d{{4}}))?", re.IGNORECASE)
# "may" is a verb more often than a month, so it counts after a preposition or with a year only.
_MONTH_YEAR = re.compile(rf"\b({_MONTH})(?:,? of)?,? (\d{{4}})\b", re.IGNORECASE)
_MONTH_ALONE = re.compile(rf"\b(?:(last|in|during|since|of|early|late|mid) )({_MONTH})\b", re.IGNORECASE)
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_YEAR = re.compile(r"\b(?:in|during|of|since) (20\d\d)\b", re.IGNORECASE)
_RELATIVE = re.compile(r"\b(today|yesterday|(?:last|this|past) (?:week|weekend|month|year))\b", re.IGNORECASE)
_NAMES_DAYS = re.compile(rf"\d|\b(?:{_MONTH}|today|yesterday|last|this|past)\b", re.IGNORECASE)
DAY_MS = 86_400_000


class Span(NamedTuple):
    """Days, the end not included."""

    start: date
    end: date


def asked_about(question: str, now: Millis) -> Span | None:
    """The days that `question` names. A day or month without a year is the latest one that began before `now`."""
    if not _NAMES_DAYS.search(question):
        return None
    today = datetime.fromtimestamp(now / 1000, UTC).date()
    try:
        return _named(question, today) or _relative(question, today)
    except ValueError:  # 31 February
        return None


def _named(question: str, today: date) -> Span | None:
    if found := _ISO.search(question):
        return _day(int(found[1]), int(found[2]), int(found[3]))
    if found := _DAY_MONTH.search(question):
        return _latest_day(found[2], found[1], found[3], today)
    if found := _MONTH_DAY.search(question):
        return _latest_day(found[1], found[2], found[3], today)
    if found := _MONTH_YEAR.search(question):
        return _month(int(found[2]), _number(found[1]))
    if found := _MONTH_ALONE.search(question):
        month = _number(found[2])
        return _month(today.year - (month > today.month), month)
    if found := _YEAR.search(question):
        return Span(date(int(found[1]), 1, 1), date(int(found[1]) + 1, 1, 1))
    return None


def _relative(question: str, today: date) -> Span | None:
    if not (found := _RELATIVE.search(question)):
        return None
    word = found[1].lower()
    if word in ("today", "yesterday"):
        return _days(today - timedelta(days=word == "yesterday"), 1)
    monday = today - timedelta(days=today.weekday())
    this = not word.startswith("last")
    if "week" in word:
        return _days(monday - timedelta(days=0 if this else 7), 7)
    if "month" in word:
        month = today if this else today.replace(day=1) - timedelta(days=1)
        return _month(month.year, month.month)
    return Span(date(today.year - (not this), 1, 1), date(today.year + this, 1, 1))


def _number(month: str) -> int:
    return MONTHS.index(month.lower()) + 1


def _days(start: date, count: int) -> Span:
    return Span(start, start + timedelta(days=count))


def _day(year: int, month: int, day: int) -> Span:
    return _days(date(year, month, day), 1)


def _latest_day(month: str, day: str, year: str | None, today: date) -> Span:
    if year:
        return _day(int(year), _number(month), int(day))
    span = _day(today.year, _number(month), int(day))
    return span if span.start <= today else _day(today.year - 1, _number(month), int(day))


def _month(year: int, month: int) -> Span:
    return Span(date(year, month, 1), date(year + month // 12, month % 12 + 1, 1))
