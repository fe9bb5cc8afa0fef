"""Parses a clause into a statement about the person who wrote it: a small grammar over the tables. Pure.

Only for matching, contractions are spelled out, and adverbs and negations are removed and noted; the fact itself
stays as it was typed."""

# ruff: noqa: E501  a pattern's alternatives stay together

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from rememberd.memory.learn.rules.slots import base, is_single
from rememberd.memory.learn.rules.table import UNSPACED, Row, Table, tables_for

LONGEST = 400  # characters of a clause


class Statement(NamedTuple):
    """`slot` is the attribute ("home", "brother tom.home"), `value` its content words.

    `denied`: it is said not to be so. `ends`: the attributes of which it ends what shares a content word with it;
    `only`: if that has one of these words. `is_denial`: it only denies, and is worth nothing unless it ends what was
    said before. `again`: it holds again. `also`: it holds beside what was said before. `changed`: it is new ("now",
    "turned"). `passing`, `past`: it is not the lasting present."""

    slot: str
    value: tuple[str, ...]
    denied: bool = False
    ends: tuple[str, ...] = ()
    only: frozenset[str] = frozenset()
    is_denial: bool = False
    again: bool = False
    also: bool = False
    changed: bool = False
    passing: bool = False
    past: bool = False
    language: str = "en"


class _Skeleton(NamedTuple):
    text: str
    denied: bool
    more: bool
    again: bool


def statement(clause: str) -> Statement | None:
    """None if no table knows it. The caller must refuse hedges and hypotheses."""
    return None if len(clause) > LONGEST else _statement(clause)


@lru_cache(maxsize=4096)  # each step of learning asks, about the new clause and about what is known
def _statement(clause: str) -> Statement | None:
    for table in tables_for(clause):
        bare = _skeleton(table, clause)
        for row in table.rows:
            found = row.pattern.match(bare.text)
            if found and _fits(row, found, bare):
                return _stated(table, row, found, bare, clause)
    return None


def without_denial(clause: str) -> str | None:
    """ "I have quit" of "I haven't quit". None if nothing is denied, or if the denial itself tells an end ("not … any
    more")."""
    if len(clause) > LONGEST or _NO_LONGER.search(clause):
        return None
    bare = (_skeleton(table, clause) for table in tables_for(clause))
    return next((each.text for each in bare if each.denied and not each.more), None)


_NO_LONGER = re.compile("[不没].*了|もう")  # where it is no word of its own


def _fits(row: Row, found: re.Match[str], bare: _Skeleton) -> bool:
    if row.denied is not None and row.denied != bare.denied:
        return False
    if row.again and not bare.again:
        return False
    named = found.groupdict()
    return not (named.get("name") and not _is_given_name(named["name"]))


# Capitalised words after "I'm" that are no names: moods, nationalities, faiths, roles in jest.
_NOT_NAMES = (
    "ready ok okay sure here done sorry fine good great glad happy back new late lost stuck tired busy right wrong "
    "not in on at batman superman spiderman god jesus santa german french english british american irish scottish "
    "welsh italian spanish norwegian swedish danish finnish dutch polish russian ukrainian greek turkish chinese "
    "japanese korean indian pakistani brazilian mexican canadian australian african european asian latino latina "
    "swiss austrian belgian portuguese czech hungarian romanian iranian israeli egyptian nigerian ghanaian kenyan "
    "jewish muslim christian catholic hindu buddhist republican democrat autistic adhd groot spartacus inigo clippy "
    "gandalf shrek dracula hamlet gollum pikachu"
)


def _is_given_name(words: str) -> bool:
    """True for a capitalised word, except a nationality, a faith, a mood, or an acronym of more than three letters."""
    first = words.split()[0]
    if re.search(r"-[a-z]", words):
        return False
    return first.casefold() not in _NOT_NAMES.split() and not (first.isupper() and len(first) > 3)


def _stated(table: Table, row: Row, found: re.Match[str], bare: _Skeleton, clause: str) -> Statement:
    named = {name: _slug(text) for name, text in found.groupdict(default="").items()}
    slot = row.slot.format(**named) if "{" in row.slot else row.slot
    if base(slot) == "home" and table.has("dwelling", clause) and not _PLACE_NAME.search(clause):
        slot = f"{slot.removesuffix('home')}dwelling"  # "in a small flat" is no other home than Lisbon
    denied = (bare.denied and row.denied is None) or named.get("n") == "no"
    if slot == "likes" and table.has("dislike", clause):
        denied = not denied or " stand" in clause or " bear" in clause
    return Statement(
        slot,
        _value(_without_feeling(table, slot, bare.text), _own_words(row, slot)) or _value(bare.text, _END_WORDS),
        denied,
        row.ends or ((slot,) if denied and slot != "likes" else ()),
        row.only,
        is_denial=not bare.more and (bool(row.denied) if row.ends else denied and _tells_nothing(slot)),
        again=bare.again,
        also=table.has("also", clause),
        changed=table.has("change", clause) or bare.more,
        passing=table.has("passing", clause),
        past=table.has("past", clause),
        language=table.language,
    )


_PLACE_NAME = re.compile(
    r"\b(?:in|at|near|outside|to|of|from|around|between|nach|bei|von|nahe|à|au|aux|de|dans|près|en|em|na|no|da|do|di|te|bij|i|på|ved|vid|nær)"
    r" (?:the |la |le |el |den |det )?[A-ZÀ-ÖØ-ÞĀ-ŽА-Я]"
)

_SPELLED_OUT = (
    (re.compile(r"\b(?:can['’]?t|cannot)\b", re.IGNORECASE), "can not"),
    (re.compile(r"\bwon['’]t\b", re.IGNORECASE), "will not"),
    (re.compile(r"(?<=\w)n['’]t\b|(?<=\bdo)nt\b", re.IGNORECASE), " not"),
    (re.compile(r"\b(i)['’]?m\b", re.IGNORECASE), r"\1 am"),
    (re.compile(r"(?<=\w)['’]re\b", re.IGNORECASE), " are"),
    (re.compile(r"(?<=\w)['’]ve\b|(?<=\bi)ve\b", re.IGNORECASE), " have"),
    (re.compile(r"\bhave got\b", re.IGNORECASE), "have"),
    (re.compile(r"(?<=\w)['’]ll\b", re.IGNORECASE), " will"),
    (re.compile(r"(?<=\w)['’]d\b", re.IGNORECASE), " would"),
    (re.compile(r"(?<=\bname)['’]?s\b", re.IGNORECASE), " is"),
    (
        re.compile(
            r"(?<=\w)['’]s(?= (?:an?|the|called|named|from|in|at|on|allergic|vegan|vegetarian|not|now|also|very|almost|\d+"
            r"|\w+ing|[A-Z]\w+)\b)"
        ),
        " is",
    ),
    (re.compile(r"\bwe are\b", re.IGNORECASE), "we am"),
)


_EMOTICONS = re.compile(r"(?:\s*(?:[:;]-?[)(DPp]|[\U0001F600-\U0001F64F\U0001F900-\U0001F92F❤️]))+\W*$")


def _skeleton(table: Table, clause: str) -> _Skeleton:
    text = _EMOTICONS.sub("", clause).replace("’", "'").strip(" \t,;:–—-*•")
    if table.language == "en":
        for contraction, words in _SPELLED_OUT:
            text = contraction.sub(words, text)
    if table.language == "fr":
        text = re.sub(r"\bn'(?=\w)", "ne ", text, flags=re.IGNORECASE)
    more, again = table.has("more", text), table.has("again", text)
    verb, rest = _around_the_verb(text)
    gap = "" if table.language in UNSPACED else " "
    plain = _NEVER.sub(" ", verb) if table.lists.get("deny") is None else table.lists["deny"].sub(gap, verb)
    denied = plain != verb and not _CONTRAST.search(rest)  # "not in Oslo but in Bergen" states Bergen
    text = plain + rest
    for name in ("more", "again", "pass"):
        if pattern := table.lists.get(name):
            text = pattern.sub(" ", text)
    text = re.sub(r"\s+([,])|\s+", lambda found: found[1] or " ", text).strip(" ,")
    return _Skeleton(text.rstrip(".!?。！？… ") if len(text) > 1 else text, denied, more and denied, again)


_NEVER = re.compile(r"(?!)")
_NEAR_THE_VERB = re.compile(r"(?:[^\s,]+\s*){1,5}|[^\s,]{1,12}")
_CONTRAST = re.compile(r"\b(?:but|aber|sondern|sino|mais|men|maar|ma|mas|но|а)\b", re.IGNORECASE)


def _around_the_verb(text: str) -> tuple[str, str]:
    """The first words, where a negation denies the statement ("I'm a cook, not a baker" denies another one), and the
    rest."""
    end = found.end() if (found := _NEAR_THE_VERB.match(text)) else 0
    if contrast := _CONTRAST.search(text, 0, end):
        end = contrast.start()
    return text[:end], text[end:]


_TOKEN = re.compile(r"[\u2e80-\ud7ff]|[^\s\u2e80-\ud7ff]+")
_FILLER_WORDS = (
    "i we am is are my our a an the and of to in at on for with as it be been have has by from about ich bin "
    "ist mein meine ein eine der die das bei und je suis est mon ma le la les un une de yo soy es mi el los "
    "una en jeg er min på jag är ik ben mijn een het io sono il lo eu sou o meu minha 我 的 是 在 を に は が で"
)
_FILLERS = frozenset(_FILLER_WORDS.split())
_END_WORDS = frozenset(["quit", "stopped", "gave", "up", "on", "given", "left", "sold", "lost"])


def _tells_nothing(slot: str) -> bool:
    """Whether a denial alone ("I don't live in Oslo") tells nothing, unless it ends an earlier fact."""
    return is_single(slot) or slot in ("job", "diet", "health", "pregnancy")


def _own_words(row: Row, slot: str) -> frozenset[str]:
    """The words of a form are not part of the value if that is one name or number; otherwise the verb distinguishes
    values ("I ski", "I skate")."""
    return row.words if row.ends or is_single(slot) else frozenset()


def _without_feeling(table: Table, slot: str, text: str) -> str:
    if slot != "likes":
        return text
    for name in ("like", "dislike"):
        text = table.lists[name].sub(" ", text) if name in table.lists else text
    return text


def _value(text: str, own: frozenset[str]) -> tuple[str, ...]:
    """The words that are neither in the pattern nor fillers, NFC and case-folded, with their symbols. Capitalised
    fillers count ("An" and "My" are names too)."""
    words = []
    for number, token in enumerate(_TOKEN.findall(unicodedata.normalize("NFC", text))):
        word = token.strip(',;:()"“”„«»') if len(token) > 1 else token
        folded = word.casefold()
        if word and (
            (folded not in own and folded not in _FILLERS) or (number and word[0].isupper() and word != "I")
        ):
            words.append(folded)
    return tuple(words)


def _slug(words: str) -> str:
    return "_".join(words.casefold().replace("colour", "color").replace(",", "").split())
