"""A client's own calls get no memory and leave none; a person's never fall among them."""

from __future__ import annotations

import argparse
import csv
import inspect
import itertools
import json
import re
import textwrap
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from rememberd.dialects.side_tasks import ENOUGH, Pattern, program_odds
from tests.support.tables import each_row

DATA = Path(__file__).parents[1] / "data"

LABELLED = [json.loads(line) for line in (DATA / "side_tasks.jsonl").read_text(encoding="utf-8").splitlines()]
HISTORY = "### Chat History:\n<chat_history>\nUSER: hi, I am Ada\nASSISTANT: hello\n</chat_history>"
PROSE = (
    "Some words of a long text that was pasted. ",
    "The ferry leaves at noon and the harbour is quiet in winter. ",
    "Der Zug hielt lange auf freier Strecke, und niemand wusste warum. ",
    "Le marché ferme tôt le dimanche, alors nous partons avant midi. ",
    "El pan se deja reposar una noche entera en un lugar fresco. ",
    "Поезд пришёл поздно вечером, и мы пошли домой пешком. ",
    "湖边的小路在春天开满了花。",
)


def is_side_task(headers: dict[str, str], body: dict[str, Any], patterns: Sequence[Pattern] = ()) -> bool:
    return program_odds(headers, body, patterns) >= ENOUGH


def chat(user: str, system: str | None = None) -> dict[str, Any]:
    messages = [{"role": "system", "content": system}] if system else []
    return {"model": "m", "messages": [*messages, {"role": "user", "content": user}]}


FROM_USER = {
    "Open WebUI title": '### Task:\nGenerate a concise title.\n### Output:\nJSON format: {"title": "…"}\n' + HISTORY,
    "Open WebUI tags": "### Task:\nGenerate 1-3 broad tags for the main themes.\n\n" + HISTORY,
    "Open WebUI follow-ups": "### Task:\nSuggest 3-5 follow-up questions.\n" + HISTORY,
    "Open WebUI next messages": "### Task:\nPredict 3-5 useful messages this user might send next.\n" + HISTORY,
    "Open WebUI search query": "### Task:\nAnalyze the chat history to decide whether to search.\n" + HISTORY,
    "Open WebUI autocomplete": "### Task:\nYou are an autocompletion system. Continue it.\n<text>I am A</text>",
    "LibreChat": "Provide a concise, 5-word-or-less title for the conversation, in title case.\n\nConversation:\n…",
    "opencode": "Generate a title for this conversation:\n\nhi, I am Ada",
    "gptme": "Your task: Create a 2-4 word title for this conversation.\n\nRules:\n- ONLY the title",
    "Continue": "Given the following... please reply with a title for the chat that is 3-4 words in length.\n\nhi",
    "Claude Code compaction": "Your task is to create a detailed summary of the conversation so far. "
    "List all that the user asked for.",
    "Cline compaction": "The current conversation is rapidly running out of context. Now, your urgent task is "
    "to create a comprehensive summary of the conversation so far. Use the format below.",
    "codex compaction": "You are performing a CONTEXT CHECKPOINT COMPACTION. "
    "Create a handoff summary for another LLM.",
    "a memory agent": "You are now acting as the memory extraction subagent. Analyze the most recent messages.",
    "NextChat": "使用四到五个字直接返回这句话的简要主题，不要解释",
}
FROM_SYSTEM = {
    "opencode": "You are a title generator. You output ONLY a thread title. Nothing else.",
    "gptme": "Generate concise conversation titles.",
    "crush": "You will generate a short title based on the first message a user begins a conversation with.",
    "qwen-code": "You are now acting as the managed memory extraction subagent for an AI coding assistant.",
    "aider commit": "You are an expert software engineer that generates concise, one-line Git commit messages.",
    "aider summary": "*Briefly* summarize this partial conversation about programming.",
    "Gemini CLI": "You are the component that summarizes internal chat history into a given structure.",
}


@each_row("client", FROM_USER)
def test_a_clients_prompt_in_the_users_message_is_known(client: str) -> None:
    """Titles, tags, follow-ups, completions and summaries asked for in the newest user message, in every dialect."""
    text = FROM_USER[client]
    parts = [{"type": "text", "text": text}]
    assert is_side_task({}, chat(text))
    assert is_side_task({}, {"messages": [{"role": "user", "content": parts}]})
    assert is_side_task({}, {"input": text})
    assert is_side_task({}, {"input": [{"role": "user", "content": [{"type": "input_text", "text": text}]}]})


@each_row("client", FROM_SYSTEM)
def test_a_clients_prompt_in_the_system_text_is_known(client: str) -> None:
    """The same where the client puts its order into the system prompt, wherever the dialect keeps that."""
    system = FROM_SYSTEM[client]
    assert is_side_task({}, chat("hi, I am Ada", system))
    assert is_side_task({}, {"instructions": system, "input": "hi, I am Ada"})
    assert is_side_task({}, {"system": [{"type": "text", "text": system}], "messages": []})


@each_row(
    "text",
    [
        "### Task: write me a poem about autumn",
        "### Task:\nGenerate a title for my essay on whales",
        "Generate a concise title for my blog post about my dog, please",
        "please summarise the conversation so far",
        "What makes a good chat title? I like short ones.",
        "Suggest 3-5 follow-up questions I could ask in my interview at Acme",
        "Provide a concise title and three tags for this photo",
        "You are now acting as my travel agent. I live in Oslo.",
        "Analyze this conversation and provide: a verdict on who was rude",
        "我叫王伟",
        "",
    ],
)
def test_a_person_who_writes_about_such_things_is_not_one(text: str) -> None:
    """The words alone do not make a side task: the client's whole shape must be there."""
    assert not is_side_task({}, chat(text))
    assert not is_side_task({}, chat(text, "You are a helpful assistant. Suggest titles when asked."))


def test_documents_in_a_task_frame_are_a_persons_turn() -> None:
    """Open WebUI puts a question with documents behind "### Task:" too, and that is a person's."""
    text = "### Task:\nRespond to the user query using the context.\n<context>\n…\n</context>\n\nwhere do I live?"
    assert not is_side_task({}, chat(text))


def test_each_system_text_counts_by_itself() -> None:
    """Claude Code says who it is in one block and what it wants in the next."""
    blocks = [{"type": "text", "text": text} for text in ("You are Claude Code.", FROM_SYSTEM["opencode"])]
    assert is_side_task({}, {"system": blocks, "messages": [{"role": "user", "content": "hi"}]})
    assert not is_side_task({}, {"system": blocks[:1], "messages": [{"role": "user", "content": "hi"}]})


def test_the_operator_knows_more_clients() -> None:
    """A pattern of the settings is looked for where words begin, of the user and of the system, in every dialect."""
    patterns = [re.compile(r"ACME-TITLE\b")]
    for body in (
        chat("ACME-TITLE: x"),
        chat("hi", "ACME-TITLE"),
        {"input": "ACME-TITLE"},
        {"instructions": "ACME-TITLE"},
    ):
        assert is_side_task({}, body, patterns)
        assert not is_side_task({}, body)
    assert not is_side_task({}, chat("what is ACME-TITLE?"), patterns)


def test_an_earlier_prompt_in_the_history_does_not_count() -> None:
    """Only the newest message decides, so a conversation that once asked for a title goes on as one."""
    body = chat(FROM_USER["opencode"])
    body["messages"] += [
        {"role": "assistant", "content": "Ada"},
        {"role": "user", "content": "I live in Oslo"},
    ]
    assert not is_side_task({}, body)


@each_row(
    ("headers", "side"),
    [
        ({"x-task": "title_generation"}, True),
        ({"x-task": ""}, False),
        ({"x-task": "{{TASK}}"}, False),
        ({"x-codex-turn-metadata": json.dumps({"request_kind": "turn"})}, False),
        ({"x-codex-turn-metadata": json.dumps({"request_kind": "compaction"})}, True),
        ({"x-codex-turn-metadata": json.dumps({"turn_id": "t"})}, False),
        ({"x-codex-turn-metadata": "not json"}, False),
        ({"x-codex-turn-metadata": "[" * 5000}, False),
        ({"x-openai-subagent": "review"}, True),
        ({"x-openwebui-chat-id": "1"}, False),
    ],
)
def test_headers_tell_before_the_text_does(headers: dict[str, str], side: bool) -> None:
    """A client that says what a call is for is believed; an empty or broken header says nothing."""
    assert is_side_task(headers, chat("hi, I am Ada")) is side


@each_row(
    "body",
    [
        {},
        {"messages": None},
        {"messages": []},
        {"messages": ["x"]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": [None, {"text": 3}]}]},
        {"input": {"role": "user"}},
        {"system": 7, "messages": [{"role": "system", "content": None}]},
    ],
)
def test_a_malformed_body_is_not_a_side_task(body: dict[str, Any]) -> None:
    """What is wrong with a body is the upstream's to say: this never raises."""
    assert not is_side_task({}, body)


def test_both_errors_are_rare() -> None:
    """More than 200 labelled requests, in several languages and all dialects: a side task that is missed leaves a
    memory that nobody told, at most 3 in 100; a person's message taken for one loses its memory, at most 2 in 100."""
    wrong: dict[bool, list[Any]] = {True: [], False: []}
    for row in LABELLED:
        if is_side_task(row.get("headers", {}), row["body"]) is not row["side"]:
            wrong[row["side"]].append((row["why"], row["body"]))
    sides = sum(row["side"] for row in LABELLED)
    assert sides >= 100
    assert len(LABELLED) - sides >= 100
    assert len(wrong[True]) <= sides * 0.03, wrong[True]
    assert len(wrong[False]) <= (len(LABELLED) - sides) * 0.02, wrong[False]


def test_requests_that_taught_nothing_are_known_too() -> None:
    """The classifier is trained on other requests than these: of the programs' it knows three in four, and of the
    persons' it takes at most one in a hundred for a program's."""
    lines = (DATA / "blind" / "sidetasks.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if not row.get("arguable")]
    taken = {label: [row for row in rows if row["label"] == label] for label in ("side", "real")}
    known = {
        label: [row for row in some if is_side_task(row["headers"], row["body"])] for label, some in taken.items()
    }
    assert len(known["side"]) >= len(taken["side"]) * 0.75
    assert len(known["real"]) <= len(taken["real"]) / 100, known["real"]


def test_a_person_who_pastes_a_long_text_is_no_program() -> None:
    """Code, as much of it as the standard library has, and prose in several languages, with a word before or after:
    at most 5 in 100 are taken for a program's."""
    code = [inspect.getsource(module) for module in (argparse, csv, json, re, textwrap, uuid)]
    pasted = [text[start : start + 1_500] for text in code for start in range(0, 15_000, 1_500) if text[start:]]
    pasted += [line * 60 for line in PROSE]
    asked = ("what does this do?", "I live in Graz. Look at this:", "mein Entwurf, was meinst du?", "请解释一下")
    texts = [form.format(ask, text) for ask in asked for text in pasted for form in ("{0}\n\n{1}", "{1}\n\n{0}")]
    assert len(texts) > 300
    taken = [text[:80] for text in texts if is_side_task({}, chat(text))]
    assert len(taken) <= len(texts) * 0.05, taken


RULES = "\n\n1. List all files that were changed.\n2. Tell the errors and how they were fixed.\n3. Pending tasks." * 9


@each_row("client", [client for client in FROM_USER if "compaction" in client or "memory" in client])
def test_a_clients_long_order_is_known(client: str) -> None:
    """Length alone does not make a document of it."""
    assert is_side_task({}, chat(FROM_USER[client] + RULES))


def test_an_agents_system_text_does_not_make_its_person_a_program() -> None:
    """Long orders, tools, a format of the answer: the person who types beneath them is heard, from the first message
    on and in every later one."""
    system = "You are an agent that edits files. Return only the whole file. Never explain. Output one fence. " * 9
    tools = [{"type": "function", "function": {"name": "edit", "parameters": {}}}]
    first = chat("I live in Oslo, rename greeting.py", system)
    assert not is_side_task({}, {**first, "tools": tools})
    later = [{"role": "assistant", "content": "Done."}, {"role": "user", "content": "and I prefer tabs"}]
    assert not is_side_task({}, {"messages": [*first["messages"], *later]})


COMMAND = "<command-message>init</command-message>\n<command-name>/init</command-name>\n"
ORDERS = (
    f"{COMMAND}\nLook at this code base. I live in Graz and prefer pnpm.",
    [{"type": "text", "text": COMMAND}, {"type": "text", "text": "Look at this code base. I prefer pnpm."}],
    "Continue if you have next steps, or stop and ask what is unclear.",
)


@each_row("content", ORDERS)
def test_a_clients_own_request_in_a_conversation_is_none_of_the_persons(content: Any) -> None:
    """The body of a slash command, and the order to go on, in the middle of a person's conversation."""
    history = [{"role": "user", "content": "I keep bees."}, {"role": "assistant", "content": "Nice."}]
    assert is_side_task({}, {"messages": [*history, {"role": "user", "content": content}]})
    assert not is_side_task({}, {"messages": history[:1]})


def test_arguments_of_a_command_are_a_persons() -> None:
    """What was typed behind a command's name is a message like any other."""
    text = "<command-name>/ask</command-name>\n<command-args>I live in Graz, what now?</command-args>"
    assert not is_side_task({}, chat(text))


@pytest.mark.parametrize("person", ["user", "User", "human", "Admin", "user_proxy"])
@pytest.mark.parametrize("agent", ["critic", "planner", "Coder", "researcher_2"])
def test_another_agent_of_a_group_chat_is_no_person(person: str, agent: str) -> None:
    """All have the role of a user there; the person is the one who is named so."""
    asked = {"role": "user", "name": person, "content": "I keep bees. Write a haiku."}
    said = {"role": "user", "name": agent, "content": "I am a critic and I live in the cloud."}
    answered = {"role": "assistant", "content": "Bees."}
    assert is_side_task({}, {"messages": [asked, answered, said]})
    assert not is_side_task({}, {"messages": [said, answered, asked]})
    assert not is_side_task({}, {"messages": [asked]})


def test_people_with_names_are_people() -> None:
    """In a chat of several people nobody is called a user, and everybody may be heard."""
    ada, ben = ({"role": "user", "name": name, "content": f"I am {name}."} for name in ("ada", "ben"))
    assert not is_side_task({}, {"messages": [ada, {"role": "assistant", "content": "hi"}, ben]})


def test_a_brief_message_is_a_persons() -> None:
    """Of 600 brief wishes and greetings none is taken for a program's order, without anything else that tells."""
    asked = (
        "Suggest",
        "Write",
        "Name",
        "Find",
        "Give me",
        "Plan",
        "Recommend",
        "List",
        "Describe",
        "Make",
        "Draft",
        "Cook",
    )
    what = (
        "a dinner",
        "a card",
        "three rivers",
        "a hat",
        "a poem",
        "something",
        "a gift",
        "names",
        "a joke",
        "a list",
    )
    for_whom = (".", " for us.", " for tonight.", " for my sister.", ", please")
    wishes = [f"{verb} {thing}{end}" for verb, thing, end in itertools.product(asked, what, for_whom)]
    wishes += [
        "Hello there.",
        "Good evening everybody.",
        "Sugiere una cena para hoy.",
        "今日の夕食は？",
        "Schreib uns eine Karte.",
    ]
    assert [each for each in wishes if is_side_task({}, chat(each))] == []
