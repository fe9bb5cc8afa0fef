"""Facts by rules: first-person statements, without a model call."""

from __future__ import annotations

from proxy.types import Fact, Millis, Turn


class Rules:
    """The `Extractor` that needs no model."""

    async def facts(self, turn: Turn) -> list[Fact]:
        return extract(turn.user_text, turn.created_at)


def extract(text: str, at: Millis) -> list[Fact]:
    return []
