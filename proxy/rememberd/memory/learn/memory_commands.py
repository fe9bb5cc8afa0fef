"""What people ask of the memory itself, in the chat: show it, forget something, keep this to ourselves. Pure.

Recognised only where it is a sentence of its own, first or last, in the forms listed here: a wish that is overheard
by mistake deletes something; one that is missed can be said again."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

_LONGEST = 400  # characters; people say these things shortly, pasted documents do not


@dataclass(frozen=True, slots=True)
class MemoryCommand:
    """`show`: everything known; `forget`: whatever says `what`; `off_record`: nothing of this conversation."""

    kind: Literal["show", "forget", "off_record"]
    what: str = ""


def memory_command(text: str) -> MemoryCommand | None:
    """None for everything that is not plainly about the memory."""
    text = text.strip().replace("’", "'")
    if len(text) > _LONGEST:
        return None
    sentences = _SENTENCE.split(text)
    for said in dict.fromkeys((text, sentences[0], sentences[-1])):
        if found := _of(said):
            return found
    return None


def off_record(text: str) -> bool:
    """A wish for nothing of this conversation to be kept. Cheap on what is plainly something else."""
    return len(text) <= _LONGEST and bool(_HINT.search(text)) and memory_command(text) == MemoryCommand("off_record")


def _of(said: str) -> MemoryCommand | None:
    if _UNRECORDED.fullmatch(said):
        return MemoryCommand("off_record")
    if _SHOW.fullmatch(said):
        return MemoryCommand("show")
    for form in _FORGET:
        found = form.fullmatch(said)
        if found and _OWN.search(found["what"]):
            return MemoryCommand("forget", found["what"].strip())
    return None


def _form(*parts: str) -> re.Pattern[str]:
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)


_HINT = re.compile(r"conversation|chat|session|discussion|talk|record", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_END = r"(?:,? please)?[ ?.!]*"
_POLITE = (
    r"(?:(?:hey|hi|ok|okay|so|and|also|now|please|pls|kindly|actually)[, ]+)*"
    r"(?:(?:could|can|would|will) you (?:please )?|i(?:'d| would) like you to |i want you to |please )?"
)
# Whose it is: "forget that I smoke", not "forget that approach".
_OWN = _form(r"\b(?:i|i'm|i've|i'd|my|me|mine|ich|meine?r?|je|j'\w+|mon|ma|mes|yo|mis?|jeg|min|mitt)\b")
_DENY = r"(?:don't|do not|never|stop|no longer|quit)"
_KEEP = (
    r"(?:remember(?:ing)?|sav(?:e|ing)|stor(?:e|ing)|record(?:ing)?|keep(?:ing)?|memori[sz](?:e|ing)|log(?:ging)?)"
)
_TALK = r"(?:this|our)(?: whole| entire)?(?: conversation| chat| session| discussion| talk)"

_SHOW = _form(
    _POLITE,
    r"(?:",
    r"what(?: all| exactly| else| things)? (?:do|did|have) you (?:know|remember|learn(?:ed|t)?|stored?|saved?)"
    r"(?: so far| already| now)? (?:about|of|on) me(?: so far| already| now| by now)?",
    r"|(?:show|tell|list|give)(?: me)?(?: everything| all| what)?(?: that)? you(?:'ve| have)?"
    r" (?:know|remember|learn(?:ed|t)|stored?|saved?)(?: about| of| on) me",
    r"|(?:show|list|tell)(?: me)?(?: all(?: of)?)? (?:my|your) memor(?:y|ies)(?: (?:of|about) me)?",
    r"|do you (?:know|remember) (?:anything|something) about me",
    r"|was wei(?:ß|ss)t du (?:alles )?über mich|que sais-tu (?:de|sur) moi",
    r"|¿?qué sabes (?:de|sobre) mí|hva vet du om meg",
    r")",
    _END,
)
_FORGET = (
    _form(
        _POLITE,
        rf"(?:forget|delete|remove|erase|{_DENY} (?:remember|remembering))",
        r"(?: (?:the fact|the memory|your memory|from (?:your )?memory|what (?:i (?:said|told you)|you know)))?",
        r"(?:,? that| about(?: the fact that)?|:) (?P<what>.+?)",
        r"(?: from (?:your |the )?memory)?",
        _END,
    ),
    _form(
        r"(?:bitte )?vergiss(?: bitte)?,? dass (?P<what>.+?)",
        _END,
    ),
    _form(r"(?:oublie que|olvida que|glem at) (?P<what>.+?)", _END),
)
_UNRECORDED = _form(
    _POLITE,
    r"(?:",
    rf"{_DENY} {_KEEP}(?: (?:any|anything|a word|all))?(?: (?:of|about|from|in))? {_TALK}",
    rf"|forget {_TALK}",
    rf"|keep {_TALK} (?:off the record|out of (?:your )?memory|private)",
    rf"|(?:this|{_TALK}) (?:is|stays|should stay|must stay)(?: strictly)? off the record",
    r")",
    _END,
)
