"""Promise: an upstream that cannot be reached is named, by its host and without a secret."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from loadtests.servers import free_port
from rememberd.errors import UpstreamUnavailable
from rememberd.upstream.byte_lane import ByteLane
from tests.support.fake_model import Behaviour, FakeModel
from tests.support.loopback import PATH, bytes_deployment
from tests.support.raw_server import Visit, saying

BODY = b'{"model":"m","messages":[]}'


@pytest.fixture
async def lane() -> AsyncIterator[ByteLane]:
    lane = ByteLane()
    yield lane
    await lane.close()


async def test_a_refused_connection_is_a_502(lane: ByteLane) -> None:
    """The message names the host, not the password in the address nor the key."""
    deployment = bytes_deployment(f"http://me:secret@127.0.0.1:{free_port()}/v1")
    with pytest.raises(UpstreamUnavailable, match=r"127\.0\.0\.1") as raised:
        await lane.send(deployment, PATH, BODY, [])
    assert raised.value.status == 502
    assert "secret" not in str(raised.value)
    assert "sk-upstream" not in str(raised.value)


@pytest.mark.parametrize(
    ("base", "said"),
    [
        ("http://nowhere.invalid/v1", "the name nowhere.invalid cannot be looked up: check api_base"),
        ("http://me:secret@127.0.0.1:1/v1", "a user in its address and a key"),
        ("https//typo", "api_base of fake-large is not an address"),
    ],
)
async def test_the_message_says_what_to_mend(lane: ByteLane, base: str, said: str) -> None:
    """A name that does not exist, two ways to log in, no address at all."""
    with pytest.raises(UpstreamUnavailable, match=said) as raised:
        await lane.send(bytes_deployment(base), PATH, BODY, [])
    assert "secret" not in str(raised.value)


async def test_a_name_with_several_addresses_is_tried_on_each(lane: ByteLane) -> None:
    """localhost may be ::1 first, where nobody listens."""
    async with FakeModel(models=["a"]) as upstream:
        base = upstream.url.replace("127.0.0.1", "localhost")
        assert await lane.models(bytes_deployment(base)) == ["a"]


async def test_silence_is_a_504(lane: ByteLane) -> None:
    """A model that sends nothing for the deployment's timeout."""
    async with FakeModel(default=Behaviour(delay_headers=60)) as upstream:
        with pytest.raises(UpstreamUnavailable) as raised:
            await lane.send(bytes_deployment(upstream.url, timeout=0.1), PATH, BODY, [])
    assert raised.value.status == 504


async def test_an_address_that_is_none_is_a_502(lane: ByteLane) -> None:
    """A broken api_base is the operator's to mend, not a crash."""
    with pytest.raises(UpstreamUnavailable):
        await lane.send(bytes_deployment("not an address"), PATH, BODY, [])


async def test_models_are_listed(lane: ByteLane) -> None:
    """What the provider lists, or an error that says that it does not."""
    async with FakeModel(models=["a", "b"]) as upstream:
        assert await lane.models(bytes_deployment(upstream.url)) == ["a", "b"]
    async with saying(something_else) as server:
        with pytest.raises(UpstreamUnavailable, match="list"):
            await lane.models(bytes_deployment(server.url))


async def something_else(visit: Visit) -> None:
    await visit.request()
    await visit.say([b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"])
