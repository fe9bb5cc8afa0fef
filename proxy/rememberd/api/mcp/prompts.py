"""Prompts that a client may offer its user, for example as commands."""

import mcp_types as types

from rememberd.api.mcp.context import Context, refused

_TEXTS = {
    "where_were_we": "Look up with recent_memories what we last worked on or talked about. Sum up in a few lines"
    " where we stopped and what was open, and ask me how to go on.",
    "what_you_know": "Look up what you remember about {topic} with search_memories, and list it with dates, the"
    " newest last. Say which of it contradicts something else.",
    "remember_this": "Go through this conversation and choose what of my own words will matter later: facts about me,"
    " my decisions, my preferences. Show me the list first; after my yes add each as one sentence with add_memory.",
    "tidy_up": "Read my memories with list_memories. Show me which are doubled, outdated or wrong, and what you would"
    " correct or forget. Change nothing before I have agreed to each.",
}
_TOPIC = types.PromptArgument(name="topic", description="A word or two; without it, me.", required=False)
_PROMPTS = (
    types.Prompt(name="where_were_we", title="Where were we?", description="Sum up where the last talk stopped."),
    types.Prompt(
        name="what_you_know", title="What do you know?", description="List what is remembered.", arguments=[_TOPIC]
    ),
    types.Prompt(name="remember_this", title="Remember this", description="Keep what matters of this conversation."),
    types.Prompt(name="tidy_up", title="Tidy up", description="Find memories that are doubled, outdated or wrong."),
)


async def list_prompts(context: Context, params: types.PaginatedRequestParams | None) -> types.ListPromptsResult:
    return types.ListPromptsResult(prompts=list(_PROMPTS))


async def get_prompt(context: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
    """Raises `MCPError` for a prompt that is not there."""
    text = _TEXTS.get(params.name)
    if text is None:
        raise refused("prompt", f"there is no such prompt; there are {', '.join(_TEXTS)}")
    topic = (params.arguments or {}).get("topic") or "me"
    message = types.PromptMessage(
        role="user", content=types.TextContent(type="text", text=text.replace("{topic}", topic))
    )
    return types.GetPromptResult(messages=[message])
