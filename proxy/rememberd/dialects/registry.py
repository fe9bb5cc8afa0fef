"""The dialects of chat: each is a module of this room, found by the path that clients post to."""

import re
from typing import Any, Protocol

from rememberd.dialects import chat, messages, ollama, responses
from rememberd.dialects.formats.raw_json import Edit
from rememberd.dialects.user_message import Said, UserMessage
from rememberd.errors import UpstreamUnavailable


class Dialect(Protocol):
    """What a module of a dialect has. Nothing in it raises, whatever the client's JSON looks like.

    `PATH` is relative to the API base; `END` marks a stream's last event (see `sse.find_marker`)."""

    @property
    def PATH(self) -> str: ...

    @property
    def END(self) -> re.Pattern[bytes]: ...

    def question(self, body: dict[str, Any]) -> UserMessage | None:
        """The newest words of a person, or None."""

    def user_messages(self, body: dict[str, Any]) -> list[Said]:
        """What persons said in the conversation, oldest first; `body` holds a question."""

    def inject(self, raw: bytes, body: dict[str, Any], asked: UserMessage, block: str, placement: str) -> list[Edit]:
        """The edits of `raw`, which parses to `body`, that put the block in."""

    def answer(self, raw: bytes, *, streamed: bool) -> str:
        """The text of an answer, or of as much of it as arrived."""

    def error_body(self, status: int, code: str, message: str, param: str | None = None) -> dict[str, Any]: ...

    def is_whole(self, latest: bytes) -> bool:
        """May a stream without `END` stop after the events `latest`? False: it was cut off."""

    def error_event(self, error: UpstreamUnavailable, begin: bytes, latest: bytes) -> bytes:
        """What ends a stream that broke: `begin` are its first whole events, `latest` the last ones."""


_ALL: tuple[Dialect, ...] = (chat, responses, messages)
DIALECTS = {f"/v1{each.PATH}": each for each in _ALL}

_OLLAMA: tuple[Dialect, ...] = (ollama.CHAT, ollama.GENERATE)

# Base URLs are often written without /v1 or with one too many, and paths with a slash at the end.
CHAT_PATHS = {
    **DIALECTS,
    **{
        f"{prefix}{each.PATH}{slash}": each
        for each in _ALL
        for prefix in ("/v1", "", "/v1/v1")
        for slash in ("", "/")
    },
    **{each.PATH: each for each in _OLLAMA},
}


def dialect_for(path: str) -> Dialect:
    """The dialect in which to answer on `path`, errors included; OpenAI's where no other is known."""
    if path.startswith("/api/"):
        return ollama.CHAT
    return messages if path.startswith("/v1/messages") else CHAT_PATHS.get(path, chat)
