"""Which memories a wish is about: the user's own, and what they have contributed to groups. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rememberd.types import Memory, Space, Turn


class Reach(NamedTuple):
    """Whose memories a wish is about: those of `space`, where it was said, and what the `user` has contributed to
    `groups`. In a group's space too only what the user has contributed."""

    user: str
    space: Space
    groups: Sequence[str] = ()

    @classmethod
    def of(cls, turn: Turn) -> Reach:
        return cls(turn.owner.user, turn.space, turn.groups)

    @property
    def spaces(self) -> tuple[Space, ...]:
        return self.space, *map(Space.of_group, self.groups)

    def place(self, memory: Memory) -> Space:
        """Where a memory lies that was found within reach."""
        return Space.of_group(memory.group) if memory.group else self.space

    def theirs(self, space: Space, memories: Sequence[Memory]) -> list[Memory]:
        contributor = self.user if space.group else None
        return [each for each in memories if each.contributor == contributor]
