"""Finds the days that a question asks about: "in May 2023", "on 3 June", "yesterday", "two weeks ago" (pure).

English and dates in numbers are read here, the words of other languages by `lexicon.py`.

Days are those of the person who asks: every time here is shifted by the offset of their time zone."""

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rememberd.memory.recall import lexicon
from rememberd.memory.recall.feasts import FEASTS, feast
from rememberd.memory.recall.lexicon import WORD, Time, asked_time, english_numbers
from rememberd.types import Millis

MONTHS = (
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)
_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()  # noqa: SIM905
_MONTH = "|".join(MONTHS)
_DAY_MONTH = re.compile(rf"\b(\d{{1,2}})(?:st|nd|rd|th)?(?: of)? ({_MONTH})\b(?:,? (\d{{4}}))?", re.IGNORECASE)
_MONTH_DAY = re.compile(rf"\b({_MONTH}) (\d{{1,2}})(?:st|nd|rd|th)?\b(?!\d)(?:,? (\d{{4}}))?", re.IGNORECASE)
# "may" is a verb more often than a month, so it counts after a preposition or with a year only.
_MONTH_YEAR = re.compile(rf"\b({_MONTH})(?:,? of)?,? (\d{{4}})\b", re.IGNORECASE)
_MONTH_ALONE = re.compile(rf"\b(?:(last|in|during|since|of|early|late|mid) )({_MONTH})\b", re.IGNORECASE)
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_DOTTED = re.compile(r"\b(\d{1,2})\. ?(\d{1,2})\. ?(\d{4})\b")
_SLASHED = re.compile(r"\b(\d{1,2})/(\d{1,2})/(\d{4})\b")
_YEAR = re.compile(r"\b(?:in|during|of|since) (20\d\d)\b", re.IGNORECASE)
_NUMBERS = {"a": 1, "an": 1, "a couple of": 2, "a few": 3}
_NUMBER = rf"(\d{{1,3}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})"
_AGO = re.compile(rf"\b{_NUMBER} (day|week|month|year)s? ago\b", re.IGNORECASE)
_PAST = re.compile(rf"\b(?:last|past|previous) {_NUMBER} (day|week|month|year)s\b", re.IGNORECASE)
_RELATIVE = re.compile(
    r"\b(the day before yesterday|today|yesterday|last night|this (?:morning|afternoon|evening)"
    r"|(?:last|this|past) (?:week|weekend|month|year))\b",
    re.IGNORECASE,
)
_SEASON = re.compile(r"\b(?:in|last|this|since) (?:the )?(?:spring|summer|autumn|fall|winter)\b", re.IGNORECASE)
_WEEKDAY = re.compile(rf"\b(?:on|last|this|past) ({'|'.join(_WEEKDAYS)})\b", re.IGNORECASE)
_NAMES_DAYS = re.compile(
    rf"\d|\b(?:{_MONTH}|{'|'.join(_WEEKDAYS)}|today|yesterday|last|this|past|previous|ago)\b", re.IGNORECASE
)
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
DAY_MS = 86_400_000


class Span(NamedTuple):
    """Days, the end not included."""

    start: date
    end: date


def offset_of(zone: str | None, now: Millis) -> Millis:
    """The offset of the zone ("Europe/Oslo") from UTC at `now`; 0 for None. Raises `ValueError` for an unknown zone.
    Times in the other half of the year are an hour off, which matters only at midnight."""
    if zone is None:
        return 0
    try:
        shift = datetime.fromtimestamp(now / 1000, ZoneInfo(zone)).utcoffset()
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        raise ValueError(f"{zone!r} is not a time zone") from error
    return int(shift.total_seconds() * 1000) if shift else 0


def asked_about(question: str, now: Millis) -> Span | None:
    """The days that `question` names. A day or month without a year is the latest one that began before `now`, a time
    in the asker's time zone."""
    return days_asked_about(question, datetime.fromtimestamp(now / 1000, UTC).date())


def without_times(text: str) -> str:
    """`text` without words for a time: the first two words of "Rex died on Sunday"."""
    for pattern in (
        _SEASON,
        _DAY_MONTH,
        _MONTH_DAY,
        _MONTH_YEAR,
        _MONTH_ALONE,
        _YEAR,
        _AGO,
        _PAST,
        _WEEKDAY,
        _RELATIVE,
    ):
        text = pattern.sub(" ", text)
    return lexicon.without_times(text)


@lru_cache(maxsize=256)  # two steps of a recall ask
def days_asked_about(question: str, today: date) -> Span | None:
    """Like `asked_about`, with the date `today`."""
    try:
        if _NAMES_DAYS.search(question):
            said = _in_digits(question)
            if span := _named(said, today) or _relative(said, today):
                return span
        time = asked_time(question)
        return _meant(time, today) if time else None
    except (ValueError, OverflowError):  # 31 February, 999 years ago
        return None


@lru_cache(maxsize=1)
def _number_words() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """English numbers before a unit or a month, and behind a month."""
    said = "|".join(sorted(english_numbers(), key=len, reverse=True)).replace(" ", "[ -]")
    before = rf"\b({said})(?= (?:day|week|month|year)s?\b| (?:of )?(?:{_MONTH})\b)"
    return re.compile(before, re.IGNORECASE), re.compile(rf"\b({_MONTH}) (?:the )?({said})\b", re.IGNORECASE)


def _in_digits(question: str) -> str:
    """With digits: "the twenty-third of June" is "the 23 of June". "May one ask?" names no day: behind that month
    only a number from 13 on is one."""
    numbers, (before, behind) = english_numbers(), _number_words()
    if numbers.keys().isdisjoint(WORD.findall(question.casefold())):
        return question  # most questions; the patterns take 60 µs

    def of(said: str) -> int:
        return numbers[said.casefold().replace("-", " ")]

    def behind_month(found: re.Match[str]) -> str:
        return found[0] if found[1].lower() == "may" and of(found[2]) < 13 else f"{found[1]} {of(found[2])}"

    return behind.sub(behind_month, before.sub(lambda found: str(of(found[1])), question))


def _named(question: str, today: date) -> Span | None:
    if found := _ISO.search(question):
        return _day(int(found[1]), int(found[2]), int(found[3]))
    if found := _DOTTED.search(question):
        return _day(int(found[3]), int(found[2]), int(found[1]))
    if found := _SLASHED.search(question):
        return _slashed(int(found[1]), int(found[2]), int(found[3]))
    if found := _DAY_MONTH.search(question):
        return _latest_day(_number(found[2]), int(found[1]), int(found[3]) if found[3] else None, today)
    if found := _MONTH_DAY.search(question):
        return _latest_day(_number(found[1]), int(found[2]), int(found[3]) if found[3] else None, today)
    if found := _MONTH_YEAR.search(question):
        return _month(int(found[2]), _number(found[1]))
    if found := _MONTH_ALONE.search(question):
        month = _number(found[2])
        return _month(today.year - (month > today.month), month)
    if found := _YEAR.search(question):
        return Span(date(int(found[1]), 1, 1), date(int(found[1]) + 1, 1, 1))
    return None


def _slashed(one: int, two: int, year: int) -> Span:
    """Day/month, or, where that cannot be, month/day."""
    return _day(year, two, one) if two <= 12 else _day(year, one, two)


def _relative(question: str, today: date) -> Span | None:
    if found := _AGO.search(question):
        return _ago(_count(found[1]), found[2].lower(), today)
    if found := _PAST.search(question):
        return Span(today - timedelta(days=_count(found[1]) * _DAYS[found[2].lower()]), today + timedelta(days=1))
    if found := _WEEKDAY.search(question):
        return _weekday(_WEEKDAYS.index(found[1].lower()), today)
    if not (found := _RELATIVE.search(question)):
        return None
    word = found[1].lower()
    back = {"the day before yesterday": 2, "yesterday": 1, "last night": 1}.get(word, 0)
    if back or word == "today" or word.endswith(("morning", "afternoon", "evening")):
        return _days(today - timedelta(days=back), 2 if word == "last night" else 1)
    unit = "week" if "week" in word else word.split()[-1]
    return _calendar(unit, int(word.startswith("last")), today)


def _meant(time: Time, today: date) -> Span | None:
    if time.unit == "last":
        return None
    if time.unit == "name":
        return _weekday(-time.amount - 1, today) if time.amount < 0 else _in_month(time.amount, time.near, today)
    if time.unit == "feast":
        return Span(*feast(FEASTS[abs(time.amount) - 1], today, before=time.amount < 0))
    if time.exact:
        return _ago(time.amount, time.unit, today)
    back = max(time.amount, 0)
    return _days(today - timedelta(days=back), 1) if time.unit == "day" else _calendar(time.unit, back, today)


def _in_month(month: int, near: Sequence[int], today: date) -> Span:
    """The month; with a day or a year among the numbers `near` it, that day or the month of that year."""
    year = next((each for each in near if each > 1900), None)
    if day := next((each for each in near if 0 < each <= 31), None):
        return _latest_day(month, day, year, today)
    return _month(year or today.year - (month > today.month), month)


def _weekday(day: int, today: date) -> Span:
    """The last one, Monday being 0."""
    return _days(today - timedelta(days=(today.weekday() - day) % 7 or 7), 1)


def _calendar(unit: str, back: int, today: date) -> Span:
    """This week, month or year, or that many before it. On a Sunday, people mean by last week also Tuesday."""
    monday = today - timedelta(days=today.weekday() + 7 * back)
    if unit == "week":
        return Span(monday, max(monday + timedelta(days=7), today - timedelta(days=4) if back == 1 else date.min))
    if unit == "year":
        return Span(date(today.year - back, 1, 1), date(today.year - back + 1, 1, 1))
    months = today.year * 12 + today.month - 1 - back
    span = _month(months // 12, months % 12 + 1)
    return Span(span.start, max(span.end, today - timedelta(days=20))) if back == 1 else span


def _ago(count: int, unit: str, today: date) -> Span:
    """A day ago is a day; a week, a month or a year ago people mean about then."""
    day = today - timedelta(days=count * _DAYS[unit])
    around = {"day": 0, "week": 3, "month": 10, "year": 60}[unit]
    return _days(day - timedelta(days=around), 2 * around + 1)


def _count(number: str) -> int:
    return int(number) if number.isdecimal() else _NUMBERS[number.lower()]


def _number(month: str) -> int:
    return MONTHS.index(month.lower()) + 1


def _days(start: date, count: int) -> Span:
    return Span(start, start + timedelta(days=count))


def _day(year: int, month: int, day: int) -> Span:
    return _days(date(year, month, day), 1)


def _latest_day(month: int, day: int, year: int | None, today: date) -> Span:
    span = _day(year or today.year, month, day)
    return span if year or span.start <= today else _day(today.year - 1, month, day)


def _month(year: int, month: int) -> Span:
    return Span(date(year, month, 1), date(year + month // 12, month % 12 + 1, 1))
