"""However large or hostile a request is, the others are served meanwhile, and the writer is not stalled by it."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest

from rememberd.dialects import client_text as boilerplate
from rememberd.dialects import user_message
from rememberd.dialects.registry import CHAT_PATHS, Dialect
from rememberd.dialects.side_tasks import ENOUGH, program_odds
from rememberd.memory.learn.build_memories import SIDE_CHARS, TAIL_CHARS, episode, redacted
from rememberd.memory.text_similarity import opposes, says_the_same
from rememberd.pipeline.chat_request import UserTurn, user_turn
from rememberd.types import Identity, Space, Turn
from tests.support.proxy_server import Proxy, ask

KEY = "sk-ant-api03-" + "Ab3dEf6hIj9k" * 3


def test_others_are_answered_while_a_huge_conversation_is_read(proxy: Proxy, user: str) -> None:
    """A wish at the end of 8,000 messages is about each of them. They are read once, and not in the event loop."""
    talk = [{"role": ("user", "assistant")[n % 2], "content": f"{n} " + "word " * 100} for n in range(8_000)]
    wish = {"role": "user", "content": "Please don't remember this conversation."}
    assert _held_up(proxy, user, [*talk, wish]) == ""


def test_others_are_answered_while_one_huge_message_is_read(proxy: Proxy, user: str) -> None:
    """Rules for boilerplate read the two ends of 20 MB of tags, not all of it."""
    assert _held_up(proxy, user, [{"role": "user", "content": "<task><system>" * 1_500_000}]) == ""


def test_others_are_answered_while_countless_messages_are_read(proxy: Proxy, user: str) -> None:
    """A message of 300,000 times one letter. The newest message is answered from memory, but nothing is learned: the
    part that is not read may hold a wish not to remember."""
    talk = [{"role": ("user", "assistant")[n % 2], "content": "a"} for n in range(300_000)]
    assert _held_up(proxy, user, [*talk, {"role": "user", "content": "Where do I live?"}]) == ""


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v1/responses"])
def test_a_conversation_of_countless_messages_costs_no_more_than_its_end(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five times as many messages of any kind: hardly more function calls, and nothing is written."""
    monkeypatch.setattr(user_message, "MOST", 500)
    dialect, name = CHAT_PATHS[path], "input" if path == "/v1/responses" else "messages"
    dear = []
    for message in _TINY:
        some, many = ([*[message] * count, {"role": "user", "content": "hi"}] for count in (1_000, 5_000))
        turn = _turn_of(dialect, {name: many})
        assert turn is not None
        assert turn.asked[:2] == (5_000, "hi")
        assert turn.off_record
        few, more = (_calls(partial(_turn_of, dialect, {name: items})) for items in (some, many))
        if more > 1.1 * few:
            dear.append((message, few, more))
    assert dear == []


_PART = {"type": "text", "text": "a"}
_TINY: list[dict[str, Any]] = [
    *({"role": role, "content": "a"} for role in ("user", "assistant", "tool", "system", "x")),
    *({"role": "user", "content": text} for text in ("", "<a>", "I like tea.", "Don't remember this conversation.")),
    *({"role": "user", "content": [part]} for part in (_PART, {}, {"type": "image_url"}, {"type": "tool_result"})),
    *({"role": "user", "name": name, "content": "a"} for name in ("user", "critic")),
    *({}, {"type": "function_call_output"}, {"role": "user", "content": "<system-reminder>a</system-reminder>"}),
]


def _turn_of(dialect: Dialect, body: dict[str, Any]) -> UserTurn | None:
    asked = None if program_odds({}, body) >= ENOUGH else dialect.question(body)
    return user_turn(dialect, Identity("ada"), asked, body) if asked else None


def _calls(function: Callable[[], Any]) -> int:
    """How many functions of Python and of C `function` calls: its work, on any machine."""
    count = 0

    def note(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def _held_up(proxy: Proxy, user: str, messages: list[dict[str, str]]) -> str:
    """What is wrong if one `/health/live` waits for more than 2 s, and for half of the time that the chat of
    `messages` takes: on a busy machine both are slow."""
    body = json.dumps({"model": "model-a", "messages": messages}).encode()
    seconds: list[float] = []
    first = time.monotonic()
    with proxy.client(user) as client:
        sent = threading.Thread(target=lambda: client.post("/v1/chat/completions", content=body).raise_for_status())
        sent.start()
        while sent.is_alive():
            began = time.monotonic()
            httpx.get(f"{proxy.url}/health/live", timeout=60).raise_for_status()
            seconds.append(time.monotonic() - began)
        whole = time.monotonic() - first
        assert ask(client, "still there?").status_code == 200
    longest = max(seconds)
    return f"{longest:.1f} of {whole:.1f} s" if longest > max(2.0, whole / 2) else ""


def test_a_person_s_words_are_found_around_a_huge_paste() -> None:
    """The words of the person are found before and after a long text. The middle of the text is not read."""
    paste = "lorem ipsum " * 100_000
    words = boilerplate.user_typed_text(f"I live in Oslo.\n{paste}\nWhat is it about?")
    assert words.startswith("I live in Oslo.")
    assert words.endswith("What is it about?")
    assert len(words) < boilerplate.LONGEST + 10


@pytest.mark.parametrize("step", [11, pytest.param(5, marks=pytest.mark.slow)])
def test_no_secret_is_kept_where_a_huge_side_was_cut(step: int) -> None:
    """Wherever a key stands in a text of which only the ends are read, no piece of it gets into the memory."""
    size = 4 * SIDE_CHARS
    for edge in (SIDE_CHARS - TAIL_CHARS, 2 * (SIDE_CHARS - TAIL_CHARS), size - 2 * TAIL_CHARS, size - TAIL_CHARS):
        for offset in range(-len(KEY) - 2, 3, step):
            text = ("word " * size)[: edge + offset] + f" {KEY} " + ("word " * size)[: size - edge]
            kept = episode(redacted(_turn(text))).text
            assert all(KEY[at : at + 12] not in kept for at in range(len(KEY) - 12)), (edge, offset)


def test_a_huge_turn_is_redacted_in_part() -> None:
    """A megabyte would take seconds, in the process that answers every recall."""
    turn = redacted(_turn("use " * 2_000_000))
    assert len(turn.user_text) < 2 * SIDE_CHARS + 10
    assert len(turn.answer) < 2 * SIDE_CHARS + 10


def test_documents_are_not_compared_word_by_word() -> None:
    """A short statement is the same in other words; of documents, 16 neighbours at a time, only an equal one is."""
    short, long = "I like tea", "I like tea " * 2_000
    assert says_the_same(short, f"{short} really")
    assert says_the_same(long, f" {long.upper()}")
    assert not says_the_same(long, f"{long} really")
    assert not opposes(long, f"not {long}")


def _turn(text: str) -> Turn:
    return Turn("t1", Space("ada", "default"), 1_790_000_000_000, text, text, "rcpt_1")
