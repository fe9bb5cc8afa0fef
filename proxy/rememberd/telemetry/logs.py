"""The log: a line for people, or JSON for machines; with the id of the request it is about. Nobody's words in it."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from datetime import UTC, datetime

import orjson

from rememberd.telemetry import tracing

REQUEST: ContextVar[str] = ContextVar("request", default="")


class Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        request = REQUEST.get()
        return f"{super().formatMessage(record)}{f' [{request}]' if request else ''}"


class Json(logging.Formatter):
    """One object a line: time, level, logger, message; request, trace_id and exception where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request := REQUEST.get():
            line["request"] = request
        if trace := tracing.traceparent():
            line["trace_id"] = trace.split("-")[1]
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def configure(log_format: str) -> None:
    """What is logged from now on, by whom ever."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(Json() if log_format == "json" else Text())
