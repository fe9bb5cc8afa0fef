"""A date in a question means days, seen from the time of asking."""

from __future__ import annotations

from datetime import UTC, date, datetime

from rememberd.memory.recall.dates import asked_about
from tests.support.tables import each_row

WEDNESDAY = int(datetime(2026, 3, 11, 9, tzinfo=UTC).timestamp() * 1000)


@each_row(
    ("question", "start", "end"),
    [
        ("What did I do on 3 June 2025?", date(2025, 6, 3), date(2025, 6, 4)),
        ("Where was I on June 3rd, 2025?", date(2025, 6, 3), date(2025, 6, 4)),
        ("what happened on 2025-06-03", date(2025, 6, 3), date(2025, 6, 4)),
        ("Who came on the 2nd of March?", date(2026, 3, 2), date(2026, 3, 3)),
        ("Who came on 24 December?", date(2025, 12, 24), date(2025, 12, 25)),
        ("What did we buy in December 2024?", date(2024, 12, 1), date(2025, 1, 1)),
        ("Where did I travel last May?", date(2025, 5, 1), date(2025, 6, 1)),
        ("What did I say in January?", date(2026, 1, 1), date(2026, 2, 1)),
        ("Which races did I run in 2024?", date(2024, 1, 1), date(2025, 1, 1)),
        ("What did I tell you yesterday?", date(2026, 3, 10), date(2026, 3, 11)),
        ("What did I eat last week?", date(2026, 3, 2), date(2026, 3, 9)),
        ("What am I doing this week?", date(2026, 3, 9), date(2026, 3, 16)),
        ("What did I earn last month?", date(2026, 2, 1), date(2026, 3, 1)),
        ("Who died last year?", date(2025, 1, 1), date(2026, 1, 1)),
        ("How is this year going?", date(2026, 1, 1), date(2027, 1, 1)),
    ],
)
def test_the_days_are_found(question: str, start: date, end: date) -> None:
    """A day or month without a year is the latest one begun."""
    assert asked_about(question, WEDNESDAY) == (start, end)


@each_row("question", ["May I come in?", "What did I march for?", "on 31 February", "Who am I?", ""])
def test_no_days_are_made_up(question: str) -> None:
    """Words that only look like months, and days that do not exist, mean nothing."""
    assert asked_about(question, WEDNESDAY) is None
