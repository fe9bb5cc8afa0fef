"""Spans of a chat, of its recall and of what the writer does with it. Nothing is kept, and next to nothing spent,
unless OpenTelemetry is configured: then `telemetry.otel` stands behind these calls. Nobody's words go into them."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

Value = str | int | float
Part = AbstractContextManager[None]


class Tracer(Protocol):
    def chat(self, model: str, provider: str, headers: Mapping[str, str]) -> Part: ...

    def span(self, name: str) -> Part: ...

    def linked(self, name: str, traceparent: str) -> Part: ...

    def annotate(self, attributes: Mapping[str, Value]) -> None: ...

    def traceparent(self) -> str: ...


_NOTHING: Part = nullcontext()
_tracer: Tracer | None = None


def configure(tracer: Tracer | None) -> None:
    """For this process, from now on."""
    global _tracer
    _tracer = tracer


def enabled() -> bool:
    return _tracer is not None


def chat(model: str, provider: str, headers: Mapping[str, str]) -> Part:
    """The span of a chat: a child of the one that the client's `headers` name."""
    return _NOTHING if _tracer is None else _tracer.chat(model, provider, headers)


def span(name: str) -> Part:
    """A part of the one that is open."""
    return _NOTHING if _tracer is None else _tracer.span(name)


def linked(name: str, traceparent: str) -> Part:
    """A trace of its own, with a link to the span that `traceparent` names: work that nobody waits for."""
    return _NOTHING if _tracer is None else _tracer.linked(name, traceparent)


def annotate(attributes: Mapping[str, Value]) -> None:
    """Of the span that is open."""
    if _tracer is not None:
        _tracer.annotate(attributes)


def traceparent() -> str:
    """The open span as W3C's header names it; "" if there is none."""
    return "" if _tracer is None else _tracer.traceparent()
