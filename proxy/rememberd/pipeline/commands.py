"""Runs the user's memory commands before the answer begins, so that the model can say truthfully what was done."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from rememberd.errors import MemoryUnavailable
from rememberd.memory.learn.carry_out import LATE, Done, Reach, carry_out
from rememberd.memory.learn.wishes.group_wishes import GroupWish
from rememberd.memory.learn.wishes.memory_commands import MemoryCommand
from rememberd.memory.recall.block import TAIL, tokens
from rememberd.memory.recall.recall import Recalled
from rememberd.ports import BlockCache, Embedder, MemoryStore
from rememberd.types import Memory, Millis

log = logging.getLogger("rememberd.chat")

_NOT_NOW = (
    "The user asked to delete what they told at some time. It failed: nothing was deleted. Ask them to say it again."
)


async def run_command(
    command: MemoryCommand,
    store: MemoryStore,
    embedder: Embedder,
    block_cache: BlockCache,
    reach: Reach,
    now: Millis,
    *,
    deadline_ms: int,
    shown: Callable[[Memory], bool],
    earlier: Sequence[str] = (),
    offset: Millis = 0,
) -> Done:
    """Run the command within the deadline. Never raises: if it fails here, the writer runs it after the answer. The
    writer alone runs a wish for what was told last in other conversations: only when it has learned all that came
    before does it know what was last."""
    if command.kind == "forget_last" and not earlier:
        return Done((), LATE)
    try:
        async with asyncio.timeout(deadline_ms / 1000):
            done = await carry_out(store, embedder, reach, command, now, shown, earlier=earlier, offset=offset)
            for user in done.users:  # a running tool loop must not get deleted memories either
                await block_cache.erase(user)
    except (MemoryUnavailable, TimeoutError) as error:
        log.warning("a memory command is run after the answer: %s", str(error) or "deadline passed")
        return Done((), _NOT_NOW if command.kind == "forget_time" else LATE)
    return done


def group_note(wish: GroupWish, groups: Sequence[str]) -> str:
    """The note for the model about a request to remember something for a group; `groups` are the user's groups."""
    if wish.group is not None:
        return (
            f"The user asked to have this remembered for @{wish.group}: it is stored right after your answer, for all"
            " members of that group. Confirm it."
        )
    names = ", ".join(f"@{name}" for name in groups)
    return (
        "The user asked to have this remembered for a group, and did not say for which: nothing is stored for a group"
        f' yet. Tell them to say it again as "Remember for @NAME that …". Their groups: {names}.'
    )


def readers_note(group: str) -> str:
    what = f"The user asked something of the memory of {group}, which they may only read"
    return f"{what}: nothing was done. Tell them so."


def with_note(recalled: Recalled, note: str) -> Recalled:
    """The block with a line that says what was done; a new block if nothing was recalled."""
    lines: Sequence[str] = recalled.block.removesuffix(TAIL).rstrip().splitlines() if recalled.block else ["<memory>"]
    block = "\n".join([*lines, note, TAIL])
    return replace(recalled, status="hit", block=block, tokens=tokens(block))
