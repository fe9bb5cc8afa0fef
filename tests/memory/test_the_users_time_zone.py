"""A user's time zone decides what "yesterday" is and the dates that a model and a preview get: the header of the
request, else the user's setting, else the operator's."""

from __future__ import annotations

import json
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest

from rememberd.errors import ConfigError
from rememberd.settings.schema import load
from tests.support.fake_model import FakeModel, newest_user_text
from tests.support.proxy_server import Proxy, eventually

EAST, WEST = "Pacific/Kiritimati", "Pacific/Pago_Pago"  # 25 hours apart: never the same day
QUESTION = "Which car do I drive?"


def today(zone: str) -> str:
    return f"{datetime.now(ZoneInfo(zone)):%a %-d %b %Y}"


def choose(client: httpx.Client, zone: str | None) -> dict[str, object]:
    reply = client.put("/v1/memories/settings", json={"time_zone": zone}).raise_for_status()
    found: dict[str, object] = reply.json()
    return found


def blocks(client: httpx.Client, upstream: FakeModel, headers: dict[str, str] | None = None) -> tuple[str, str]:
    """What a preview shows, and what the model gets."""
    previewed = client.post("/v1/memories/preview", json={"text": QUESTION}, headers=headers).json()["block"]
    body = {"model": "model-a", "messages": [{"role": "user", "content": QUESTION}]}
    client.post("/v1/chat/completions", json=body, headers=headers).raise_for_status()
    return previewed, newest_user_text(upstream.chats[-1].json).removesuffix(QUESTION)


def test_the_setting_dates_the_block_and_the_header_comes_first(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """At once, also for a question that was just asked under another zone; of one user only."""
    with proxy.client(user) as client, proxy.client(f"{user} again") as other:
        client.post("/v1/memories", json={"text": "I drive an old Saab.", "pinned": True})
        assert client.get("/v1/memories/settings").json()["time_zone"] is None
        for zone in (EAST, WEST, EAST):
            assert choose(client, zone)["time_zone"] == zone
            assert all(today(zone) in each for each in blocks(client, upstream)), zone
        assert all(today(WEST) in each for each in blocks(client, upstream, {"X-Timezone": WEST}))
        assert client.get("/v1/memories/settings").json()["time_zone"] == EAST
        assert other.get("/v1/memories/settings").json()["time_zone"] is None


@pytest.mark.parametrize("nothing", [None, ""])
def test_the_operators_zone_holds_again_after_a_reset(
    proxy: Proxy, upstream: FakeModel, user: str, nothing: str | None
) -> None:
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I drive an old Saab.", "pinned": True})
        before = blocks(client, upstream)
        choose(client, EAST if today(EAST) != today("UTC") else WEST)
        assert blocks(client, upstream) != before
        assert choose(client, nothing)["time_zone"] is None
        assert blocks(client, upstream) == before


@pytest.mark.parametrize(
    "zone", ["Mars/Olympus", "Europe", "../../etc/passwd", "UTC+2", " ", 7, True, ["UTC"], "x" * 999]
)
def test_a_name_that_is_no_time_zone_is_refused(proxy: Proxy, user: str, zone: object) -> None:
    """By name, and nothing is changed: neither the zone nor the pause that was sent with it."""
    with proxy.client(user) as client:
        choose(client, EAST)
        reply = client.put("/v1/memories/settings", json={"time_zone": zone, "paused": True})
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "invalid_timezone")
        assert reply.json()["error"]["param"] == "time_zone"
        found = client.get("/v1/memories/settings").json()
        assert (found["time_zone"], found["paused"]) == (EAST, False)


def test_pause_and_time_zone_do_not_touch_each_other(proxy: Proxy, user: str) -> None:
    """Each is set alone, or both at once."""
    with proxy.client(user) as client:

        def put(**fields: object) -> tuple[bool, str | None]:
            found = client.put("/v1/memories/settings", json=fields).raise_for_status().json()
            return found["paused"], found["time_zone"]

        assert put(paused=True, time_zone=WEST) == (True, WEST)
        assert put(paused=False) == (False, WEST)
        assert put(time_zone=EAST) == (False, EAST)
        assert put(paused=True) == (True, EAST)
        assert put(time_zone=None) == (True, None)


def test_yesterday_is_the_users(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """An exchange from an hour before the last midnight of one zone is of yesterday there, and of today where
    midnight was twelve hours earlier."""
    midnights = []
    for zone in ("Etc/GMT+6", "Etc/GMT-6"):
        midnight = datetime.now(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
        midnights.append((midnight, zone))
    (_, earlier), (last, later) = sorted(midnights)
    told = {
        "user": "The zebra at the clinic was limping a little.",
        "answer": "Poor animal.",
        "created_at": (last - timedelta(hours=1)).astimezone(UTC).isoformat(),
    }
    with proxy.client(user) as client:
        client.post("/v1/memories/import", json=told).raise_for_status()
        eventually(lambda: client.get("/v1/memories/stats").json()["episodes"] == 1)

        def asked(words: str) -> str:
            return str(client.post("/v1/memories/preview", json={"text": words}).json()["block"])

        for zone, yes, no in ((later, "yesterday", "today"), (earlier, "today", "yesterday")):
            choose(client, zone)
            assert "zebra" in asked(f"What did I tell you {yes}?"), zone
            assert "zebra" not in asked(f"What did I tell you {no}?"), zone


def test_erasing_everything_takes_the_time_zone(proxy: Proxy, user: str) -> None:
    with proxy.client(user) as client:
        choose(client, EAST)
        client.delete("/v1/memories").raise_for_status()
        assert client.get("/v1/memories/settings").json()["time_zone"] is None


def test_an_operators_zone_that_is_none_stops_the_start(tmp_path: Path) -> None:
    """It would refuse every chat of who sends none, for a header that they did not send."""
    config = tmp_path / "rememberd.yaml"
    for zone, fine in (("Europe/Oslo", True), ("Mars/Olympus", False), ("Europe", False), ("", False)):
        config.write_text(json.dumps({"memory": {"time_zone": zone}}))
        with nullcontext() if fine else pytest.raises(ConfigError, match=r"memory\.time_zone: .* is not a time zone"):
            assert load(config, {}).memory.time_zone == zone
