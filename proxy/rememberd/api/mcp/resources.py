"""Resources that a client may read without a tool: the profile, recent memories, one memory by its id."""

import re
from typing import Any
from urllib.parse import quote, unquote

import mcp_types as types
import orjson
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from rememberd.api.mcp.context import ApiCall, Context, ask, asking, refused

PROFILE, RECENT = "memory://profile", "memory://recent"
_TEMPLATES = (
    types.ResourceTemplate(
        uri_template="memory://memories/{id}",
        name="memory",
        title="A memory",
        description="One memory by its id: its text, its dates, where it was said.",
        mime_type="application/json",
    ),
    types.ResourceTemplate(
        uri_template=f"{RECENT}/{{limit}}",
        name="recent",
        title="Recent memories",
        description="The newest facts and exchanges, at most `limit` (1 to 500), one a line with its date.",
        mime_type="text/plain",
    ),
)
_MEMORY = re.compile(r"memory://memories/([^/?#]+)")
_LATEST = re.compile(r"memory://recent(?:/([1-9]\d{0,2}))?")
_NEWEST = 20
_NOT_FOUND = -32002  # in the revisions before 2026-07-28


async def list_resources(context: Context, params: types.PaginatedRequestParams | None) -> types.ListResourcesResult:
    about = "What is known about the user now: one fact a line, the newest first."
    profile = types.Resource(uri=PROFILE, name="profile", title="Profile", description=about, mime_type="text/plain")
    about = f"The newest {_NEWEST} facts and exchanges, one a line with its date."
    recent = types.Resource(
        uri=RECENT, name="recent", title="Recent memories", description=about, mime_type="text/plain"
    )
    return types.ListResourcesResult(resources=[profile, recent])


async def list_templates(
    context: Context, params: types.PaginatedRequestParams | None
) -> types.ListResourceTemplatesResult:
    return types.ListResourceTemplatesResult(resource_templates=list(_TEMPLATES))


async def read_resource(context: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    """Raises `MCPError` for what is not there, and while the user has paused the memory."""
    uri = str(params.uri)
    if found := _MEMORY.fullmatch(uri):
        memory = await _read(context, uri, f"/v1/memories/{quote(unquote(found[1]), safe='')}")
        return _contents(uri, "application/json", orjson.dumps(memory, option=orjson.OPT_INDENT_2).decode())
    if uri == PROFILE:
        return _contents(uri, "text/plain", _lines(await _read(context, uri, "/v1/memories?kind=fact&limit=500")))
    if found := _LATEST.fullmatch(uri):
        limit = min(int(found[1] or _NEWEST), 500)
        return _contents(uri, "text/plain", _lines(await _read(context, uri, f"/v1/memories?limit={limit}")))
    templates = ", ".join(each.uri_template for each in _TEMPLATES)
    raise _not_found(context, uri, f"there is no such resource; there are {PROFILE}, {RECENT}, {templates}")


async def _read(context: Context, uri: str, path: str) -> Any:
    """The JSON at `path`, which is the resource `uri`."""
    if asking(context).paused:
        raise refused("paused", "the user has paused the memory")
    answer = await ask(context, ApiCall("GET", path))
    if answer.status >= 400:
        raise _not_found(context, uri, answer.message)
    return answer.json


def _not_found(context: Context, uri: str, message: str) -> MCPError:
    code = INVALID_PARAMS if context.protocol_version in MODERN_PROTOCOL_VERSIONS else _NOT_FOUND
    return refused("resource", message, code=code, data={"uri": uri})


def _lines(page: Any) -> str:
    lines = [f"- {each['text']} (said {each['valid_from'][:10]})" for each in page["data"]]
    return "\n".join(lines) or "Nothing is known yet."


def _contents(uri: str, kind: str, text: str) -> types.ReadResourceResult:
    return types.ReadResourceResult(contents=[types.TextResourceContents(uri=uri, mime_type=kind, text=text)])
