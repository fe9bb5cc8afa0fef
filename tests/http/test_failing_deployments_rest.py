"""Several deployments share the work; one that fails is asked last for a while, and fallbacks step in unseen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest

from rememberd.errors import ConfigError, RequestError, UpstreamUnavailable
from rememberd.types import CHAT, Deployment, Principal
from rememberd.upstream.byte_lane import ByteLane
from rememberd.upstream.catalog import Catalog
from rememberd.upstream.failover import Failover, UpstreamResponse
from tests.support.fake_model import Behaviour, FakeModel
from tests.support.tables import each_row

ANYONE = Principal("anyone", "ann")
CLOSED = "http://127.0.0.1:9/v1"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Rig:
    """Two models at two servers, the byte lane, and a clock that stands still."""

    def __init__(self, one: FakeModel, other: FakeModel, lane: ByteLane) -> None:
        self.servers, self.clock = (one, other), Clock()
        self.failover = Failover({"bytes": lane}, self.clock)
        self.addresses = [one.url, other.url]

    async def ask(self, addresses: Sequence[str] | None = None) -> tuple[int, str]:
        """The status and the model that answered."""
        found = [
            Deployment(f"model-{n}", "openai", f"m{n}", frozenset({CHAT}), address)
            for n, address in enumerate(addresses or self.addresses)
        ]
        answered: UpstreamResponse = await self.failover.send(found, CHAT, _body, [])
        async for _ in answered.reply.chunks():
            pass
        return answered.reply.status, answered.deployment.model_name

    @property
    def asked(self) -> list[int]:
        return [len(server.requests) for server in self.servers]


def _body(deployment: Deployment) -> bytes:
    return b'{"model":"%s","messages":[{"role":"user","content":"Hi"}]}' % deployment.upstream_model.encode()


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(FakeModel()) for _ in range(2)]
        lane = ByteLane()
        stack.push_async_callback(lane.close)
        yield Rig(one, other, lane)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_the_next_one_answers_in_place_of_one_that_fails(rig: Rig, status: int) -> None:
    """The client sees a good answer, made for the model that gave it; the failing one is asked last for a while."""
    rig.servers[0].script(Behaviour(status=status))
    assert await rig.ask() == (200, "model-1")
    assert rig.servers[1].requests[0].json["model"] == "m1"
    assert await rig.ask() == (200, "model-1")
    assert rig.asked == [1, 2]
    rig.clock.now += 31
    assert await rig.ask() == (200, "model-0")


async def test_one_that_cannot_be_reached_rests_too(rig: Rig) -> None:
    """The request goes on to the next."""
    assert await rig.ask([CLOSED, rig.addresses[1]]) == (200, "model-1")


async def test_a_deployment_says_itself_how_long_it_rests(rig: Rig) -> None:
    """Its Retry-After, up to five minutes."""
    rig.servers[0].script(Behaviour(status=429, headers={"Retry-After": "100"}))
    await rig.ask()
    rig.clock.now += 99
    assert await rig.ask() == (200, "model-1")
    rig.clock.now += 2
    assert await rig.ask() == (200, "model-0")


async def test_when_all_fail_the_last_one_is_quoted(rig: Rig) -> None:
    """The client gets a provider's own words, and each was asked once."""
    rig.servers[0].script(Behaviour(status=500))
    rig.servers[1].script(Behaviour(status=429, body=b"its own words"))
    assert await rig.ask() == (429, "model-1")
    assert rig.asked == [1, 1]
    with pytest.raises(UpstreamUnavailable):
        await rig.ask([CLOSED, CLOSED])


async def test_a_refusal_is_an_answer(rig: Rig) -> None:
    """A 400 would be one everywhere: nobody else is asked."""
    rig.servers[0].script(Behaviour(status=400))
    assert await rig.ask() == (400, "model-0")
    assert rig.asked == [1, 0]


async def test_one_alone_is_asked_even_while_it_rests(rig: Rig) -> None:
    """There is no better one; it is asked once a request, never again by us."""
    rig.servers[0].script(Behaviour(status=500), Behaviour(status=500))
    for _ in range(2):
        assert await rig.ask(rig.addresses[:1]) == (500, "model-0")
    assert rig.asked == [2, 0]


def entry(name: str, model: str, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": model, "api_key": "sk", **params}}


LIST = [entry("gpt", "openai/a"), entry("gpt", "openai/b"), entry("claude", "anthropic/c"), entry("x/*", "groq/*")]


def chosen(catalog: Catalog, model: str, principal: Principal = ANYONE) -> list[str]:
    return [deployment.upstream_model for deployment in catalog.targets(model, principal)]


def test_deployments_take_turns_and_fallbacks_come_after_them() -> None:
    """The order in which a request asks them."""
    catalog = Catalog(LIST, {}, fallbacks=[{"gpt": ["claude", "x/y"]}])
    assert [chosen(catalog, "gpt") for _ in range(3)] == [
        ["a", "b", "c", "y"],
        ["b", "a", "c", "y"],
        ["a", "b", "c", "y"],
    ]
    assert chosen(catalog, "claude") == ["c"]


def test_an_alias_stands_for_a_model_and_its_fallbacks() -> None:
    """The operator moves everyone by changing one line."""
    catalog = Catalog(LIST, {}, aliases={"fast": "claude", "gpt": "x/z"}, fallbacks=[{"claude": ["x/y"]}])
    assert chosen(catalog, "fast") == ["c", "y"]
    assert chosen(catalog, "gpt") == ["z"]
    assert catalog.names() == ["gpt", "claude", "fast"]


def test_a_key_reaches_no_model_beyond_its_own() -> None:
    """Neither by name nor by a fallback."""
    catalog = Catalog(LIST, {}, fallbacks=[{"gpt": ["claude", "x/y"]}])
    limited = Principal("limited", "ann", models=("gpt", "x/*"))
    assert sorted(chosen(catalog, "gpt", limited)) == ["a", "b", "y"]
    with pytest.raises(RequestError, match="GET /v1/models") as raised:
        catalog.targets("claude", limited)
    assert (raised.value.status, raised.value.code) == (403, "model_not_allowed")


@each_row(
    ("wrong", "named"),
    [
        ({"aliases": {"fast": "clod"}}, "aliases: .*'clod'.*claude"),
        ({"aliases": {"fast": 7}}, "aliases: 7"),
        ({"fallbacks": [{"gpt": ["clod"]}]}, "fallbacks: .*'clod'"),
        ({"fallbacks": [{"gpt": "claude"}]}, "fallbacks: .*form"),
        ({"fallbacks": ["claude"]}, "fallbacks: .*form"),
    ],
)
def test_a_name_that_leads_nowhere_stops_the_start(wrong: dict[str, Any], named: str) -> None:
    """Found at start, not when the first model fails."""
    with pytest.raises(ConfigError, match=named):
        Catalog(LIST, {}, **wrong)
