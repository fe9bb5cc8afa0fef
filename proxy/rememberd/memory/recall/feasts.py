"""The days of seasons and feasts (pure). Words for them are in `data/feasts.toml`.

Seasons are those of the northern hemisphere, because the user's hemisphere is unknown."""

from collections.abc import Callable
from datetime import date, timedelta

# The average days from one new moon to the next, and the Unix time of a new moon. A feast by the moon may therefore
# be a day off, so the days around it are included.
_MOON, _NEW_MOON = 29.530589, 947_182_440 / 86_400


def _fixed(month: int, day: int, days: int) -> Callable[[int], tuple[date, int]]:
    return lambda year: (date(year, month, day), days)


def _easter(year: int) -> date:
    """By Gauss, as corrected by Meeus."""
    century, in_century = divmod(year, 100)
    moon = (19 * (year % 19) + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (in_century // 4) - moon - in_century % 4) % 7
    late = (year % 19 + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)


def _orthodox_easter(year: int) -> date:
    """By Meeus, in the Julian calendar, which is 13 days behind until 2099."""
    moon = (19 * (year % 19) + 15) % 30
    month, day = divmod(moon + (2 * (year % 4) + 4 * (year % 7) - moon + 34) % 7 + 114, 31)
    return date(year, month, day + 1) + timedelta(days=13)


def _beside(easter: Callable[[int], date], first: int, days: int) -> Callable[[int], tuple[date, int]]:
    return lambda year: (easter(year) + timedelta(days=first), days)


def _thanksgiving(year: int) -> tuple[date, int]:
    """The fourth Thursday of November."""
    return date(year, 11, 22 + (3 - date(year, 11, 1).weekday()) % 7), 4


def _new_moon(month: int, day: int, first: int, days: int) -> Callable[[int], tuple[date, int]]:
    """From `first` days after the first new moon from that day on."""

    def of(year: int) -> tuple[date, int]:
        since = (date(year, month, day) - date(1970, 1, 1)).days - _NEW_MOON
        moons = -int(-since // _MOON)
        return date(1970, 1, 1) + timedelta(days=int(_NEW_MOON + moons * _MOON) + first), days

    return of


def _islamic(month: int, days: int) -> Callable[[int], tuple[date, int]]:
    """By the tabular calendar; by sight of the moon a month may begin a day earlier or later."""

    def of(year: int) -> tuple[date, int]:
        islamic = int((year - 622) * 33 / 32)
        starts = (_islamic_month(each, month) for each in range(islamic - 1, islamic + 3))
        return min((each for each in starts if each.year == year), default=date(year, 1, 1)), days

    return of


def _islamic_month(year: int, month: int) -> date:
    days = 354 * (year - 1) + (3 + 11 * year) // 30 + -(-59 * (month - 1) // 2)
    return date(622, 7, 19) + timedelta(days=days - 1)


# When it begins in a year, and how many days people mean by it.
_FEASTS: dict[str, Callable[[int], tuple[date, int]]] = {
    "spring": _fixed(3, 1, 92),
    "summer": _fixed(6, 1, 92),
    "autumn": _fixed(9, 1, 91),
    "winter": _fixed(12, 1, 90),
    "christmas": _fixed(12, 22, 8),
    "orthodox_christmas": _fixed(1, 5, 5),
    "new_year": _fixed(12, 30, 4),
    "easter": _beside(_easter, -3, 5),
    "orthodox_easter": _beside(_orthodox_easter, -3, 5),
    "pentecost": _beside(_easter, 48, 3),
    "carnival": _beside(_easter, -52, 7),
    "halloween": _fixed(10, 30, 3),
    "valentine": _fixed(2, 13, 3),
    "thanksgiving": _thanksgiving,
    "lunar_new_year": _new_moon(1, 21, -2, 9),
    "diwali": _new_moon(10, 15, -3, 6),
    "ramadan": _islamic(9, 31),
    "eid": _islamic(10, 4),
}
FEASTS = tuple(_FEASTS)


def feast(name: str, today: date, *, before: bool) -> tuple[date, date]:
    """Its latest days that have begun, the end not included; with `before`, the last ones that are over."""
    for year in (today.year, today.year - 1, today.year - 2):
        start, days = _FEASTS[name](year)
        end = start + timedelta(days=days)
        if start <= today and not (before and today < end):
            return start, end
    return start, end
