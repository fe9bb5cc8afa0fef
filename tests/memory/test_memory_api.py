"""People list, search, add, correct, delete, export and import their memories; nobody else's exist."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.fake_model import FakeModel, newest_user_text
from tests.support.proxy_server import Proxy, ask, eventually, memories, remembered

FIELDS = {
    "id", "object", "text", "kind", "created_at", "updated_at", "valid_from", "valid_to", "pinned", "private",
    "quarantined",
    "expires_at", "slot", "evidence", "source",
}  # fmt: skip


def test_a_memory_added_by_hand_has_the_documented_shape(proxy: Proxy, user: str) -> None:
    """What other programs read."""
    with proxy.client(user) as client:
        made = client.post("/v1/memories", json={"text": "I collect stamps.", "pinned": True}).json()
        assert set(made) == FIELDS
        assert (made["object"], made["kind"], made["text"], made["pinned"]) == (
            "memory",
            "fact",
            "I collect stamps.",
            True,
        )
        assert (made["valid_to"], made["expires_at"]) == (None, None)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", made["created_at"])
        assert made["evidence"] == {"text": "I collect stamps.", "role": "user", "turn_id": None}
        assert set(made["source"]) == {"conversation", "model", "client"}
        assert client.get(f"/v1/memories/{made['id']}").json() == made
        assert client.get("/v1/memories").json() == {"object": "list", "data": [made], "next_cursor": None}


def test_a_learned_memory_says_where_it_came_from(proxy: Proxy, user: str) -> None:
    """App, model, conversation and the words themselves."""
    with proxy.client(user, **{"X-Conversation-Id": "c-1", "User-Agent": "tester/1.0 (x)"}) as client:
        ask(client, "I work at Globex, since you ask.", "model-b")
        fact = remembered(client, "Globex", "fact")
    assert fact["source"] == {"conversation": "c-1", "model": "model-b", "client": "tester/1.0"}
    assert fact["evidence"]["text"] in "I work at Globex, since you ask."
    assert fact["evidence"]["role"] == "user"


def test_many_are_pinned_or_made_private_by_one_request_and_back_by_another(proxy: Proxy, user: str) -> None:
    """Each is put back to what it was; the exchange that says the same as a private one follows it there and back."""
    with proxy.client(user) as client:
        ask(client, "I take lithium.")
        said = remembered(client, "lithium", "fact"), remembered(client, "lithium", "episode")
        for text, pinned in (("I like figs.", True), ("I like plums.", False)):
            client.post("/v1/memories", json={"text": text, "pinned": pinned}).raise_for_status()

        def marks() -> dict[str, tuple[bool, bool]]:
            return {each["id"]: (each["pinned"], each["private"]) for each in memories(client)}

        before = marks()
        wanted = [id for id in before if id != said[1]["id"]]
        changed = {
            "pinned": {id: (id in wanted, False) for id in before},
            "private": {id: (pinned, True) for id, (pinned, _) in before.items()},
        }
        for mark, after in changed.items():
            body = {"changes": [{"id": id, mark: True} for id in wanted]}
            edited = client.post("/v1/memories/edit", json=body).raise_for_status().json()["data"]
            assert marks() == after
            back = {"changes": [{"id": each["id"], **each["before"]} for each in edited]}
            client.post("/v1/memories/edit", json=back).raise_for_status()
            assert marks() == before


@pytest.mark.parametrize(
    "changes",
    [
        None,
        [],
        ["x"],
        [{"id": "x"}],
        [{"id": 5, "pinned": True}],
        [{"id": "x", "pinned": 1}],
        [{"id": "x", "text": "I own this."}],
        [{"pinned": True}],
        [{"id": "x", "private": False}] * 501,
    ],
)
def test_a_change_of_many_that_makes_no_sense_is_refused(proxy: Proxy, changes: object) -> None:
    """With what is allowed; a memory that is not there is passed over."""
    with proxy.client("alice") as client:
        refused = client.post("/v1/memories/edit", json={"changes": changes})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, "changes")
        nobodys = {"changes": [{"id": "nobody's", "pinned": True}]}
        assert client.post("/v1/memories/edit", json=nobodys).json() == {"object": "memories.edited", "data": []}


def test_the_same_text_twice_is_one_memory(proxy: Proxy, user: str) -> None:
    """Case, space and the full stop do not make another."""
    with proxy.client(user) as client:
        for text in ("I like figs.", "I like figs", "i  LIKE figs."):
            assert client.post("/v1/memories", json={"text": text}).status_code == 200
        assert len(memories(client)) == 1


def test_a_new_value_added_by_hand_closes_the_old_one(proxy: Proxy, user: str) -> None:
    """As it would in a chat; the old one stays in the history."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I live in Oslo."})
        client.post("/v1/memories", json={"text": "I live in Bergen."})
        assert [m["text"] for m in memories(client)] == ["I live in Bergen."]
        past = client.get("/v1/memories", params={"include_past": "true"}).json()["data"]
        assert {m["text"]: m["valid_to"] is None for m in past} == {
            "I live in Bergen.": True,
            "I live in Oslo.": False,
        }


def test_a_new_value_takes_over_the_pin_of_the_old_one(proxy: Proxy, user: str) -> None:
    """What somebody pinned must not fall off because they said it again in other words."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I live in Oslo.", "pinned": True})
        client.post("/v1/memories", json={"text": "I live in Bergen."})
        assert [(m["text"], m["pinned"]) for m in memories(client)] == [("I live in Bergen.", True)]


def test_paging_walks_through_everything_once_newest_first(proxy: Proxy, user: str) -> None:
    """Whatever the page size."""
    with proxy.client(user) as client:
        lines = [json.dumps({"text": f"Fact number {n} is {n * 37}."}) for n in range(25)]
        assert client.post("/v1/memories/import", content="\n".join(lines)).json()["added"] == 25
        seen, cursor = [], None
        while True:
            page = client.get("/v1/memories", params={"limit": 7} | ({"cursor": cursor} if cursor else {})).json()
            seen += page["data"]
            if not (cursor := page["next_cursor"]):
                break
        assert len({each["id"] for each in seen}) == len(seen) == 25
        assert [m["created_at"] for m in seen] == sorted((m["created_at"] for m in seen), reverse=True)
        found = client.get("/v1/memories", params={"q": "FACT NUMBER 13"}).json()["data"]
        assert [each["text"] for each in found] == ["Fact number 13 is 481."]


def test_search_gives_scores_best_first(proxy: Proxy, user: str) -> None:
    """By meaning, not by the same words."""
    with proxy.client(user) as client:
        for text in ("I am allergic to peanuts.", "I drive an old Saab.", "I was born in Lima."):
            client.post("/v1/memories", json={"text": text})
        found = client.post("/v1/memories/search", json={"query": "which car do I own?", "limit": 2}).json()["data"]
    assert len(found) == 2
    assert found[0]["text"] == "I drive an old Saab."
    assert set(found[0]) == FIELDS | {"score", "parts"}
    assert found[0]["score"] >= found[1]["score"]


def test_an_edit_is_what_is_recalled(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """The old words are gone from the prompt."""
    with proxy.client(user) as client:
        made = client.post("/v1/memories", json={"text": "My car is a red Volvo."}).json()
        edited = client.patch(
            f"/v1/memories/{made['id']}", json={"text": "My car is a blue Tesla.", "pinned": True}
        ).json()
        assert (edited["id"], edited["text"], edited["pinned"]) == (made["id"], "My car is a blue Tesla.", True)
        assert edited["created_at"] == made["created_at"]
        ask(client, "Which car do I drive?")
        assert "Tesla" in newest_user_text(upstream.chats[-1].json)
        assert "Volvo" not in newest_user_text(upstream.chats[-1].json)
        unpinned = client.patch(f"/v1/memories/{made['id']}", json={"pinned": False}).json()
        assert (unpinned["text"], unpinned["pinned"]) == ("My car is a blue Tesla.", False)


def test_an_expired_memory_is_not_recalled(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """Nor listed, unless the past is asked for."""
    with proxy.client(user, **{"X-Memory": "read"}) as client:  # the question would be listed, too
        client.post("/v1/memories", json={"text": "I stay in room 1408.", "expires_at": "2020-01-01T00:00:00Z"})
        assert ask(client, "In which room do I stay?").headers["X-Memory-Status"] == "miss"
        assert client.get("/v1/memories").json()["data"] == []
        assert len(client.get("/v1/memories", params={"include_past": "true"}).json()["data"]) == 1


def test_a_deleted_memory_never_comes_back(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """Not as a fact, not in the exchange it came from, not in an answer that repeated it."""
    with proxy.client(user) as client:
        ask(client, "I work at Xanadu Laboratories.")
        fact = remembered(client, "Xanadu", "fact")
        ask(client, "Where do I work?", "model-b")
        remembered(client, "Where do I work", "episode")
        reply = client.delete(f"/v1/memories/{fact['id']}")
        assert reply.json() == {"object": "memory.deleted", "id": fact["id"], "deleted": True}
        assert client.delete(f"/v1/memories/{fact['id']}").status_code == 404
        assert client.get(f"/v1/memories/{fact['id']}").status_code == 404
        ask(client, "Tell me where I work, please.")
        assert "Xanadu" not in newest_user_text(upstream.chats[-1].json)
        assert "Xanadu" not in client.get("/v1/memories/export").text


def test_a_model_that_repeats_the_block_teaches_nothing(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """The memory must not learn from itself: the fake model echoes its whole prompt."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I keep bees."})
        ask(client, "What do I keep, and why would I keep bees?")
        assert "<memory>" in newest_user_text(upstream.chats[-1].json)
        episode = remembered(client, "why would I", "episode")
        assert "I keep bees." not in episode["text"]
        assert "<memory>" not in episode["text"]


def test_what_is_said_again_after_a_deletion_is_learned_again(proxy: Proxy, user: str) -> None:
    """A tombstone keeps out the past, not the user."""
    with proxy.client(user) as client:
        ask(client, "My favourite fruit is the durian.", user="first")
        fact = remembered(client, "durian", "fact")
        client.delete(f"/v1/memories/{fact['id']}")
        assert not any("durian" in m["text"] for m in memories(client))
        ask(
            client,
            "My favourite fruit is the durian.",
            messages=[
                {"role": "user", "content": "Let me think."},
                {"role": "user", "content": "My favourite fruit is the durian."},
            ],
        )
        remembered(client, "durian", "fact")


def test_erasure_takes_everything_of_the_user_and_of_nobody_else(proxy: Proxy, user: str) -> None:
    """All scopes, receipts included; the user may start anew."""
    with proxy.client(user) as client, proxy.client(f"{user} 2") as other:
        other.post("/v1/memories", json={"text": "I stay."})
        reply = ask(client, "I live in Vardø.")
        remembered(client, "Vardø", "fact")
        client.post("/v1/memories", json={"text": "At work I wear a tie."}, headers={"X-Memory-Scope": "work"})
        receipt = f"/v1/receipts/{reply.headers['X-Memory-Receipt']}"
        assert client.get(receipt).status_code == 200
        erased = client.delete("/v1/memories").json()
        assert erased["object"] == "user.erased"
        assert erased["deleted"] >= 3
        assert memories(client) == []
        assert client.get("/v1/memories", headers={"X-Memory-Scope": "work"}).json()["data"] == []
        assert client.get(receipt).status_code == 404
        assert len(memories(other)) == 1
        ask(client, "I live in Vadsø now.")
        remembered(client, "Vadsø")


def test_export_and_import_move_a_person(proxy: Proxy, user: str) -> None:
    """From one user to another, losing nothing; ids are made anew, twice is once."""
    with proxy.client(user) as client, proxy.client(f"{user} 2") as other:
        ask(client, "I live in Ålesund and I play chess.")
        remembered(client, "Ålesund", "fact")
        remembered(client, "play chess", "episode")
        remembered(client, "I play chess", "fact")
        exported = client.get("/v1/memories/export")
        assert exported.headers["content-type"].startswith("application/x-ndjson")
        lines = [json.loads(line) for line in exported.text.splitlines()]
        assert lines == memories(client)
        first = other.post("/v1/memories/import", content=exported.content).json()
        assert (first["added"], first["errors"]) == (len(lines), [])
        assert other.post("/v1/memories/import", content=exported.content).json()["added"] == 0
        kept = ("text", "kind", "created_at", "source", "slot", "valid_to")
        assert sorted([m[k] for k in kept] for m in memories(other)) == sorted([m[k] for k in kept] for m in lines)
        assert not {m["id"] for m in memories(other)} & {m["id"] for m in lines}


def test_importing_ones_own_export_changes_nothing(proxy: Proxy, user: str) -> None:
    """Facts, exchanges and edited memories: the second export has the lines of the first, with the same ids."""
    with proxy.client(user) as client:
        ask(client, "I live in Narvik and I have a goat.")
        fact = remembered(client, "Narvik", "fact")
        client.patch(f"/v1/memories/{fact['id']}", json={"text": "I live in Narvik, by the sea."})
        before = sorted(client.get("/v1/memories/export").text.splitlines())
        done = client.post("/v1/memories/import", content="\n".join(before)).json()
        assert (done["added"], done["merged"]) == (0, len(before))
        assert sorted(client.get("/v1/memories/export").text.splitlines()) == before


def test_an_import_with_bad_lines_keeps_the_good_ones_and_names_the_bad(proxy: Proxy, user: str) -> None:
    """By line number."""
    raw = (
        b'{"text": "I ski."}\nnot json\n\n{"text": ""}\n{"text": "I skate.", "created_at": "2020-02-02T00:00:00Z"}\n'
    )
    with proxy.client(user) as client:
        done = client.post("/v1/memories/import", content=raw).json()
        assert (done["added"], [e["line"] for e in done["errors"]]) == (2, [2, 4])
        assert {m["text"]: m["created_at"][:10] for m in memories(client)}["I skate."] == "2020-02-02"


def test_secrets_do_not_get_in_by_hand_either(proxy: Proxy, user: str) -> None:
    """A key pasted into a memory is redacted as one said in a chat is."""
    key = "sk-proj-" + "a1B2c3D4" * 6
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": f"My API key is {key}"})
        ask(client, f"I use the key {key} for my project.")
        remembered(client, "for my project")
        assert key not in client.get("/v1/memories/export").text


def test_a_receipt_says_what_went_in_and_what_was_written(proxy: Proxy, user: str) -> None:
    """And only to the user it belongs to."""
    with proxy.client(user) as client, proxy.client(f"{user} 2") as other:
        made = client.post("/v1/memories", json={"text": "I grow bonsai trees."}).json()
        reply = ask(client, "What do I grow? By the way, I live in Kyoto.")
        path = f"/v1/receipts/{reply.headers['X-Memory-Receipt']}"
        receipt = eventually(lambda: (r := client.get(path).json())["write"] == "written" and r)
        assert isinstance(receipt, dict)
        assert [m["id"] for m in receipt["recalled"]] == [made["id"]]
        assert any("Kyoto" in m["text"] for m in receipt["written"])
        assert other.get(path).status_code == 404


def test_a_key_that_may_name_users_must_name_one(proxy: Proxy) -> None:
    """Fail closed: there is no memory of nobody."""
    with proxy.client() as client:
        assert client.get("/v1/memories").status_code == 403
        reply = ask(client, "I live in Oslo.")
        assert (reply.status_code, reply.headers["X-Memory-Status"]) == (200, "no-identity")
        assert reply.headers["X-Memory-Write"] == "off"


def test_a_key_without_trust_speaks_for_its_own_user_only(proxy: Proxy, user: str) -> None:
    """Whatever headers and body say."""
    with proxy.client("alice", key="sk-bob") as client:
        ask(client, "My token is Bobolink.", user="alice", safety_identifier="alice")
        remembered(client, "Bobolink")
    with proxy.client(key="sk-alice") as alice:
        assert "Bobolink" not in alice.get("/v1/memories/export").text


@pytest.mark.parametrize(
    "line",
    [
        '{"text": "I like tea.", "created_at": "0001-01-01T00:00:00+14:00"}',
        '{"text": "I like tea.", "expires_at": "9999-12-31T23:59:59-14:00"}',
        '{"text": "I like tea.", "valid_to": "9999-12-31T23:59:59.999999Z"}',
        '{"text": "I like tea. \\ud83d", "slot": "\\ud83d", "source": {"client": "\\ud83d"}}',
        '{"text": "I like tea.", "evidence": {"text": "\\ud83d", "role": "\\ud83d", "turn_id": "\\ud83d"}}',
        '{"text": "I like tea.", "evidence": {"text": 5, "role": {}, "turn_id": []}, "source": {"model": 7}}',
        '{"text": "I\\u0000like tea.", "slot": "' + "x" * 100_000 + '"}',
    ],
    ids=["before-year-1", "after-year-9999", "rounded-up", "half-emoji", "half-emoji-evidence", "odd-types", "long"],
)
def test_no_imported_line_can_spoil_the_list(proxy: Proxy, user: str, line: str) -> None:
    """Taken or refused, but whatever is taken can be shown, exported and recalled."""
    with proxy.client(user) as client:
        assert client.post("/v1/memories/import", content=line).status_code in (200, 400)
        assert client.get("/v1/memories", params={"include_past": "true"}).status_code == 200
        assert client.get("/v1/memories/export").status_code == 200
        for question in ("Do I like tea?", "What do you know about me?"):
            assert ask(client, question).headers["x-memory-status"] in ("hit", "miss")


@pytest.mark.parametrize("word", ["true", "True", "1", "yes", "", "false", "False", "0", "no", "maybe"])
def test_a_switch_is_on_off_or_refused(proxy: Proxy, user: str, word: str) -> None:
    """However a client's language writes it, and without a value it is on: an import that was to be a rehearsal never
    writes."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I live in Oslo."})
        client.post("/v1/memories", json={"text": "I live in Bergen."})
        listed = client.get("/v1/memories", params={"include_past": word})
        line = json.dumps({"text": "I own a kayak."})
        imported = client.post("/v1/memories/import", params={"dry_run": word}, content=line)
        kept = "I own a kayak." in [memory["text"] for memory in memories(client)]
    if word == "maybe":
        assert [listed.status_code, imported.status_code] == [400, 400]
        assert (listed.json()["error"]["param"], imported.json()["error"]["param"]) == ("include_past", "dry_run")
        assert not kept
    else:
        on = word.lower() in ("true", "1", "yes", "")
        assert len(listed.json()["data"]) == (2 if on else 1)
        assert kept is not on
