"""A process that stops is never held up by a task that outlives its cancellation."""

from __future__ import annotations

import asyncio

import pytest

from rememberd.telemetry.background import cancel_and_wait


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    """As one does whose library turns the cancellation into its own timeout."""
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1
                if swallowed == 2:
                    raise

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await asyncio.wait_for(cancel_and_wait(task), 120)
    assert task.cancelled()
    assert swallowed == 2


async def test_what_it_raised_is_raised() -> None:
    """A defect that ended it is not lost with it; one that ended well says nothing."""

    async def broken() -> None:
        raise ZeroDivisionError

    async def well() -> None:
        return None

    task = asyncio.create_task(broken())
    await asyncio.wait({task})
    with pytest.raises(ZeroDivisionError):
        await cancel_and_wait(task)
    await cancel_and_wait(asyncio.create_task(well()))
