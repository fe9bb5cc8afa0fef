"""Times that a clock which ran ahead, and was set back since, has left on memories."""

from collections.abc import Sequence
from dataclasses import replace

from rememberd.types import Memory, Millis

# A time further ahead than this is from a clock that has been set back since: the clocks of hosts differ by less. And
# a statement older than this is not from now.
APART: Millis = 60_000


def told_before(known: Sequence[Memory], fact: Memory, now: Millis) -> Sequence[Memory]:
    """`known`, with times that are ahead changed to just before `fact`, if `fact` is said now.

    A time ahead, up to the last time that one of them was said, is from a wrong clock; a later one is meant: "from 1
    December I work at Globex". Only a clock that was ahead and set back within `APART` leads to a wrong result."""
    latest = max((each.updated_at for each in known), default=0)
    if latest <= now + APART or abs(fact.created_at - now) > APART:
        return known

    def told(at: Millis) -> Millis:
        return fact.created_at - 1 if now + APART < at <= latest else at

    return [
        replace(
            each,
            updated_at=told(each.updated_at),
            valid_from=told(each.valid_from),
            valid_to=None if each.valid_to is None else told(each.valid_to),
        )
        for each in known
    ]
