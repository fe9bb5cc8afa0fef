"""Decodes text that a model may read but a pattern does not match: hidden characters, look-alike letters, spaced-out
words, digits for letters, base64. Pure."""

import re
from base64 import b64decode
from collections.abc import Iterator

from rememberd.memory.safety.visible_text import shown

_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007f]+")  # flags of England, Scotland and Wales contain tags
_TAGS = re.compile("[\U000e0020-\U000e007e]+")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,}")
_TURNED = re.compile("\u202e([^\u202c\n]*)")
# The same separator throughout: "i g n o r e", "i-g-n-o-r-e".
_SPACED = re.compile(r"\b\w([ .*_-])\w(?:\1\w)+\b")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_HEX = re.compile(r"\b(?:[0-9a-fA-F]{2}){12,}\b")
_FOREIGN = re.compile("[\u0370-\u052f]")
_LEET = re.compile(r"\b(?=\w*\d)(?=\w*[a-z])\w{3,}\b", re.IGNORECASE)
# Cyrillic and Greek letters that look like Latin ones.
_LOOK = str.maketrans("авеікмнорстухѕјԁԛԝАВЕІКМНОРСТУХЅЈαειοκνρτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "abeikmhopctyxsjdqwABEIKMHOPCTYXSJaeioknptuxABEZHIKMNOPTYX")  # fmt: skip  # noqa: E501
_DIGITS = str.maketrans("0134578", "oleastb")
_DIGITS_I = str.maketrans("0134578", "oieastb")


def hidden_text(text: str) -> str:
    """The text in tag characters and runs of variation selectors, which people do not see but models read."""
    spelled = [_spelled_by_tags(found[0]) for found in _TAGS.finditer(_FLAG.sub("", text))]
    spelled += [_spelled_by_selectors(found[0]) for found in _SELECTORS.finditer(text)]
    return " ".join(spelled)


def decoded_variants(text: str) -> str:
    """The text without its hidden characters, then each other way to read it."""
    seen = shown(text)
    return "\n".join([seen, *_others(text, seen)])


def _others(text: str, seen: str) -> Iterator[str]:
    if hidden := hidden_text(text):
        yield hidden
    for turned in _TURNED.findall(text):
        yield turned[::-1]
    if _SPACED.search(seen):
        yield _SPACED.sub(lambda found: found[0].replace(found[1], ""), seen)
    if _FOREIGN.search(seen):
        yield seen.translate(_LOOK)
    if _LEET.search(seen):
        yield _LEET.sub(lambda found: found[0].translate(_DIGITS), seen)
        yield _LEET.sub(lambda found: found[0].translate(_DIGITS_I), seen)
    for hexadecimal in _HEX.findall(seen):
        yield bytes.fromhex(hexadecimal).decode("ascii", "replace")
    for packed in _BASE64.findall(seen):
        yield _unpacked(packed)


def _spelled_by_tags(tags: str) -> str:
    return "".join(chr(ord(c) - 0xE0000) for c in tags)


def _spelled_by_selectors(selectors: str) -> str:
    places = (ord(c) - 0xFE00 if ord(c) < 0x10000 else ord(c) - 0xE0100 + 16 for c in selectors)
    return bytes(places).decode("utf-8", "replace")


def _unpacked(packed: str) -> str:
    whole = packed[: len(packed) // 4 * 4]
    unpacked = b64decode(whole)
    return unpacked.decode() if unpacked.isascii() else ""
