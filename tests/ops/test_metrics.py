"""An operator at 3 a.m.: what the metrics say, who may read them, and that they name nobody."""

from __future__ import annotations

import httpx

from tests.support.proxy_server import Proxy, ask, eventually, remembered


def test_the_metrics_cover_all_processes_of_the_host(proxy: Proxy, user: str) -> None:
    """The web process answers for the writer too; two workers would add up."""
    with proxy.client(user) as client:
        ask(client, "I live in Drammen.")
        remembered(client, "Drammen", "fact")

    def text() -> str:
        return httpx.get(f"{proxy.url}/metrics").text

    for name in (
        'rememberd_requests_total{path="/v1/chat/completions",status="200"}',
        'rememberd_memory_status_total{status="miss"}',
        'rememberd_queue_puts_total{outcome="queued"}',
        'rememberd_turns_total{outcome="written"}',
        "rememberd_overhead_seconds_bucket",
        "rememberd_queue_depth",
        "rememberd_queue_age_seconds",
        "rememberd_dead_letters",
    ):
        eventually(lambda: name in text())  # noqa: B023 - used in this round only
    assert user not in text()
