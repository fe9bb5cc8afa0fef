"""Memory reads what the person typed, not what their client put around it."""

from __future__ import annotations

from rememberd.dialects.client_text import is_client_generated, strip
from tests.support.tables import each_row

SAID = "hi, I am Ada"

AIDER_SUFFIX = """

To suggest changes to a file you MUST return the entire content of the updated file.
You MUST use this *file listing* format:

path/to/file.py
```
# all of it
```

Every *file listing* MUST use this format:
- First line: the filename.

Reply in English.

"""
RAG = """### Task:
Respond to the user query using the provided context, with citations in the format [id].

### Guidelines:
- If you don't know the answer, say so.

<context>
<source id="1" name="cv.md">I am Bob and I live in Rome</source>
</context>

"""

CLIENTS = {
    "our own block": f"<memory>\nRemembered: I am Bob.\n</memory>\n\n{SAID}",
    "aider": SAID + AIDER_SUFFIX,
    "aider, search and replace": f"{SAID}\n\n# *SEARCH/REPLACE block* Rules:\n\nEvery *SEARCH/REPLACE block* must …",
    "aider, ask mode": f"{SAID}\n\nReply in English.\n\n",
    "Claude Code": f"<system-reminder>\nI am Bob.\n</system-reminder>\n{SAID}\n<system-reminder>x</system-reminder>",
    "Claude Code, command": f"<command-name>/ask</command-name>\n<command-args>{SAID}</command-args>",
    "codex": f"<environment_context>\n  <cwd>/home/bob</cwd>\n</environment_context>\n{SAID}",
    "codex, project rules": f"{SAID}\n# AGENTS.md instructions for /home/bob\n\nI am Bob.",
    "Cline": f"<task>\n{SAID}\n</task>\n<environment_details>\n# Files\nbob.py\n</environment_details>",
    "Cursor": f"<additional_data>I am Bob</additional_data>\n<user_query>\n{SAID}\n</user_query>",
    "Copilot": f"<context>\nToday is Monday.\n</context>\n<userRequest>\n{SAID}\n</userRequest>",
    "goose": f"<info-msg>\nIt is currently 2026-11-22\n</info-msg>\n{SAID}",
    "Open WebUI, documents": RAG + SAID,
    "Open WebUI, older": f"{RAG}<user_query>\n{SAID}\n</user_query>",
    "Open WebUI, files": f'<attached_files>\n<file type="file" id="1" name="bob.md"/>\n</attached_files>\n\n{SAID}',
    "Cherry Studio": f"Rules.\n\n## My question is:\n\n{SAID}\n\n## Reference Materials:\n\nI am Bob",
    "LobeChat": f"{SAID}\n\n<!-- SYSTEM CONTEXT (NOT PART OF USER QUERY) -->\nI am Bob\n<!-- END SYSTEM CONTEXT -->",
    "upper case, attributes": f'<System-Reminder kind="x">I am Bob</System-Reminder>{SAID}',
    "nested": f"<context>I am <document>Bob</document> of Rome</context>{SAID}",
}


@each_row("client", CLIENTS)
def test_only_the_persons_words_remain(client: str) -> None:
    """Whatever the client, what it added is gone and what was typed is there, unchanged."""
    assert strip(CLIENTS[client]) == SAID
    assert not is_client_generated(CLIENTS[client])


@each_row(
    "typed",
    [
        SAID,
        "what does the <memory> tag mean in <memory>8 GB</memory> of this pom.xml?",
        "if a < b and b > c, is <b>a</b> < c?",
        "my <system-reminder> is not closed, I am Ada",
        "</context> I am Ada",
        "### Task: write me a poem about Oslo",
        "To suggest a change I would write a letter.",
        "Reply in English.",
        "Please reply in English.\n\nI am Ada",
        "<div>\n  <p>I am Ada</p>\n</div>",
    ],
)
def test_what_a_person_types_is_left_alone(typed: str) -> None:
    """Tags and headings that a person writes or pastes are theirs, and so is an element that is never closed."""
    assert strip(typed) == typed
    assert not is_client_generated(typed)


@each_row(
    "text",
    [
        "",
        "<environment_context>\n<cwd>/x</cwd>\n</environment_context>",
        "<system-reminder>a</system-reminder>\n<system-reminder>b</system-reminder>",
        "<memory>\nRemembered: tea.\n</memory>",
        "I switched to a new code base. Please don't consider the above files or try to edit them any longer.",
        "I am not sharing any files that you can edit yet.",
        "I have *added these files to the chat* so you can go ahead and edit them.\n\na.py\n```\n1\n```",
        "This is the Gemini CLI. We are setting up the context for our chat.\nToday's date is Sunday.",
        "[Request interrupted by user for tool use]",
    ],
)
def test_a_message_that_nobody_typed_is_known(text: str) -> None:
    """A client that speaks in the user's name is not taken for the person."""
    assert is_client_generated(text)


def test_stripping_twice_is_stripping_once() -> None:
    """The order of the rules does not matter to what is left."""
    for text in CLIENTS.values():
        assert strip(strip(text)) == strip(text)
