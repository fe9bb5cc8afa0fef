"""JSON bodies in and out, changing no more bytes than must change. Pure."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import orjson

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


def dump(body: dict[str, Any]) -> bytes:
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


def rename_model(raw: bytes, body: dict[str, Any], model: str) -> bytes:
    """`raw` with the top-level `model` replaced. Spliced where the name stands once, so that numbers, spaces and
    duplicate keys stay as the client wrote them; serialised anew otherwise."""
    asked = body.get("model")
    if asked is None or asked == model:
        return raw
    before = dump_text(asked)
    at = raw.find(before)
    if at >= 0 and raw.rfind(before) == at:  # from both ends: the name stands near one of them
        return b"".join((raw[:at], dump_text(model), raw[at + len(before) :]))
    return dump(body | {"model": model})


def dump_text(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _parse_leniently(raw: bytes, problem: str) -> Any:
    """JavaScript clients cut emoji in half: a lone surrogate is relayed, everything else is refused; also UTF-16,
    which Python would read and no provider does."""
    try:
        return json.loads(raw.decode(), parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise RequestError(400, "invalid_json", f"the request body is not JSON: {problem}") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(number: str) -> float:
    """1e400 is JSON, but as the infinity that Python makes of it nobody could write it again."""
    value = float(number)
    if math.isinf(value):
        _refuse(number)
    return value
