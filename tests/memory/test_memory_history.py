"""What was true stays readable, and whatever a person changes by mistake can be taken back."""

from __future__ import annotations

from typing import Any

import httpx

from tests.support.fake_model import FakeModel, newest_user_text
from tests.support.proxy_server import Proxy, ask, eventually, remembered
from tests.support.tables import each_row


def history(client: httpx.Client) -> dict[str, Any]:
    """Every fact, past ones too, by its text."""
    page = client.get("/v1/memories", params={"include_past": "true", "kind": "fact", "limit": 100}).json()
    return {each["text"]: each for each in page["data"]}


def current(client: httpx.Client) -> set[str]:
    return {each["text"] for each in client.get("/v1/memories", params={"kind": "fact"}).json()["data"]}


def add(client: httpx.Client, text: str) -> dict[str, Any]:
    made: dict[str, Any] = client.post("/v1/memories", json={"text": text}).raise_for_status().json()
    return made


def edit(client: httpx.Client, memory: dict[str, Any], **fields: Any) -> dict[str, Any]:
    edited: dict[str, Any] = client.patch(f"/v1/memories/{memory['id']}", json=fields).raise_for_status().json()
    return edited


@each_row(
    ("before", "after"),
    [
        ("I live in Oslo.", "Actually, I live in Bergen."),
        ("I work at Acme.", "I left my old job, I work at Globex now."),
        ("I'm vegan.", "I'm no longer vegan."),
        ("I like coriander.", "Actually I don't like coriander any more."),
    ],
)
def test_what_the_user_corrects_becomes_past(proxy: Proxy, upstream: FakeModel, before: str, after: str) -> None:
    """Said in a chat: the new holds, the old is only in the history, with the time it ended."""
    with proxy.client(f"corrects {before}") as client:
        ask(client, before)
        remembered(client, before, "fact")
        ask(client, after)
        eventually(lambda: before not in current(client))
        assert len(current(client)) == 1
        (holds,) = current(client)
        past = history(client)
        assert set(past) == {before, holds}
        assert past[before]["valid_to"] == past[holds]["valid_from"]


def test_an_edit_leaves_the_old_text_in_the_history_and_can_be_undone(
    proxy: Proxy, upstream: FakeModel, user: str
) -> None:
    """Under an id of its own, not recalled and not pinned; editing back restores it."""
    with proxy.client(user) as client:
        car = client.post("/v1/memories", json={"text": "My car is a red Volvo.", "pinned": True}).json()
        edit(client, car, text="My car is a blue Tesla.")
        assert current(client) == {"My car is a blue Tesla."}
        old = history(client)["My car is a red Volvo."]
        assert old["id"] != car["id"]
        assert old["valid_to"]
        assert not old["pinned"]
        ask(client, "Which car do I drive?")
        assert "Volvo" not in newest_user_text(upstream.chats[-1].json)
        assert edit(client, car, text=old["text"])["id"] == car["id"]
        assert current(client) == {"My car is a red Volvo."}


def test_a_correction_can_be_undone(proxy: Proxy, user: str) -> None:
    """`valid_to: null` makes the past value hold again, and what had closed it is past."""
    with proxy.client(user) as client:
        oslo = add(client, "I live in Oslo.")
        add(client, "I moved to Bergen.")
        assert current(client) == {"I moved to Bergen."}
        reopened = edit(client, oslo, valid_to=None)
        assert (reopened["valid_to"], reopened["valid_from"]) == (None, oslo["valid_from"])
        assert current(client) == {"I live in Oslo."}
        assert history(client)["I moved to Bergen."]["valid_to"]


def test_saying_the_old_value_again_undoes_a_correction_too(proxy: Proxy, user: str) -> None:
    """By hand or in a chat: it is the last one said."""
    with proxy.client(user) as client:
        ask(client, "I live in Oslo.")
        remembered(client, "I live in Oslo.", "fact")
        add(client, "I moved to Bergen.")
        add(client, "I live in Oslo.")
        assert current(client) == {"I live in Oslo."}


def test_an_end_cannot_be_set_by_hand(proxy: Proxy, user: str) -> None:
    """And the refusal changes nothing, whatever else was asked for with it."""
    with proxy.client(user) as client:
        tea = add(client, "I like tea.")
        body = {"valid_to": "2026-01-01T00:00:00Z", "text": "I like coffee."}
        assert client.patch(f"/v1/memories/{tea['id']}", json=body).status_code == 400
        assert history(client) == {"I like tea.": tea}


def test_only_the_newest_earlier_texts_are_kept(proxy: Proxy, user: str) -> None:
    """Twenty of one memory: a program that edits it every minute fills no disk."""
    with proxy.client(user) as client:
        count = add(client, "Count 0.")
        for number in range(1, 25):
            edit(client, count, text=f"Count {number}.")
        assert set(history(client)) == {f"Count {number}." for number in range(4, 25)}


def test_a_deleted_memory_takes_its_earlier_texts_along(proxy: Proxy, user: str) -> None:
    """Forget means forget: not even the history has it."""
    with proxy.client(user) as client:
        secret = add(client, "My code word is Xanadu.")
        edit(client, secret, text="My code word is Shambhala.")
        assert "Xanadu" in client.get("/v1/memories/export").text
        client.delete(f"/v1/memories/{secret['id']}").raise_for_status()
        assert client.get("/v1/memories/export").text == ""
