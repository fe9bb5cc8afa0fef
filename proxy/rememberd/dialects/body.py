"""Parses and edits JSON bodies, and changes no more bytes than necessary. No I/O."""

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
    """The JSON object of a request. Raises `RequestError` 400 that names the position of the fault."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        body = _parse_leniently(raw, str(error))
    if not isinstance(body, dict):
        raise RequestError(400, "invalid_json", "the request body must be a JSON object")
    return body


def model(body: dict[str, Any]) -> str:
    """The requested model. Raises `RequestError` 400."""
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
    """The parsed value; None if `raw` is not JSON."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def outgoing(raw: bytes, body: dict[str, Any], model: str, edits: Sequence[Edit] = ()) -> bytes:
    """`raw`, which parses to `body`, with the top-level `model` replaced and the `edits` applied. Every other byte
    stays, also numbers, spaces, escapes and duplicate keys. A missing `model` is not added."""
    spans = model_values(raw, body)
    if len(spans) == 1 and body["model"] == model:
        spans = []
    renamed = dump(model)
    return splice(raw, [*edits, *[Edit(start, end, renamed) for start, end in spans]])


def before_content(
    raw: bytes, body: dict[str, Any], name: str, at: int, block: str, kind: str, *, skip: int = 0
) -> Edit:
    """Inserts the block into the message at index `at` of the list `name`: before its text, or as a new part of type
    `kind` before the part at index `skip`."""
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
    """Inserts the block at the beginning of the JSON string that begins at `start`."""
    return Edit(start + 1, start + 1, dump(f"{block}\n\n")[1:-1])


def first_element(raw: bytes, name: str, message: dict[str, Any]) -> Edit:
    """Inserts `message` at the beginning of the list `name`, which must not be empty."""
    messages = last_member(top_level(raw), name)
    assert messages is not None
    return Edit(messages.start + 1, messages.start + 1, dump(message) + b",")


def is_content(content: Any) -> bool:
    """True if a block can be inserted before this content."""
    return isinstance(content, str | list)


def _parse_leniently(raw: bytes, problem: str) -> Any:
    """Accepts lone surrogates, because JavaScript clients cut emoji in half. Refuses everything else, also UTF-16,
    which Python reads and no provider does."""
    try:
        return json.loads(raw.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, "invalid_json", f"the request body is not JSON: {problem}") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
