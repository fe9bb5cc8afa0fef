"""A fact told to one model in one session is in another model's prompt in the next, and in nobody else's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.fake_model import Behaviour, FakeModel, newest_user_text
from tests.support.proxy_server import Proxy, ask, eventually, memories, remembered

if TYPE_CHECKING:
    import openai

PIXEL = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


@pytest.fixture
def sdk(proxy: Proxy, user: str) -> openai.OpenAI:
    import openai

    return openai.OpenAI(
        base_url=f"{proxy.url}/v1", api_key="sk-webui", default_headers={"X-Memory-User": user}, max_retries=0
    )


def prompt(upstream: FakeModel) -> str:
    return newest_user_text(upstream.chats[-1].json)


def test_a_fact_told_to_model_a_is_in_the_prompt_of_model_b(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """The product in one test, by the headers a client can see too."""
    with proxy.client(user) as client:
        told = ask(client, "I live in Oslo and I am allergic to peanuts.", "model-a")
        assert (told.headers["X-Memory-Status"], told.headers["X-Memory-Write"]) == ("miss", "on")
        remembered(client, "Oslo", "fact")
        reply = ask(client, "Which city do I live in?", "model-b")
    assert reply.headers["X-Memory-Status"] == "hit"
    assert int(reply.headers["X-Memory-Count"]) >= 1
    assert int(reply.headers["X-Memory-Tokens"]) > 0
    assert upstream.chats[-1].json["model"] == "model-b"
    before, _, question = prompt(upstream).partition("</memory>\n\n")
    assert before.startswith("<memory>")
    assert "Oslo" in before
    assert question == "Which city do I live in?"


@pytest.mark.parametrize("question", ["Where were we?", "What did we talk about last time?"])
def test_a_new_session_with_another_model_knows_how_the_last_one_ended(
    proxy: Proxy, upstream: FakeModel, user: str, question: str
) -> None:
    """What was asked in the newest other conversation, and what was answered in the end."""
    with proxy.client(user, **{"X-Conversation-Id": "older"}) as client:
        ask(client, "Which glaze suits a salt kiln?")
        remembered(client, "salt kiln")
    with proxy.client(user, **{"X-Conversation-Id": "newer"}) as client:
        upstream.script(Behaviour(answer="Start with the roof, then the gutters."))
        ask(client, "How do I draw the barn?")
        remembered(client, "Start with the roof")
    with proxy.client(user, **{"X-Conversation-Id": "now"}) as client:
        ask(client, question, "model-b")
    block = prompt(upstream).partition("</memory>")[0]
    assert "How do I draw the barn? Assistant: Start with the roof, then the gutters." in block
    assert "kiln" not in block


def test_two_users_never_see_each_others_memories(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """Neither in a prompt nor through the API, whatever they ask."""
    with proxy.client(f"{user} 1") as one, proxy.client(f"{user} 2") as two:
        ask(one, "My bank is the Quetzal Credit Union.")
        ask(two, "My dentist is Doctor Xylander.")
        theirs = remembered(one, "Quetzal")
        remembered(two, "Xylander")
        assert "Quetzal" not in two.get("/v1/memories/export").text  # before they say the word themselves
        for question in ("What is my bank, the Quetzal Credit Union?", "Who is my dentist, Doctor Xylander?"):
            ask(two, question)
            assert "Quetzal Credit Union." not in prompt(upstream).replace(question, "")
        for method in ("GET", "PATCH", "DELETE"):
            assert two.request(method, f"/v1/memories/{theirs['id']}", json={"pinned": True}).status_code == 404
        assert one.get(f"/v1/memories/{theirs['id']}").json()["pinned"] is False


def test_scopes_of_one_user_are_apart(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """What is told in the scope `work` is not recalled outside it."""
    with proxy.client(user) as home, proxy.client(user, **{"X-Memory-Scope": "work"}) as work:
        ask(work, "My project is called Halcyon.")
        remembered(work, "Halcyon")
        assert memories(home) == []
        assert ask(home, "What is my project called?").headers["X-Memory-Status"] == "miss"
        assert ask(work, "What is my project called?").headers["X-Memory-Status"] == "hit"


@pytest.mark.parametrize(("mode", "reads", "writes"), [("read", 1, 0), ("write", 0, 1), ("off", 0, 0)])
def test_x_memory_says_what_memory_may_do(
    proxy: Proxy, upstream: FakeModel, user: str, mode: str, reads: bool, writes: bool
) -> None:
    """`read` recalls only, `write` learns only, `off` does neither."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I keep three parrots."})
        reply = client.post(
            "/v1/chat/completions",
            json={"model": "model-a", "messages": [{"role": "user", "content": f"Do I keep parrots? {mode}"}]},
            headers={"X-Memory": mode},
        )
        assert reply.headers["X-Memory-Status"] == ("hit" if reads else "off")
        assert reply.headers["X-Memory-Write"] == ("on" if writes else "off")
        assert ("<memory>" in prompt(upstream)) == reads
        ask(client, "a later turn that is kept")
        remembered(client, "a later turn")
        assert any(f"parrots? {mode}" in m["text"] for m in memories(client)) == writes


def test_a_side_task_is_neither_injected_nor_stored(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """A title request of Open WebUI is text in the user's role that no user wrote."""
    task = (
        "### Task:\nGenerate a concise title summarizing the chat history.\n### Guidelines:\n- 2-4 words.\n"
        '### Output:\nJSON format: { "title": "your concise title here" }\n### Chat History:\n<chat_history>\n'
        "USER: I live in Narvik\nASSISTANT: Nice.\n</chat_history>"
    )
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I live in Narvik."})
        reply = ask(client, task)
        assert (reply.headers["X-Memory-Status"], reply.headers["X-Memory-Write"]) == ("skipped", "skipped")
        assert prompt(upstream) == task
        ask(client, "a later turn that is kept")
        remembered(client, "a later turn")
        assert not any("Task" in m["text"] for m in memories(client))


def test_the_sdk_chats_and_streams(sdk: openai.OpenAI, proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """The official client sees ordinary answers, and what it said is remembered either way."""
    whole = sdk.chat.completions.create(
        model="model-a", messages=[{"role": "user", "content": "I play the theremin."}]
    )
    assert whole.choices[0].message.content == "I play the theremin."
    stream = sdk.chat.completions.create(
        model="model-a", stream=True, messages=[{"role": "user", "content": "My sister is called Ingrid."}]
    )
    pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
    assert "".join(pieces).endswith("My sister is called Ingrid.")
    with proxy.client(user) as client:
        remembered(client, "theremin")
        remembered(client, "Ingrid")


def test_the_sdk_sends_an_image_part_beside_the_text(
    sdk: openai.OpenAI, proxy: Proxy, upstream: FakeModel, user: str
) -> None:
    """The block becomes one more text part in front; the others are as they were."""
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "My cat is called Miso."})
    parts = [
        {"type": "text", "text": "Is this my cat Miso?"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
    ]
    sdk.chat.completions.create(model="model-a", messages=[{"role": "user", "content": parts}])  # type: ignore[misc,list-item]
    block, *rest = upstream.chats[-1].json["messages"][0]["content"]
    assert block["type"] == "text"
    assert "Miso" in block["text"]
    assert rest == parts


def test_the_block_is_the_same_throughout_a_tool_loop(
    sdk: openai.OpenAI, proxy: Proxy, upstream: FakeModel, user: str
) -> None:
    """Also when something was learned meanwhile: the provider's prompt cache stays warm."""
    question = {"role": "user", "content": "Where do I live, and what is the weather there?"}
    call = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}],
    }
    result = {"role": "tool", "tool_call_id": "call_1", "content": "rain"}
    with proxy.client(user) as client:
        client.post("/v1/memories", json={"text": "I live in Tromsø."})
        sdk.chat.completions.create(model="model-a", messages=[question])  # type: ignore[list-item]
        first = upstream.chats[-1].json["messages"]
        assert "Tromsø" in first[0]["content"]
        client.post("/v1/memories", json={"text": "I used to live in Bodø, and liked the weather where I live."})
        sdk.chat.completions.create(model="model-a", messages=[question, call, result])  # type: ignore[list-item]
        looped = upstream.chats[-1].json["messages"]
        assert looped == [first[0], call, result]
        ask(client, question["content"])
        assert "Bodø" in prompt(upstream)


def test_a_deletion_reaches_a_tool_loop_that_is_under_way(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """Forgetting comes before the prompt cache."""
    question = {"role": "user", "content": "Where do I live?"}
    loop = [question, {"role": "assistant", "content": "Let me look."}]
    with proxy.client(user) as client:
        made = client.post("/v1/memories", json={"text": "I live in Røros."}).json()
        client.post("/v1/chat/completions", json={"model": "model-a", "messages": [question]})
        assert "Røros" in prompt(upstream)
        client.delete(f"/v1/memories/{made['id']}")
        client.post("/v1/chat/completions", json={"model": "model-a", "messages": loop})
        assert "Røros" not in prompt(upstream)


def test_a_retry_and_a_tool_loop_are_one_turn(proxy: Proxy, user: str) -> None:
    """Clients send a body up to three times; a tool loop sends it again and again, each time longer."""
    said = {"role": "user", "content": "My locker code word is Bramble."}
    step = [{"role": "assistant", "content": "Let me look."}]
    with proxy.client(user) as client:
        for messages in ([said], [said], [said], [said, *step]):
            client.post("/v1/chat/completions", json={"model": "model-a", "messages": messages}).raise_for_status()
        ask(client, "a later turn that is kept")
        remembered(client, "a later turn")
        kept = eventually(lambda: [m for m in memories(client, "episode") if "Bramble" in m["text"]])
        assert len(kept) == 1
