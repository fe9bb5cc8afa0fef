"""Recognises the calls that a client makes for itself: titles, tags, follow-ups, summaries, subagents and the like.

Such a call gets no memories and is not stored. A header identifies it, or structure and wording together: a
classifier compares the system text and the newest message with orders to a machine, and weights are added for the
form of the request (tools, length and format of the answer, an included conversation). If a person's message is taken
for such a call, a memory is lost; if a call is missed, something is learned that nobody said. In doubt the exchange
is stored and no fact is made of it.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from rememberd.dialects.attribution_words import SUBJECT
from rememberd.dialects.client_text import is_client_generated, is_client_order, user_typed_text
from rememberd.dialects.segments import segment
from rememberd.dialects.user_message import is_from_agent
from rememberd.text_classifier import TextClassifier, packaged

WEIGHTS = Path(__file__).with_name("side_tasks.json")

_HEAD = 4_000  # characters of a prompt that are checked
_BEGIN, _TAIL = 150, 80  # characters that the classifier reads: it was trained on short texts
_OWN = 600  # characters of typed text in which "I" is searched
_RECENT = 100  # messages in which an answer is searched
_USER_TURNS = {"", "turn", "user", "user_turn"}
_SUBAGENT_HEADER = re.compile(r"x-.*(?:subagent.*|agent-id|parent-(?:session|thread|agent|conversation)-id)")
_IS_SUBAGENT = re.compile(r"is_subagent=(?:true|1)\b")
# An included conversation: its speakers, its element, its list of messages or its heading.
_DIALOGUE = re.compile(
    r"^\W{0,4}(?:user|human|assistant|ai|bot|person|nutzer|assistent|utilisateur|usuario|asistente|utente|assistente"
    r"|usuário|пользователь|ассистент|用户|助手|ユーザー)\b\W{0,4}[:：\]]"
    r"|</?(?:chat\w*|conversation|messages?|dialogue|transcript|history|exchange|session|thread)\b"
    r"|\"(?:role|turns|messages)\"|^[^\w\n]{0,9}(?:chat|conversation|history|transcript|messages|session)\b[^\n]{0,20}:?$",
    re.IGNORECASE | re.MULTILINE,
)

# The model is asked to continue here: after "Output:", an opening tag or a quotation mark.
_OPEN_END = re.compile(r"(?:\w ?[:：=]|\"\"\"|```|<[\w ]+>|->)\s*\Z")
# Material with a label, for the orders in the system text: "Question: …", "TEXT: …".
_LABELLED = re.compile(r"\W{0,4}(?:\d\W{1,3})?\w[\w ]{1,30}[:：]", re.MULTILINE)

# Weights for a request's form, in the classifier's log odds. Set by hand on the labelled requests in tests/data: at
# most 1 in 100 requests of persons may be taken for a program's.
ENOUGH, DOUBTFUL = 0.9, 0.0
_BRINGS_DIALOGUE = 1.0
_IS_MATERIAL = 1.0
_SPEAKS_OF_SELF = -1.0
_WANTS_JSON = 0.5
_SHORT_ANSWER = ((32, 1.0), (64, 0.5), (256, 0.3))  # (most tokens, weight)
_TO_BE_COMPLETED = 0.5
# A system text is weaker evidence in a running conversation, with tools, or if it is long: agents have these. A very
# short one is weak evidence, too ("Return JSON only.").
_UNDER_WAY, _HAS_TOOLS, _TERSE = -4.0, -3.0, -1.5
_LONG_SYSTEM = ((800, -3.0), (300, -1.5))  # (longer than this number of characters, weight)
_FEW_WORDS = 3
# A long message without a conversation is mostly a document that a person pasted.
_LONG_MESSAGE = ((600, -2.0), (300, -1.0))  # (longer than this number of characters, weight)
# "Suggest a dinner for tonight." A program's order has more words, in any script, or a text follows it. A label and
# one long word, "mail: SG.x8…", are not an order.
_BRIEF, _TWO_WORDS, _IS_BRIEF = 60, 2, -3.5  # bytes of UTF-8; words of ASCII; weight


class Pattern(Protocol):
    def match(self, text: str) -> object | None:
        """Truthy if the pattern matches at the beginning of `text`."""


def program_odds(headers: Mapping[str, str], body: Mapping[str, Any], patterns: Sequence[Pattern] = ()) -> float:
    """The log odds that a program and not a person sent this; infinite if the request says so. From `ENOUGH` on it is
    a side task, from `DOUBTFUL` on it is unsure. `headers` have lower-case names; `body` is of any dialect;
    `patterns` are the operator's own, matched at the beginning of the newest user message and of the system text."""
    items = body.get("messages", body.get("input"))
    said, told = _newest_user(items), list(_system(body))
    if _by_header(headers) or is_client_order(said) or (isinstance(items, list) and items and is_from_agent(items)):
        return math.inf
    if any(pattern.match(text[:_HEAD]) for pattern in patterns for text in (said, *told)):
        return math.inf
    if any(_IS_SUBAGENT.search(text[:_HEAD]) for text in told):
        return math.inf
    form = _form(body)
    return form + max(_of_system(told, said, body, DOUBTFUL - form), _of_message(said))


def _of_system(told: Sequence[str], said: str, body: Mapping[str, Any], least: float) -> float:
    """Below `least` nobody asks how far."""
    if not told:
        return -math.inf
    odds = max(_odds(_ends(text)) for text in told)
    length = sum(map(len, told))
    odds += _of_length(length, _LONG_SYSTEM)
    odds += _TERSE if len(" ".join(told).split()) <= _FEW_WORDS else 0
    odds += _HAS_TOOLS if body.get("tools") else 0
    items = body.get("messages", body.get("input"))
    answered = isinstance(items, list) and any(_role(item) == "assistant" for item in items[-_RECENT:])
    odds += _UNDER_WAY if answered else 0
    if odds + _IS_MATERIAL < least:
        return odds
    return odds + (_IS_MATERIAL if _is_material(said[:_HEAD]) else 0)


def _is_material(said: str) -> bool:
    """True if a person typed nothing in the message: it is a conversation or a labelled text."""
    return bool(_DIALOGUE.search(said) or _LABELLED.match(said)) or not segment(said).typed


def _of_length(length: int, weights: Sequence[tuple[int, float]]) -> float:
    return next((weight for least, weight in weights if length > least), 0.0)


def _of_message(said: str) -> float:
    typed = user_typed_text(said)
    if not typed:
        return -math.inf
    brief = ":" not in typed and len(typed.encode(errors="replace")) < _BRIEF
    brief = brief or (typed.isascii() and len(typed.split(maxsplit=_TWO_WORDS)) <= _TWO_WORDS)
    odds = _odds(_ends(typed)) + (_IS_BRIEF if brief else 0)
    odds += _TO_BE_COMPLETED if _OPEN_END.search(typed[-_TAIL:]) else 0
    odds += _BRINGS_DIALOGUE if _DIALOGUE.search(typed[:_HEAD]) else _of_length(len(typed), _LONG_MESSAGE)
    if odds < DOUBTFUL + _SPEAKS_OF_SELF:  # whatever else holds
        return odds
    own = segment(typed[:_HEAD]).typed
    return odds + (_SPEAKS_OF_SELF if any(SUBJECT.search(each.text[:_OWN].lower()) for each in own) else 0)


def _form(body: Mapping[str, Any]) -> float:
    most = body.get("max_tokens") or body.get("max_completion_tokens") or body.get("max_output_tokens")
    output = body.get("output_config")
    form = output.get("format") if isinstance(output, dict) else body.get("response_format")
    weight = _WANTS_JSON if isinstance(form, dict) and str(form.get("type")).startswith("json") else 0.0
    weight += _TO_BE_COMPLETED if body.get("stop") else 0
    if isinstance(most, int) and most > 0:
        weight += next((value for limit, value in _SHORT_ANSWER if most <= limit), 0.0)
    return weight


def _ends(text: str) -> str:
    return text if len(text) <= _BEGIN + _TAIL else f"{text[:_BEGIN]}\n{text[-_TAIL:]}"


@lru_cache(maxsize=256)  # a client sends the same system text with each request
def _odds(text: str) -> float:
    """The log odds that a program and not a person wrote the text."""
    sure = _classifier().probabilities(text.replace("\n", "⏎"))
    return math.log(sure["program"] / sure["none"]) if text else -math.inf


def _classifier() -> TextClassifier:
    return packaged(WEIGHTS, {"none": 0.9, "program": 0.1})


def _role(item: Any) -> Any:
    return item.get("role") if isinstance(item, dict) else None


def _by_header(headers: Mapping[str, str]) -> bool:
    # With a {{TASK}} template in this header, a person's turn has it empty or not filled in.
    task = headers.get("x-task", "").strip()
    if task and "{{" not in task:
        return True
    if any(value and _SUBAGENT_HEADER.fullmatch(name) for name, value in headers.items()):
        return True
    return _codex_kind(headers) not in _USER_TURNS


def _codex_kind(headers: Mapping[str, str]) -> str:
    if "x-codex-turn-metadata" not in headers:
        return ""
    try:
        metadata = json.loads(headers["x-codex-turn-metadata"])
    except (ValueError, RecursionError):
        return ""
    return str(metadata.get("request_kind") or "") if isinstance(metadata, dict) else ""


def _newest_user(items: Any) -> str:
    """The text of the last message or input item if it is the user's, without the parts that the client wrote."""
    if isinstance(items, str):
        return items
    last = items[-1] if isinstance(items, list) and items else None
    content = last.get("content") if isinstance(last, dict) and last.get("role") == "user" else None
    if isinstance(content, str):
        return content
    parts = list(_parts(content))
    typed = [part for part in parts if not is_client_generated(part)]
    return "\n".join(parts if any(is_client_order(part) for part in parts) else typed)


def _system(body: Mapping[str, Any]) -> Iterator[str]:
    """The system texts of any dialect: the parts of `instructions`, `system`, or the first message with that role."""
    told = body.get("instructions") or body.get("system")
    items = body.get("messages", body.get("input"))
    first = items[0] if isinstance(items, list) and items else None
    is_system = isinstance(first, dict) and first.get("role") in ("system", "developer")
    content = told or (first.get("content") if first and is_system else None)
    yield from [content] if isinstance(content, str) else _parts(content)


def _parts(content: Any) -> Iterator[str]:
    for part in content if isinstance(content, list) else []:
        text = part.get("text") if isinstance(part, dict) else None
        if isinstance(text, str):
            yield text
