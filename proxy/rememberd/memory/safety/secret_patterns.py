"""The shapes of `secrets.toml`, compiled: secrets, national identity numbers, and personal data that an operator may
ask to keep out as well.

One in ten or a hundred of all numbers has a valid check digit or two: such a number counts as an identity only beside
its name ("my BSN is …"). A number with letters at fixed places, or with a layout of its own, needs no name."""

import re
import tomllib
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.resources import files
from typing import Any, NamedTuple

from stdnum import iban, luhn
from stdnum import verhoeff as _verhoeff


class Shape(NamedTuple):
    """`pattern` finds the secret, in its group `secret` if only a part of the match is one. `check` decides whether a
    match is one. `named`: only beside the name of such a number, so its digits may be grouped in any way. Each match
    has at least `digits` digits, and a run of at least `unbroken` characters without white space: most texts have
    neither, and need not be searched."""

    kind: str
    pattern: re.Pattern[str]
    check: Callable[[str], bool] | None = None
    named: bool = False
    digits: int = 0
    unbroken: int = 0


def has_digit(text: str) -> bool:
    return any(map(str.isdigit, text))


def card(number: str) -> bool:
    """The check digit of payment cards (ISO/IEC 7812-1)."""
    digits = "".join(filter(str.isdigit, number))
    return 13 <= len(digits) <= 19 and len(set(digits)) > 1 and bool(luhn.is_valid(digits))


def account(number: str) -> bool:
    """The check digits of an IBAN (ISO 13616: modulo 97 is 1)."""
    return bool(iban.is_valid(number.replace("-", ""), check_country=False))


def verhoeff(number: str) -> bool:
    """The check digit of India's Aadhaar numbers, some of which python-stdnum's own module refuses."""
    return bool(_verhoeff.is_valid("".join(filter(str.isdigit, number))))


def secret_like(word: str) -> bool:
    """Whether the text after "my password is" is a secret: not a plain word of a sentence, unless it is in quotes."""
    bare = word.strip("\"'`“”‘’.,;:!")
    return word != word.strip("\"'`“”‘’") or bare.casefold() not in _PLAIN


def phrase_like(phrase: str) -> bool:
    """Whether the text after "my passphrase is" is one: several words, not the beginning of a remark about it."""
    words = phrase.split()
    if not words or words[0].casefold() in _REMARKS:
        return False
    return len(words) >= 4 or secret_like(words[0])


_TABLES: dict[str, Any] = tomllib.loads(files(__package__).joinpath("secrets.toml").read_text("utf-8"))
_PLAIN, _REMARKS = (frozenset(words.split()) for words in _TABLES["no_password"].values())
_DIGITS = {"card number": 13, "IBAN": 2, "national id": 6}  # by kind
_UNBROKEN = 15  # for all other secrets than these, which may be shorter or contain white space
_LOOSE = {
    "private key",
    "connection string password",
    "AWS secret",
    "Twilio key",
    "bearer token",
    "secret",
    "password",
}
_CHECKS = {each.__name__: each for each in (has_digit, card, account, verhoeff, secret_like, phrase_like)}
_PLACE = re.compile(r"(?<!\(\?)(?<!\(\?P)<([a-z]+)>")  # `<name>`, and no group or look-behind
_PARTS: dict[str, str] = {
    "iban": "|".join(
        rf"(?:{countries.replace(' ', '|')})\d{{2}}(?:[ -]?[A-Z0-9]){{{int(length) - 4}}}"
        for length, countries in _TABLES["iban_lengths"].items()
    )
}


def _filled(pattern: str) -> str:
    return _PLACE.sub(lambda name: f"(?:{_PARTS[name[1]]})", pattern)


def _shape(row: Mapping[str, Any]) -> Shape:
    find = row["find"] if isinstance(row["find"], str) else "|".join(row["find"])
    return Shape(row["kind"], re.compile(_filled(find)), _check(row.get("check")), digits=_DIGITS.get(row["kind"], 0))


def _check(name: str | None) -> Callable[[str], bool] | None:
    if name is None or name in _CHECKS:
        return _CHECKS[name] if name else None
    scheme = import_module(f"stdnum.{name}")  # its functions have no types
    return lambda number: bool(scheme.is_valid(number))


def _secret(row: Mapping[str, Any]) -> Shape:
    shape = _shape(row)
    return shape if shape.digits or shape.kind in _LOOSE else shape._replace(unbroken=_UNBROKEN)


def _national_id(row: Mapping[str, Any]) -> Shape:
    """A number alone or, with `names`, soon after its name: "my BSN is …", "BSN: …"."""
    find = row["find"]
    if names := row.get("names"):
        find = rf"(?i:(?<!\w)(?:{'|'.join(names)}))[^\d\n]{{0,25}}?(?<![A-Za-z0-9])(?P<secret>{find})(?![A-Za-z0-9])"
    elif "(?P<secret>" not in find:
        find = rf"(?<![\w.-])(?P<secret>{find})(?![\w-]|\.\d)"
    return _shape({**row, "kind": "national id", "find": find})._replace(named=bool(names))


for _name, _alternatives in _TABLES["parts"].items():
    _PARTS[_name] = _filled("|".join(_alternatives))
SECRETS = tuple(map(_secret, _TABLES["secret"]))
# Digit by digit or in pairs, where something stands between each two of them: see `View.with_hyphens`.
GROUPED = tuple(map(_shape, _TABLES["grouped"]))
NATIONAL_IDS = tuple(map(_national_id, _TABLES["national_id"]))
PERSONAL = {name: tuple(map(_shape, rows)) for name, rows in _TABLES["personal"].items()}
