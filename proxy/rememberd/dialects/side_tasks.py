"""Calls that a client makes for itself: titles, tags, follow-ups, summaries, another memory's extraction, subagents.

Such a call is neither given memories nor stored. A header says so, or structure and wording together: a classifier
tells an order to a machine from a person's words, in the system text and in the newest message, and weighs with the
form of the request (tools, length and format of the answer, a conversation that comes along). Taking a person's
message for such a call loses a memory; missing one learns what nobody said. Between the two is doubt: the exchange is
kept, and no fact is made of it.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from rememberd.dialects.client_text import is_client_generated, is_client_order, user_typed_text
from rememberd.dialects.handing_words import SUBJECT
from rememberd.dialects.segments import segment
from rememberd.dialects.user_message import is_from_agent
from rememberd.text_classifier import TextClassifier, packaged

WEIGHTS = Path(__file__).with_name("side_tasks.json")

_HEAD = 4_000  # characters of a prompt that are looked at
_BEGIN, _TAIL = 150, 80  # characters that the classifier reads: it has learned from short texts
_OWN = 600  # characters of what a person typed that are looked at for who speaks
_RECENT = 100  # messages among which an answer is looked for
_USER_TURNS = {"", "turn", "user", "user_turn"}
_SUBAGENT_HEADER = re.compile(r"x-.*(?:subagent.*|agent-id|parent-(?:session|thread|agent|conversation)-id)")
_IS_SUBAGENT = re.compile(r"is_subagent=(?:true|1)\b")
# A conversation that comes along: its speakers, its element, its list of messages, its heading.
_DIALOGUE = re.compile(
    r"^\W{0,4}(?:user|human|assistant|ai|bot|person|nutzer|assistent|utilisateur|usuario|asistente|utente|assistente"
    r"|usuário|пользователь|ассистент|用户|助手|ユーザー)\b\W{0,4}[:：\]]"
    r"|</?(?:chat\w*|conversation|messages?|dialogue|transcript|history|exchange|session|thread)\b"
    r"|\"(?:role|turns|messages)\"|^[^\w\n]{0,9}(?:chat|conversation|history|transcript|messages|session)\b[^\n]{0,20}:?$",
    re.IGNORECASE | re.MULTILINE,
)

# The model is to go on from here: after "Output:", an opening tag or a quotation mark.
_OPEN_END = re.compile(r"(?:\w ?[:：=]|\"\"\"|```|<[\w ]+>|->)\s*\Z")
# Material with a label: "Question: …", "TEXT: …". A system text with orders is applied to it.
_LABELLED = re.compile(r"\W{0,4}(?:\d\W{1,3})?\w[\w ]{1,30}[:：]", re.MULTILINE)

# Weights of a request's form, in units of the classifier's logarithmic odds. Set by hand on the labelled requests in
# tests/data: at most 1 in 100 of the persons' may be taken for a program's.
ENOUGH, DOUBTFUL = 0.9, 0.0
_BRINGS_DIALOGUE = 1.0
_IS_MATERIAL = 1.0
_SPEAKS_OF_SELF = -1.0
_WANTS_JSON = 0.5
_SHORT_ANSWER = ((32, 1.0), (64, 0.5), (256, 0.3))  # at most so many tokens
_TO_BE_COMPLETED = 0.5
# A system text says less in a conversation that is under way, beside tools, and if it is long: agents have those. A
# very short one says little, too ("Return JSON only.").
_UNDER_WAY, _HAS_TOOLS, _TERSE = -4.0, -3.0, -1.5
_LONG_SYSTEM = ((800, -3.0), (300, -1.5))  # more than so many characters
_FEW_WORDS = 3
# A long message without a conversation is mostly a document that a person pasted.
_LONG_MESSAGE = ((600, -2.0), (300, -1.0))  # more than so many characters
# "Suggest a dinner for tonight." What a program orders takes more words, in any script, or something follows it; a
# label and one long word, "mail: SG.x8…", order nothing.
_BRIEF, _TWO_WORDS, _IS_BRIEF = 60, 2, -3.5  # bytes of UTF-8; words of ASCII


class Pattern(Protocol):
    def match(self, text: str) -> object | None:
        """Truthy if the pattern matches at the beginning of `text`."""


def is_side_task(headers: Mapping[str, str], body: Mapping[str, Any], patterns: Sequence[Pattern] = ()) -> bool:
    """True if no person waits for this answer: see `program_odds`."""
    return program_odds(headers, body, patterns) >= ENOUGH


def program_odds(headers: Mapping[str, str], body: Mapping[str, Any], patterns: Sequence[Pattern] = ()) -> float:
    """The logarithm of how much likelier a program sent this than a person; infinite if something says so. From
    `ENOUGH` on it is a side task, from `DOUBTFUL` on nobody knows. `headers` have lower-case names; `body` is of any
    dialect; `patterns` are the operator's own, each looked for at the beginning of the newest user message and of the
    system text."""
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
    """Is there nothing in the message that a person typed, but a conversation or something with a label?"""
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
    """The logarithm of how much likelier a program wrote it than a person."""
    sure = _classifier().probabilities(text.replace("\n", "⏎"))
    return math.log(sure["program"] / sure["none"]) if text else -math.inf


def _classifier() -> TextClassifier:
    return packaged(WEIGHTS, {"none": 0.9, "program": 0.1})


def _role(item: Any) -> Any:
    return item.get("role") if isinstance(item, dict) else None


def _by_header(headers: Mapping[str, str]) -> bool:
    # An operator who templates {{TASK}} into this header sends it empty, or unfilled, with a person's turn.
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
    """The text of the last message or input item, if it is the user's, without parts that only the client wrote."""
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
    """The system texts of any dialect, each part by itself (Claude Code sends who it is before what it wants):
    `instructions`, `system`, or the first message of that role."""
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
