"""Reads the lines of an import in batches: reading all at once would delay every other request."""

from collections.abc import Collection, Iterator
from io import BytesIO
from typing import Any, NamedTuple

from rememberd.api.memory_tool_commands import Files, ToolError, path_from, text_from
from rememberd.api.serializers import memory_from, turn_from
from rememberd.dialects import body as json_body
from rememberd.errors import RequestError
from rememberd.types import Memory, Millis, Space, Turn

_BATCH = 50  # lines


class Batch(NamedTuple):
    """`memories` with the ids in their lines; `errors` in the format of the answer; the numbers of the lines; `files`
    of the memory tool."""

    memories: list[tuple[str, Memory]]
    turns: list[Turn]
    errors: list[dict[str, Any]]
    memory_lines: list[int]
    turn_lines: list[int]
    files: Files


def numbered_lines(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank; the first has the number 1."""
    return ((number, line) for number, line in enumerate(BytesIO(raw), 1) if not line.isspace())


def read_lines(
    lines: Iterator[tuple[int, bytes]],
    space: Space,
    now: Millis,
    redact_too: Collection[str],
    contributor: str | None = None,
) -> Batch | None:
    """The next batch; None at the end. It takes long, so call it in a thread."""
    batch, last = Batch([], [], [], [], [], {}), 0
    for last, (number, line) in enumerate(lines, 1):
        try:
            fields = json_body.parse(line)
            if fields.get("object") == "memory.file":
                batch.files[path_from(fields)] = text_from(fields, "text")
            elif "user" in fields:
                batch.turns.append(turn_from(fields, space, now))
                batch.turn_lines.append(number)
            else:
                memory = memory_from(fields, space, now, redact_too, contributor)
                batch.memories.append((str(fields.get("id") or ""), memory))
                batch.memory_lines.append(number)
        except ToolError as error:
            batch.errors.append({"line": number, "message": str(error)})
        except RequestError as error:
            batch.errors.append({"line": number, "message": error.message})
        if last == _BATCH:
            break
    return batch if last else None
