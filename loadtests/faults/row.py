"""The results of one fault under load, as a row of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

_COLUMNS = (
    "fault", "chats", "failed", "without memory, longest s", "memory API refused", "deleted, shown", "lost",
    "doubled", "out of order", "added ms, p99 before / p50 / p99 during", "recovered in s", "what showed it",
)  # fmt: skip


@dataclass
class Row:
    """`chats` from the fault's begin on, up to `in_flight` at once, `degraded` of them without memory; `refused` are
    requests to the memory API. `counted`: lost turns that a metric owned to. Added is what the model did not take,
    chats that failed apart. `degraded_for_s`: the longest time between chats of which none had its memory; `shown`:
    memories that were listed after their deletion. `metric` grew by `grew_by`, or had this peak."""

    fault: str
    what: str
    metric: str = ""
    seconds: float = 0.0
    chats: int = 0
    in_flight: int = 0
    failed: int = 0
    refused: int = 0
    lost: int = 0
    counted: int = 0
    doubled: int = 0
    disorder: int = 0
    added_p99_before_ms: int = 0
    added_p50_ms: int = 0
    added_p99_ms: int = 0
    degraded: int = 0
    degraded_for_s: float = 0.0
    shown: int = 0
    recovery_s: float | None = None
    grew_by: float = 0.0
    skipped: str = ""
    examples: list[str] = field(default_factory=list)

    def line(self) -> str:
        if self.skipped:
            return f"{self.fault}: skipped, {self.skipped}"
        recovered = f"recovered in {self.recovery_s} s" if self.recovery_s is not None else "NOT recovered"
        return (
            f"{self.fault}, {self.seconds:.0f} s: {self.chats} chats, {self.failed} failed, {self.degraded} degraded"
            f" (for {self.degraded_for_s} s at most), {self.shown} deleted memories shown,"
            f" {self.refused} of the API refused; lost {self.lost} ({self.counted} counted), doubled {self.doubled},"
            f" out of order {self.disorder}; added {self.added_p99_before_ms}/{self.added_p50_ms}/{self.added_p99_ms}"
            f" ms; {recovered}; {self.metric} {self.grew_by:g}" + "".join(f"\n    {each}" for each in self.examples)
        )


def markdown(rows: Sequence[Row]) -> str:
    head = f"| {' | '.join(_COLUMNS)} |\n|{'---|' * len(_COLUMNS)}\n"
    return head + "\n".join(_cells(row) for row in rows) + "\n"


def _cells(row: Row) -> str:
    if row.skipped:
        return f"| {row.what} | skipped: {row.skipped} " + "|" * (len(_COLUMNS) - 1)
    added = f"{row.added_p99_before_ms} / {row.added_p50_ms} / {row.added_p99_ms}"
    recovered = "never" if row.recovery_s is None else f"{row.recovery_s:g}"
    shown = f"`{row.metric}` {row.grew_by:g}"
    cells = (
        f"{row.what}, {row.seconds:.0f} s", row.chats, row.failed, f"{row.degraded}, {row.degraded_for_s:g}",
        row.refused, row.shown, row.lost, row.doubled, row.disorder,
        added, recovered, shown,
    )  # fmt: skip
    return "| " + " | ".join(map(str, cells)) + " |"
