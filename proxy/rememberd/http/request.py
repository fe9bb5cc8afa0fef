"""Reads a request's body and headers within the limits."""

import asyncio
import re
from collections.abc import Mapping
from random import getrandbits
from typing import Any

from starlette.types import Receive, Scope

from rememberd.errors import RequestError
from rememberd.http.content_coding import codings_of, decode
from rememberd.memory.recall.dates import offset_of
from rememberd.telemetry.logs import REQUEST
from rememberd.types import Millis

NOTED = "rememberd.noted"  # in an ASGI scope
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class ClientGone(Exception):
    """The client left before the response."""


async def read_body(receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    """The whole body, decompressed.

    Raises `RequestError`: 413 if it has more than `limit` bytes before or after decompression, 400 for a broken
    encoding, 415 for an unknown one. Raises `ClientGone`."""
    codings = codings_of(headers["content-encoding"]) if "content-encoding" in headers else []
    announced = headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    chunks, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk, more = message.get("body", b""), message.get("more_body", False)
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    raw = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    if not codings:
        return raw
    decoded = await asyncio.to_thread(decode, raw, codings, limit)
    if decoded is None:
        raise _too_large(limit)
    return decoded


def note(scope: Scope, /, **fields: Any) -> None:
    """Add `fields` to this request's line in the audit log, if the log records this path."""
    scope.setdefault(NOTED, {}).update(fields)


def header_values(scope: Scope) -> dict[str, str]:
    """The values of the headers by lower-case name. The values of a repeated name are joined by a comma (RFC 9110,
    5.3). Not starlette's `Headers`: they search the whole list at each look-up, and a chat makes thirty."""
    values = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    if len(values) == len(scope["headers"]):
        return values
    values = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        values[name] = f"{values[name]}, {value}" if name in values else value
    return values


def request_id(headers: Mapping[str, str]) -> str:
    """The client's own request id if it has only plain characters, else a new one. Every later log line of this task
    contains it."""
    given = headers.get("x-request-id", "")
    id = given if _REQUEST_ID.fullmatch(given) else f"req_{getrandbits(128):032x}"
    REQUEST.set(id)
    return id


def with_query(path: str, scope: Scope) -> str:
    """`path` with the query the client sent."""
    query = scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path


def _too_large(limit: int) -> RequestError:
    return RequestError(
        413,
        "request_too_large",
        f"the request body is over {limit // 2**20} MiB; raise server.max_body_mb or send less",
    )


def offset_from(headers: Mapping[str, str], time_zone: str | None, at: Millis) -> Millis:
    """The UTC offset of `X-Timezone`, else of `time_zone` from the settings. Raises `RequestError` for an unknown
    zone."""
    try:
        return offset_of(headers.get("x-timezone") or time_zone, at)
    except ValueError as error:
        message = f"X-Timezone: {error}; send an IANA time zone name, such as Europe/Oslo"
        raise RequestError(400, "invalid_timezone", message) from error
