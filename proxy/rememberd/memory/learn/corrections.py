"""What a message corrects: "Sorry, I meant Bergen" the message before, "my dog is Max, not Rex" a known fact.

If an attribute may have several values, only a correction closes one. It must be clear: the old value is denied by
name, or the person says that something was wrong, and the same is stated with another value."""

# ruff: noqa: E501  a pattern's alternatives stay together

import asyncio
import re
from collections.abc import Iterator
from difflib import SequenceMatcher
from itertools import pairwise, takewhile

from rememberd.dialects.attribution_words import MASK
from rememberd.dialects.segments import segment
from rememberd.memory.learn.rules.judge import SURE, judge_beginning
from rememberd.memory.learn.rules.sentences import SPACES
from rememberd.memory.learn.rules.statement import statement
from rememberd.memory.learn.rules.values import SURELY_TELLS, may_tell, words_that_tell
from rememberd.memory.recall.block import sides
from rememberd.memory.recall.lexicon import WORD
from rememberd.memory.text_similarity import KINDS, NAME, WHOSE, content, telling, with_value_of
from rememberd.ports import Embedder, MemoryStore
from rememberd.types import Fact, Memory, Turn

_WITHIN_MS = 7 * 86_400_000
_LAST = 5  # the newest of each kind, among which the message before and its facts are
_NEAREST = 8
LONGEST = 300  # characters of a message that corrects
_SHORT, _SHORT_IF_WRONG = 8, 12  # words of a message that only corrects the message before
_MOST_NEW = 4  # words that may replace a value if the message says that something is wrong
_MISSPELT = 0.7  # likeness of a name and its misspelling
_WRONG = re.compile(
    r"\b(?:typo|misspel\w+|autocorrect\w*|autokorrekt\w*|correction|my mistake|wrong|mistyped|misspoke|stimmt nicht|falsch|tippfehler|korrektur|vertippt|versprochen|erreur|trompée?"
    r"|faute de frappe|equivoqu\w+|errata|sbagliat\w+|errore|enganei|engano|errad[oa]|vergist\w*|foutje|tikfout|fel(?:skrivning)?|feil|skrivefeil|pomyłk\w+|pomyli\w+|ошиб\w+|опечатк\w+)\b"
    r"|说错|写错|打错|間違|잘못",
    re.IGNORECASE,
)  # fmt: skip
_MEANT = re.compile(
    r"(?:\w+[,:.!]? )?(?:i meant?|ich meinte?|je voulais dire|quise decir|volevo dire|quis dizer|ik bedoel(?:de)?|jeg mente|jag menade) ",
    re.IGNORECASE,
)  # fmt: skip
_TITLE = r"\b(?:Mr|Mrs|Ms|Dr|St)\."
_DENIED = re.compile(
    rf"\b(?:not|no|nicht|kein\w*|pas|non|não|niet|geen|ikke|inte|nie|не) (?P<what>(?:{_TITLE}|[^,.;:!?–—])+)",
    re.IGNORECASE,
)
_THE = re.compile(r"(?:the|der|die|das|le|la|les|el|los|las|il|lo|o|a|os|as|de|het|den|det)\b|l['’]", re.IGNORECASE)
_LEAD = re.compile(r"[^:\n]{1,60}:\s")
_ENDS = re.compile(rf"(?<!\bMr)(?<!\bMrs)(?<!\bMs)(?<!\bDr)(?<!\bSt)[,;:–—.!?]\s+|{SPACES}[–-]\s+|[()]")
_SOMEBODY_ELSE = re.compile(
    r"\b(?:my|our|mein\w*|unser\w*|mon|ma|mes|mi|mis|mio|mia|meu|minha|mijn|onze?|min|mitt|mina|мо[йяи]|mój|moja|he|she|they|er|sie|elle|ils?|ella|él|lei|lui|zij|hij|hon|han|hun|ona|она|он)\b",
    re.IGNORECASE,
)


async def correction(store: MemoryStore, embedder: Embedder, turn: Turn) -> list[Fact]:
    """The corrected statement, with the fact that it replaces; none if this is not clear.

    Raises `StoreUnavailable`, `EmbedderUnavailable`."""
    text = turn.user_text.strip()
    if len(text) > LONGEST:
        return []
    brief, may_correct = await asyncio.to_thread(_signs, text)
    if not may_correct:
        return []
    lead = _LEAD.match(text)  # "Sorry, wrong: …" names no speaker
    if MASK in segment(text[lead.end() :] if lead and (brief or _WRONG.search(lead[0])) else text).masked():
        return []
    stated = await _stated_anew(store, embedder, turn, text)
    return [stated] if stated else await _of_the_message_before(store, turn, text) if brief else []


def _signs(text: str) -> tuple[bool, bool]:
    """Whether it only corrects the message before, and whether it may correct anything."""
    brief = len(text.split()) <= (_SHORT_IF_WRONG if _WRONG.search(text) else _SHORT) and _only_corrects(text)
    return brief, brief or _DENIED.search(text) is not None or _is_wrong(text)


def _only_corrects(text: str) -> bool:
    """Whether it says that something else was meant, and states nothing by itself."""
    if _MEANT.match(text):
        return True
    if not may_tell("corrects", text):
        return False
    surely = may_tell("corrects", text, SURELY_TELLS) or _WRONG.search(text)
    return bool(surely) or judge_beginning(text).sure < SURE


def _is_wrong(text: str) -> bool:
    return _WRONG.search(text) is not None or may_tell("corrects", text)


async def _stated_anew(store: MemoryStore, embedder: Embedder, turn: Turn, text: str) -> Fact | None:
    known = await _known(store, embedder, turn, text)
    found_in = [(fact, stated) for fact in known if (stated := _restated(text, fact) or _respelt(text, fact))]
    if len(found_in) != 1:
        return None
    fact, stated = found_in[0]
    evidence = stated if stated in text else text
    return Fact(stated, evidence, fact.slot, turn.created_at, verdicts={fact.id: "replaces"})


async def _known(store: MemoryStore, embedder: Embedder, turn: Turn, text: str) -> list[Memory]:
    """The similar current facts, and the newest; in a group, only those told by the same member."""
    recent, _ = await store.page(turn.space, limit=_LAST, now=turn.created_at, kind="fact")
    dense, terms = await embedder.dense(text), embedder.query(text)
    near = await store.search(turn.space, dense, terms, now=turn.created_at, limit=_NEAREST, kind="fact")
    known = {each.id: each for each in [*recent, *(await store.get(turn.space, [each.id for each in near]))]}
    theirs = [each for each in known.values() if each.contributor == turn.contributor]
    return [each for each in theirs if each.valid_to is None and each.updated_at < turn.created_at]


def _restated(text: str, fact: Memory) -> str | None:
    """The clause that states the same as the fact with another value, if the old one is said to be wrong; or the fact
    with that value, if the clause says nothing else."""
    said, wrong = _words(fact.text), _is_wrong(text)
    denials = [found for found in _DENIED.finditer(text) if _first_of(said, found["what"])]
    denied = frozenset[str]().union(*(_first_of(said, found["what"]) for found in denials))
    plain = text
    for found in reversed(denials):
        plain = plain[: found.start()] + plain[found.end() :]
    put: str | None = None
    for clause in _clauses(plain):
        words = _words(clause)
        old, new, beside = said - words, words - said, _words(plain.replace(clause, " "))
        stated = statement(clause)
        if clause not in text or not old or not new or (stated and (stated.passing or stated.past)):
            continue
        put = put or _in_place_of(old & denied, clause, fact.text, text)
        if not _of_the_same(clause, fact):
            continue
        frame = said & words
        if old & denied and frame and len(new) <= len(old) + 1:
            return clause
        same_slot = stated is not None and stated.slot == fact.slot
        if (
            wrong
            and len(new) <= _MOST_NEW
            and (2 * len(frame) >= len(said) or (same_slot and (beside | denied) & old))
        ):
            return clause
        put = put or (_with_other_value(clause, fact.text) if wrong else None)
    return put


def _first_of(said: frozenset[str], what: str) -> frozenset[str]:
    """The words that "not" denies, if the fact has them: "Asante" of "Asante as I said"."""
    return frozenset(takewhile(said.__contains__, (word for word in content(what) if any(map(str.isalnum, word)))))


def _with_other_value(clause: str, stated: str) -> str | None:
    """`stated` with the number or name of the clause, if that says nothing else, and says it of the same thing or
    beside the same word: "The scan is on the 21st", not "I work with Tom" of "I work at Acme"."""
    put = with_value_of(clause, stated, frozenset())
    if (
        put is None
        or not telling(clause, put) <= telling(put, put)
        or telling(clause, put).isdisjoint(telling(stated, put))
    ):
        return None
    was, now = WORD.findall(stated), WORD.findall(put)
    at = next((place for place, pair in enumerate(zip(was, now, strict=False)) if pair[0] != pair[1]), 0)
    beside = at > 0 and tuple(now[at - 1 : at + 1]) in pairwise(WORD.findall(clause))
    return put if beside or WHOSE.match(stated) or _THE.match(stated) else None


def _in_place_of(denied: frozenset[str], clause: str, stated: str, text: str) -> str | None:
    """`stated` with the one name or number of the clause in place of the denied one, if the clause says nothing else
    and the message names what it is about: "Draft a mail to my landlord? It's Mr. Osei, not Asante"."""
    new, about = telling(clause, stated) - telling(stated, stated), telling(stated, stated) - denied
    if len(denied) != 1 or len(new) != 1 or about.isdisjoint(telling(text, stated)) or WHOSE.match(clause):
        return None
    old, value = (re.compile(rf"(?<!\w){re.escape(*word)}(?!\w)", re.IGNORECASE) for word in (denied, new))
    places, typed = [*old.finditer(stated)], value.search(clause, 1)  # a word that begins it has a capital anyway
    if len(places) != 1 or typed is None or _kind(places[0][0]) is not _kind(typed[0]) or _kind(typed[0]) is None:
        return None
    return stated[: places[0].start()] + typed[0] + stated[places[0].end() :]


def _kind(word: str) -> str | None:
    return "number" if word[0].isdigit() else "name" if word[0].isupper() else None


def _words(text: str) -> frozenset[str]:
    return frozenset(word for word in content(text) if any(map(str.isalnum, word)))


def _of_the_same(clause: str, fact: Memory) -> bool:
    """Whether the clause is about the same person as the fact."""
    about = {found[0].casefold() for found in _SOMEBODY_ELSE.finditer(clause)}
    return about <= {found[0].casefold() for found in _SOMEBODY_ELSE.finditer(fact.text)}


def _clauses(text: str) -> Iterator[str]:
    """The message from each of its clauses on to the end of that: "it was wrong: I ski" has "I ski"."""
    start = 0
    for found in [*_ENDS.finditer(text), None]:
        clause = text[start : found.start() if found else len(text)].strip(" ,;:–—").lstrip("- ")
        if clause:
            yield clause
        start = found.end() if found else len(text)


def _respelt(text: str, fact: Memory) -> str | None:
    """The fact with the new spelling of a name, if something was wrong and only one word of the message is like
    it."""
    if not _WRONG.search(text):
        return None
    pairs = [
        (old[0], new[0])
        for old in NAME.finditer(fact.text)
        for new in NAME.finditer(text)
        if old[0] != new[0] and SequenceMatcher(None, old[0], new[0]).ratio() >= _MISSPELT
    ]
    return fact.text.replace(*pairs[0]) if len(pairs) == 1 else None


async def _of_the_message_before(store: MemoryStore, turn: Turn, text: str) -> list[Fact]:
    before = await _message_before(store, turn)
    if before is None:
        return []
    said, _ = sides(before)
    recent, _ = await store.page(turn.space, limit=_LAST, now=turn.created_at, kind="fact")
    theirs = [each for each in recent if each.contributor == turn.contributor and each.text in said]
    beside = await asyncio.to_thread(words_that_tell, "corrects", text)
    pairs = [(each, with_value_of(text, each.text, beside)) for each in theirs if each.valid_to is None]
    meant = [(fact, value) for fact, value in pairs if value and not _may_mean_more(text, said, fact)]
    if len(meant) != 1:
        return []
    fact, corrected = meant[0]
    return [Fact(corrected, text, fact.slot, turn.created_at, verdicts={fact.id: "replaces"})]


def _may_mean_more(text: str, said: str, fact: Memory) -> bool:
    """Whether the message may correct something else."""
    rest = said.replace(fact.text, "", 1)
    return any(kind.search(text) and kind.search(rest) for kind in KINDS)


async def _message_before(store: MemoryStore, turn: Turn) -> Memory | None:
    """In any conversation: many clients name none, or a new one for each message. In a group, of the same member."""
    recent, _ = await store.page(turn.space, limit=_LAST, now=turn.created_at, kind="episode")
    theirs = [each for each in recent if each.contributor == turn.contributor]
    before = [each for each in theirs if 0 < turn.created_at - each.created_at <= _WITHIN_MS]
    return max(before, key=lambda each: each.created_at, default=None)
