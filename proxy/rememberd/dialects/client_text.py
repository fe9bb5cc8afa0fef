"""Removes the text that chat clients put around a person's words.

Only memory reads the result; the text that is sent upstream is never changed. Each rule names its client. All rules
run in linear time, also for unclosed tags and other hostile input.
"""

import re
from collections.abc import Callable

from rememberd.dialects.marks import inside_quotation

# Elements that a client writes: removed with their content. Names in lower case.
_DROPPED_BY_CLIENT = {
    "Claude Code": "system-reminder command-name command-message local-command-stdout local-command-stderr "
    "local-command-caveat bash-input bash-stdout bash-stderr ide_opened_file ide_selection ide_diagnostics",
    "codex": "environment_context user_instructions instructions turn_aborted user_shell_command",
    "Cline, Roo": "environment_details file_content folder_content slash_command",
    "Cursor": "additional_data attached_files open_and_recently_viewed_files project_layout user_info git_status "
    "rules",
    "Copilot": "reminderinstructions attachments attachment environment_info workspace_info editorcontext "
    "toolreferences",
    "Gemini CLI": "session_context",
    "goose": "info-msg",
    "LobeChat": "files_info system_context",
    "documents and searches of many": "system context contexts documents document files file",
}
_DROPPED = {name for names in _DROPPED_BY_CLIENT.values() for name in names.split()}

# Elements that a client puts around the person's words: only the tags are removed.
_UNWRAPPED_BY_CLIENT = {
    "Cline, Roo": "task feedback user_message",
    "Cursor, Open WebUI": "user_query",
    "Copilot": "userrequest user_request",
    "Claude Code": "command-args",
}
_UNWRAPPED = {name for names in _UNWRAPPED_BY_CLIENT.values() for name in names.split()}

# Characters, about 25,000 tokens. Memory uses a few pages of a message, and for 30 MB these rules would delay all
# requests for seconds.
LONGEST = 100_000

_TAG = re.compile(r"<(/?)([A-Za-z][\w-]{0,40})(?:\s[^<>]{0,300})?>")
_OWN_BLOCK = re.compile(r"^[ \t]*<memory(?:\s[^<>]{0,300})?>", re.MULTILINE)
_OWN_BLOCK_END = "</memory>"


def strip(text: str) -> str:
    """The person's own words in a user message; "" if a person typed none of it."""
    if not any(map(text.__contains__, _RARE)):
        return text.strip()
    for marks, rule in _RULES:
        for mark in marks:
            if _RAREST[mark] in text and mark in text:
                text = rule(text)
                break
    return text.strip()


def user_typed_text(text: str) -> str:
    """The words that a person typed; "" for a user-role message that the client wrote itself. Of a text longer than
    `LONGEST`, only the beginning and the end are read: people type before or after the text that they paste."""
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]}\n[…]\n{text[-LONGEST // 2 :]}"
    words = strip(text)
    start, end = inside_quotation(words)
    words = words[start:end].strip()
    return "" if words.startswith(_CLIENT_TURNS) else words


def is_client_generated(text: str) -> bool:
    """True for a user-role message that no person typed."""
    return not user_typed_text(text)


def is_client_order(text: str) -> bool:
    """True for the client's own request in a person's conversation: a slash command without arguments, "go on"."""
    opening = text.lstrip()
    return opening.startswith(_CLIENT_ORDERS) and is_client_generated(text)


def _own_block(text: str) -> str:
    """Removes our block from a message that a client copied from the model's input. The block always begins a line,
    so that a person can write "<memory>" inside a sentence."""
    kept: list[str] = []
    position = 0
    for opening in _OWN_BLOCK.finditer(text):
        if opening.start() < position:
            continue
        end = text.find(_OWN_BLOCK_END, opening.end())
        if end < 0:
            break
        kept.append(text[position : opening.start()])
        position = end + len(_OWN_BLOCK_END)
    return "".join(kept) + text[position:]


def _elements(text: str) -> str:
    """Clients with XML-like tags: removes or unwraps the elements of the two tables, outermost first."""
    kept: list[str] = []
    position = 0
    tags = list(_TAG.finditer(text))
    closings = _closings(tags)
    for tag in tags:
        if tag.start() < position:
            continue
        name = tag[2].lower()
        if name in _UNWRAPPED:
            end: int | None = tag.end()
        else:
            end = _next(closings.get(name, []), tag.end()) if name in _DROPPED and not tag[1] else None
        if end is not None:
            kept.append(text[position : tag.start()])
            position = end
    return "".join(kept) + text[position:]


def _closings(tags: list[re.Match[str]]) -> dict[str, list[int]]:
    """The ends of each element's closing tags, last one first."""
    ends: dict[str, list[int]] = {}
    for tag in reversed(tags):
        if tag[1]:
            ends.setdefault(tag[2].lower(), []).append(tag.end())
    return ends


def _next(ends: list[int], position: int) -> int | None:
    """The first end after `position`. Earlier ones are removed, so that the whole text needs one pass."""
    while ends and ends[-1] <= position:
        ends.pop()
    return ends[-1] if ends else None


def _cut_from(*starts: str) -> tuple[tuple[str, ...], Callable[[str], str]]:
    """A rule that removes everything from the first line that begins with one of `starts`."""
    pattern = re.compile(r"^(?:" + "|".join(re.escape(start) for start in starts) + ")", re.MULTILINE)

    def cut(text: str) -> str:
        found = pattern.search(text)
        return text[: found.start()] if found else text

    return starts, cut


_AIDER_SUFFIX = _cut_from(
    "To suggest changes to a file you MUST return",
    "# *SEARCH/REPLACE block* Rules:",
    "# File editing rules:",
    "Every *SEARCH/REPLACE block* must use this format:",
    "You MUST use this *file listing* format:",
)


def _aider_language(text: str) -> str:
    """aider's ask mode appends only the language, between blank lines."""
    return re.sub(r"\n\nReply in \w{1,30}\.\n{0,2}\Z", "", text)


def _slash_command(text: str) -> str:
    """Claude Code: a command's prompt follows its name; the person typed only the arguments."""
    if not text.lstrip().startswith("<command-"):
        return text
    return text.partition("<command-args>")[2].partition("</command-args>")[0]


def _smolagents(text: str) -> str:
    """smolagents: the person's task, followed by the result of the last step."""
    if not text.startswith("New task:\n"):
        return text
    return re.split(
        r"^(?:Error|Observation|Calling tools):\n", text.removeprefix("New task:\n"), maxsplit=1, flags=re.M
    )[0]


def _open_webui_rag(text: str) -> str:
    """Open WebUI with documents: a task, guidelines and a `<context>`, then the person's question."""
    if not text.startswith("### Task:"):
        return text
    _, found, question = text.rpartition("</context>")
    return question if found else text


def _cherry_studio(text: str) -> str:
    """Cherry Studio's knowledge base: rules, the question under a heading, then the references."""
    _, found, rest = text.partition("## My question is:")
    return rest.partition("## Reference Materials:")[0] if found else text


def _lobe_comment(text: str) -> str:
    """LobeChat appends its context after an HTML comment."""
    return text.partition("<!-- SYSTEM CONTEXT (NOT PART OF USER QUERY) -->")[0]


# (marks, rule): a rule runs only for texts that contain one of its marks. Every message of a history is checked, and
# most contain none.
_RULES: tuple[tuple[tuple[str, ...], Callable[[str], str]], ...] = (
    (("<memory",), _own_block),
    (("### Task:",), _open_webui_rag),
    (("<command-",), _slash_command),
    (("New task:",), _smolagents),
    (("<",), _elements),
    (("\n\nReply in ",), _aider_language),
    _AIDER_SUFFIX,
    (("## My question is:",), _cherry_studio),
    (("<!-- SYSTEM CONTEXT",), _lobe_comment),
    _cut_from("# AGENTS.md instructions for "),
)
# A character of each mark that is rare in prose, for a first search: a page takes .5 µs instead of 8.
_RARE = "<#*URN"
_RAREST = {mark: next(each for each in _RARE if each in mark) for marks, _ in _RULES for mark in marks}

# Claude Code, opencode
_CLIENT_ORDERS = ("<command-", "Continue if you have next steps, or stop and ask")

_CLIENT_TURNS = (
    # aider
    "I switched to a new code base. Please don't consider the above files",
    "I am not sharing any files that you can edit yet.",
    "I have *added these files to the chat*",
    "Here are summaries of some files present in my git repo",
    "Here are some READ ONLY files, provided for your reference.",
    "I spoke to you previously about a number of things.",
    "The LLM did not conform to the edit format.",
    "# Fix any errors below, if possible.",
    "*SEARCH/REPLACE block*",
    # Gemini CLI and its forks
    "This is the Gemini CLI. We are setting up the context for our chat.",
    "This is the Qwen Code. We are setting up the context for our chat.",
    # Claude Code
    "[Request interrupted by user",
    "This session is being continued from a previous conversation that ran out of context.",
    # smolagents, DSPy
    "Observation:\n",
    "[[ ## ",
    # opencode
    "Called the Read tool with the following input:",
    *_CLIENT_ORDERS,
)
