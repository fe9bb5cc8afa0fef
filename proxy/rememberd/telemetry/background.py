"""Tasks that run beside the requests for as long as the process does."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from rememberd.telemetry.metrics import counter

TASKS = (
    "apps",
    "audit_log",
    "extraction",
    "groups",
    "housekeeping",
    "key_watcher",
    "leases",
    "moving",
    "reembedding",
    "reindexing",
    "reload",
    "removals",
    "topics",
    "usage",
)
FAILURES = counter(
    "rememberd_background_failures", "Background tasks that an error ended; each was started again.", "task", *TASKS
)
AGAIN_S, LATEST_S = 1.0, 60.0

log = logging.getLogger("rememberd.background")


async def keep_running(task: str, work: Callable[[], Awaitable[None]], *, again_s: float = AGAIN_S) -> None:
    """Run `work`, one of `TASKS`, until it returns. An error that ends it is logged and counted, and it is started
    again after `again_s` seconds, twice as many each time and at most `LATEST_S`. A task that is gone unnoticed does
    the most harm: a key would stay valid after it was revoked."""
    while True:
        try:
            return await work()
        except Exception:  # a defect of ours: whatever it is, the next round may do without it
            FAILURES.labels(task).inc()
            log.exception("the background task %s failed and is started again", task)
        await asyncio.sleep(again_s)
        again_s = min(2 * again_s, LATEST_S)
