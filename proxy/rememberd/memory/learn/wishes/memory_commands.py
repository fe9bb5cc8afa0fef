"""Wishes about the memory itself, in the chat: show it, remember or forget something, do not store this.

A classifier recognises the wish by its wording. It counts only as a sentence of its own, first or last, that the
person typed themselves, and a wish to forget must name something: a false one would delete something, while a missed
one can be repeated. `python -m loadtests.quality.train wishes` trains the classifier."""

# ruff: noqa: E501  a pattern's alternatives stay together

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from rememberd.dialects.attribution_words import MASK, hands_in
from rememberd.dialects.segments import segment
from rememberd.memory.learn.rules.sentences import sentences
from rememberd.memory.learn.rules.values import tells
from rememberd.memory.learn.wishes.wish_verbs import (
    clauses,
    may_wish,
    names_forgetting,
    names_only_a_time,
    names_what_was_just_told,
    says,
    wants_kept,
    wants_remembered,
)
from rememberd.memory.learn.wishes.wish_words import named, readings
from rememberd.text_classifier import TextClassifier, encode, normalized, packaged

WEIGHTS = Path(__file__).with_suffix(".json")
_LONGEST = 400  # characters; such wishes are short, pasted documents are not

Kind = Literal[
    "show",
    "remember",
    "forget",
    "forget_about",
    "forget_last",
    "forget_time",
    "forget_all",
    "off_record",
    "unrecorded",
]

# The least probability of each label of the classifier. It can be low for "forget", because the memory must also be
# found, and for "forget_all", which needs a second yes. Of 2,567 messages of the blind sets that are not wishes, two
# are taken for a wish to forget at .45.
_SURE = {"forget": 0.45, "forget_all": 0.3, "recall": 0.3, "remember": 0.45, "dont_remember": 0.45}
# Less is enough if one memory tells all that the wish names. Six more of the 2,567 messages reach this probability.
_LIKELY, _LIKELY_WITHOUT_VERB = 0.2, 0.6
# "I know what you mean" has a word of forgetting, too, and "I'd love to hang out with them" has none. Of 7,531 messages
# that are not wishes (the blind sets, and talks of two people) three were taken for one with .8 and .5, and none with
# these values; of 354 wishes 345 are understood either way.
_SURE_OF_SMALL_TALK = 0.9
_SURE_OF_YES = 0.7
_SURELY_NONE = np.log(0.99)  # with the form's 1.0 against it, it is still no wish
_SURE_OF_PART = 0.8  # of one sentence among others: "He says I should forget it. Is he right?"

_YES = re.compile(
    r"(?:yes|yep|sure|ja|sí|si|oui|sì|sim|да|tak|ano|evet|はい|是的?|네|yes,? please|ja,? bitte"
    r"|yes,? (?:do it|delete (?:it|them|all|everything)|i'm sure|i am sure|go ahead))[.! ]*",
    re.IGNORECASE,
)
_BEGINS_WITH_YES = re.compile(r"(?:yes|ja|sí|oui|sì|sim|да|tak|ano|evet|はい|是的?|네)(?!\w)", re.IGNORECASE)
_OF_ME = re.compile(
    r"\b(?:me|mich|mir|moi|mí|mi|mim|mig|meg|mij|мне|меня|mnie|hakkımda|benim|profile|memor\w+|erinner\w*)\b|我|私|나"
)
# "Forget that the badge opens the door" is hardly anything else, but "forget that approach" is.
_OF_A_CLAIM = re.compile(r"(?:please,? )?forget that (?:i|i'\w+|my|we|our|the|he|she|his|her|their)\b", re.IGNORECASE)
_SURE_OF_A_CLAIM = 0.2
_NOT_REMEMBER = re.compile(r"(?:please,? )?(?:don't|do not|never|stop) (?:ever )?remember", re.IGNORECASE)
_AS_A_FILE = re.compile(
    r"\b(?:pdf|docx?|file|document|markdown|text file|datei|dokument|fichier|archivo|documento|bestand)\b",
    re.IGNORECASE,
)
_QUESTION_OF_HOW = re.compile(
    r"(?:how|why|what happens|does|did|have you|do (?!you)|is|are|wie|warum|comment|pourquoi|cómo|por qué|come|perché|como|hoe|waarom|hvordan"
    r"|hvorfor|hur|varför|как|почему|jak|dlaczego|nasıl|怎么|如何|どう)(?!\w)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class MemoryCommand:
    """`show`: everything known; `remember`: what the message says; `forget`: whatever says `what`; `forget_about`:
    whatever names it; `forget_last`: what was told just before; `forget_time` and `forget_all`: all that was told at a
    time, or everything, once it is `confirmed`; `off_record`: nothing of this conversation; `unrecorded`: not this
    message. `what` is the wish in the person's words. One that is not `sure` is a wish only if
    all that it names is told by one memory."""

    kind: Kind
    what: str = ""
    confirmed: bool = False
    sure: bool = True


@lru_cache(maxsize=256)  # the same message is asked about by the block, by recall and by the writer
def memory_command(text: str, previous: str | None = None) -> MemoryCommand | None:
    """None unless it is clearly about the memory. A "yes" alone confirms the wish of `previous`, the person's message
    before."""
    text = text.strip().replace("’", "'")
    if not text or len(text) > _LONGEST:
        return None
    if _YES.fullmatch(text):
        asked = memory_command(previous) if previous else None
        return replace(asked, confirmed=True) if asked and asked.kind in ("forget_all", "forget_time") else None
    parts = [text[span.start : span.end] for span in sentences(text)]
    for said in dict.fromkeys((text, parts[0], parts[-1])):
        if found := _of(said, text):
            return found
    return MemoryCommand("forget", text, sure=False) if _may_forget(text) else None


def asks_what_is_known(text: str) -> bool:
    """Whether it is a wish to be shown everything. Fast for other messages."""
    return bool(_OF_ME.search(text.lower())) and memory_command(text) == MemoryCommand("show")


def off_record(text: str) -> bool:
    """Whether it is a wish that nothing of this conversation is stored. Fast for other messages."""
    return (
        len(text) <= _LONGEST and says("conversation", text) and memory_command(text) == MemoryCommand("off_record")
    )


def takes_back(text: str) -> bool:
    """Whether it is a wish to forget what was told just before. Fast for other messages."""
    if len(text) > _LONGEST or not says("just", text):
        return False
    command = memory_command(text)
    return command is not None and command.kind == "forget_last"


def _of(said: str, whole: str) -> MemoryCommand | None:
    sure = _probabilities(said)
    label = max(_SURE, key=lambda each: sure[each])
    least = _SURE[label] if said == whole else max(_SURE[label], _SURE_OF_PART)
    least = _SURE_OF_A_CLAIM if label == "forget" and _OF_A_CLAIM.match(said) else least
    if wants_remembered(said) and sure["forget"] < _SURE["forget"]:  # "merk dir meine Nummer nicht mehr"
        label, least = "remember", 0.0
    if label == "forget" and not names_forgetting(said):
        least = max(least, _SURE_OF_SMALL_TALK)
    likely = sure["forget"] + sure["forget_all"] if label in ("forget", "forget_all") else sure[label]
    if likely < least or not may_wish(label, said) or _is_work(said) or says("forgot", said):
        return None
    if label == "remember" and _NOT_REMEMBER.match(said):
        label = "forget"
    about = named(whole)
    yes = bool(_BEGINS_WITH_YES.match(said)) and likely >= _SURE_OF_YES
    if label in ("forget", "forget_all", "dont_remember"):
        if names_what_was_just_told(said if named(said) else whole):
            return None if _asks_how(said) else MemoryCommand("forget_last", whole)
        if (label == "forget_all" or says("all", whole) or says("told", whole)) and names_only_a_time(whole):
            return None if _asks_how(said) else MemoryCommand("forget_time", whole, confirmed=yes)
    if label == "forget_all" and len(list(sentences(said))) == 1 and named(_BEGINS_WITH_YES.sub("", said)):
        label = "forget"  # "everything about Nora"
    elif label == "forget" and about.everything and not about and not _asks_how(said):
        label = "forget_all"
    match label:
        case "forget_all":
            return MemoryCommand("forget_all", confirmed=yes and sure[label] >= _SURE_OF_YES)
        case "dont_remember" if _AS_A_FILE.search(said):  # "Save this conversation as a PDF"
            return None
        case "dont_remember":
            return MemoryCommand("off_record" if says("conversation", said) else "unrecorded")
        case "recall":
            return MemoryCommand("show") if not named(said) and _OF_ME.search(said.lower()) else None
        case "remember":
            return None if said.endswith("?") else MemoryCommand("remember", whole)
    if not about or _asks_how(said):
        return None
    if named(said).everything:  # not "My family has been everything. I don't know what I'd do without them"
        return MemoryCommand("forget_about", said)
    return MemoryCommand("forget", whole)


def _may_forget(text: str) -> bool:
    """True if it may be a wish to forget something that it names."""
    sure = _probabilities(text)
    least = _LIKELY if may_wish("forget", text) and names_forgetting(text) else _LIKELY_WITHOUT_VERB
    if sure["forget"] < least or wants_kept(text) or _is_work(text) or _asks_how(text) or says("forgot", text):
        return False
    return bool(named(text)) and "ended" not in tells(text)


def _asks_how(said: str) -> bool:
    """True if a clause with the verb asks how or why. "How I voted is private, delete that" is not a question."""
    wishes = [] if said.endswith("?") else [each for each in clauses(said) if may_wish("forget", each)]
    return any(_QUESTION_OF_HOW.match(each) for each in wishes or [said])


def _is_work(said: str) -> bool:
    """True if it hands in a text, or says what to do with one: "Translate into Italian: forget Nora". A message that
    would be handed in as a whole is none of these, because nobody hands it in."""
    head, colon, _ = said.partition(":")
    masked = segment(said).masked()
    is_text = (MASK in masked and bool(colon or masked.strip(MASK))) or says("part_of_a_text", said)
    return is_text or bool(colon and hands_in(head.lower()))


def _probabilities(text: str) -> dict[str, float]:
    """By the words and by the form of the text: if only one of the two takes it for a wish, it usually is none. If the
    words exclude a wish, as in most messages, the form is not read."""
    classifier = _classifier()
    buckets = len(classifier.weights)
    plain, form = readings(text)
    sure = classifier.logarithms(*encode(plain, buckets))
    if sure[classifier.labels.index("none")] < _SURELY_NONE:
        sure = normalized((sure + classifier.logarithms(*encode(form(), buckets))) / np.float32(2))
    return dict(zip(classifier.labels, np.exp(sure).tolist(), strict=True))


def _classifier() -> TextClassifier:
    return packaged(WEIGHTS, {"none": 1.0} | dict.fromkeys(_SURE, 0.0))
