"""Secrets out of a text before it is kept. Deterministic, idempotent, linear in the text."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import partial
from typing import NamedTuple

from rememberd.memory.safety.pii_patterns import NATIONAL_IDS, PERSONAL
from rememberd.memory.safety.secret_patterns import SECRETS, Shape

_ALWAYS = (*SECRETS, *NATIONAL_IDS)


class Redacted(NamedTuple):
    """`counts`: how many of each kind were replaced, e.g. {"OpenAI key": 1}."""

    text: str
    counts: dict[str, int]


def redact(text: str, personal: Collection[str] = ()) -> Redacted:
    """Each secret becomes "[redacted: KIND]"; redacting the result again changes nothing.

    `personal` names the keys of `PERSONAL` that go as well."""
    counts: dict[str, int] = {}
    for shape in (*_ALWAYS, *(each for name in personal for each in PERSONAL[name])):
        text = shape.pattern.sub(partial(_replaced, shape=shape, counts=counts), text)
    return Redacted(text, counts)


def _replaced(found: re.Match[str], *, shape: Shape, counts: dict[str, int]) -> str:
    group = "secret" if found.groupdict().get("secret") else 0
    secret = found[group]
    if "[redacted" in secret or (shape.check and not shape.check(secret)):
        return found[0]
    counts[shape.kind] = counts.get(shape.kind, 0) + 1
    start, end = found.start(group) - found.start(), found.end(group) - found.start()
    return f"{found[0][:start]}[redacted: {shape.kind}]{found[0][end:]}"
