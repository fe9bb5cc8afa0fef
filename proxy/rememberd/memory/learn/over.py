"""Decides whether a fact is over. Words decide for two of the four reasons (DESIGN, section 7): the person states
another value of an attribute that has one at a time, or says that this thing has ended. Pure."""

from operator import attrgetter

from rememberd.memory.learn.rules.judge import enough, judge_beginning
from rememberd.memory.learn.rules.slots import is_one_person, is_single
from rememberd.memory.learn.rules.statement import Statement, statement
from rememberd.memory.learn.rules.table import mentions
from rememberd.memory.learn.rules.values import (
    LIKELY,
    clauses_of,
    denies_an_end,
    may_tell,
    tells,
    words_that_tell,
)
from rememberd.memory.text_similarity import NEARLY_ALL, names_differ, names_only, negated, opposes, share_of
from rememberd.types import Memory

_HALF = 0.5
TOLD = ("home", "employer", "name", "relationship")  # attributes that a classifier knows
_LASTING = frozenset(("event", "origin", "birthplace"))


def ends(new: Memory, old: Memory) -> bool:
    """Whether the fact `new` says that the earlier `old` is no longer true."""
    later, earlier = statement(new.text), statement(old.text)
    if later is not None and earlier is not None:
        head = new.text.partition(",")[0]  # of "ich rauche nicht mehr, seit sechs Wochen"
        value = (statement(head) or later).value
        if _says_it_ended(later, earlier, value) and not (names_differ(head, old.text) or denies_an_end(new.text)):
            return True
        if _says_the_opposite(later, earlier) or _says_it_is_back(later, earlier):
            return True
    elif opposes(old.text, new.text):
        return True
    is_other = new.slot == old.slot and is_single(new.slot) and (later is None or _is_another_value(later))
    return is_other or _turns(new, old)


def _turns(new: Memory, old: Memory) -> bool:
    """Whether `new` says that `old` is over; or, if `old` states an end, that it is true again."""
    ended = "ended" in tells(new.text) or (statement(old.text) is None and _is_an_end(new.text))
    again = "again" in tells(new.text) or mentions("again", new.text)
    if not again and not ended:
        return False
    stated, said = old.text, ended
    if "ended" in tells(stated) or negated(stated):
        stated, said = stated.partition(",")[0], again  # "I'm not vegan any more, bacon won"
    return said and share_of(new.text, stated) >= (NEARLY_ALL if _is_of_another_kind(old) else _HALF)


def _is_an_end(text: str) -> bool:
    """By a table, or by words like "no longer". A simple denial is not an end: "I don't eat pork"."""
    stated = statement(text)
    if stated is not None and stated.ends and not stated.denied:
        return True
    return negated(text) and mentions("more", text)


def _is_of_another_kind(old: Memory) -> bool:
    """ "I no longer live in York" does not end "I love York", nor a plan, unless nearly all of it is repeated."""
    return old.slot == "plan" or _lasts(old)


def _lasts(old: Memory) -> bool:
    """An event is never over, and a liking only if the person says so. "I ski" is classified as a liking, too, but
    has no word like "love"."""
    if old.slot == "likes":
        return mentions("like", old.text) or mentions("dislike", old.text)
    return old.slot in _LASTING


def may_end(new: Memory, old: Memory) -> bool:
    """Whether the fact `new` probably says that something is over, and names something of `old` and nothing else.
    This is enough if `old` is the only candidate."""
    if _lasts(old) or not may_tell("ended", new.text) or "ended" in tells(old.text):
        return False
    return any(
        names_only(part, old.text, words_that_tell("ended", part)) for part in (new.text, *clauses_of(new.text))
    )


def may_replace(new: Memory, old: Memory) -> bool:
    """Whether `new` is the present value of an attribute, and `old`, which no table knew, may be another value of it.
    This is enough if `old` is the only candidate."""
    later = statement(new.text)
    if new.slot not in TOLD or is_single(old.slot) or _is_of_another_kind(old) or old.valid_to is not None:
        return False
    # "I live on the fifth floor" is in a table, and is no other home.
    lasts = not (statement(old.text) or any(mentions(name, old.text) for name in ("also", "past", "passing")))
    return lasts and may_tell(new.slot, old.text, LIKELY) and (later is None or _is_another_value(later))


def repeats(new: Memory, old: Memory) -> bool:
    """Whether they say the same about an attribute that may have several values."""
    later, earlier = statement(new.text), statement(old.text)
    if later is None or earlier is None or is_single(later.slot) or later.ends or earlier.ends:
        return False
    says = attrgetter("slot", "value", "denied", "again")
    return bool(says(later) == says(earlier))


def is_empty_denial(fact: Memory) -> bool:
    """Whether it only says that something is over or true again. Then it is stored only if that thing was known."""
    stated = statement(fact.text)
    if stated is None:
        changes = may_tell("ended", fact.text) or may_tell("again", fact.text)
        return changes and not is_single(fact.slot) and judge_beginning(fact.text).sure < enough()
    return stated.is_denial


def revives(new: Memory, old: Memory) -> bool:
    """Whether `new` says that `old` is true again. If `old` was over then, a probable yes is enough."""
    says_so = may_tell("again", new.text) if was_over(old, new) else "again" in tells(new.text)
    return says_so and share_of(new.text, old.text) >= _HALF


def brings_back(new: Memory, old: Memory) -> bool:
    """Whether `new` says that `old`, which was over, is true again. "My orchestra again tonight" tells nothing, if it
    was not."""
    return was_over(old, new) and revives(new, old)


def had_ended(end: Memory, back: Memory) -> bool:
    """Whether `end` says that `back`, which is true again, was over. An event remains true: "Our dog died". A value
    of an attribute that has one at a time is not an end: who says again that they left Oslo may live in Ghent."""
    stated = statement(end.text)
    happened = end.slot in _LASTING or (stated is not None and not (stated.ends or stated.denied))
    is_value = is_single(end.slot) and not _is_an_end(end.text) and "ended" not in tells(end.text)
    return not happened and not is_value and ends(end, back)


def gives_way(old: Memory, back: Memory) -> bool:
    """Whether `old` is the value of an attribute that has one at a time, and `back`, which is true again, another."""
    values = not any(ended_attributes(each) or "ended" in tells(each.text) for each in (old, back))
    return values and is_single(back.slot) and old.slot == back.slot


def was_over(old: Memory, new: Memory) -> bool:
    """Whether `old` was over when `new` was said."""
    return old.valid_to is not None and old.valid_to <= new.created_at


def ended_attributes(fact: Memory) -> tuple[str, ...]:
    """The slots of the facts that it may end."""
    stated = statement(fact.text)
    return stated.ends if stated else ()


def _is_another_value(later: Statement) -> bool:
    """Whether `later` is the person's present value, so that an earlier one is over. It may be the same value in
    other words; then the later wording replaces the earlier one."""
    if later.denied or later.also or later.passing or later.slot in later.ends:
        return False
    return is_one_person(later.slot) or later.changed or later.again


def _says_it_ended(later: Statement, earlier: Statement, head: tuple[str, ...]) -> bool:
    if earlier.denied or earlier.ends or earlier.slot not in later.ends:
        return False
    if later.only:
        return bool(later.only & set(earlier.value))
    shared = _stems(later) & _stems(earlier)
    if later.denied and len(earlier.value) > 1 and len(head) > 1:
        shared -= _stems(earlier._replace(value=earlier.value[:1]))  # mostly the verb: "I don't play the violin"
    return later.slot == "pregnancy" or bool(shared)


def _says_the_opposite(later: Statement, earlier: Statement) -> bool:
    same = later.slot == earlier.slot and set(later.value) == set(earlier.value)
    return same and later.denied != earlier.denied


def _says_it_is_back(later: Statement, earlier: Statement) -> bool:
    """ "I'm back at Acme", after "I left Acme"."""
    return later.slot in earlier.ends and not later.ends and bool(_stems(later) & _stems(earlier))


def _stems(stated: Statement) -> set[str]:
    """The first four letters of words: they tell "smoking" from "swimming" and find "smoke". Symbols and short words
    count whole."""
    return {
        word.rstrip(".!?")[:4] if word.isalpha() and len(word) > 4 else word.rstrip(".!?") for word in stated.value
    }
