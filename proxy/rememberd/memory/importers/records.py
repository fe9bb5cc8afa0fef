"""The two kinds of line that an import sends, and what can be wrong with a file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from rememberd.errors import RememberdError
from rememberd.memory.learn.memory_commands import off_record

Line = dict[str, Any]


class BadFile(RememberdError):
    """This is no export that we can read; the message says what was expected."""


@dataclass(frozen=True, slots=True)
class Message:
    """Of a conversation, oldest first. `at` is RFC 3339 or None."""

    id: str
    role: Literal["user", "assistant"]
    text: str
    at: str | None = None
    model: str | None = None


def turns(messages: Iterable[Message], conversation: str, begun: str | None, client: str) -> Iterator[Line]:
    """One line for each message of the user, with all that was answered to it. A conversation that the user wanted
    kept out of memory, in the words that the proxy knows, gives none."""
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
    """From seconds since the epoch, as ChatGPT writes them; None for what is no time."""
    if not isinstance(seconds, int | float) or not 0 < seconds < 1e11:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


def whole(text: str) -> str:
    """Without halves of surrogate pairs, which exports cut in two now and then."""
    return text.encode("utf-8", "replace").decode()
