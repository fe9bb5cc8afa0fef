"""What a model may see by MCP. For it, a memory that is withheld does not exist, and no answer depends on one.

What it adds itself and is known already, privately, stays private: it can see that from its not being listed."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request

from rememberd.api.mcp.internal_client import ASKING
from rememberd.types import NEVER, Memory

Visible = Callable[[Memory], bool]
ListPage = Callable[[int, str | None], Awaitable[tuple[list[Memory], str | None]]]

_SCANNED = 500  # memories a read of the store


def visibility(request: Request) -> Visible | None:
    """Which memories exist for who makes this call; None for all, when it is no model that asks by MCP."""
    context = request.scope.get(ASKING)
    if context is None:
        return None
    return lambda memory: not (memory.private or memory.valid_to == NEVER or context.withheld(memory.text))


async def visible_page(
    list_page: ListPage, wanted: Visible, limit: int, cursor: str | None
) -> tuple[list[Memory], str | None]:
    """The next `limit` memories that are `wanted`, and the cursor behind the last of them if there are more. Neither
    is empty or short for the sake of memories that are not wanted, and the cursor is never the place of one."""
    found: list[Memory] = []
    behind = None
    while True:
        page, following = await list_page(_SCANNED, cursor)
        for number, memory in enumerate(page, 1):
            if not wanted(memory):
                continue
            if len(found) == limit:
                return found, behind
            found.append(memory)
            if len(found) == limit:
                _, behind = await list_page(number, cursor)
        if following is None:
            return found, None
        cursor = following
