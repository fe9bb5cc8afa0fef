"""A model that repeats what it was told, so that a leak into a prompt comes back, and searches each prompt itself."""

from __future__ import annotations

from collections import Counter
from typing import Any

import orjson

from loadtests.attack.leaks import DEFAULT, PRIVATE, WORK, mixed
from loadtests.attack.people import HOME
from loadtests.fake import Model

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
# All that anybody may ask of a provider that serves several users here.
_ANSWERED = ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/embeddings")
_LONGEST = 3_000  # characters of a prompt that are repeated


class Parrot(Model):
    """`leaks` takes what was wrong in a prompt, by the path it came on."""

    def __init__(self, leaks: Counter[str]) -> None:
        super().__init__()
        self.leaks = leaks

    def answer(self, request: bytes) -> None:
        head, _, body = request.partition(b"\r\n\r\n")
        method, path = head.decode("latin-1").split(" ", 2)[:2]
        if method != "POST" or not path.endswith(_ANSWERED):
            self.leaks[f"{method} {path} reached the provider"] += 1
        name = path.split("/")[1]
        for owner, kind in mixed(body, DEFAULT + WORK + (PRIVATE if name == HOME else "")):
            self.leaks[f"prompt of {path}: a marker of person {owner}, kind {kind}"] += 1
        answer = orjson.dumps(_answer(path, body.decode("utf-8", "replace")[:_LONGEST]))
        self._write(_HEAD % len(answer) + answer)


def _answer(path: str, text: str) -> dict[str, Any]:
    if path.endswith("/messages"):
        return {"type": "message", "role": "assistant", "content": [{"type": "text", "text": text}]}
    if path.endswith("/responses"):
        content = [{"type": "output_text", "text": text}]
        return {"object": "response", "output": [{"type": "message", "role": "assistant", "content": content}]}
    if path.endswith("/embeddings"):
        return {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "echo": text}
    message = {"role": "assistant", "content": text}
    return {"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
