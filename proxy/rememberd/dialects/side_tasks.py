"""Calls that a client makes for itself: titles, tags, follow-ups, summaries, its own memory.

Such a call is neither given memories nor stored. It is known by a header, or by the opening words of the client's
own prompt together with a second mark of its shape, so that a person who writes about titles is not taken for one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

_HEAD = 4_000  # characters of a prompt that are looked at, from each end
_USER_TURNS = {"", "turn", "user", "user_turn"}


class _Prompt(NamedTuple):
    """A client's own prompt: how it opens, and what else must stand in it."""

    client: str
    opening: re.Pattern[str]
    mark: re.Pattern[str]


class _Prompts(NamedTuple):
    """`openings` is all of them in one: of 40 patterns one alone is tried on what a person wrote."""

    openings: re.Pattern[str]
    each: tuple[_Prompt, ...]


def is_side_task(
    headers: Mapping[str, str], body: Mapping[str, Any], patterns: Sequence[re.Pattern[str]] = ()
) -> bool:
    """True if no person waits for this answer. `headers` have lower-case names; `body` is of any dialect; `patterns`
    are the operator's own, each looked for at the beginning of the newest user message and of the system text."""
    if _by_header(headers):
        return True
    said, told = _newest_user(body), list(_system(body))
    if _matches(_FROM_USER, said) or any(_matches(_FROM_SYSTEM, text) for text in told):
        return True
    return any(pattern.match(text[:_HEAD]) for pattern in patterns for text in (said, *told))


def _by_header(headers: Mapping[str, str]) -> bool:
    # An operator who templates {{TASK}} into this header sends it empty, or unfilled, with a person's turn.
    task = headers.get("x-task", "").strip()
    if task and "{{" not in task:
        return True
    return bool(headers.get("x-openai-subagent")) or _codex_kind(headers) not in _USER_TURNS


def _codex_kind(headers: Mapping[str, str]) -> str:
    if "x-codex-turn-metadata" not in headers:
        return ""
    try:
        metadata = json.loads(headers["x-codex-turn-metadata"])
    except (ValueError, RecursionError):
        return ""
    return str(metadata.get("request_kind") or "") if isinstance(metadata, dict) else ""


def _matches(prompts: _Prompts, text: str) -> bool:
    head, tail = text[:_HEAD].lstrip(), text[-_HEAD:]
    if not prompts.openings.match(head):
        return False
    return any(p.opening.match(head) and (p.mark.search(head) or p.mark.search(tail)) for p in prompts.each)


def _newest_user(body: Mapping[str, Any]) -> str:
    """The text of the last message or input item, if it is the user's."""
    items = body.get("messages", body.get("input"))
    if isinstance(items, str):
        return items
    last = items[-1] if isinstance(items, list) and items else None
    return _text(last.get("content")) if isinstance(last, dict) and last.get("role") == "user" else ""


def _system(body: Mapping[str, Any]) -> Iterator[str]:
    """The system texts of any dialect, each part by itself (Claude Code sends who it is before what it wants):
    `instructions`, `system`, or the first message of that role."""
    told = body.get("instructions") or body.get("system")
    items = body.get("messages", body.get("input"))
    first = items[0] if isinstance(items, list) and items else None
    is_system = isinstance(first, dict) and first.get("role") in ("system", "developer")
    content = told or (first.get("content") if first and is_system else None)
    yield from [content] if isinstance(content, str) else _parts(content)


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(_parts(content))


def _parts(content: Any) -> Iterator[str]:
    for part in content if isinstance(content, list) else []:
        text = part.get("text") if isinstance(part, dict) else None
        if isinstance(text, str):
            yield text


def _prompt(client: str, opening: str, mark: str = "") -> _Prompt:
    """`mark` empty: the opening alone is long enough to be nobody's own words."""
    return _Prompt(client, re.compile(opening, re.IGNORECASE), re.compile(mark, re.IGNORECASE))


def _table(*prompts: _Prompt) -> _Prompts:
    openings = "|".join(f"(?:{prompt.opening.pattern})" for prompt in prompts)
    return _Prompts(re.compile(openings, re.IGNORECASE), prompts)


_HISTORY = r"<chat_history>|### Chat History|JSON format:|### Output"

_FROM_USER = _table(
    _prompt(
        "Open WebUI: title, tags, follow-ups, search queries, emoji, autocomplete, image prompt",
        r"### Task:\s*(?:Generate|Suggest|Predict|Analyze|Summarize|Your task is|You are an autocompletion"
        r"|Based on|Reflect|Create|Determine)\b",
        _HISTORY + r"|<text>|### Context",
    ),
    _prompt("Open WebUI: emoji", r"Your task is to reflect the speaker's likely facial expression", r"emoji"),
    _prompt("Open WebUI: tools", r"Query: History:\n", r"Query:"),
    _prompt(
        "LibreChat: title",
        r"(?:Please generate|Provide|Write) a concise(?:,? 5-word-or-less)? title",
        r"title case|detected language|punctuation",
    ),
    _prompt("LibreChat: title", r"Analyze this conversation and provide:", r"title in the detected language"),
    _prompt("LobeChat, Cherry Studio, NextChat: title", r"(?:Please )?generate a four to five word title"),
    _prompt("NextChat: summary", r"Summarize the discussion briefly in 200 words or less to use as a prompt"),
    _prompt("NextChat: title, in Chinese", r"使用四到五个字直接返回这句话的简要主题"),
    _prompt("chatbox: title", r"Based on the chat history, give this conversation a name"),
    _prompt("chatbox: title", r"Name this conversation based on the chat records"),
    _prompt("Jan: title", r"Summarize in a \d+-word title\. Give the title only"),
    _prompt("BetterChatGPT: title", r"Generate a title in less than \d+ words for the following message"),
    _prompt("Continue: title", r"Given the following\b.{0,20}\bplease reply with a title for the chat"),
    _prompt("Zed: title", r"Generate a concise 3-7 word title for this conversation, omitting punctuation"),
    _prompt("opencode: title", r"Generate a title for this conversation:\s*\n"),
    _prompt("gptme: title", r"Generate a descriptive name for this conversation\.", r"NO_NAME"),
    _prompt("gptme: title", r"Your task: Create a 2-4 word title for this conversation\."),
    _prompt("Claude Code: title", r"Please write a 5-10 word title for the following conversation"),
    _prompt(
        "Claude Code, Cline, Roo: summary",
        r"Your task is to create a (?:comprehensive )?detailed summary of the conversation so far",
    ),
    _prompt("Cline: summary", r"The current conversation is rapidly running out of context"),
    _prompt(
        "Claude Code, qwen-code: memory",
        r"You are now acting as the (?:managed )?memory (?:extraction|consolidation)",
    ),
    _prompt("codex: compaction", r"You are performing a CONTEXT CHECKPOINT COMPACTION"),
    _prompt(
        "Gemini CLI: next speaker",
        r"Analyze \*only\* the content and structure of your immediately preceding response",
    ),
    _prompt("Gemini CLI: compression", r"First, reason in your scratchpad\. Then, generate the <state_snapshot>"),
)

_FROM_SYSTEM = _table(
    _prompt(
        "opencode, OpenHands: title",
        r"You are a (?:helpful )?(?:title generator|conversation titles? assistant)",
    ),
    _prompt("crush: title", r"You will generate a short title based on the first message"),
    _prompt(
        "many: title",
        r"Generate a (?:short|concise|brief|descriptive)[\w, -]{0,40} title (?:for|of|that|based)\b",
    ),
    _prompt("gptme: title", r"Generate concise conversation titles\.\Z"),
    _prompt("Claude Code: title", r"Analyze if this message indicates a new conversation topic"),
    _prompt("Claude Code: title", r"Summarize this coding conversation in under \d+ characters"),
    _prompt("big-AGI: title", r"You are an AI conversation titles assistant"),
    _prompt("Cherry Studio: title", r"You are an assistant (?:who is )?skilled in conversation", r"title"),
    _prompt("LobeChat: title", r"You are a (?:professional )?conversation summarizer"),
    _prompt("LobeChat: title, in Chinese", r"你是一名擅长会话的助理", r"标题"),
    _prompt(
        "aider: commit message",
        r"You are an expert software engineer that generates concise,? .{0,20}Git commit messages",
    ),
    _prompt("aider: summary", r"\*Briefly\* summarize this partial conversation about programming"),
    _prompt("Gemini CLI: compression", r"You are the component that summarizes internal chat history"),
    _prompt(
        "qwen-code, Claude Code: memory",
        r"You are (?:now acting as )?(?:the|a) (?:\S+ )?memory[- ](?:extraction|consolidation|selection)",
    ),
    _prompt(
        "opencode, Claude Code: summary",
        r"You are a helpful AI assistant tasked with summarizing conversations",
    ),
)
