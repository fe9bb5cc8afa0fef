"""JSON bodies in and out, changing no more bytes than must change. Pure."""

import json
from collections.abc import Sequence
from typing import Any, NoReturn

import orjson

from rememberd.dialects.formats.raw_json import (
    Edit,
    content_start,
    elements,
    last_member,
    model_values,
    splice,
    top_level,
)
from rememberd.errors import RequestError


def parse(raw: bytes) -> dict[str, Any]:
    """The JSON object of a request. Raises `RequestError` 400 that says where it is broken."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        body = _parse_leniently(raw, str(error))
    if not isinstance(body, dict):
        raise RequestError(400, "invalid_json", "the request body must be a JSON object")
    return body


def model(body: dict[str, Any]) -> str:
    """The model a request asks for. Raises `RequestError` 400."""
    asked = body.get("model")
    if not isinstance(asked, str) or not asked:
        message = "`model` must name a model; GET /v1/models lists them"
        raise RequestError(400, "missing_model", message, param="model")
    return asked


def dump(body: dict[str, Any] | str) -> bytes:
    try:
        return orjson.dumps(body)
    except (TypeError, orjson.JSONEncodeError):
        return json.dumps(body, separators=(",", ":")).encode()


def loads(raw: bytes) -> Any:
    """What `raw` says, None if it is not JSON."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def outgoing(raw: bytes, body: dict[str, Any], model: str, edits: Sequence[Edit] = ()) -> bytes:
    """`raw`, which parses to `body`, with the top-level `model` replaced and `edits` made. Every other byte stays:
    numbers, spaces, escapes and duplicate keys as the client wrote them. Without a `model` none is added."""
    spans = model_values(raw, body)
    if len(spans) == 1 and body["model"] == model:
        spans = []
    renamed = dump(model)
    return splice(raw, [*edits, *[Edit(start, end, renamed) for start, end in spans]])


def before_content(
    raw: bytes, body: dict[str, Any], name: str, at: int, block: str, kind: str, *, skip: int = 0
) -> Edit:
    """The block before the text of the message at index `at` of the list `name`: before the text itself, or as a part
    of the type `kind` before the part at index `skip`."""
    start = content_start(raw, body, name, at)
    content = body[name][at]["content"]
    if isinstance(content, str):
        return before_text(start, block)
    part = dump({"type": kind, "text": block})
    if not content:
        return Edit(start + 1, start + 1, part)
    where = start + 1
    if skip:
        where = next(begin for index, (begin, _) in enumerate(elements(raw, start)) if index == skip)
    return Edit(where, where, part + b",")


def before_text(start: int, block: str) -> Edit:
    """The block at the beginning of the JSON string that begins at `start`."""
    return Edit(start + 1, start + 1, dump(f"{block}\n\n")[1:-1])


def first_element(raw: bytes, name: str, message: dict[str, Any]) -> Edit:
    """`message` at the beginning of the list `name`, which is not empty."""
    messages = last_member(top_level(raw), name)
    assert messages is not None
    return Edit(messages.start + 1, messages.start + 1, dump(message) + b",")


def is_content(content: Any) -> bool:
    """Is it something that a block can stand before?"""
    return isinstance(content, str | list)


def _parse_leniently(raw: bytes, problem: str) -> Any:
    """JavaScript clients cut emoji in half: a lone surrogate is relayed, everything else is refused; also UTF-16,
    which Python would read and no provider does."""
    try:
        return json.loads(raw.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, "invalid_json", f"the request body is not JSON: {problem}") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
