"""In every dialect the newest words of a person are found, and the block goes before them and nowhere else."""

from __future__ import annotations

import copy
import random
from typing import Any

from rememberd.dialects import chat, messages, responses
from rememberd.dialects.registry import DIALECTS, dialect_for
from rememberd.memory.ids import turn_ids
from rememberd.types import Space
from tests.support.raw_bodies import injected
from tests.support.tables import each_row

BLOCK = "<memory>\nRemembered: tea.\n</memory>"
MARK = {"cache_control": {"type": "ephemeral"}}
REMINDER = {"type": "text", "text": "<system-reminder>\nUse tools.\n</system-reminder>"}
CODEX = "<environment_context>\n  <cwd>/x</cwd>\n</environment_context>"
SAID = {"type": "text", "text": "hi, I am Ada"}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "I am Bob"}]}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "ls", "input": {}}]}


def user(*content: Any) -> dict[str, Any]:
    return {
        "role": "user",
        "content": list(content) if len(content) != 1 or isinstance(content[0], dict) else content[0],
    }


def item(text: str, role: str = "user") -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]}


MESSAGES: dict[str, tuple[list[Any], int]] = {
    "a string": ([user("hi, I am Ada")], 0),
    "blocks": ([user(SAID)], 0),
    "after an answer": ([user("earlier"), {"role": "assistant", "content": "ok"}, user(SAID)], 2),
    "between reminders": ([user(REMINDER, SAID, REMINDER)], 0),
    "beside an image": ([user({"type": "image", "source": {"type": "url", "url": "x"}}, SAID)], 0),
    "in a tool loop": ([user(SAID), CALL, user(RESULT)], 0),
    "in a tool loop with a reminder": ([user(SAID), CALL, user(RESULT, REMINDER)], 0),
    "after the results of tools": ([user("earlier"), CALL, user(RESULT, SAID)], 2),
}
INPUTS: dict[str, tuple[Any, int]] = {
    "a string": ("hi, I am Ada", 0),
    "an item": ([item("hi, I am Ada")], 0),
    "an item without a type": ([{"role": "user", "content": "hi, I am Ada"}], 0),
    "codex": ([item("rules", "developer"), item("hi, I am Ada"), item(CODEX)], 1),
    "codex, context first": ([item(CODEX), item("hi, I am Ada")], 1),
    "in a tool loop": (
        [
            item("hi, I am Ada"),
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
            {"type": "function_call", "call_id": "c", "name": "ls", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "I am Bob"},
        ],
        0,
    ),
}


@each_row("shape", MESSAGES)
def test_messages_only_the_persons_message_differs(shape: str) -> None:
    """The block is a text block before the words; results of tools stay first; the system blocks are untouched."""
    said, at = MESSAGES[shape]
    body = {"model": "m", "system": [{"type": "text", "text": "Be brief.", **MARK}], "messages": said, "odd": 1}
    before = copy.deepcopy(body)
    asked = messages.question(body)
    assert asked is not None
    assert (asked.at, asked.text) == (at, "hi, I am Ada")
    changed = injected(body, messages, asked, BLOCK, "user")
    assert body == before
    got = changed["messages"].pop(at)["content"]
    assert changed == {**before, "messages": [m for index, m in enumerate(said) if index != at]}
    if isinstance(got, str):
        assert got == f"{BLOCK}\n\nhi, I am Ada"
        return
    where = got.index({"type": "text", "text": BLOCK})
    assert got[where + 1] == SAID
    assert [*got[:where], *got[where + 1 :]] == said[at]["content"]
    assert asked.continues == (at < len(said) - 1)


@each_row("shape", INPUTS)
def test_responses_only_the_persons_item_differs(shape: str) -> None:
    """A string or items; `instructions` are untouched."""
    said, at = INPUTS[shape]
    body = {"model": "m", "instructions": "Be brief.", "input": said, "previous_response_id": "r", "odd": 1}
    before = copy.deepcopy(body)
    asked = responses.question(body)
    assert asked is not None
    assert (asked.at, asked.text) == (at, "hi, I am Ada")
    changed = injected(body, responses, asked, BLOCK, "user")
    assert body == before
    got = changed.pop("input")
    assert changed == {name: value for name, value in before.items() if name != "input"}
    if isinstance(said, str):
        assert got == f"{BLOCK}\n\nhi, I am Ada"
        return
    content = got.pop(at)["content"]
    assert got == [each for index, each in enumerate(said) if index != at]
    if isinstance(content, str):
        assert content == f"{BLOCK}\n\nhi, I am Ada"
    else:
        assert content == [{"type": "input_text", "text": BLOCK}, *said[at]["content"]]


@each_row(
    "body",
    [
        {},
        {"messages": None, "input": None},
        {"messages": [], "input": []},
        {"messages": ["x"], "input": ["x"]},
        {"messages": [{"role": "user"}], "input": [{"role": "user"}]},
        {
            "messages": [user(RESULT)],
            "input": [{"type": "function_call_output", "call_id": "c", "output": "I am Bob"}],
        },
        {"messages": [user(REMINDER)], "input": [item(CODEX)]},
        {
            "messages": [user(SAID), user({"type": "image"})],
            "input": [item("x"), {"role": "user", "content": [1, {}]}],
        },
        {"messages": [{"role": "assistant", "content": "x"}], "input": [item("x", "developer")]},
        {"messages": 7, "input": {"role": "user", "content": "x"}},
    ],
)
def test_what_nobody_said_is_no_question(body: dict[str, Any]) -> None:
    """Messages of an unknown form, results of tools, reminders and images alone are relayed, and memory ignores
    them."""
    assert messages.question(body) is None
    assert responses.question(body) is None
    assert (
        chat.question({"messages": body.get("messages") if body.get("messages") != [user(RESULT)] else None}) is None
    )


def test_a_block_for_the_system_prompt_keeps_what_is_cached_first() -> None:
    """Anthropic's cache holds beginnings: marked system blocks stay in front; Responses gets an item of its own."""
    body = {"system": [{"type": "text", "text": "Be brief.", **MARK}], "messages": [user("hi")], "input": "hi"}
    asked = messages.question(body)
    assert asked is not None
    assert injected(body, messages, asked, BLOCK, "system")["system"] == [
        *body["system"],
        {"type": "text", "text": BLOCK},
    ]
    assert injected(body | {"system": "A"}, messages, asked, BLOCK, "system")["system"] == f"A\n\n{BLOCK}"
    assert injected({"messages": [user("hi")]}, messages, asked, BLOCK, "system")["system"] == BLOCK
    assert injected(body, responses, asked, BLOCK, "system")["input"] == [
        {"role": "system", "content": BLOCK},
        {"role": "user", "content": "hi"},
    ]


def test_a_turn_is_the_same_however_the_client_marks_it() -> None:
    """Within a tool loop clients move their cache marks and turn a text into blocks; it stays one turn."""
    first = {"messages": [user("earlier"), user({**SAID, **MARK})]}
    later = {
        "messages": [user({"type": "text", "text": "earlier", **MARK}), user("hi, I am Ada"), CALL, user(RESULT)]
    }
    other = {"messages": [user("other"), user("hi, I am Ada")]}
    said = [[each.content for each in messages.user_messages(body)] for body in (first, later, other)]
    assert said[0] == said[1] != said[2]


def test_only_the_persons_messages_make_a_turns_id() -> None:
    """Of each dialect, over generated histories: the id stays when a system prompt, an answer, a tool's result or a
    client's own text differs (a clock), and changes with the person's text, name, image and conversation."""
    random_ = random.Random(18)
    for number in range(300):
        said = [random_.choice(["yes", "go on", f"text {random_.random()}"]) for _ in range(random_.randint(1, 5))]
        for make in (_chat_body, _messages_body, _responses_body):
            one, other = make(said, f"it is {number}"), make(said, f"it is {number + 1}")
            assert _turn_id(*one) == _turn_id(*other)
            assert _turn_id(*one) != _turn_id(*one, conversation="other")
            assert _turn_id(*one) != _turn_id(*make([*said[:-1], said[-1] + "!"], "it is"))
            assert _turn_id(*one) != _turn_id(*make(["earlier", *said], "it is"))
    image = {"type": "image", "source": {"type": "url", "url": "x"}}
    ids = {
        _turn_id(messages, {"messages": [each]})
        for each in (user(SAID), user(SAID, image), user(SAID, image | {"n": 1}), user(SAID) | {"name": "bob"})
    }
    assert len(ids) == 4
    assert _turn_id(messages, {"messages": [user(SAID, image | MARK)]}) in ids


def test_only_an_answer_or_a_tool_makes_a_tool_loop() -> None:
    """In each dialect: what a client or an operator puts behind the person's message does not."""
    hi = {"role": "user", "content": "hi, I am Ada"}
    system = {"role": "system", "content": "It is noon."}
    developer = {"role": "developer", "content": "It is noon."}
    assistant = {"role": "assistant", "content": "Let me look."}
    tool = {"role": "tool", "tool_call_id": "c", "content": "a"}
    loops: list[tuple[Any, str, list[Any]]] = [
        (chat, "messages", [assistant, tool, {"role": "function", "name": "f", "content": "a"}]),
        (messages, "messages", [CALL]),
        (responses, "input", [assistant, *INPUTS["in a tool loop"][0][1:]]),
    ]
    for dialect, name, works in loops:
        for others in ([], [system], [developer], [user(CODEX)], [system, user(CODEX)], ["odd", 7, None]):
            asked = dialect.question({name: [hi, *others]})
            assert asked is not None
            assert not asked.continues, (name, others)
            for work in works:
                for behind in ([*others, work], [work, *others]):
                    asked = dialect.question({name: [hi, *behind]})
                    assert asked is not None
                    assert asked.continues, (name, behind)


def _turn_id(dialect: Any, body: dict[str, Any], conversation: str | None = None) -> str:
    said = dialect.user_messages(body)
    ids = turn_ids(Space("ada"), conversation, [(each.at, each.content) for each in said], {said[-1].at})
    return ids[said[-1].at]


def _chat_body(said: list[str], clock: str) -> tuple[Any, dict[str, Any]]:
    spoken = [[{"role": "user", "content": text}, {"role": "assistant", "content": clock}] for text in said]
    return chat, {"messages": [{"role": "system", "content": clock}, *(each for pair in spoken for each in pair)]}


def _messages_body(said: list[str], clock: str) -> tuple[Any, dict[str, Any]]:
    reminder = {"type": "text", "text": f"<system-reminder>{clock}</system-reminder>"}
    spoken = [
        [user(reminder, {"type": "text", "text": text}), CALL, user(RESULT | {"content": clock})] for text in said
    ]
    return messages, {"system": clock, "messages": [each for triple in spoken for each in triple]}


def _responses_body(said: list[str], clock: str) -> tuple[Any, dict[str, Any]]:
    spoken = [[item(text), item(clock, "assistant")] for text in said]
    items = [item(clock, "developer"), *(each for pair in spoken for each in pair)]
    return responses, {"instructions": clock, "input": items}


def test_all_that_the_person_said_is_listed_oldest_first() -> None:
    """Without the words of clients, models and tools."""
    body = {"messages": [user("one"), CALL, user(RESULT), user(REMINDER, {"type": "text", "text": "two"})]}
    assert [(each.at, each.text) for each in messages.user_messages(body)] == [(0, "one"), (3, "two")]
    items = {"input": [item("one"), item("rules", "developer"), item("two")]}
    assert [(each.at, each.text) for each in responses.user_messages(items)] == [(0, "one"), (2, "two")]
    assert [(each.at, each.text) for each in responses.user_messages({"input": "one"})] == [(0, "one")]


def test_the_path_tells_the_dialect() -> None:
    """Also for errors: whoever posts below /v1/messages reads Anthropic's, everyone else OpenAI's."""
    assert [DIALECTS[path].PATH for path in ("/v1/chat/completions", "/v1/responses", "/v1/messages")] == [
        "/chat/completions",
        "/responses",
        "/messages",
    ]
    assert dialect_for("/v1/messages/count_tokens").error_body(404, "c", "no", "p") == {
        "type": "error",
        "error": {"type": "not_found_error", "message": "no"},
    }
    assert dialect_for("/v1/files").error_body(404, "c", "no", "p")["error"]["code"] == "c"
