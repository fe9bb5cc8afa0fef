"""Reads a JSON list item by item: an export of 200 MB must not become a gigabyte of dictionaries."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import IO, Any

from rememberd.memory.importers.records import BadFile

_CHUNK = 2**18  # bytes
_LARGEST = 2**28  # characters of one item; a larger one is not a conversation
_BETWEEN = re.compile(r"[\s,]*")


def items(stream: IO[bytes]) -> Iterator[Any]:
    """The items of the list in `stream`, read one by one. Raises `BadFile` where the list is incomplete."""
    decoder, scan = codecs.getincrementaldecoder("utf-8-sig")("replace"), json.JSONDecoder(strict=False).raw_decode
    buffer = decoder.decode(stream.read(_CHUNK)).lstrip()
    at, step = 1, _CHUNK  # behind the bracket
    while True:
        at = _end_of_gap(buffer, at)
        if buffer.startswith("]", at):
            return
        try:
            item, at = scan(buffer, at)
            step = _CHUNK
            yield item
        except RecursionError:
            raise BadFile("the lists in the file are nested too deeply; export it again") from None
        except json.JSONDecodeError as error:
            more = stream.read(step)
            if not more or len(buffer) - at > _LARGEST:
                raise BadFile(
                    f"the file is not a complete JSON list: {error.msg} in its last part; export it again"
                ) from error
            buffer, at, step = buffer[at:] + decoder.decode(more), 0, 2 * step


def _end_of_gap(buffer: str, at: int) -> int:
    gap = _BETWEEN.match(buffer, at)
    return gap.end() if gap else at
