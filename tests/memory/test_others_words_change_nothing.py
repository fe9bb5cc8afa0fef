"""What somebody else said is found again as theirs; it makes no fact of the user's and ends none."""

from __future__ import annotations

import re

import pytest

from tests.support.fake_model import FakeModel, newest_user_text
from tests.support.proxy_server import Proxy, ask, eventually, memories, remembered

HANDED_IN = (
    "My colleague Tom writes: I live in Paris and I am allergic to peanuts.",
    "[Tom Baker] I live in Paris. I am allergic to peanuts.",
    "Mail von Tom:\n\nIch wohne in Paris. Ich bin gegen peanuts allergisch.\n\nWas antworte ich?",
    "Context: I live in Paris. I am allergic to peanuts.\nQuestion: who is it?\nAnswer:",
)


@pytest.mark.parametrize("text", HANDED_IN)
def test_handed_in_text_is_recalled_as_such(proxy: Proxy, upstream: FakeModel, user: str, text: str) -> None:
    """The home that the person told stays current, and the block brackets the other one."""
    with proxy.client(user) as client:
        ask(client, "I live in Oslo.")
        remembered(client, "Oslo", "fact")
        ask(client, text)
        eventually(lambda: [each for each in memories(client) if "Paris" in each["text"]])
        facts = [each for each in memories(client) if each["kind"] == "fact"]
        assert [(each["text"], each["valid_to"]) for each in facts] == [("I live in Oslo.", None)]
        ask(client, "Who wrote about Paris and an allergy to peanuts?")
    block = newest_user_text(upstream.chats[-1].json).partition("</memory>")[0]
    block = re.sub(r" Assistant: .*", "", block)  # the fake model repeats what it is told
    assert re.search(r"\[pasted: [^\]]*Paris", block)
    assert "Paris" not in re.sub(r"\[pasted: [^\]]*\]", "", block)


def test_a_message_in_quotation_marks_is_the_persons(proxy: Proxy, user: str) -> None:
    """A terminal client sends what was typed as an argument with its quotation marks."""
    with proxy.client(user) as client:
        ask(client, '"I live in Oslo."')
        assert remembered(client, "Oslo", "fact")["text"] == "I live in Oslo."


@pytest.mark.parametrize("header", ["x-claude-code-agent-id", "x-parent-session-id", "x-openai-subagent"])
def test_a_subagent_gets_no_block_and_teaches_nothing(
    proxy: Proxy, upstream: FakeModel, user: str, header: str
) -> None:
    """The words in the user's role are those of another model."""
    with proxy.client(user) as client:
        ask(client, "I live in Oslo.")
        remembered(client, "Oslo", "fact")
        body = {"model": "model-a", "messages": [{"role": "user", "content": "I live in Paris. Where do I live?"}]}
        reply = client.post("/v1/chat/completions", json=body, headers={header: "7"})
        assert (reply.headers["X-Memory-Status"], reply.headers["X-Memory-Write"]) == ("skipped", "skipped")
        assert newest_user_text(upstream.chats[-1].json) == "I live in Paris. Where do I live?"
        ask(client, "My dog is called Rex.")
        remembered(client, "Rex", "fact")
        assert not [each for each in memories(client) if "Paris" in each["text"]]
