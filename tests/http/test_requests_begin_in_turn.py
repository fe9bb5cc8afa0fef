"""Of many requests that come at once a few begin in each round of the event loop, so that `/health/live` and the
streams under way are never behind all of them, nor anybody behind all those of another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from rememberd.http.admission import LONG_S, MOST, AdmissionMiddleware


class _App:
    """Notes in which round each path began."""

    def __init__(self) -> None:
        self.round, self.began = 0, list[tuple[int, str]]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.began.append((self.round, scope["path"]))

    def count(self) -> None:
        self.round += 1
        asyncio.get_running_loop().call_soon(self.count)


async def _nothing(message: Message | None = None) -> Any:
    return None


def _slow() -> Callable[[], float]:
    """A clock for which each round was a long one."""
    return count(0.0, 2 * LONG_S).__next__


def _quick() -> float:
    return 0.0


def _scope(path: str, caller: str = "ada", method: str = "POST") -> Scope:
    headers = [(b"authorization", b"Bearer sk-gateway"), (b"x-memory-user", caller.encode())]
    return {"type": "http", "method": method, "path": path, "headers": headers}


def _begin(
    admission: AdmissionMiddleware, path: str, caller: str = "ada", method: str = "POST"
) -> asyncio.Task[None]:
    async def begin() -> None:
        await admission(_scope(path, caller, method), _nothing, _nothing)

    return asyncio.create_task(begin())


@pytest.mark.parametrize(("clock", "most"), [(_slow(), 1), (_quick, MOST)], ids=["long rounds", "short rounds"])
@pytest.mark.parametrize("waves", [(200,), (1, 1, 1), (2, 30, 2), (7, 5, 0, 0, 0, 40)])
async def test_each_round_begins_a_few_in_the_order_they_came(
    waves: tuple[int, ...], clock: Callable[[], float], most: int
) -> None:
    """One where rounds are long, more where they are short."""
    app = _App()
    admission, requests = AdmissionMiddleware(app, clock), list[asyncio.Task[None]]()
    app.count()
    for size in waves:
        requests += [_begin(admission, f"/{len(requests) + number}") for number in range(size)]
        await asyncio.sleep(0)
    await asyncio.gather(*requests)
    rounds = [number for number, _ in app.began]
    fullest = max(rounds.count(number) for number in rounds)
    assert fullest <= most
    assert fullest == most or max(waves) < 200
    assert [path for _, path in app.began] == [f"/{number}" for number in range(sum(waves))]


async def test_one_alone_begins_at_once() -> None:
    """In the round in which it came, and so does the next one after it."""
    app = _App()
    admission = AdmissionMiddleware(app)
    for number in range(5):
        await admission(_scope(f"/{number}"), _nothing, _nothing)
        assert len(app.began) == number + 1
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_a_flood_of_one_caller_holds_up_no_other(method: str) -> None:
    """Who sends two begins with the third and the fifth, at the latest, however many another has sent before."""
    app = _App()
    admission = AdmissionMiddleware(app, _slow())
    requests = [_begin(admission, f"/flood/{number}", "mallory", method) for number in range(200)]
    requests += [_begin(admission, f"/ada/{number}", "ada", method) for number in range(2)]
    await asyncio.gather(*requests)
    began = [path for _, path in app.began]
    assert began.index("/ada/0") <= 2
    assert began.index("/ada/1") <= 4
    assert [path for path in began if "flood" in path] == [f"/flood/{number}" for number in range(200)]


async def test_a_look_up_waits_for_few_of_the_chats_before_it() -> None:
    """Of 200 people who ask at the same instant."""
    app = _App()
    admission = AdmissionMiddleware(app, _slow())
    requests = [_begin(admission, "/chat", f"person {number}") for number in range(200)]
    requests += [_begin(admission, "/look-up", f"person {number}", "GET") for number in range(3)]
    await asyncio.gather(*requests)
    began = [path for _, path in app.began]
    assert [number for number, path in enumerate(began) if path == "/look-up"][-1] <= 7


async def test_health_waits_for_nobody() -> None:
    app = _App()
    admission = AdmissionMiddleware(app, _slow())
    requests = [_begin(admission, "/v1/models") for _ in range(200)] + [_begin(admission, "/health/live")]
    await asyncio.sleep(0)
    assert [path for _, path in app.began] == ["/v1/models", "/health/live"]
    await asyncio.gather(*requests)


async def test_those_who_give_up_hold_up_nobody() -> None:
    """Whether they wait or were just let in."""
    app = _App()
    admission = AdmissionMiddleware(app)
    requests = [_begin(admission, f"/{number}") for number in range(100)]
    await asyncio.sleep(0)
    for request in requests[::3]:
        request.cancel()
    await asyncio.sleep(0)
    requests[4].cancel()
    await asyncio.gather(*requests, return_exceptions=True)
    await asyncio.sleep(0)
    await asyncio.gather(*(_begin(admission, f"/later/{number}") for number in range(20)))
    began = [path for _, path in app.began]
    assert {f"/{number}" for number in range(100) if number % 3 and number != 4} <= set(began)
    assert began[-20:] == [f"/later/{number}" for number in range(20)]
