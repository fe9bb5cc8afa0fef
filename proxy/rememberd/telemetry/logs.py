"""Log lines as text or JSON, with the id of the request. They never contain a user's words."""

import logging
import re
import sys
import threading
import traceback
import warnings
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType

import orjson

from rememberd.errors import RememberdError
from rememberd.telemetry import tracing

log = logging.getLogger("rememberd.log")

REQUEST: ContextVar[str] = ContextVar("request", default="")


ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class _WithoutExceptionTexts(logging.Formatter):
    """Shows the class and the traceback of an exception. The text is shown only for our own exceptions: other texts
    may quote a user's words or a key."""

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # where another handler's formatter has kept the whole text
        return super().format(record)

    def formatException(self, ei: ExcInfo) -> str:
        error: BaseException | None = ei[1]
        parts: list[str] = []
        while error is not None:
            name = f"{type(error).__module__}.{type(error).__qualname__}"
            text = f": {error}" if isinstance(error, RememberdError) else ""
            parts.append("".join(traceback.format_tb(error.__traceback__)) + name + text)
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\nraised from:\n".join(parts)


class Text(_WithoutExceptionTexts):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:
        request = REQUEST.get()
        return f"{super().formatMessage(record)}{f' [{request}]' if request else ''}"


class Json(_WithoutExceptionTexts):
    """One JSON object per line: time, level, logger, message, and if there are any, request, trace_id, exception."""

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


class _WithoutArguments(logging.Filter):
    """Shortens asyncio's lines about a failed task or callback, which contain arguments and exception texts."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = re.split(r"[\n(<]", record.getMessage(), maxsplit=1)[0].strip()
        record.args = ()
        return True


def configure(log_format: str) -> None:
    """Set the format of all log lines, also of libraries. Warnings and uncaught errors become log lines, too."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter(Json() if log_format == "json" else Text())
    logging.getLogger("asyncio").addFilter(_WithoutArguments())
    warnings.showwarning = _log_warning
    sys.excepthook = _log_uncaught
    sys.unraisablehook = lambda given: _log_uncaught(given.exc_type, given.exc_value, given.exc_traceback)
    threading.excepthook = lambda given: _log_uncaught(given.exc_type, given.exc_value, given.exc_traceback)


def _log_warning(
    message: object, category: type[Warning], filename: str, lineno: int, *_: object, **__: object
) -> None:
    log.warning("%s at %s:%d", category.__name__, filename, lineno)


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    log.critical("uncaught error", exc_info=(kind, error or kind(), trace))
