"""A pytest plugin for an SDK's own tests: with each request, in a header, goes the name of a file with an answer that
the SDK can read, made from the type that the called method returns. No description of the API is needed."""

from __future__ import annotations

import datetime
import enum
import hashlib
import importlib
import json
import os
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pydantic

HEADER = "x-answer"
ANSWERS = Path(os.environ.get("SDK_ANSWERS", ""))
_DEEPEST = 6
_PLAIN: dict[type, Any] = {
    bool: True,
    int: 0,
    float: 0.5,
    str: "text",
    datetime.datetime: "2026-01-02T03:04:05Z",
    datetime.date: "2026-01-02",
}


def pytest_configure() -> None:
    base = importlib.import_module(os.environ["SDK_NAME"] + "._base_client")
    for client in (base.SyncAPIClient, base.AsyncAPIClient):
        client.request = _with_its_answer(client.request)


def _with_its_answer(request: Any) -> Any:
    def sent(self: Any, cast_to: Any, options: Any, **others: Any) -> Any:
        given = options.headers if isinstance(options.headers, Mapping) else {}
        options.headers = {**given, HEADER: _kept(json.dumps(sample(cast_to)).encode())}
        return request(self, cast_to, options, **others)

    return sent


def _kept(answer: bytes) -> str:
    name = hashlib.sha256(answer).hexdigest()
    half = ANSWERS / f"{name}.{os.getpid()}"
    half.write_bytes(answer)
    half.rename(ANSWERS / name)
    return name


def sample(of: Any, depth: int = 0) -> Any:
    """A small JSON value of a type: of a model the required fields, of a union its first."""
    if hasattr(of, "__value__"):  # a type alias
        return sample(of.__value__, depth)
    origin, arguments = typing.get_origin(of), typing.get_args(of)
    if origin is typing.Annotated:
        return sample(arguments[0], depth)
    if origin is typing.Literal:
        return arguments[0]
    if origin in (typing.Union, types.UnionType):
        return sample(next(each for each in arguments if each is not types.NoneType), depth)
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return [] if depth > _DEEPEST else [sample(arguments[0], depth + 1)]
    if not isinstance(of, type):
        return {}
    if issubclass(of, pydantic.BaseModel):
        fields = of.model_fields.items()
        return {each.alias or name: sample(each.annotation, depth + 1) for name, each in fields if each.is_required()}
    if issubclass(of, enum.Enum):
        return next(iter(of)).value
    return next((value for plain, value in _PLAIN.items() if issubclass(of, plain)), {})
