"""The MCP server and its tools. Each tool is one call of our HTTP API with the caller's own headers, so that keys,
users, limits and error messages are the same."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import mcp_types as types
import orjson
from mcp.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.types import ASGIApp

from rememberd import __version__
from rememberd.api.mcp.confirmation import confirmation, refusal
from rememberd.api.mcp.context import ApiCall, Context, ask, asking, refused
from rememberd.api.mcp.internal_client import count_refused
from rememberd.api.mcp.prompts import get_prompt, list_prompts
from rememberd.api.mcp.resources import list_resources, list_templates, read_resource

logging.getLogger("mcp").setLevel(logging.WARNING)  # a line for every request otherwise

Arguments = dict[str, Any]

_INSTRUCTIONS = (
    "Long-term memory of the user you are talking to, shared by all their apps and models. Search it before you ask "
    "for something they may have told before; add what they want kept; correct what is wrong; forget what they want "
    "gone."
)
_ID = {"type": "string", "description": "The memory's `id`, as search_memories and list_memories give it."}
_LIMIT = {"type": "integer", "minimum": 1, "maximum": 500}
_TIME = {"type": "string", "format": "date-time"}


@dataclass(frozen=True, slots=True)
class Tool:
    shown: types.Tool
    asked: Callable[[Arguments], ApiCall]


def _tool(
    name: str,
    title: str,
    about: str,
    properties: dict[str, Any],
    required: list[str],
    hints: types.ToolAnnotations,
    asked: Callable[[Arguments], ApiCall],
) -> Tool:
    schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    shown = types.Tool(name=name, title=title, description=about, input_schema=schema, annotations=hints)
    return Tool(shown, asked)


def _hints(*, reads: bool, destroys: bool = False) -> types.ToolAnnotations:
    """All tools are limited to the memory and idempotent."""
    return types.ToolAnnotations(
        read_only_hint=reads, destructive_hint=destroys, idempotent_hint=True, open_world_hint=False
    )


TOOLS = {
    tool.shown.name: tool
    for tool in (
        _tool(
            "search_memories",
            "Search memories",
            "Find what is remembered about the user that has to do with a question or a topic, best first. Returns "
            "facts and past exchanges with their dates, where they were said, and a score. Use it before you ask the "
            "user something that they may have told before.",
            {
                "query": {"type": "string", "description": "What to look for, in plain words."},
                "limit": _LIMIT | {"default": 10},
            },
            ["query"],
            _hints(reads=True),
            lambda given: ApiCall("POST", "/v1/memories/search", given),
        ),
        _tool(
            "add_memory",
            "Add a memory",
            "Keep one lasting fact about the user, as one sentence in their own language. A newer value of the same "
            "thing replaces the older one, and what is known already is not added twice. No secrets. Use it when the "
            "user asks you to remember something, or says something that will matter in later conversations.",
            {
                "text": {"type": "string", "description": 'One sentence, such as "I live in Oslo."'},
                "pinned": {"type": "boolean", "description": "Recall it always, whatever the question."},
                "expires_at": _TIME | {"description": "When to drop it."},
            },
            ["text"],
            _hints(reads=False),
            lambda given: ApiCall("POST", "/v1/memories", given),
        ),
        _tool(
            "list_memories",
            "List memories",
            "All that is remembered about the user, newest first, a page at a time: pass the answer's `next_cursor` "
            "as `cursor` for the next one. Use it when the user wants to see everything; for one topic, search.",
            {
                "limit": _LIMIT | {"default": 100},
                "cursor": {"type": "string"},
                "kind": {"enum": ["fact", "episode"], "description": "Statements only, or exchanges only."},
                "q": {"type": "string", "description": "Only those that hold this text."},
                "include_past": {"type": "boolean", "description": "Outdated and expired ones too."},
            },
            [],
            _hints(reads=True),
            lambda given: ApiCall("GET", f"/v1/memories?{_query(given)}"),
        ),
        _tool(
            "recent_memories",
            "Recent memories",
            "What was remembered lately, newest first, with values that were replaced since. Use it to check what "
            'was learned from a conversation, or when the user asks "what did we talk about last time?".',
            {
                "limit": _LIMIT | {"default": 20},
                "since": _TIME | {"description": "Only what was remembered at this time or later."},
            },
            [],
            _hints(reads=True),
            lambda given: ApiCall("GET", f"/v1/memories?{_query({'limit': 20, **given, 'include_past': True})}"),
        ),
        _tool(
            "memory_numbers",
            "Count memories",
            "How many facts and past exchanges are remembered now, and how many memories are past. Use it when the "
            "user asks how much is remembered; it shows no text.",
            {},
            [],
            _hints(reads=True),
            lambda given: ApiCall("GET", "/v1/memories/stats"),
        ),
        _tool(
            "correct_memory",
            "Correct a memory",
            "Replace the text of one memory that was recorded wrongly; its earlier text stays in its history. Use it "
            "when the user says that a memory is wrong. For something that has changed since, use add_memory.",
            {"id": _ID, "text": {"type": "string", "description": "The whole sentence, as it should be."}},
            ["id", "text"],
            _hints(reads=False, destroys=True),
            lambda given: ApiCall("PATCH", _path(given), {"text": given.get("text")}),
        ),
        _tool(
            "pin_memory",
            "Pin a memory",
            "Recall one memory in every conversation, whatever the question; or stop doing so, with `pinned` false. "
            "Use it when the user wants something always kept in mind, such as a standing instruction.",
            {"id": _ID, "pinned": {"type": "boolean", "default": True}},
            ["id"],
            _hints(reads=False),
            lambda given: ApiCall("PATCH", _path(given), {"pinned": given.get("pinned", True)}),
        ),
        _tool(
            "forget_memory",
            "Forget a memory",
            "Delete one memory for good, with the exchange it stands in and whatever repeats it. Use it only when "
            "the user asked for that.",
            {"id": _ID},
            ["id"],
            _hints(reads=False, destroys=True),
            lambda given: ApiCall("DELETE", _path(given)),
        ),
    )
}


@asynccontextmanager
async def serving(max_body_bytes: int) -> AsyncIterator[ASGIApp]:
    """An ASGI app for authenticated POST requests."""
    server: Server[Any] = Server(
        "rememberd",
        title="Memory",
        version=__version__,
        instructions=_INSTRUCTIONS,
        on_list_tools=_list_tools,
        on_call_tool=_call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
    )
    manager = StreamableHTTPSessionManager(
        server, stateless=True, json_response=True, max_request_body_size=max_body_bytes
    )
    async with manager.run():
        yield manager.handle_request


async def _list_tools(context: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
    return types.ListToolsResult(tools=[tool.shown for tool in TOOLS.values()])


async def _call_tool(
    context: Context, params: types.CallToolRequestParams
) -> types.CallToolResult | types.InputRequiredResult:
    """Raises `MCPError` for an unknown tool. Any other error is reported to the model, so that it can do better."""
    tool = TOOLS.get(params.name)
    if tool is None:
        raise refused("tool", f"there is no such tool; there are {', '.join(TOOLS)}")
    if asking(context).paused:
        count_refused("paused")
        return _failed("the user has paused the memory: continue without it")
    asked = tool.asked(params.arguments or {})
    if asked.method == "DELETE":
        if question := await confirmation(context, asked.path, params):
            return question
        if answer_of_user := refusal(params):
            return _failed(answer_of_user)
    answer = await ask(context, asked)
    if answer.status >= 400:
        if answer.status < 500:
            count_refused("arguments")
        return _failed(answer.message)
    told = _told(answer.json)
    text = orjson.dumps(told).decode()
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], structured_content=told)


def _told(given: Any) -> Any:
    """The answer for the model; for a new memory in quarantine only its id, because its text may be an order."""
    if given.get("quarantined"):
        return {"id": given["id"], "object": "memory", "quarantined": True}
    return given


def _failed(message: str) -> types.CallToolResult:
    """An error message for the model."""
    return types.CallToolResult(content=[types.TextContent(type="text", text=message)], is_error=True)


def _path(given: Arguments) -> str:
    return f"/v1/memories/{quote(str(given.get('id') or '-'), safe='')}"


def _query(given: Arguments) -> str:
    return urlencode({name: str(value).lower() if value is True else value for name, value in given.items()})
