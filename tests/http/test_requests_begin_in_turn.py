"""Of many requests that come at once a few begin in each round of the event loop, so that `/health/live` and the
streams under way are never behind all of them, nor anybody behind all those of another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, get_args

import pytest
from starlette.types import Message, Receive, Scope, Send

from loadtests.attack.people import Way, people
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


async def _as(admission: AdmissionMiddleware, shown: Sequence[tuple[str, str]]) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in shown]
    scope = {"type": "http", "method": "POST", "path": "/theirs", "headers": headers}
    await admission(scope, _nothing, _nothing)


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
    """The two requests of one client are at the latest the third and the fifth to begin, however many requests
    another client has sent before."""
    app = _App()
    admission = AdmissionMiddleware(app, _slow())
    requests = [_begin(admission, f"/flood/{number}", "mallory", method) for number in range(200)]
    requests += [_begin(admission, f"/ada/{number}", "ada", method) for number in range(2)]
    await asyncio.gather(*requests)
    began = [path for _, path in app.began]
    assert began.index("/ada/0") <= 2
    assert began.index("/ada/1") <= 4
    assert [path for path in began if "flood" in path] == [f"/flood/{number}" for number in range(200)]


@pytest.mark.parametrize("way", get_args(Way))
async def test_people_behind_one_key_are_callers_of_their_own(way: Way) -> None:
    """By whatever header they are known: the last of twenty who ask once begins before the second request of another,
    although each of them has sent theirs later."""
    app = _App()
    admission = AdmissionMiddleware(app, _slow())
    behind = [each for each in people(200) if each.way == way][:20]
    requests = [_begin(admission, f"/{turn}/flood", f"flood {number}") for turn in range(3) for number in range(5)]
    requests += [asyncio.create_task(_as(admission, each.credentials())) for each in behind]
    await asyncio.gather(*requests)
    began = [path for _, path in app.began]
    assert [number for number, path in enumerate(began) if path == "/theirs"][-1] <= 2 + 5 + len(behind)


async def test_browsers_that_are_signed_in_are_callers_of_their_own() -> None:
    """Their sessions are cookies, and they show no key."""
    app = _App()
    admission = AdmissionMiddleware(app, _slow())
    requests = [_begin(admission, f"/{turn}/flood", f"flood {number}") for turn in range(3) for number in range(5)]
    requests += [asyncio.create_task(_as(admission, [("Cookie", f"session={number}")])) for number in range(20)]
    await asyncio.gather(*requests)
    began = [path for _, path in app.began]
    assert [number for number, path in enumerate(began) if path == "/theirs"][-1] <= 2 + 5 + 20


async def test_a_request_waits_for_its_turn_once() -> None:
    """A tool of MCP calls the app within its request; that call does not stand behind those who came meanwhile."""
    app = _App()

    async def by_mcp(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)
        if scope["path"] == "/mcp":
            await admission({**scope, "path": "/called"}, receive, send)

    admission = AdmissionMiddleware(by_mcp, _slow())
    requests = [_begin(admission, "/chat", f"person {number}") for number in range(100)]
    requests += [_begin(admission, "/mcp")]
    requests += [_begin(admission, "/chat", f"later {number}") for number in range(100)]
    await asyncio.gather(*requests)
    began = [path for _, path in app.began]
    assert began.index("/called") == began.index("/mcp") + 1


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
