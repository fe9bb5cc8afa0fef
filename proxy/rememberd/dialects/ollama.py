"""Ollama's own protocol: chats (`/api/chat`) and single prompts (`/api/generate`). No I/O.

Streams are lines of JSON. Source: Ollama's API reference (docs/api.md)."""

from abc import ABC, abstractmethod
from typing import Any

from rememberd.dialects import chat, user_message
from rememberd.dialects.body import before_text, dump, loads
from rememberd.dialects.formats import sse
from rememberd.dialects.formats.raw_json import Edit, last_member, top_level
from rememberd.dialects.user_message import TypedMessage, UserMessage, text_of
from rememberd.errors import UpstreamUnavailable


class _Ollama(ABC):
    END = sse.DONE  # never found: Ollama sends no event streams

    def answer(self, raw: bytes, *, streamed: bool) -> str:
        """The text of a complete or partial answer."""
        return "".join(self.text(loads(line)) for line in raw.splitlines() if line)

    def error_body(self, status: int, code: str, message: str, param: str | None = None) -> dict[str, Any]:
        return {"error": message}

    def is_whole(self, latest: bytes) -> bool:
        return True

    def error_event(self, error: UpstreamUnavailable, begin: bytes, latest: bytes) -> bytes:
        return dump({"error": str(error)}) + b"\n"

    @abstractmethod
    def text(self, part: Any) -> str:
        """The text in one line of an answer."""


class _Chat(_Ollama):
    PATH = "/api/chat"

    def question(self, body: dict[str, Any]) -> UserMessage | None:
        return chat.question(body)

    def user_messages(self, body: dict[str, Any]) -> list[TypedMessage]:
        return chat.user_messages(body)

    def inject(self, raw: bytes, body: dict[str, Any], asked: UserMessage, block: str, placement: str) -> list[Edit]:
        return chat.inject(raw, body, asked, block, placement)

    def text(self, part: Any) -> str:
        message = part.get("message") if isinstance(part, dict) else None
        return text_of(message.get("content")) if isinstance(message, dict) else ""


class _Generate(_Ollama):
    PATH = "/api/generate"

    def question(self, body: dict[str, Any]) -> UserMessage | None:
        """None also if no person asks: for a fill-in-the-middle request and for a raw prompt template."""
        return None if body.get("suffix") or body.get("raw") else user_message.newest(_items(body), _words)

    def user_messages(self, body: dict[str, Any]) -> list[TypedMessage]:
        return user_message.user_messages(_items(body), _words)

    def inject(self, raw: bytes, body: dict[str, Any], asked: UserMessage, block: str, placement: str) -> list[Edit]:
        if placement != "system":
            prompt = last_member(top_level(raw), "prompt")
            assert prompt is not None
            return [before_text(prompt.start, block)]
        system = last_member(top_level(raw), "system")
        if system is None:
            start = raw.index(b"{") + 1
            return [Edit(start, start, b'"system":' + dump(block) + b",")]
        if isinstance(body["system"], str):
            return [before_text(system.start, block)]
        return [Edit(system.start, system.end, dump(block))]

    def text(self, part: Any) -> str:
        return text_of(part.get("response")) if isinstance(part, dict) else ""


def _items(body: dict[str, Any]) -> list[Any]:
    prompt = body.get("prompt")
    return [{"role": "user", "content": prompt}] if isinstance(prompt, str) else []


def _words(item: Any) -> str | None:
    return text_of(item["content"])


CHAT = _Chat()
GENERATE = _Generate()
