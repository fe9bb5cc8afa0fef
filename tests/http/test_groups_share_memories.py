"""What is told to a group its members recall, and nobody else; nothing personal gets there by itself."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import httpx
import jwt
import pytest

from tests.support.fake_model import Behaviour, FakeModel, newest_user_text
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import KEYS, Proxy, ask, entry, eventually, memories, remembered

MASTER = "00" * 32
ADMIN = "sk-admin-of-groups"
GROUPS: list[dict[str, Any]] = [
    {"name": "research", "members": {"ada": "owner", "bob": "writer", "rita": "reader"}},
    {"name": "ops", "members": {"ada": "writer", "olga": "owner"}},
    {"name": "sales", "members": {"sam": "writer"}, "claim_role": "reader"},
]
SECRET = "a secret of at least 32 bytes, say"
SIGNED = {"name": "sso", "key": "sk-sso", "jwt_secret": SECRET, "groups_claim": "teams"}
RELEASE = "The Quetzal release is planned for the 12th of March."


@pytest.fixture(
    scope="module",
    params=[
        "embedded",
        *(pytest.param(each, marks=pytest.mark.slow) for each in ("encrypted", "servers", "servers, encrypted")),
    ],
)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel
) -> Iterator[Proxy]:
    """A proxy with groups: with everything in its folder, or on servers, each without and under a master key."""
    memory: dict[str, Any] = {"deadline_ms": 5000}
    if "encrypted" in request.param:
        memory["encryption"] = {"master_key": MASTER}
    if "servers" in request.param:
        redis, qdrant = request.getfixturevalue("redis_server"), request.getfixturevalue("qdrant_url")
        with redis.client() as client:
            client.flushall()
        memory |= {
            "queue": {"url": redis.url},
            "store": {"url": qdrant, "collection": request.param.replace(", ", "-")},
        }
    models = {"model-a": upstream.url, "model-b": upstream.url}
    folder = tmp_path_factory.mktemp("groups")
    others = [
        entry("claude", "anthropic/claude-x", upstream.origin),
        entry("open", "hosted_vllm/open-x", upstream.url),
    ]
    with running_here(
        folder, models, others=others, memory=memory, groups=GROUPS, admin_key=ADMIN, keys=[*KEYS, SIGNED]
    ) as proxy:
        yield proxy


def block(upstream: FakeModel) -> str:
    """What the model was given before the newest words."""
    return newest_user_text(upstream.chats[-1].json).partition("</memory>")[0]


def tell(proxy: Proxy, user: str, group: str, text: str) -> dict[str, Any]:
    with proxy.client(user, **{"X-Memory-Scope": f"@{group}"}) as client:
        added: dict[str, Any] = client.post("/v1/memories", json={"text": text}).raise_for_status().json()
    return added


def test_a_chat_in_a_groups_scope_is_recalled_by_its_members_alone(shared: Proxy, upstream: FakeModel) -> None:
    """Told by Bob to one model, recalled by Ada from another, marked in the block, the list and the receipt."""
    question = "When is the Quetzal release planned?"
    with shared.client("bob", **{"X-Memory-Scope": "@research"}) as told:
        assert ask(told, RELEASE, "model-a").headers["X-Memory-Write"] == "on"
        kept = remembered(told, "Quetzal")
    assert (kept["group"], kept["contributor"]) == ("research", "bob")
    for reader in ("ada", "rita"):
        with shared.client(reader) as client:
            reply = _hit(client, question)
            assert "@research: " in block(upstream)
            assert "12th of March" in block(upstream)
            receipt = client.get(f"/v1/receipts/{reply.headers['X-Memory-Receipt']}").json()
            assert {each["group"] for each in receipt["recalled"]} == {"research"}
            # A model's answer may repeat what the group knows: it does not get into the member's own memories.
            remembered(client, "Quetzal")
            assert all("group" not in each for each in memories(client))
            assert not any("March" in each["text"] for each in memories(client))
    for stranger in ("olga", "zoe"):
        with shared.client(stranger) as client:
            ask(client, question, "model-b")
            assert "March" not in block(upstream)
            assert "March" not in client.get("/v1/memories/export").text


def test_a_team_keeps_what_it_knows_whatever_model_and_client(shared: Proxy, upstream: FakeModel) -> None:
    """Two people, two groups, three clients with a model and a dialect each: each of the two tells one group by a
    client of their own, and it is recalled by every client, before and after one leaves."""
    with admin(shared) as boss:
        for name, members in (("apollo", {"mia": "owner", "noa": "writer"}), ("gemini", {"mia": "writer"})):
            assert boss.post("/admin/groups", json={"name": name, "members": members}).status_code == 201
    told = {
        "apollo": "The Apollo rover is parked in hangar Kestrel.",
        "gemini": "The Gemini rover is in hangar Osprey.",
    }
    noas = client_of(shared, "noa", "Anthropic", **{"X-Memory-Scope": "@apollo"})
    noas.messages.create(model="claude", max_tokens=9, messages=[{"role": "user", "content": told["apollo"]}])
    mias = client_of(shared, "mia", "OpenAI", **{"X-Memory-Scope": "@gemini"})
    mias.chat.completions.create(model="model-a", messages=[{"role": "user", "content": told["gemini"]}])
    for name in told:
        with shared.client("mia", **{"X-Memory-Scope": f"@{name}"}) as client:
            remembered(client, "rover", "episode")

    def asked(user: str, way: int) -> str:
        """What the model was given for this question, by one of three clients."""
        question = f"In which hangar is the rover of Apollo, and where that of Gemini? {way}"
        match way:
            case 0:
                sdk = client_of(shared, user, "OpenAI")
                sdk.chat.completions.create(model="model-b", messages=[{"role": "user", "content": question}])
            case 1:
                sdk = client_of(shared, user, "OpenAI")
                sdk.responses.create(model="open", input=question)
            case _:
                claude = client_of(shared, user, "Anthropic")
                claude.messages.create(model="claude", max_tokens=9, messages=[{"role": "user", "content": question}])
        return upstream.requests[-1].raw.decode()

    for way in range(3):
        both, one, none = asked("mia", way), asked("noa", way), asked("zoe", way)
        assert ("Kestrel" in both, "Osprey" in both) == (True, True), way
        assert ("Kestrel" in one, "Osprey" in one) == (True, False), way
        assert ("Kestrel" in none, "Osprey" in none) == (False, False), way
    with admin(shared) as boss:
        boss.delete("/admin/groups/apollo/members/noa").raise_for_status()
    for way in range(3):
        assert "Kestrel" not in asked("noa", way)
        assert "Kestrel" in asked("mia", way)


def test_a_conversation_goes_on_in_three_dialects_with_three_models(shared: Proxy, upstream: FakeModel) -> None:
    """What was told in the first is recalled in the others, beside the whole history; what only one model can read of
    it is left out where it is refused; and a new session knows how the conversation ended."""
    said = "I work as a beekeeper."
    thought = {"type": "thinking", "thinking": "hm", "signature": "of another model"}
    with shared.client("pia", **{"X-Conversation-Id": "hives"}) as client:
        ask(client, said, "model-a")
        remembered(client, "beekeeper", "fact")
        history = [
            {"role": "user", "content": said},
            {"role": "assistant", "content": [thought, {"type": "text", "text": "Noted."}]},
            {"role": "user", "content": "My bees live in Lund. What do I work as?"},
        ]
        upstream.script(Behaviour(status=400))
        over = {"model": "claude", "max_tokens": 9, "messages": history}
        reply = client.post("/v1/messages", json=over).raise_for_status()
        assert reply.headers["X-History-Left-Out"] == "signed"
        sent = upstream.requests[-1].json["messages"]
        assert [each["role"] for each in sent] == ["user", "assistant", "user"]
        assert "beekeeper" in str(sent[-1]).partition("</memory>")[0]
        history[1] = {"role": "assistant", "content": "Noted."}
        asked = {"role": "user", "content": "What do I work as, and where?"}
        history += [{"role": "assistant", "content": "A beekeeper."}, asked]
        upstream.script(Behaviour(answer="As a beekeeper, with nine hives."))
        client.post("/v1/responses", json={"model": "open", "input": history}).raise_for_status()
        assert "beekeeper" in upstream.requests[-1].raw.decode().partition("</memory>")[0].rpartition("<memory>")[2]
        remembered(client, "nine hives")
    with shared.client("pia", **{"X-Conversation-Id": "later"}) as client:
        ask(client, "Where were we?", "model-b")
        assert "nine hives" in block(upstream)


def client_of(proxy: Proxy, user: str, sdk: str, **headers: str) -> Any:
    """The client of that name, "OpenAI" or "Anthropic"."""
    base = proxy.url if sdk == "Anthropic" else f"{proxy.url}/v1"
    kind, named = getattr(import_module(sdk.lower()), sdk), {"X-Memory-User": user, **headers}
    return kind(base_url=base, api_key="sk-webui", default_headers=named, max_retries=0)


def test_what_is_imported_into_a_group_is_the_groups(shared: Proxy) -> None:
    """With the name of who imported it; a whole export of another service or a line a memory."""
    with shared.client("bob", **{"X-Memory-Scope": "@research"}) as client:
        lines = b'{"text": "We archive the Condor logs weekly."}\n{"text": "The Condor key is in the safe."}\n'
        assert client.post("/v1/memories/import", content=lines).raise_for_status().json()["added"] == 2
        found = [each for each in memories(client) if "Condor" in each["text"]]
        assert {(each["group"], each["contributor"]) for each in found} == {("research", "bob")}
        assert len(found) == 2
    with shared.client("bob") as own:
        assert "Condor" not in own.get("/v1/memories/export").text
    with shared.client("rita") as reader:
        assert (
            "Condor key is in the safe"
            in reader.post("/v1/memories/preview", json={"text": "Where is the Condor key?"}).text
        )


def test_the_scope_of_a_group_is_its_members(shared: Proxy) -> None:
    """Whatever asks: a reader does not write, and to a stranger there is no such group."""
    kept = tell(shared, "ada", "research", "Our budget for owls is 70 crowns.")
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("POST", "/v1/memories", {"text": "x"}),
        ("PATCH", f"/v1/memories/{kept['id']}", {"pinned": True}),
        ("DELETE", f"/v1/memories/{kept['id']}", {}),
        ("POST", "/v1/memories/delete", {"ids": [kept["id"]]}),
        ("POST", "/v1/memories/edit", {"changes": [{"id": kept["id"], "private": True}]}),
        ("POST", "/v1/memories/import", {"text": "x"}),
        ("POST", "/v1/memories/move", {"ids": [kept["id"]], "scope": "home"}),
        ("POST", "/v1/memories/restore", {"memories": [kept]}),
    ]
    reads: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/v1/memories", {}),
        ("GET", f"/v1/memories/{kept['id']}", {}),
        ("GET", f"/v1/memories/{kept['id']}/history", {}),
        ("GET", f"/v1/memories/{kept['id']}/why", {}),
        ("GET", "/v1/memories/export", {}),
        ("GET", "/v1/memories/stats", {}),
        ("GET", "/v1/memories/groups", {}),
        ("GET", "/v1/memories/review", {}),
        ("POST", "/v1/memories/search", {"query": "owls"}),
        ("POST", "/v1/memories/preview", {"text": "owls"}),
    ]
    with shared.client("rita", **{"X-Memory-Scope": "@research"}) as client:
        assert [client.request(*call[:2], json=call[2]).status_code for call in calls] == [403] * len(calls)
        assert [client.request(*call[:2], json=call[2]).status_code for call in reads] == [200] * len(reads)
        assert ask(client, "Owls like crowns.").headers["X-Memory-Write"] == "off"
    for stranger, scope in (("olga", "@research"), ("rita", "@nowhere"), ("zoe", "@research")):
        with shared.client(stranger, **{"X-Memory-Scope": scope}) as client:
            assert {client.request(*call[:2], json=call[2]).status_code for call in [*calls, *reads]} == {403}
            assert ask(client, "What is our budget for owls?").status_code == 403
    with shared.client("olga") as client:  # the id alone opens nothing
        assert client.get(f"/v1/memories/{kept['id']}").status_code == 404


def test_what_somebody_contributed_is_theirs_to_change(shared: Proxy) -> None:
    """The contributor and the group's owners may change it, and nobody else."""
    ada, bob = (
        tell(shared, "ada", "research", "We meet in room Heron."),
        tell(shared, "bob", "research", "I am on call."),
    )
    with shared.client("bob", **{"X-Memory-Scope": "@research"}) as client:
        assert client.delete(f"/v1/memories/{ada['id']}").status_code == 403
        assert client.patch(f"/v1/memories/{ada['id']}", json={"text": "x"}).status_code == 403
        assert client.patch(f"/v1/memories/{bob['id']}", json={"text": "I am off call."}).status_code == 200
        assert client.get(f"/v1/memories/{bob['id']}").json()["contributor"] == "bob"
    with shared.client("ada", **{"X-Memory-Scope": "@research"}) as client:
        assert client.delete(f"/v1/memories/{bob['id']}").status_code == 200


def test_a_claim_of_a_signed_token_makes_a_member_for_that_request(shared: Proxy, upstream: FakeModel) -> None:
    """Of a group that lets it; with the role that the group gives."""
    tell(shared, "sam", "sales", "The Toucan price is 12 crowns.")
    for teams, status, seen in ((["sales", "research"], 200, True), (["ops"], 403, False), (None, 403, False)):
        token = jwt.encode({"sub": "tina", "teams": teams}, SECRET)
        with shared.client(key="sk-sso", **{"X-OpenWebUI-User-Jwt": token}) as client:
            ask(client, f"What is the Toucan price for {teams}?")
            assert ("12 crowns" in block(upstream)) == seen
            assert client.get("/v1/memories", headers={"X-Memory-Scope": "@sales"}).status_code == status
            for name, added in (("sales", 403), ("research", 403)):
                scope = {"X-Memory-Scope": f"@{name}"}
                assert client.post("/v1/memories", json={"text": "x"}, headers=scope).status_code == added


def test_a_wish_to_forget_reaches_what_the_user_has_contributed(shared: Proxy, upstream: FakeModel) -> None:
    """Said in a chat of their own. What others have contributed in the same words stays, and so does what a member
    may only read; where several may be meant, the model is told which of them a group has."""
    door = "The Heron badge opens the north door."
    kept = {user: tell(shared, user, "research", door) for user in ("bob", "ada")}
    for user, said in (("rita", "Nothing was deleted"), ("bob", "contributions to @research")):
        with shared.client(user) as client:
            ask(client, "Forget that the Heron badge opens the north door.")
            assert said in block(upstream)
    with shared.client("ada", **{"X-Memory-Scope": "@research"}) as client:
        assert client.get(f"/v1/memories/{kept['ada']['id']}").status_code == 200
        assert client.get(f"/v1/memories/{kept['bob']['id']}").status_code == 404
    tell(shared, "bob", "research", "My dog Rex guards the lab.")
    with shared.client("bob") as client:
        client.post("/v1/memories", json={"text": "My dog Max is three."}).raise_for_status()
        ask(client, "Forget about my dog.")
        assert "Nothing was deleted" in block(upstream)
        assert "- @research: My dog Rex guards the lab." in block(upstream)
        assert "- My dog Max is three." in block(upstream)


def test_nothing_personal_gets_into_a_group_by_itself(shared: Proxy, upstream: FakeModel) -> None:
    """What a member says in other chats does not reach the group, and neither does the block in the group's chats."""
    with shared.client("ada") as own:
        ask(own, "My doctor is called Xylander and I live in Tromsø.")
        remembered(own, "Xylander")
        with shared.client("ada", **{"X-Memory-Scope": "@ops"}) as group:
            ask(group, "What is the name of my doctor?")
            assert "Xylander" not in block(upstream)
            remembered(group, "doctor")
            assert not any("Xylander" in each["text"] for each in memories(group))
    for scope in ("@ops", "@research"):
        with shared.client("ada", **{"X-Memory-Scope": scope}) as client:
            assert "Xylander" not in client.get("/v1/memories/export").text


def test_a_member_who_leaves_reads_nothing_from_the_next_request_on(shared: Proxy, upstream: FakeModel) -> None:
    """This holds even within a running tool loop, whose block was made while the user was a member."""
    with admin(shared) as boss:
        made = boss.post("/admin/groups", json={"name": "launch", "members": {"ann": "owner", "ben": "reader"}})
        assert made.status_code == 201
        tell(shared, "ann", "launch", "The Walrus launch is on Thursday at noon.")
        question = {"role": "user", "content": "When is the Walrus launch?"}
        call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        step = [question, {"role": "assistant", "tool_calls": [call]}]
        step.append({"role": "tool", "tool_call_id": "c1", "content": "nothing"})
        with shared.client("ben", **{"X-Conversation-Id": "loop"}) as client:
            _hit(client, question["content"])
            for chats in ([question], step):
                client.post("/v1/chat/completions", json={"model": "model-a", "messages": chats}).raise_for_status()
                assert "Thursday at noon" in upstream.chats[-1].raw.decode()
            receipt = client.get("/v1/receipts").json()["data"][0]
            boss.delete("/admin/groups/launch/members/ben").raise_for_status()
            for chats in ([question], step):
                client.post("/v1/chat/completions", json={"model": "model-a", "messages": chats}).raise_for_status()
                assert "Thursday at noon" not in upstream.chats[-1].raw.decode()
            assert "Thursday at noon" not in client.get(f"/v1/receipts/{receipt['id']}").text
            assert client.get("/v1/memories", headers={"X-Memory-Scope": "@launch"}).status_code == 403


def test_a_deletion_in_a_group_reaches_the_blocks_of_all_members(shared: Proxy, upstream: FakeModel) -> None:
    """Also within a tool loop, as a deletion of the user's own does."""
    kept = tell(shared, "ada", "research", "The Ibis budget is 9,000 crowns.")
    question = {"role": "user", "content": "What is the Ibis budget?"}
    with shared.client("rita") as client, shared.client("ada", **{"X-Memory-Scope": "@research"}) as owner:
        _hit(client, question["content"])
        owner.delete(f"/v1/memories/{kept['id']}").raise_for_status()
        loop = [
            question,
            {"role": "assistant", "content": "…"},
            {"role": "tool", "tool_call_id": "c", "content": "x"},
        ]
        for chats in ([question], loop):
            client.post("/v1/chat/completions", json={"model": "model-a", "messages": chats}).raise_for_status()
            assert "9,000" not in upstream.chats[-1].raw.decode()


def test_what_an_erased_member_contributed_is_erased_or_loses_the_name(shared: Proxy) -> None:
    """As the group's setting says; others' contributions stay."""
    with admin(shared) as boss:
        for name, keeps in (("goes", False), ("stays", True)):
            body = {"name": name, "members": {"cleo": "writer", "dan": "owner"}, "keep_contributions": keeps}
            assert boss.post("/admin/groups", json=body).status_code == 201
            tell(shared, "cleo", name, f"The code of {name} is Marmot.")
            tell(shared, "dan", name, f"The colour of {name} is teal.")
        with shared.client("cleo") as client:
            assert client.delete("/v1/memories").json()["deleted"] == 2
        groups = {each["name"]: each for each in boss.get("/admin/groups").json()["data"]}
        assert groups["goes"]["members"] == {"dan": "owner"}
    for name, texts in (("goes", {"teal"}), ("stays", {"teal", "Marmot"})):
        with shared.client("dan", **{"X-Memory-Scope": f"@{name}"}) as client:
            kept = memories(client)
            assert {each["text"].rstrip(".").split()[-1] for each in kept} == texts
            assert {each["contributor"] for each in kept} <= {"dan", None}


def test_the_operator_makes_groups_and_removes_them_with_what_is_in_them(shared: Proxy) -> None:
    """Those of the settings only there; the admin key reads nobody's memories."""
    with admin(shared) as boss:
        assert boss.put("/admin/groups/nowhere/members/ada", json={"role": "owner"}).status_code == 404
        assert boss.put("/admin/groups/ops/members/eve", json={"role": "owner"}).status_code == 409
        assert boss.post("/admin/groups", json={"name": "a b"}).status_code == 400
        assert boss.post("/admin/groups", json={"name": "brief"}).status_code == 201
        assert boss.post("/admin/groups", json={"name": "brief"}).status_code == 409
        assert boss.put("/admin/groups/brief/members/zed", json={"role": "boss"}).status_code == 400
        assert boss.put("/admin/groups/brief/members/zed").json()["members"] == {"zed": "writer"}
        tell(shared, "zed", "brief", "A Gnu is here.")
        removed = boss.delete("/admin/groups/brief").json()
        assert (removed["object"], removed["deleted"]) == ("group.removed", 1)
        boss.post("/admin/groups", json={"name": "brief", "members": {"zed": "owner"}}).raise_for_status()
        with shared.client("zed", **{"X-Memory-Scope": "@brief"}) as client:
            assert memories(client) == []
        users = boss.get("/admin/users").json()["data"]
        assert not any("\x1d" in each["id"] for each in users)
    with shared.client("ada") as client:
        assert client.get("/admin/groups").status_code == 401
        found = client.get("/v1/memories/settings").json()["groups"]
        assert {"name": "ops", "role": "writer"} in found


def test_remember_for_the_team_goes_to_the_team(shared: Proxy, upstream: FakeModel) -> None:
    """The sentence of the wish alone, and not to the person's own memories; the model is told."""
    with shared.client("olga") as own, shared.client("olga", **{"X-Memory-Scope": "@ops"}) as group:
        ask(own, "I am a beekeeper. Remember for the team that the VPN is Vole.")
        assert "remembered for @ops" in block(upstream)
        kept = remembered(group, "Vole")
        assert (kept["group"], kept["contributor"]) == ("ops", "olga")
        assert "beekeeper" in remembered(own, "beekeeper")["text"]
        assert not any("Vole" in each["text"] for each in memories(own))
        assert not any("beekeeper" in each["text"] for each in memories(group))
    with shared.client("ada") as both:  # the user is in two teams and names neither
        ask(both, "Remember for the team that the key is Wren.")
        assert "did not say for which" in block(upstream)
        remembered(both, "Wren")
        for name in ("research", "ops"):
            found = both.get("/v1/memories", headers={"X-Memory-Scope": f"@{name}"}).json()["data"]
            assert not any("Wren" in each["text"] for each in found)


def admin(proxy: Proxy) -> httpx.Client:
    return proxy.client(key=ADMIN)


def _hit(client: httpx.Client, question: str) -> httpx.Response:
    def look() -> httpx.Response | None:
        reply = ask(client, question, "model-b")
        return reply if reply.headers["X-Memory-Status"] == "hit" else None

    found = eventually(look)
    assert found is not None
    return found
