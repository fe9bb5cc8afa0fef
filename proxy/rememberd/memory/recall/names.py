"""Finds the names in a text: of people, places, projects, products. A question with such a name is about memories,
however it is worded; but its vector is made without the names that many memories have."""

import re
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from difflib import SequenceMatcher
from functools import lru_cache
from typing import NamedTuple, TypeVar

from rememberd.ports import Embedder, MemoryStore
from rememberd.types import Millis, Space

K = TypeVar("K")
V = TypeVar("V")

# A name in more than this share of the memories tells none of them from the others, but draws all of them by its
# vector: without it, 8 points more of the evidence of messages that call each other by name (FIGURES, "Told in
# chats"). Among fewer than LEAST memories, or if more than MOST would have to have it, nothing is left out.
COMMON, LEAST, MOST = 0.1, 200, 1_000
SPACES, NAMES = 10_000, 50_000  # that are kept in mind: about 200 bytes each
KEPT_S = 3600.0  # how long a name counts as common or rare
GROWTH = 0.25  # the same as a number of questions, as a share of the memories: each question may add a memory

# With at least this share of equal letters in order, a name is a misspelling: Mohammed, Muhhamed, but not Josh, John.
MISSPELT = 0.75

_SHORT_NAME = 3  # letters at least
_LONG_NAME = re.compile(r"\b[A-Z][a-z]{4,}\b")
_LABEL = re.compile(r"^\s*([^\W\d_][\w'’.-]*(?: [^\W\d_][\w'’.-]*)?):\s")
_WORD = re.compile(r"[^\W_][\w'’-]*")
_SENTENCE_END = re.compile(r"[.!?:;…\n\"“”„«»()*-]\s*$")
# Capitals that name nobody in particular, and words with a colon that are headings.
_COMMON_WORDS = (
    "i i'm i've i'd i'll ok okay monday tuesday wednesday thursday friday saturday sunday january february march"
    " april may june july august september october november december christmas easter english tv pc usa uk eu mr mrs"
    " ms dr assistant user lol omg ai"
)
_HEADING_WORDS = (
    "answer assistant bug code context edit error example fyi goal hint human idea input list note notes output p.s"
    " problem ps q question re reminder rule step subject system task tip title todo topic update user warning"
)
_COMMON, _HEADINGS = frozenset(_COMMON_WORDS.split()), frozenset(_HEADING_WORDS.split())


def label_of(text: str) -> str | None:
    """The speaker at the head of a transcript's line: "Ada: …"."""
    label = _LABEL.match(text)
    return label[1] if label and label[1][0] != label[1][0].lower() and not _is_heading(label[1]) else None


def names_in(text: str) -> list[str]:
    """The names in the order of the text, each once, with the label of a transcript ("Ada: …")."""
    found = dict.fromkeys((label_of(text) or "").split())
    for word in _WORD.finditer(text):
        if not _is_name(word[0]):
            continue
        if word.start() > 0 and not _SENTENCE_END.search(text[max(0, word.start() - 3) : word.start()]):
            found[word[0]] = None
    return list(found)


def named(question: str, speakers: Iterable[str]) -> dict[str, str]:
    """The speakers that a question names, with its words for them: the full name or the first name; otherwise a
    misspelt first name, or a beginning that only one speaker has ("Mel" for Melanie)."""
    found, others = dict[str, str](), list[str]()
    for each in speakers:
        ways = (each, *each.split()[:1])
        if way := next((way for way in ways if re.search(rf"\b{re.escape(way)}\b", question, re.IGNORECASE)), None):
            found[each] = way
        else:
            others.append(each)
    if others and not found:
        words = dict.fromkeys(_LONG_NAME.findall(question))
        for each in others:
            first = each.split()[0].casefold() if each.strip() else ""
            if word := next((word for word in words if _alike(word.casefold(), first)), None):
                found[each] = word
    return found or _by_short_name(question, others)


def _by_short_name(question: str, speakers: Sequence[str]) -> dict[str, str]:
    words = [re.sub(r"['’]s?$", "", word) for word in names_in(question)] if speakers else []
    for word in words:
        whose = [each for each in speakers if each.casefold().startswith(word.casefold())]
        if len(word) >= _SHORT_NAME and len(whose) == 1:
            return {whose[0]: word}
    return {}


@lru_cache(4096)
def _alike(one: str, other: str) -> bool:
    return SequenceMatcher(None, one, other).ratio() >= MISSPELT


def _is_heading(label: str) -> bool:
    return label.split()[0].casefold() in _HEADINGS


def _is_name(word: str) -> bool:
    if not word[0].isupper() or word.casefold().replace("’", "'") in _COMMON or len(word) < 2:
        return False
    stem = re.sub(r"['’]s?$", "", word)
    return not stem.isupper() or len(stem) > 1


class _Verdict(NamedTuple):
    """Valid `until` this time of the monotonic clock, and until this number of questions was `asked`."""

    common: bool
    until: float
    asked: int


class NamesLeftOut:
    """The names that are left out of a question before it is embedded: those of speakers in the memories of its
    space, and names that are common there."""

    def __init__(self, store: MemoryStore, embedder: Embedder) -> None:
        self.store, self.embedder = store, embedder
        self._speakers: OrderedDict[Space, frozenset[str]] = OrderedDict()
        self._common: OrderedDict[tuple[Space, str], _Verdict] = OrderedDict()
        self._asked: OrderedDict[Space, int] = OrderedDict()

    async def of(self, space: Space, question: str, now: Millis) -> frozenset[str]:
        """Raises `StoreUnavailable`."""
        _keep(self._asked, space, self._asked.get(space, 0) + 1, SPACES)
        speakers = self._speakers.get(space, frozenset())
        names = [re.sub(r"['’]s?$", "", each) for each in names_in(question)]
        return speakers.union(
            [name for name in names if name not in speakers and await self._is_common(space, name, now)]
        )

    def learn(self, space: Space, speakers: AbstractSet[str]) -> None:
        """Remember the speakers of a space, which a search has returned."""
        _keep(self._speakers, space, self._speakers.get(space, frozenset()) | speakers, SPACES)

    async def _is_common(self, space: Space, name: str, now: Millis) -> bool:
        asked, known = self._asked.get(space, 0), self._common.get((space, name))
        if known is None or known.until < time.monotonic() or known.asked < asked:
            memories = await self.store.count(space, now=now)
            common = await self._counted(space, name, memories, now)
            known = _Verdict(common, time.monotonic() + KEPT_S, asked + int(memories * GROWTH))
            _keep(self._common, (space, name), known, NAMES)
        return known.common

    async def _counted(self, space: Space, name: str, memories: int, now: Millis) -> bool:
        word, enough = self.embedder.query(name), int(memories * COMMON) + 1
        if memories < LEAST or enough > MOST or not word.indices:
            return False
        found = await self.store.search(space, [0.0] * self.embedder.dim, word, now=now, limit=enough)
        return int((found.bm25 > 0).sum()) >= enough


def _keep(known: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > most:
        known.popitem(last=False)
