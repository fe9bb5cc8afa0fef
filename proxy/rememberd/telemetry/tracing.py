"""Spans of a chat, its recall and its processing by the writer. Without OpenTelemetry's configuration nothing is
recorded and the calls cost almost nothing; with it, `telemetry.otel` implements them. Spans never contain a user's
words."""

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
    """Set the tracer of this process."""
    global _tracer
    _tracer = tracer


def enabled() -> bool:
    return _tracer is not None


def chat(model: str, provider: str, headers: Mapping[str, str]) -> Part:
    """The span of a chat, a child of the span that the client's `headers` name."""
    return _NOTHING if _tracer is None else _tracer.chat(model, provider, headers)


def span(name: str) -> Part:
    """A child of the current span."""
    return _NOTHING if _tracer is None else _tracer.span(name)


def linked(name: str, traceparent: str) -> Part:
    """A new trace, linked to the span that `traceparent` names: for background work."""
    return _NOTHING if _tracer is None else _tracer.linked(name, traceparent)


def annotate(attributes: Mapping[str, Value]) -> None:
    """Add attributes to the current span."""
    if _tracer is not None:
        _tracer.annotate(attributes)


def traceparent() -> str:
    """The current span as the W3C header `traceparent`; "" if there is none."""
    return "" if _tracer is None else _tracer.traceparent()
