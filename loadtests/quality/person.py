"""One user of a running proxy: what they say, what is kept of it, and what a question of theirs recalls."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

import httpx
import orjson

from loadtests.quality.blind import Row
from loadtests.servers import KEY

MODEL = "0-0-1"  # the fake model that answers at once
PATIENCE = 60.0


class Person:
    """One user of the proxy at `url`."""

    def __init__(self, url: str) -> None:
        headers = {"authorization": f"Bearer {KEY}", "x-memory-user": uuid4().hex}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=PATIENCE)

    def __enter__(self) -> Person:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def says(self, text: str) -> None:
        """In a chat of its own; returns when the writer is done with it."""
        body = {"model": MODEL, "messages": [{"role": "user", "content": text}]}
        answer = self.http.post("/v1/chat/completions", json=body, headers={"x-conversation-id": uuid4().hex})
        answer.raise_for_status()
        if answer.headers.get("x-memory-write") == "on":
            self._wait(answer.headers["x-memory-receipt"])

    def said(self, dated: Sequence[tuple[datetime, str]]) -> int:
        """Exchanges of earlier days, oldest first. Returns how many were refused as wishes about the memory."""
        lines = [
            {"id": uuid4().hex, "conversation": uuid4().hex, "user": text, "created_at": at.isoformat()}
            | {"answer": "Understood."}
            for at, text in dated
        ]
        return self.exchanged(lines)

    def exchanged(self, lines: Sequence[Row]) -> int:
        """Imports exchanges as HTTP.md describes them. Returns how many were refused as wishes about the memory."""
        taken = self._import(lines)["turns"]
        for receipt in taken["queued"]:
            self._wait(receipt)
        return len(taken["skipped"])

    def has(self, facts: Sequence[str]) -> None:
        self._import([{"text": text, "kind": "fact"} for text in facts])

    def memories(self, **asked: str) -> list[Row]:
        found, cursor = [], ""
        while True:
            page = self.http.get(
                "/v1/memories", params={"limit": "500", "cursor": cursor, **asked} if cursor else asked
            )
            found += page.raise_for_status().json()["data"]
            cursor = page.json().get("next_cursor") or ""
            if not cursor:
                return found

    def recalls(self, question: str) -> Row:
        """What a chat with this question would be given."""
        answer = self.http.post("/v1/memories/preview", json={"text": question})
        found: Row = answer.raise_for_status().json()
        assert found["status"] in ("hit", "miss"), found["status"]
        return found

    def _import(self, lines: Sequence[Row]) -> Row:
        answer = self.http.post("/v1/memories/import", content=b"\n".join(map(orjson.dumps, lines)))
        found: Row = answer.raise_for_status().json()
        assert not found["errors"], found["errors"]
        return found

    def _wait(self, receipt: str) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            answer = self.http.get(f"/v1/receipts/{receipt}")
            if answer.status_code == 200 and answer.json()["write"] != "pending":
                return
            time.sleep(0.03)
        raise TimeoutError(f"the writer is not done with {receipt} after {PATIENCE:.0f} s")
