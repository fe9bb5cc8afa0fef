"""Finds the memories that a wish to forget means: by its content words, in any inflection, or by an attribute that it
names without the value. One memory must match clearly better than all others. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from rememberd.dialects.segments import segment
from rememberd.memory.learn.rules.sentences import sentences
from rememberd.memory.learn.rules.slots import is_single
from rememberd.memory.learn.rules.statement import statement
from rememberd.memory.learn.rules.values import tells
from rememberd.memory.learn.rules.word_forms import same
from rememberd.memory.learn.wishes.wish_words import (
    THAT,
    FactClass,
    Named,
    has_one_value,
    is_attribute,
    languages_of,
    mean_the_same,
    named,
    names_in,
)
from rememberd.memory.recall.block import sides
from rememberd.memory.text_similarity import LONGEST, WHOSE, negated
from rememberd.types import Memory

_MAIL = re.compile(r"\w@\w")
_NUMBER = re.compile(r"\d(?:\W?\d){4}")
_FIGURE = re.compile(r"\d+(?:[.,' ]\d{3})*")
_BRIEF = 8  # named words; a longer exchange says more than what a wish for one word means


class Told(NamedTuple):
    """What a memory says. `of_another`: "dog" of "My dog weighs 30 kilos", if that is no attribute of the person."""

    memory: Memory
    words: frozenset[str]
    names: frozenset[str]
    of_another: str | None

    @classmethod
    def of(cls, memory: Memory, languages: frozenset[str] = frozenset()) -> Told:
        text = memory.text if memory.kind == "fact" else sides(memory)[0]
        owned = WHOSE.match(text.strip())
        thing = text.strip()[owned.end() :].split()[:1] if owned else []
        another = next((word.casefold() for word in thing if not is_attribute(word.casefold())), None)
        return cls(memory, named(text, topics=False, languages=languages).words, names_in(text), another)


class Asked(NamedTuple):
    """The words that a wish in these languages names, phrase by phrase. `claim`: what follows "that"; `numbers`:
    those of all that was said with it; `whole`: a memory is meant only if it tells all of them."""

    phrases: tuple[frozenset[str], ...]
    languages: frozenset[str]
    claim: str | None
    numbers: frozenset[str]
    whole: bool

    @classmethod
    def of(cls, wish: str, message: str, *, whole: bool) -> Asked:
        _, *claims = THAT.split(wish)
        claim = claims[-1].partition(",")[0] if claims else None
        return cls(named(wish, topics=False).phrases, languages_of(wish), claim, _numbers(message), whole)

    def meant(self, told: Sequence[Told], *, everything: bool, again: bool) -> tuple[list[Memory], list[Memory]]:
        """Which of these memories are meant, and which share a word with the wish. `again`: the meant one is already
        deleted. Phrases without a word of any memory are ignored ("…, I gave it up")."""
        shared = [(each, self._shared(each)) for each in told]
        known = frozenset().union(*(words for _, words in shared))
        wanted = frozenset().union(*(phrase for phrase in self.phrases if self.whole or phrase & known))
        near = [each.memory for each, words in shared if words]
        if everything:
            return [each.memory for each, words in shared if words and words == wanted], near
        covered, close, whole = [], [], []
        for each, words in shared:
            held = [word for word in each.words if any(self._same(other, word, each) for other in words)]
            missing = len(wanted - words)
            if (
                not held
                or (missing and self.whole)
                or self._differs(each, is_wider=bool(missing) and len(held) < len(each.words))
            ):
                continue
            if len(held) == len(each.words) and (not missing or len(held) > 1):
                covered.append(each.memory)
            elif len(held) > 1 and 2 * len(held) >= len(each.words) and len(words) > missing:
                close.append((len(held), each.memory))
            elif not missing and len(each.words) <= _BRIEF:
                whole.append(each.memory)
        most = max((count for count, _ in close), default=0)
        best = [memory for count, memory in close if count == most]
        if wanted and all(map(has_one_value, wanted)):  # "my salary": every one that was told
            return [*covered, *(memory for _, memory in close), *whole], near
        return covered or ([] if again else _alone(best) or _alone(whole)), near

    def _differs(self, told: Told, *, is_wider: bool) -> bool:
        """True if the memory says another thing with the same words: another number; or, if the wish has a claim, the
        opposite ("that I love karaoke", "I hate karaoke bars"), or if each names something that the other does
        not."""
        others = _numbers(told.memory.text)
        if self.numbers - others and others - self.numbers:
            return True
        return self.claim is not None and (is_wider or negated(self.claim) != negated(told.memory.text))

    def _shared(self, told: Told) -> frozenset[str]:
        words = chain.from_iterable(self.phrases)
        return frozenset(word for word in words if any(self._same(word, other, told) for other in told.words))

    def _same(self, word: str, other: str, told: Told) -> bool:
        is_name = other in told.names and "de" not in self.languages  # where nouns have capitals
        if mean_the_same(word, other) and not is_name:
            return not told.of_another or self._names_whose(told)
        return same(word, other, told.names, self.languages)

    def _names_whose(self, told: Told) -> bool:
        """Does the wish name whose attribute is told, by a name or another word?"""
        words, whose = [*chain.from_iterable(self.phrases)], [told.of_another or "", *told.names]
        return any(same(word, each, told.names, self.languages) for word in words for each in whose)


def _numbers(text: str) -> frozenset[str]:
    """Their digits: "1.450" is "1450"."""
    return frozenset(re.sub(r"\D", "", found) for found in _FIGURE.findall(text))


def _alone(memories: list[Memory]) -> list[Memory]:
    return memories if len(memories) == 1 else []


def of_slots(wish: Named, facts: Sequence[Memory]) -> list[Memory]:
    """The facts of the attributes that a wish names. If an attribute may have several values, only facts that state
    it explicitly: a classifier takes "I restore radios" for a job, too."""
    of_name = [each for each in facts if wish.slots & _attributes([each.slot or ""], each.text)]
    found = [each for each in of_name if is_single(each.slot) or _states(each)]
    return found or [each for each in facts if not is_single(each.slot) and wish.slots & told_slots(each.text)]


def of_class(wanted: FactClass, facts: Sequence[Memory]) -> list[Memory]:
    """The facts of a class, except those of other people and things with one of its words: "My dog weighs …"."""
    told = map(Told.of, facts)
    return [
        each.memory
        for each in told
        if each.memory.slot in wanted.slots or (not each.of_another and any(map(wanted.has_word, each.words)))
    ]


def _states(memory: Memory) -> bool:
    stated = statement(memory.text)
    return stated is not None and stated.slot == memory.slot


def _attributes(slots: Iterable[str], text: str) -> frozenset[str]:
    """A "contact" is an address of mail or a number of a phone."""
    contact = "email" if _MAIL.search(text) else "phone" if _NUMBER.search(text) else "contact"
    return frozenset(contact if each == "contact" else each for each in slots)


def holding(wish: Named, of_slot: list[Memory]) -> list[Memory]:
    """The facts `of_slot` with the value that the wish names; all of them if it names no value."""
    if not wish.beside:
        return of_slot
    anywhere = frozenset[str]()
    return [
        each.memory
        for each in map(Told.of, of_slot)
        if any(same(one, two, each.names, anywhere) for one in wish.beside for two in each.words)
    ]


def told_slots(said: str) -> frozenset[str]:
    """The attributes whose present value is told by short, typed sentences."""
    typed = segment(said).masked() if len(said) <= LONGEST else ""
    told = [typed[span.start : span.end] for span in sentences(typed)]
    stated = [each.slot for each in map(statement, told) if each and not (each.past or each.denied or each.ends)]
    return _attributes({*stated}.union(*map(tells, told)), typed)


def of_value(wish: str, facts: Sequence[Memory]) -> list[Memory]:
    """Those that state the same value of the same attribute as the clause of the wish, in any language."""
    claimed = statement(THAT.split(wish, maxsplit=1)[-1].strip(" .,!"))
    if claimed is None or not claimed.value or not is_single(claimed.slot):
        return []
    stated = [(each, statement(each.text)) for each in facts]
    return [
        each for each, told in stated if told and told.slot == claimed.slot and set(told.value) == set(claimed.value)
    ]
