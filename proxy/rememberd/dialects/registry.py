"""The chat dialects by the path that clients post to. Each dialect is a module or object of this package."""

import re
from typing import Any, Protocol

from rememberd.dialects import chat, messages, ollama, responses
from rememberd.dialects.formats.raw_json import Edit
from rememberd.dialects.user_message import TypedMessage, UserMessage
from rememberd.errors import UpstreamUnavailable


class Dialect(Protocol):
    """The interface of a dialect. None of its functions raises, whatever JSON the client sends.

    `PATH` is relative to the API base. `END` marks a stream's last event (see `sse.find_marker`)."""

    @property
    def PATH(self) -> str: ...

    @property
    def END(self) -> re.Pattern[bytes]: ...

    def question(self, body: dict[str, Any]) -> UserMessage | None:
        """The newest words of a person; None if there are none."""

    def user_messages(self, body: dict[str, Any]) -> list[TypedMessage]:
        """The messages of persons, oldest first. `question(body)` must not be None."""

    def inject(self, raw: bytes, body: dict[str, Any], asked: UserMessage, block: str, placement: str) -> list[Edit]:
        """The edits that insert the block into `raw`, which parses to `body`."""

    def answer(self, raw: bytes, *, streamed: bool) -> str:
        """The text of a complete or partial answer."""

    def error_body(self, status: int, code: str, message: str, param: str | None = None) -> dict[str, Any]: ...

    def is_whole(self, latest: bytes) -> bool:
        """True if a stream without `END` may stop after the events `latest`. False: it was cut off."""

    def error_event(self, error: UpstreamUnavailable, begin: bytes, latest: bytes) -> bytes:
        """The event that ends a broken stream. `begin` are its first complete events, `latest` the last ones."""


_ALL: tuple[Dialect, ...] = (chat, responses, messages)
DIALECTS = {f"/v1{each.PATH}": each for each in _ALL}

_OLLAMA: tuple[Dialect, ...] = (ollama.CHAT, ollama.GENERATE)

# Users often write base URLs without /v1 or with /v1 twice, and paths with a slash at the end.
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
    """The dialect of answers and errors on `path`; OpenAI's chat dialect by default."""
    if path.startswith("/api/"):
        return ollama.CHAT
    return messages if path.startswith("/v1/messages") else CHAT_PATHS.get(path, chat)
