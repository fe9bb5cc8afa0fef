"""National identity numbers, and the kinds of personal data that an operator may ask to keep out as well.

A number that has only a check digit or two is one in ten or a hundred of all numbers: it counts as an identity only
beside its name ("my BSN is …"). What has letters in fixed places, or a layout of its own, is known without. The check
digits are python-stdnum's.
"""
# ruff: noqa: E501  a row of the table stays on its line

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stdnum import verhoeff
from stdnum.au import tfn
from stdnum.be import nn
from stdnum.br import cpf
from stdnum.ca import sin
from stdnum.ch import ssn as ahv
from stdnum.cn import ric
from stdnum.cz import rc
from stdnum.de import idnr
from stdnum.es import dni, nie
from stdnum.fi import hetu
from stdnum.fr import nir
from stdnum.gb import nhs
from stdnum.ie import pps
from stdnum.it import codicefiscale
from stdnum.mx import curp
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.pl import pesel
from stdnum.pt import nif
from stdnum.se import personnummer
from stdnum.tr import tckimlik
from stdnum.us import ssn
from stdnum.za import idnr as za_id

from rememberd.memory.safety.secret_patterns import Shape, shape


def _is(scheme: Any) -> Callable[[str], bool]:
    """Valid by this module of python-stdnum, whose functions are alike but have no types."""
    return lambda number: bool(scheme.is_valid(number))


def _named(words: str, number: str, check: Callable[[str], bool] | None) -> Shape:
    """A number soon after its name: "my BSN is …", "BSN: …"."""
    found = shape(
        "national id",
        rf"(?i:(?<!\w)(?:{words}))[^\d\n]{{0,25}}?(?<![A-Za-z0-9])(?P<secret>{number})(?![A-Za-z0-9])",
        check,
    )
    return found._replace(named=True)


def _plain(number: str, check: Callable[[str], bool] | None) -> Shape:
    return shape("national id", rf"(?<![\w.-])(?P<secret>{number})(?![\w-]|\.\d)", check)


# fmt: off
NATIONAL_IDS: tuple[Shape, ...] = (
    _plain(r"\d{3}-\d{2}-\d{4}", _is(ssn)),  # United States
    _named(r"ssn|social security", r"\d{3}[ -]?\d{2}[ -]?\d{4}", _is(ssn)),
    # HMRC's rules for the two letters of a British National Insurance number; it has no check digit
    _plain(r"(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]", None),
    _named(r"nhs", r"\d{3}[ -]?\d{3}[ -]?\d{4}", _is(nhs)),
    _plain(r"[12] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", _is(nir)),  # France
    _named(r"steuer-?id\w{0,25}|idnr|tin", r"\d{2} ?\d{3} ?\d{3} ?\d{3}", _is(idnr)),
    _named(r"sozialversicherungs\w{0,10}|rentenversicherungs\w{0,10}", r"\d{2} ?\d{6} ?[A-Z] ?\d{3}|\d{2} ?\d{6} ?[A-Z]\d{3}", None),
    _plain(r"\d{8}[ -]?[A-HJ-NP-TV-Z]", _is(dni)),  # Spain
    _plain(r"[XYZ][ -]?\d{7}[ -]?[A-Z]", _is(nie)),
    _plain(r"[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]", _is(codicefiscale)),  # Italy
    _named(r"nif|contribuinte", r"\d{3} ?\d{3} ?\d{3}", _is(nif)),  # Portugal
    _named(r"bsn|burgerservicenummer|sofinummer", r"\d{4}[ .]?\d{2}[ .]?\d{3}|\d{9}", _is(bsn)),
    _plain(r"\d{2}\.\d{2}\.\d{2}-\d{3}[. ]\d{2}", _is(nn)),  # Belgium
    _plain(r"756\.\d{4}\.\d{4}\.\d{2}", _is(ahv)),  # Switzerland
    _named(r"pesel", r"\d{11}", _is(pesel)),
    _named(r"person\w{0,3}nummer|personnr", r"(?:\d{2})?\d{6}[ +-]?\d{4}", _is(personnummer)),
    _plain(r"\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]", _is(hetu)),  # Finland
    _named(r"fødselsn\w{0,6}|personn\w{0,6}", r"\d{6} ?\d{5}", _is(fodselsnummer)),
    _named(r"cpr\w{0,10}", r"\d{6}[ -]?\d{4}", None),  # Denmark gave up its check digit in 2007
    _named(r"rodn[eé]\s{0,2}č[ií]slo|rč", r"\d{6}/?\d{3,4}", _is(rc)),
    _named(r"pps\w{0,3}", r"\d{7}[A-W][A-IW]?", _is(pps)),
    _named(r"kimlik|tckn|t\.?c\.?", r"\d{11}", _is(tckimlik)),
    _plain(r"\d{3}\.\d{3}\.\d{3}-\d{2}", _is(cpf)),  # Brazil
    _named(r"cpf", r"\d{11}", _is(cpf)),
    _plain(r"[A-Z]{4}\d{6}[HMX][A-Z]{5}[A-Z0-9]\d", _is(curp)),  # Mexico
    _named(r"\bsin\b|social insurance", r"\d{3}[ -]?\d{3}[ -]?\d{3}", _is(sin)),
    _named(r"tfn|tax file", r"\d{3} ?\d{3} ?\d{2,3}", _is(tfn)),
    _named(r"a{1,2}dha{1,2}r", r"\d{4}[ -]?\d{4}[ -]?\d{4}", lambda number: bool(verhoeff.is_valid("".join(filter(str.isdigit, number))))),
    shape("national id", r"(?<![A-Za-z0-9])(?P<secret>\d{17}[\dXx])(?![A-Za-z0-9])", _is(ric)),  # China
    # Registration numbers of Korea have had no check digit since 2020: date of birth and a layout of their own
    shape("national id", r"(?<![\d-])(?P<secret>\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])-\d{7})(?![\d-])", None),
    _named(r"south african id|\bid number", r"\d{13}", _is(za_id)),
)

PERSONAL: Mapping[str, tuple[Shape, ...]] = {
    "mail": (shape("mail address", r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"),),
    "phone": (
        shape("phone number", r"(?<![\w+.-])\+\d{1,3}[ .-]?(?:\(\d{1,4}\)[ .-]?)?\d{1,4}(?:[ .-]?\d{2,4}){2,4}(?![\w-]|\.\d)"),
        shape("phone number", r"(?<![\w.,-])0[1-9](?:[ .]\d{2}){4}(?![\w-]|[.,]\d)"),
        shape("phone number", r"(?<![\w.-])(?:\(\d{3}\) ?|\d{3}[.-])\d{3}[.-]\d{4}(?![\w-]|\.\d)"),
        shape("phone number", r"(?i:\b(?:phone|mobile|cell|call me|reach me|whatsapp|tel|fax|handy|telefon\w{0,6}|mobil\w{0,8}|t[ée]l[ée]phone|tel[ée]fono|celular|rufnummer|nummer)\b[^\d\n+]{0,20}?)(?P<secret>0\d(?:[ ./-]?\d{1,5}){2,6}|\d{3}(?:[ .-]?\d{2,4}){1,4})(?![\w-]|\.\d)"),
    ),
    "address": (
        shape("address", r"\b\d{1,5}[A-Za-z]?,? (?:[A-Z][\w.'-]{1,20} ){1,4}(?i:street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|square|sq|terrace|place|pl|way|parkway|pkwy)\b\.?(?:,? (?:apt|unit|flat|suite|#)\.? ?\w{1,6})?"),
        shape("address", r"\b(?:[A-ZÄÖÜ][a-zäöüß.]{1,20} ){0,2}[A-ZÄÖÜÅØÆ]?[a-zäöüßåøæ-]{0,25}(?i:straße|strasse|str\.|weg|allee|gasse|platz|gate|gata|gatan|vei|veien|vägen|vej|straat|laan|plein) ?\d{1,4} ?[a-zA-Z]?\b"),
        shape("address", r"\b\d{1,4}(?: ?(?:bis|ter))?,? (?i:rue|avenue|boulevard|place|chemin|allée|impasse|quai) [\w'’-]{1,20}(?: [\w'’-]{1,20}){0,5}"),
        shape("address", r"\b(?i:calle|avenida|via|viale|piazza|corso|rua|plaza|paseo|ul\.|ulica) (?:[\w'’.-]{1,20},? ){1,6}(?:n[ºo.]{0,2} ?)?\d{1,4}\b"),
        shape("address", r"[\u4e00-\u9fff]{2,12}(?:路|街|道|巷)\d{1,5}(?:号|號)"),
    ),
}
# fmt: on
