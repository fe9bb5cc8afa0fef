"""Verifies a model's answer.

The model is not trusted. A fact is accepted only with a span of the person's own words, its words and numbers must
come from their message, and a fact that reads like an order to an assistant is dropped. Pure, except for counters.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson
from prometheus_client import Counter

from rememberd.errors import RememberdError
from rememberd.memory.learn.llm.prefilter import GAP, is_instruction, material_from
from rememberd.memory.text_similarity import content
from rememberd.types import Fact, Millis, Turn

MAX_FACTS = 12  # of one turn, as for the rules
MAX_TEXT, MAX_EVIDENCE = 300, 600  # characters
SLOTS = (
    *(
        "name",
        "surname",
        "pronouns",
        "age",
        "birthday",
        "birthplace",
        "origin",
        "language",
        "home",
        "address",
        "phone",
    ),
    *("email", "employer", "job", "school", "relationship", "partner", "diet"),
)  # the single-valued attributes that the rules fill too

REFUSED = Counter("rememberd_facts_refused", "Facts of a model that were not believed.", ["reason"])

_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)  # open models put them before the answer
_FENCE = re.compile(r"```(?:json)?\s*([{\[].*[}\]])\s*```", re.DOTALL)
_DECODER = json.JSONDecoder()
_ATTEMPTS = 20  # places in an answer at which JSON may begin
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u2e80-\ud7a3]")


class BadAnswer(RememberdError):
    """The model's answer cannot be used. `tokens` is what it cost."""

    def __init__(self, message: str, tokens: int = 0) -> None:
        super().__init__(message)
        self.tokens = tokens


def parse(answer: str) -> list[dict[str, Any]]:
    """The facts of an answer that have the requested shape. Raises `BadAnswer` if the answer has no such list."""
    items = statements(answer, "facts")
    shaped = [item for item in items if _has_shape(item)]
    REFUSED.labels("malformed").inc(len(items) - len(shaped))
    if items and not shaped:
        raise BadAnswer("no fact of the answer has the asked shape")
    return shaped


def statements(answer: str, key: str) -> list[Any]:
    """The list that the answer, a JSON object, has under `key`. Raises `BadAnswer`."""
    answer = _THOUGHTS.sub("", answer)
    for data in _objects(answer):
        if isinstance(items := data.get(key), list):
            return items
    if not answer.strip():
        raise BadAnswer("the answer is empty")
    raise BadAnswer(f'the answer is no JSON with a list of "{key}"')


def _objects(answer: str) -> Iterator[dict[str, Any]]:
    """The JSON in a text: the whole text, the content of a fence, or a part between words."""
    fenced = _FENCE.search(answer)
    for text in (answer, fenced[1] if fenced else ""):
        try:
            data = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        if isinstance(data, dict):
            yield data
        elif isinstance(data, list) and data:
            yield {"facts": data}
    for begins in islice(re.finditer(r"\{", answer), _ATTEMPTS):
        try:
            _, end = _DECODER.raw_decode(answer, begins.start())
            yield orjson.loads(answer[begins.start() : end])
        except (ValueError, RecursionError):
            continue


def verified_facts(items: Sequence[Mapping[str, Any]], turns: Sequence[Turn]) -> dict[str, list[Fact]]:
    """The facts that the turns prove, by turn id."""
    facts: dict[str, list[Fact]] = {}
    for item in items:
        turn, evidence = _stands_in(item.get("evidence") or "", turns)
        if turn is None:  # words that stand in the message as they are prove themselves
            turn, evidence = _stands_in(item["text"], turns)
        reason = _doubt(item["text"], evidence, turn)
        kept = facts.setdefault(turn.id, []) if turn else []
        if turn and len(kept) < MAX_FACTS and not reason:
            kept.append(_fact(item, evidence, turn))
        else:
            REFUSED.labels(reason or "too_many").inc()
    return facts


def _stands_in(evidence: str, turns: Sequence[Turn]) -> tuple[Turn | None, str]:
    """The newest turn that has this span in the person's own words, and the span without what models add to it."""
    for span in (evidence.strip(), evidence.strip(" \t\n.!?…\"'“”«»")):
        for turn in reversed(turns):
            if span and GAP not in span and _whole(span).search(turn.user_text, 0, material_from(turn.user_text)):
                return turn, span
    return None, ""


def _whole(span: str) -> re.Pattern[str]:
    """The span as it stands, but not out of the middle of a word."""
    return re.compile(rf"(?<![a-zA-Z0-9]){re.escape(span)}(?![a-zA-Z0-9])")


def _doubt(text: str, evidence: str, turn: Turn | None) -> str | None:
    """Why this is not believed; None if it is."""
    if turn is None:
        return "unproven"
    if len(text) > MAX_TEXT or len(evidence) > MAX_EVIDENCE:
        return "too_long"
    if "[redacted" in text + evidence:
        return "secret"
    if is_instruction(text, evidence):
        return "instruction"
    if not _says_no_more(text, evidence, turn.user_text):
        return "invented"
    return None


def _says_no_more(text: str, evidence: str, message: str) -> bool:
    """Whether at least one word of a fact is in its evidence, and a third of its words and every number in the
    message. This also refuses a translation: a fact is in the person's own language."""
    said, stems = _stems(message), _stems(text)
    numbers = set(re.findall(r"\d+", text)) <= set(re.findall(r"\d+", message))
    return numbers and bool(stems & _stems(evidence)) and 3 * len(stems & said) >= len(stems)


def _stems(text: str) -> set[str]:
    """The first five letters of the words that carry meaning; each character of a script without spaces."""
    return {word[:5] for word in content(_UNSPACED.sub(r" \g<0> ", text))}


def _fact(item: Mapping[str, Any], evidence: str, turn: Turn) -> Fact:
    day = _day(item.get("valid_from"), turn.created_at)
    slot = item.get("slot")
    return Fact(" ".join(item["text"].split()), evidence, slot if slot in SLOTS else None, day)


def _day(value: str | None, said_at: Millis) -> Millis | None:
    """Midnight UTC of a day between 1900 and that of the message; None for any other text."""
    try:
        at = datetime.strptime(value or "", "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(at.timestamp() * 1000) if at.year >= 1900 and at.timestamp() * 1000 <= said_at else None


def _has_shape(item: Any) -> bool:
    return (
        isinstance(item, dict)
        and isinstance(item.get("text"), str)
        and item["text"].strip() != ""
        and all(isinstance(item.get(key), str | None) for key in ("evidence", "slot", "valid_from"))
    )
