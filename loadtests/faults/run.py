"""One fault after the other: load, the fault, the recovery, and the account of every turn."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from loadtests.faults.crowd import Chatted, Crowd, session
from loadtests.faults.deployment import DEADLINE_MS, Balancer, Deployment, Skipped
from loadtests.faults.kinds import AGE, Fault
from loadtests.faults.ledger import Verdict, percentile
from loadtests.faults.probe import LOST, Probe
from loadtests.faults.row import Row

WARM_S = 4.0
_EXAMPLES = 5


async def run(faults: Sequence[Fault], seconds: float | None, deadline_ms: int = DEADLINE_MS) -> list[Row]:
    """`seconds`: how long each lasts, instead of its own time; `deadline_ms`: of recall, and of the wait for the
    queue."""
    if (task := asyncio.current_task()) is not None:  # SIGTERM too goes by way of every clean-up
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    rows: list[Row] = []
    for scaled in (True, False):
        chosen = [fault for fault in faults if fault.scaled == scaled]
        if chosen:
            rows += await _on_one_deployment(chosen, scaled, seconds, deadline_ms)
    return rows


async def _on_one_deployment(
    faults: Sequence[Fault], scaled: bool, seconds: float | None, deadline_ms: int
) -> list[Row]:
    opened = Deployment.scaled if scaled else Deployment.one_host
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        try:
            async with opened(Path(folder), deadline_ms) as deployment, balanced(deployment):
                for fault in faults:
                    rows.append(await _suffered(fault, deployment, seconds or fault.seconds))
                    print(rows[-1].line(), file=sys.stderr, flush=True)
        except Skipped as reason:
            rows += [Row(fault.name, fault.what, skipped=str(reason)) for fault in faults]
    return rows


async def _suffered(fault: Fault, deployment: Deployment, seconds: float) -> Row:
    async with session() as http:
        name = f"{fault.name}-{int(time.time()) % 10_000}"
        crowd = Crowd(deployment, http, fault.people, fault.pause_s, name, fault.movers, fault.retries)
        probe = Probe(crowd, fault.patience_s)
        async with at_work(crowd), at_work(probe):
            await probe.introduce()
            await asyncio.sleep(WARM_S)
            before = await probe.metrics()
            began = time.monotonic()
            try:
                await fault.strike(deployment, seconds)
            except Skipped as reason:
                return Row(fault.name, fault.what, skipped=str(reason))
            ended = time.monotonic()
            recovery = await probe.recovered(ended, probe.usual_depth(began))
            crowd.stopping = True
            verdict = await probe.verdict()
            after = await probe.metrics()
            for user in (probe.user, *(life.user for life in crowd.lives)):
                await crowd.erase(user)
        grown = probe.peak(AGE, began) if fault.metric == AGE else after[fault.metric] - before[fault.metric]
        row = _row(fault, crowd, verdict, began, ended)
        row.counted = int(after[LOST] - before[LOST])
        row.recovery_s, row.grew_by = recovery, round(grown, 1)
        return row


def _row(fault: Fault, crowd: Crowd, verdict: Verdict, began: float, ended: float) -> Row:
    calm = [each for each in crowd.chats if each.at < began]
    struck = [each for each in crowd.chats if began <= each.at]
    failures = [each.failed for each in crowd.chats if each.failed]
    refused = [reason for at, reason in crowd.refused if at >= began]
    return Row(
        fault.name,
        fault.what,
        metric=fault.metric,
        seconds=round(ended - began, 1),
        chats=len(struck),
        in_flight=crowd.most_at_once,
        failed=len(failures),
        refused=len(refused),
        lost=len(verdict.lost),
        doubled=verdict.doubled,
        disorder=verdict.disorder,
        added_p99_before_ms=round(percentile(_added(calm), 0.99)),
        added_p50_ms=round(percentile(_added([each for each in struck if each.at <= ended]), 0.5)),
        added_p99_ms=round(percentile(_added([each for each in struck if each.at <= ended]), 0.99)),
        degraded=sum(each.status == "degraded" for each in struck),
        degraded_for_s=round(_longest_degraded(struck), 2),
        shown=len(crowd.shown),
        examples=[*failures, *crowd.shown, *sorted(verdict.lost), *verdict.notes, *refused][:_EXAMPLES],
    )


def _longest_degraded(chats: Sequence[Chatted]) -> float:
    longest, since = 0.0, None
    for chat in sorted(chats, key=lambda each: each.at):
        since = (since or chat.at) if chat.status == "degraded" else None
        longest = max(longest, chat.at - (since or chat.at))
    return longest


def _added(chats: list[Chatted]) -> list[float]:
    return [each.added_ms for each in chats if not each.failed]


@asynccontextmanager
async def balanced(deployment: Deployment) -> AsyncIterator[None]:
    async with at_work(Balancer(deployment)):
        while len(deployment.ready) < len(deployment.urls):  # noqa: ASYNC110 - other processes know
            await asyncio.sleep(0.05)
        yield


@asynccontextmanager
async def at_work(work: Crowd | Probe | Balancer) -> AsyncIterator[None]:
    """Whatever stops it early is raised at the end."""
    running = asyncio.create_task(work.run())
    try:
        yield
    finally:
        if not running.done():
            running.cancel()
        await asyncio.wait([running])
    if not running.cancelled():
        running.result()
