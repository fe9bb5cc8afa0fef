"""Questions about a time bring what was said then, in the user's own time zone, without a word in common."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.recall.dates import asked_about, offset_of
from rememberd.memory.recall.recall import Recall
from rememberd.types import Evidence, Memory, Source, Space
from tests.support.fakes import EmbedderFake, MemoryStoreFake

ADA = Space("ada")
NOON = datetime(2026, 3, 11, 12, tzinfo=UTC)  # a Wednesday
NOW = int(NOON.timestamp() * 1000)


def said(text: str, ago: timedelta, conversation: str) -> Memory:
    at = NOW - int(ago.total_seconds() * 1000)
    source, evidence = Source(conversation), Evidence(text, "user", f"turn {text}")
    return Memory(text, f"User: {text}", "episode", at, at, at, source=source, evidence=evidence)


async def recall_of(*memories: Memory) -> Recall:
    store, embedder = MemoryStoreFake(), EmbedderFake()
    await store.put(ADA, [await to_point(each, embedder) for each in memories])
    return Recall(store, embedder, 600, deadline_ms=30_000)


async def asked(recall: Recall, question: str, zone: str | None = None) -> tuple[str, ...]:
    offset = offset_of(zone, NOW)
    found = await recall.recall(ADA, question, now=NOW, turn_id=None, conversation="now", offset=offset)
    return found.ids


HOURS = {"kiln": 26, "tomatoes": 30, "novel": 76, "bridge": 24 * 7, "sails": 24 * 31}


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("What did we talk about yesterday?", {"kiln", "tomatoes"}),
        ("What did I tell you three days ago?", {"novel"}),
        ("what did we discuss 7 days ago", {"bridge"}),
        ("What did we talk about on Sunday?", {"novel"}),
        ("What did we talk about a month ago?", {"sails"}),
        ("What did I say last week?", {"bridge", "novel"}),
        ("What did we talk about on 2026-03-10?", {"kiln", "tomatoes"}),
        ("What did we talk about on 10.03.2026?", {"kiln", "tomatoes"}),
        ("What did we talk about last time?", {"kiln"}),
        ("Where were we?", {"kiln"}),
    ],
)
async def test_a_time_is_enough(question: str, wanted: set[str]) -> None:
    """No word of the question stands in what was said."""
    recall = await recall_of(*(said(text, timedelta(hours=hours), text) for text, hours in HOURS.items()))
    assert set(await asked(recall, question)) == wanted


async def test_yesterday_is_the_users() -> None:
    """At noon in UTC it is 1 in the morning in Auckland, so this morning's words in UTC were said yesterday."""
    recall = await recall_of(said("kiln", timedelta(hours=2), "a"))
    assert await asked(recall, "What did we talk about yesterday?") == ()
    assert await asked(recall, "What did we talk about yesterday?", "Pacific/Auckland") == ("kiln",)


async def test_the_block_is_dated_in_the_users_zone() -> None:
    """The day headers too."""
    recall = await recall_of(said("I fired the kiln", timedelta(hours=11), "a"))
    for zone, day in ((None, "Wed 11 Mar"), ("America/Los_Angeles", "Tue 10 Mar")):
        offset = offset_of(zone, NOW)
        found = await recall.recall(
            ADA, "When did I fire the kiln?", now=NOW, turn_id=None, conversation=None, offset=offset
        )
        assert day in found.block


@pytest.mark.parametrize(
    ("question", "start", "end"),
    [
        ("two weeks ago", date(2026, 2, 22), date(2026, 3, 1)),
        ("the day before yesterday", date(2026, 3, 9), date(2026, 3, 10)),
        ("last night", date(2026, 3, 10), date(2026, 3, 12)),
        ("in the last 3 days", date(2026, 3, 8), date(2026, 3, 12)),
        ("last Monday", date(2026, 3, 9), date(2026, 3, 10)),
        ("on 3/6/2025", date(2025, 6, 3), date(2025, 6, 4)),
        ("on 13/6/2025", date(2025, 6, 13), date(2025, 6, 14)),
        ("on 6/13/2025", date(2025, 6, 13), date(2025, 6, 14)),
    ],
)
def test_spans(question: str, start: date, end: date) -> None:
    """What people mean by it."""
    assert asked_about(question, NOW) == (start, end)


def test_what_is_no_zone_is_refused() -> None:
    """Not taken for UTC."""
    for name in ("Mars/Olympus", "../etc/passwd", ""):
        with pytest.raises(ValueError, match="zone"):
            offset_of(name, NOW)
