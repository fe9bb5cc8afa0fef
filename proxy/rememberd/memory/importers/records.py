"""The two kinds of line that an import sends, and the error for an unreadable file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from rememberd.errors import RememberdError
from rememberd.memory.learn.wishes.memory_commands import off_record

Line = dict[str, Any]


class BadFile(RememberdError):
    """The file is not an export that we can read; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a conversation. `at` is RFC 3339 or None."""

    id: str
    role: Literal["user", "assistant"]
    text: str
    at: str | None = None
    model: str | None = None


def turns(messages: Iterable[Message], conversation: str, begun: str | None, client: str) -> Iterator[Line]:
    """One line for each message of the user, with all answers to it. None for a conversation that the user asked to
    keep out of memory, in words that the proxy knows."""
    spoken = list(messages)
    if any(message.role == "user" and off_record(message.text) for message in spoken):
        return
    asked: Message | None = None
    answers: list[Message] = []
    for message in [*spoken, None]:
        if message is not None and message.role == "assistant":
            answers.append(message)
            continue
        if asked is not None and asked.text.strip():
            yield _turn(asked, answers, conversation, begun, client)
        asked, answers = message, []


def _turn(asked: Message, answers: list[Message], conversation: str, begun: str | None, client: str) -> Line:
    return {
        "id": asked.id,
        "conversation": conversation,
        "created_at": asked.at or begun,
        "user": whole(asked.text),
        "answer": whole("\n\n".join(answer.text for answer in answers if answer.text.strip())),
        "model": next((answer.model for answer in answers if answer.model), None),
        "client": client,
    }


def memory(text: str, created_at: str | None, client: str) -> Line:
    return {"text": whole(text.strip()), "source": {"client": client}} | (
        {"created_at": created_at} if created_at else {}
    )


def rfc3339(seconds: object) -> str | None:
    """From seconds since the epoch, as ChatGPT writes them; None if it is not a time."""
    if not isinstance(seconds, int | float) or not 0 < seconds < 1e11:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def whole(text: str) -> str:
    """Without lone surrogates: some exports split surrogate pairs."""
    return text.encode("utf-8", "replace").decode()
