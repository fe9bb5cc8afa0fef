"""Asks the user before a model deletes a memory, if the client supports this.

Uses the protocol of 2026-07-28, which asks within the answer and needs no session. Clients with earlier protocols or
without the capability `elicitation` are not asked; the tool's annotation says that it is destructive."""

import mcp_types as types
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from rememberd.api.mcp.context import ApiCall, Context, ask

_QUESTION = "delete"
_SCHEMA = {
    "type": "object",
    "properties": {"delete": {"type": "boolean", "title": "Delete it for good", "default": True}},
    "required": ["delete"],
}
_SHOWN_CHARS = 300


async def confirmation(
    context: Context, path: str, params: types.CallToolRequestParams
) -> types.InputRequiredResult | None:
    """The question to the user; None if it was answered, if the client cannot ask, or if there is no memory at `path`
    for this model: then the deletion itself gives the error."""
    if params.input_responses is not None or not _can_ask(context):
        return None
    found = await ask(context, ApiCall("GET", path))
    if found.status >= 400:
        return None
    text = str(found.json["text"])
    shown = text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
    message = f"Delete this memory for good, and whatever repeats it?\n\n{shown}"
    question = types.ElicitRequest(params=types.ElicitRequestFormParams(message=message, requested_schema=_SCHEMA))
    return types.InputRequiredResult(input_requests={_QUESTION: question})


def refusal(params: types.CallToolRequestParams) -> str | None:
    """The message for the model if the user did not agree; None otherwise."""
    if params.input_responses is None:
        return None
    answer = params.input_responses.get(_QUESTION)
    if isinstance(answer, types.ElicitResult) and answer.action == "accept" and answer.content == {"delete": True}:
        return None
    return "the user was asked and does not want it deleted: nothing was changed"


def _can_ask(context: Context) -> bool:
    capabilities = context.session.client_capabilities
    can = None if capabilities is None else capabilities.elicitation
    if can is None or context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        return False
    return can.form is not None or can.url is None  # an empty object means forms
