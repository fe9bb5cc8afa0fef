"""Promise: what stands in `litellm_params` beside the model holds where bytes are passed on too."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rememberd.errors import UpstreamUnavailable
from rememberd.types import CHAT, COUNT_TOKENS, MESSAGES, RESPONSES
from rememberd.upstream.byte_lane import ByteLane
from rememberd.upstream.litellm_params import with_defaults
from tests.http.test_upstream_tls import certificate, serving
from tests.support.fake_model import FakeModel
from tests.support.loopback import PATH, bytes_deployment
from tests.support.tables import each_row

__all__ = ["certificate"]  # a fixture

PARAMS = {"temperature": 0.2, "max_tokens": 64, "extra_body": {"chat_template_kwargs": {"think": False}}, "rpm": 3}


@pytest.fixture
async def lane() -> AsyncIterator[ByteLane]:
    lane = ByteLane()
    yield lane
    await lane.close()


@each_row(
    ("path", "asked", "added"),
    [
        (CHAT, {}, {"temperature": 0.2, "max_tokens": 64}),
        (f"{CHAT}?a=b", {"temperature": 1}, {"max_tokens": 64}),
        (CHAT, {"temperature": None, "max_completion_tokens": 9}, {}),
        (RESPONSES, {}, {"temperature": 0.2, "max_output_tokens": 64}),
        (RESPONSES, {"max_output_tokens": 9}, {"temperature": 0.2}),
        (MESSAGES, {"max_tokens": 9}, {"temperature": 0.2}),
    ],
)
def test_a_default_is_what_the_client_does_not_say(path: str, asked: dict[str, Any], added: dict[str, Any]) -> None:
    """Under the name that the dialect has for it; the client's own value counts, also where it is null."""
    body = {"model": "m", **asked}
    assert json.loads(with_defaults(json.dumps(body).encode(), path, PARAMS)) == (
        body | added | {"chat_template_kwargs": {"think": False}}
    )


@pytest.mark.parametrize("path", [COUNT_TOKENS, "/embeddings", "/audio/speech"])
def test_other_paths_stay_as_they_are(path: str) -> None:
    """They would refuse the parameters of a chat."""
    assert with_defaults(b'{"model":"m"}', path, PARAMS) == b'{"model":"m"}'


@given(st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=5), st.none()), max_size=3))
def test_the_clients_own_bytes_stay(asked: dict[str, Any]) -> None:
    """The defaults stand behind them; spaces and odd numbers are kept."""
    raw = json.dumps(asked, indent=1).encode() + b" \n"
    changed = with_defaults(raw, CHAT, {"temperature": 0.2})
    assert json.loads(changed) == {"temperature": 0.2} | asked
    assert changed.startswith(raw.rstrip()[:-1].rstrip())
    assert with_defaults(raw, CHAT, {"rpm": 3}) == raw


async def test_the_provider_gets_them(lane: ByteLane) -> None:
    """Through the lane."""
    async with FakeModel() as upstream:
        reply = await lane.send(
            bytes_deployment(upstream.url, params=PARAMS), PATH, b'{"model":"m","messages":[]}', []
        )
        await reply.close()
        assert upstream.requests[0].json["temperature"] == 0.2


@pytest.mark.parametrize("trusted", [False, "false", "FILE"])
async def test_a_certificate_can_be_trusted(lane: ByteLane, certificate: Path, trusted: Any) -> None:
    """`ssl_verify: false`, or the file of its authority; and only where it says so."""
    verify = str(certificate) if trusted == "FILE" else trusted
    async with serving(certificate) as server:
        base = server.url.replace("http:", "https:")
        reply = await lane.send(bytes_deployment(base, params={"ssl_verify": verify}), PATH, b"{}", [])
        assert [chunk async for chunk in reply.chunks()] == [b"hello"]
        for params in ({}, {"ssl_verify": True}, {"ssl_verify": None}):
            with pytest.raises(UpstreamUnavailable, match="certificate"):
                await lane.send(bytes_deployment(base, params=params), PATH, b"{}", [])
