"""From a message to the clauses that may be statements of the person who wrote it.

What a person quotes, pastes, asks, imagines or plays is left out here, so that the patterns see plain
statements only.
"""

# ruff: noqa: E501  a pattern's alternatives stay together

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from rememberd.dialects.segments import segment
from rememberd.memory.learn.rules.non_statements import WORD_I, is_hypothetical, is_play

MAX_TEXT = 8_000  # characters; anything longer was pasted rather than typed
MAX_CLAUSE = 300
_DOCUMENT = 1_200  # characters from which a text counts as a document unless much of it speaks of its writer

_FIRST_PERSON = re.compile(rf"\b(?:{WORD_I})\b|j['’]|[我私яЯ]", re.IGNORECASE)


class Clause(NamedTuple):
    """`text` can stand alone; `evidence` is the span of the message it was taken from. `greeted`: it followed a
    greeting. `told`: the person asked to have it remembered. `before`: the statement before it in the sentence."""

    text: str
    evidence: str
    greeted: bool = False
    told: bool = False
    before: str = ""


def clauses(message: str) -> Iterator[Clause]:
    """The statements of a message, in order."""
    if len(message) > MAX_TEXT:
        return
    text = segment(message).masked()
    if is_play(text) or _is_document(text):
        return
    for sentence in _sentences(text):
        if not is_hypothetical(sentence):
            yield from _from_sentence(sentence)


# --- sentences

_BOUNDARY = re.compile(
    r"\.+(?<!\bSt\.)(?<!\bDr\.)(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bNo\.)(?<!\bvs\.)(?<!\be\.g\.)(?<!\bi\.e\.)"
    r"(?<!\b[ap]\.m\.)(?=\s|\Z)|[!?。！？…]+|\n+|;"
)
_INTERROGATIVE = r"what|which|how|where|when|why|who|whose|can|could|should|do|does|did|is|are|am|any|will|would|hva|hvor|hvordan|kan|was|wie|wo|kann|hast|habt|kannst|könntest|peux|pourrais|puedes|podrías|tienes|puoi|pode|que|qué|cómo|comment|quel\w*|vad|hur|wat|hoe|che|come|como"
_ASKS = re.compile(rf"\s*(?:{_INTERROGATIVE})\b", re.IGNORECASE)
_THEN_ASKS = re.compile(rf",\s+(?:so\s+|and\s+|but\s+)?(?=(?:{_INTERROGATIVE})\b)", re.IGNORECASE)
# "I'm on a keto diet, snacks under 200 kcal?"; but not "I'm Ada, right?"
_THEN_WANTS = re.compile(
    r"(?<=\w),\s+(?!(?:right|correct|or|no|yes|true|don|isn|aren|haven|huh|eh)\b)[^,?]{3,}[?？]$", re.IGNORECASE
)


def _is_document(text: str) -> bool:
    if len(text) < _DOCUMENT:
        return False
    sentences = [each for each in _sentences(text) if each.strip()]
    own = sum(1 for each in sentences if _FIRST_PERSON.search(each))
    return own < len(sentences) * 0.4


def _sentences(text: str) -> Iterator[str]:
    start = 0
    for boundary in _BOUNDARY.finditer(text):
        yield text[start : boundary.end()]
        start = boundary.end()
    yield text[start:]


def _from_sentence(sentence: str) -> Iterator[Clause]:
    statement = _stated(sentence)
    remembered = _REMEMBER.match(statement)
    if remembered and _FIRST_PERSON.search(remembered["what"]):
        what = remembered["what"].strip()
        yield Clause(what, what, told=True)
    elif statement and not _ASKS.match(statement):
        yield from _split(statement)


def _stated(sentence: str) -> str:
    """A sentence without its end mark; of a question what comes before it asks ("I'm vegan, what can I eat?")."""
    body = sentence.strip()
    if body.endswith(("?", "？")):
        asks = _THEN_ASKS.search(body) or _THEN_WANTS.search(body)
        body = body[: asks.start()] if asks else ""
    return body.strip(" \t.!。！…;,-–—*•")


_REMEMBER = re.compile(
    r"(?:(?:and|also|btw|ok|so|but)\W+)*(?:please\s+|pls\s+)?(?:always\s+)?"
    r"(?:(?:remember|note|keep\ in\ mind|bear\ in\ mind|don['’]?t\ forget|do\ not\ forget)"
    r"(?:\s+for\s+\w+)?(?:\s+that|\s*:|,)?|for\ (?:future\ reference|the\ record)\s*[,:])"
    r"\s+(?!when\b|how\b|what\b|to\b)(?P<what>.{3,280})",
    re.IGNORECASE,
)

# --- clauses

_CONTINUES = (
    r"live|work|own|have|love|hate|like|study|teach|speak|play|use|drive|prefer|enjoy|collect|volunteer|grew|moved"
    r"|wohne|lebe|arbeite|bin|habe|habite|travaille|suis|vivo|trabajo|tengo|soy|me|no me|mi|moro|tenho|trabalho|sou|lavoro|abito"
    r"|sono|ho|bor|jobber|jobbar|arbeider|arbejder|arbetar|er|är|woon|werk|ben"
)
_DESCRIBES = r"allergic|allergisch|allergique|allergisk|diabetic|vegan|vegetarian|married|retired|based|lactose"
_JOINT = re.compile(
    rf"(?:\s*[,:]\s*(?:(?:and|but|so|also|because|since|und|aber|et|mais|y|pero|og|men|och|en|e|ma|mas|now|currently)\s+)?"
    rf"|\s+(?:and|but|so|because|since|und|aber|et|mais|y|pero|og|men|och|en|e|ma|mas)\s+)"
    rf"(?=(?:{WORD_I}|we['’]re|i['’]d)\b|j['’]|[я我])"
    rf"|\s*[，、]\s*|\s+[–—-]\s+"
    rf"|,?\s+(?:and|und|et|y|og|och|en|e)\s+(?=(?P<more>(?:{_CONTINUES})|(?P<adjective>{_DESCRIBES}))\b)",
    re.IGNORECASE,
)
_SUBJECT = re.compile(r"(?:I|we|ich|wir|je|jeg|jag|vi|ik)\b", re.IGNORECASE)
_COPULA = re.compile(
    r"(?:I['’]m|I am|we['’]re|we are|ich bin|je suis|jeg er|jag är|ik ben|soy|sono|sou)\b", re.IGNORECASE
)
_LEAD = re.compile(
    r"(?:(?P<greeting>hi|hey|hello|hallo|hei|hej|hola|salut|ciao|good (?:morning|evening))(?: there)?"
    r"|ok|okay|well|so|oh|yes|yeah|yep|no|nope|also|and|but|btw|by the way|actually|fyi|thanks|thank you|sure|cool"
    r"|quick intro|about me|just so you know|for context|for info|to be clear|correction|update|since|because"
    r"|currently|honestly|personally|anyway|hmm|um|wait|sorry|in fact|quick note|i meant?|you can|ps|p\.s|et|und|y|og)"
    r"(?:\s*[,:!.–-]+\s*|\s+)",
    re.IGNORECASE,
)
_TRAIL = re.compile(
    r"\s*(?:,\s*(?:so|please|pls|thanks|which is why|therefore|but|by the way|btw)\b.*"
    r"|\s(?:so please|btw|by the way|please|and (?:need|want|am looking|would like|was wondering))\b.*)\Z",
    re.IGNORECASE,
)


def _split(statement: str) -> Iterator[Clause]:
    """At each place where a new statement about the person begins; "and work at …" gets the subject before it."""
    start, borrowed, before = 0, "", ""
    greeted = False
    for joint in [*_JOINT.finditer(statement), None]:
        span = statement[start : joint.start() if joint else len(statement)]
        clause = _clause(span, borrowed, greeted)
        greeted = bool(clause is None and _is_greeting(span)) or (greeted and clause is None)
        if clause:
            yield clause._replace(before=before)
            before = clause.text
        if joint:
            start, borrowed = joint.end(), _borrowed(joint, before)


def _borrowed(joint: re.Match[str], before: str) -> str:
    if not joint["more"]:
        return ""
    subject = (_COPULA if joint["adjective"] else _SUBJECT).match(before)
    return subject[0] + " " if subject else ""


def _is_greeting(span: str) -> bool:
    found = _LEAD.match(span.strip() + " ")
    return bool(found and found["greeting"])


def _clause(span: str, borrowed: str, greeted: bool) -> Clause | None:
    body = span.strip()
    while lead := _LEAD.match(body):
        greeted = greeted or bool(lead["greeting"])
        body = body[lead.end() :]
    body = _TRAIL.sub("", body).strip(" ,:–-")
    return Clause(borrowed + body, body, greeted) if 2 < len(body) <= MAX_CLAUSE else None
