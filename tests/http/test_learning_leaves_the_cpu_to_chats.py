"""The writer knows of each request to a web process of its host, with memory or without: it then learns one turn at a
time, with pauses (`test_while_somebody_chats_one_turn_is_learned_at_a_time`)."""

from __future__ import annotations

import math
import time
from pathlib import Path

from rememberd.settings.schema import Settings
from rememberd.telemetry.traffic import TRAFFIC, Traffic
from rememberd.wiring.writer import running_writer
from tests.support.proxy_server import Proxy, ask


def test_a_chat_without_memory_is_seen_and_a_health_check_is_none(served: Proxy) -> None:
    seen = Traffic(served.data / TRAFFIC)
    with served.client(**{"X-Memory": "off"}) as client:
        quiet_for = seen.quiet_for()
        client.get("/health/live").raise_for_status()
        assert seen.quiet_for() >= quiet_for
        began = time.monotonic()
        ask(client, "hello").raise_for_status()
        assert seen.quiet_for() <= time.monotonic() - began


async def test_the_writer_looks_at_the_traffic_of_all_web_processes(tmp_path: Path) -> None:
    webs = [Traffic(tmp_path / TRAFFIC) for _ in range(2)]
    async with running_writer(Settings(data_dir=str(tmp_path)), [], {}) as writer:
        assert writer.chats_ago() == math.inf or writer.chats_ago() > 0
        for web in webs:
            began = time.monotonic()
            web.note()
            assert writer.chats_ago() <= time.monotonic() - began


def test_a_time_of_before_the_hosts_start_is_no_traffic(tmp_path: Path) -> None:
    """The clock of a host begins anew with each start."""
    traffic = Traffic(tmp_path / TRAFFIC)
    (tmp_path / TRAFFIC).write_bytes(b"\x00\x00\x00\x00\x00\x00\xf0\x7f")  # later than any time
    assert traffic.quiet_for() == math.inf
