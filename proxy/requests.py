"""Reading a request within its limits."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request

from proxy.errors import RequestError


class ClientGone(Exception):
    """The client left before there was anything to say to it."""


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises `RequestError` 413 over `limit` bytes, 415 if compressed; `ClientGone`."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise RequestError(415, "unsupported_encoding", "send the request body uncompressed")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise _too_large(limit)
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            chunks.append(chunk)
    except ClientDisconnect:
        raise ClientGone from None
    return b"".join(chunks)


def _too_large(limit: int) -> RequestError:
    return RequestError(
        413,
        "request_too_large",
        f"the request body is over {limit // 2**20} MiB; raise server.max_body_mb or send less",
    )
