"""Removes secrets from a text before it is stored. Deterministic, idempotent, linear in the text."""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from rememberd.memory.safety.secret_patterns import GROUPED, NATIONAL_IDS, PERSONAL, SECRETS, Shape
from rememberd.memory.safety.visible_text import View, oddly_separated, shown, view

_ALWAYS = (*SECRETS, *NATIONAL_IDS)
_GROUPED = (*GROUPED, *(shape for shape in SECRETS if shape.kind in ("card number", "IBAN")))
_DIGIT = re.compile("[0-9]")  # the only ones in a view
_NAMED = tuple(shape for shape in NATIONAL_IDS if shape.named)


class Redacted(NamedTuple):
    """`counts`: how many of each kind were replaced, e.g. {"OpenAI key": 1}."""

    text: str
    counts: dict[str, int]


def redact(text: str, personal: Collection[str] = ()) -> Redacted:
    """Each secret becomes "[redacted: KIND]"; redacting the result again changes nothing.

    `personal` names the keys of `PERSONAL` to redact as well. Secrets are searched for in the text as people see it,
    numbers also with other characters between their groups; all other text is unchanged."""
    counts: dict[str, int] = {}
    text = _without(view(text), text, (*_ALWAYS, *(each for name in personal for each in PERSONAL[name])), counts)
    if oddly_separated(shown(text)):
        text = _without(view(text).with_hyphens(), text, _GROUPED, counts)
        text = _without(view(text).joined(), text, _NAMED, counts)
    return Redacted(text, counts)


def _without(seen: View, text: str, shapes: Iterable[Shape], counts: dict[str, int]) -> str:
    """`text` without the secrets that the shapes find in `seen`, its view."""
    gone: list[tuple[int, int, str]] = []
    digits = len(_DIGIT.findall(seen.text))
    unbroken = max(map(len, seen.text.split()), default=0)
    for shape in shapes:
        if shape.digits > digits or shape.unbroken > unbroken or not shape.pattern.search(seen.text):
            continue
        if spans := list(_secrets(shape, seen.text)):
            counts[shape.kind] = counts.get(shape.kind, 0) + len(spans)
            gone += [(seen.starts[begin], seen.ends[end - 1], shape.kind) for begin, end in spans]
            seen = seen.replaced(spans, f"[redacted: {shape.kind}]")
    parts: list[str] = []
    at = 0
    for begin, end, kind in sorted(gone):
        parts += (text[at:begin], f"[redacted: {kind}]")
        at = max(at, end)
    return "".join((*parts, text[at:]))


def _secrets(shape: Shape, text: str) -> Iterator[tuple[int, int]]:
    for found in shape.pattern.finditer(text):
        group = "secret" if found.groupdict().get("secret") else 0
        secret = found[group]
        if "[redacted" not in secret and (shape.check is None or shape.check(secret)):
            yield found.span(group)
