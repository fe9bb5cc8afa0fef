"""When is a fact over? Words decide for two of the four reasons (DESIGN, section 7): the person states another value
of an attribute that has one at a time, or says that this very thing has ended. Pure."""

from __future__ import annotations

from functools import lru_cache

from rememberd.memory.learn.rules.slots import is_one_person, is_single
from rememberd.memory.learn.rules.statement import Statement, statement
from rememberd.memory.text_similarity import opposes
from rememberd.types import Memory

stated_in = lru_cache(maxsize=4096)(statement)


def ends(new: Memory, old: Memory) -> bool:
    """Does the fact `new` say that `old`, which was said before it, holds no longer?"""
    later, earlier = stated_in(new.text), stated_in(old.text)
    if later is None or earlier is None:
        return (_same_slot(new, old) and is_single(new.slot)) or opposes(old.text, new.text)
    if _says_it_ended(later, earlier) or _says_the_opposite(later, earlier) or _says_it_is_back(later, earlier):
        return True
    return _same_slot(new, old) and is_single(new.slot) and _is_another_value(later)


def repeats(new: Memory, old: Memory) -> bool:
    """Do they say the same of an attribute that may have several values?"""
    later, earlier = stated_in(new.text), stated_in(old.text)
    if later is None or earlier is None or is_single(later.slot) or later.ends or earlier.ends:
        return False
    return (
        later.slot == earlier.slot
        and later.value == earlier.value
        and later.denied == earlier.denied
        and later.again == earlier.again
    )


def is_empty_denial(fact: Memory) -> bool:
    """Does it only deny something, so that it is worth keeping only if that was known?"""
    stated = stated_in(fact.text)
    return stated is not None and stated.is_denial


def ended_attributes(fact: Memory) -> tuple[str, ...]:
    """The slots of what it may end."""
    stated = stated_in(fact.text)
    return stated.ends if stated else ()


def _same_slot(new: Memory, old: Memory) -> bool:
    return new.slot == old.slot


def _is_another_value(later: Statement) -> bool:
    """Or the same one in other words: then the later wording stands for both."""
    if later.denied or later.also or later.passing:
        return False
    return is_one_person(later.slot) or later.changed or later.again


def _says_it_ended(later: Statement, earlier: Statement) -> bool:
    if earlier.denied or earlier.ends or earlier.slot not in later.ends:
        return False
    if later.only:
        return bool(later.only & set(earlier.value))
    return later.slot == "pregnancy" or bool(_stems(later) & _stems(earlier))


def _says_the_opposite(later: Statement, earlier: Statement) -> bool:
    same = later.slot == earlier.slot and set(later.value) == set(earlier.value)
    return same and later.denied != earlier.denied


def _says_it_is_back(later: Statement, earlier: Statement) -> bool:
    """ "I'm back at Acme", after "I left Acme"."""
    return later.slot in earlier.ends and not later.ends and bool(_stems(later) & _stems(earlier))


def _stems(stated: Statement) -> set[str]:
    """Four letters tell "smoking" from "swimming" and find "smoke"; symbols and short words count whole."""
    return {
        word.rstrip(".!?")[:4] if word.isalpha() and len(word) > 4 else word.rstrip(".!?") for word in stated.value
    }
