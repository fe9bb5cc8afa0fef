"""What a model may see by MCP. Withheld memories do not exist for it, and no answer depends on them.

If it adds a memory that is already known as private, the memory stays private; the model can notice this, because the
memory is not listed."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request

from rememberd.api.mcp.internal_client import ASKING
from rememberd.types import NEVER, Memory

Visible = Callable[[Memory], bool]
ListPage = Callable[[int, str | None], Awaitable[tuple[list[Memory], str | None]]]

_SCANNED = 500  # memories per read of the store


def visibility(request: Request) -> Visible | None:
    """The memories that exist for this caller; None for all, if the call does not come from a model by MCP."""
    context = request.scope.get(ASKING)
    if context is None:
        return None
    return lambda memory: not (memory.private or memory.valid_to == NEVER or context.withheld(memory.text))


async def visible_page(
    list_page: ListPage, wanted: Visible, limit: int, cursor: str | None
) -> tuple[list[Memory], str | None]:
    """The next `limit` memories that are `wanted`, and the cursor after the last of them if there are more. Unwanted
    memories never make the page shorter, and the cursor never reveals their position."""
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
