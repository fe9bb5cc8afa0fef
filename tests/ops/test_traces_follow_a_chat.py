"""With OpenTelemetry configured, a chat can be followed from its client through recall and provider to the memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_model import Behaviour, FakeModel
from tests.support.proxy_server import ask, eventually, remembered, running

pytest.importorskip("opentelemetry.sdk", reason="pip install rememberd[otel]")

from tests.support.otlp_receiver import Received, receiving

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
DURATION = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "model-a"}
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_METRIC_EXPORT_INTERVAL": "300"}


@pytest.mark.slow
def test_a_chat_is_one_trace(tmp_path: Path, upstream: FakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's trace goes on in ours and at the provider; the writer's is linked; the conventions' names; and
    nobody's words or name in any of it."""
    with receiving() as received:
        for name, value in (SOON | {"OTEL_EXPORTER_OTLP_ENDPOINT": received.url}).items():
            monkeypatch.setenv(name, value)
        with running(tmp_path, {"model-a": upstream.url}) as proxy, proxy.client("user-of-traces") as client:
            traced = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
            client.headers.update(traced)
            ask(client, "I live in Grimstad.")
            remembered(client, "Grimstad", "fact")
            upstream.script(Behaviour(status=500))
            ask(client, "Where is Grimstad?")
            seen = upstream.chats[-1].headers["traceparent"].split("-")
            _check_spans(received, seen)
            client.headers["X-Memory"] = "read"
            ask(client, "Where is Grimstad?")
            *_, read = eventually(lambda: spans if len(spans := received.named("chat model-a")) == 3 else [])
            assert read.attributes["gen_ai.usage.output_tokens"] > 0  # of an answer that nothing is learned from, too
            assert eventually(lambda: received.metrics.get("gen_ai.client.token.usage"))
            assert eventually(lambda: {**DURATION, "error.type": "500"} in points(received))
            assert DURATION in points(received)
    assert b"Grimstad" not in received.raw
    assert b"user-of-traces" not in received.raw


def points(received: Received) -> list[dict[str, Any]]:
    return received.metrics["gen_ai.client.operation.duration"]


def _check_spans(received: Received, seen: list[str]) -> None:
    chats = eventually(lambda: two if len(two := received.named("chat model-a")) == 2 else [])
    first, failed = chats
    assert (first.trace, first.parent) == (TRACE, PARENT)
    assert (seen[1], seen[2]) == (TRACE, failed.id)
    assert failed.failed
    assert failed.attributes["error.type"] == "500"
    assert (
        first.attributes.items()
        >= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "model-a",
            "http.response.status_code": 200,
            "rememberd.memory.status": "miss",
        }.items()
    )
    assert first.attributes["gen_ai.usage.input_tokens"] > 0
    assert first.attributes["gen_ai.usage.output_tokens"] > 0
    recalls = received.named("recall")
    assert [span.parent for span in recalls] == [first.id, failed.id]
    assert {span.parent for span in received.named("embed")} == {span.id for span in recalls}
    (write,) = eventually(lambda: received.named("remember"))
    assert write.links == [first.id]
    assert write.trace != TRACE


@pytest.mark.slow
def test_a_collector_that_is_away_is_in_nobodys_way(
    tmp_path: Path, upstream: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chats flow, and the proxy stops within seconds, long before its supervisor would kill it."""
    for name, value in (SOON | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}).items():
        monkeypatch.setenv(name, value)
    with running(tmp_path, {"model-a": upstream.url}) as proxy, proxy.client("away") as client:
        assert ask(client, "Hello.").status_code == 200
    assert not [line for line in proxy.log if "did not stop" in line]


def test_without_it_the_sdk_is_not_even_imported() -> None:
    """Neither time nor memory is spent on what nobody asked for."""
    code = (
        "import sys, rememberd.wiring.app, rememberd.processes.run; "
        "sys.exit(bool({'opentelemetry.sdk', 'rememberd.telemetry.otel'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
