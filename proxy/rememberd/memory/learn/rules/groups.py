"""The topic and the person under which a memory is listed: by the attribute that the rules find, otherwise by its
words (`tables/topics.toml`). Only for people who look for something, not for recall. Pure."""

import re
import tomllib
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from rememberd.memory.learn.rules.slots import base
from rememberd.types import Memory

OTHER = "other"
_READ = 1_000  # characters of a text

_TABLE = tomllib.loads(Path(__file__).with_name("tables").joinpath("topics.toml").read_text(encoding="utf-8"))
_TOPICS = list(_TABLE)  # the first that a text belongs to counts
_BY_SLOT = {slot: topic for topic, row in _TABLE.items() for slot in row["slots"].split()}
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
_WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def _words() -> Iterator[tuple[str, int]]:
    """Those of the first topic last, so that they win."""
    for place, row in reversed(list(enumerate(_TABLE.values()))):
        for words in (words for language, words in row.items() if language != "slots"):
            yield from ((word.replace("_", " ").casefold(), place) for word in words.split())


# Each to the place of its topic.
_ANYWHERE = {word: place for word, place in _words() if _WITHOUT_SPACES.search(word)}
_ENDS = {word[1:]: place for word, place in _words() if word.startswith("*")}
_BEGINS = {word[:-1]: place for word, place in _words() if word.endswith("*")}
_WHOLE = {word: place for word, place in _words() if "*" not in word}
_PHRASES = {tuple(phrase.split()): place for phrase, place in _WHOLE.items() if " " in phrase}
_SHORTEST, _LONGEST = min(map(len, _BEGINS)), max(map(len, _BEGINS))
_RELATIVE = re.compile(
    r"\bmy (?P<who>(?:best )?(?:wife|husband|partner|girlfriend|boyfriend|mother|mom|mum|father|dad|sister|brother"
    r"|son|daughter|friend|boss|colleague|cousin|aunt|uncle|grandmother|grandfather|neighbou?r|flatmate|roommate"
    r"|niece|nephew))(?:,? (?-i:(?P<name>[A-Z]\w+)))?",
    re.IGNORECASE,
)


def topic_of(memory: Memory) -> str:
    """A key of `_TOPICS`, or `OTHER`."""
    slot = base(memory.slot) if memory.slot else ""
    if slot in _BY_SLOT and slot != "family":  # which holds pets, too
        return _BY_SLOT[slot]
    said = memory.text if memory.kind == "fact" else memory.text.partition("\nAssistant:")[0]
    place = min(_told(said[:_READ].casefold()), default=None)
    return _BY_SLOT.get(slot, OTHER) if place is None else _TOPICS[place]


def _told(said: str) -> Iterator[int]:
    """The indexes of the topics that its words belong to."""
    words = _WORD.findall(said)
    for word in words:
        yield from _places(word)
    yield from (_PHRASES[pair] for pair in pairwise(words) if pair in _PHRASES)
    if _WITHOUT_SPACES.search(said):
        yield from (place for word, place in _ANYWHERE.items() if word in said)


@lru_cache(maxsize=32_768)  # most words of a person's memories come again
def _places(word: str) -> tuple[int, ...]:
    begins = (word[:end] for end in range(_SHORTEST, min(len(word), _LONGEST) + 1))
    found = [_WHOLE.get(word), *map(_BEGINS.get, begins), *(_ENDS[end] for end in _ENDS if word.endswith(end))]
    return tuple(place for place in found if place is not None)


def person_of(memory: Memory) -> str | None:
    """Whom a fact is about, if it is not its owner: "sister", "brother Tom"."""
    owner = memory.slot.rpartition(".")[0] if memory.slot else ""
    if owner:
        return owner.replace("_", " ")
    found = _RELATIVE.search(memory.text) if memory.kind == "fact" else None
    return " ".join(filter(None, (found["who"].lower(), found["name"]))) if found else None
