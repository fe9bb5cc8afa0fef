"""No answer to a key that may only write holds a text that is remembered, whichever way it asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.fake_model import FakeModel
from tests.support.proxy_server import Proxy, running

KEYS: list[dict[str, Any]] = [
    {"name": "mia", "key": "sk-mia", "user": "mia"},
    {"name": "sensor", "key": "sk-sensor", "user": "mia", "memory": "write"},
]
SECRET = "I am allergic to Zwitscherling nuts."
AGAIN = "i am allergic to ZWITSCHERLING nuts"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, upstream: FakeModel) -> Iterator[Proxy]:
    folder = tmp_path_factory.mktemp("own")
    with running(folder, {"model-a": upstream.url}, keys=KEYS) as proxy:
        yield proxy


def test_no_answer_to_a_write_holds_what_was_remembered(own: Proxy) -> None:
    """Each way to write is tried on a memory that another key has told; what it wrote itself it knows."""
    with own.client(key="sk-mia") as mia, own.client(key="sk-sensor") as sensor:
        id = mia.post("/v1/memories", json={"text": SECRET}).raise_for_status().json()["id"]
        file = {"command": "create", "path": "/memories/a.md", "file_text": SECRET}
        assert not mia.post("/v1/memories/files", json=file).json()["is_error"]
        whole = mia.post("/v1/memories/delete", json={"ids": [id], "dry_run": True}).json()["data"]
        assert whole[0]["text"] == SECRET
        asked: list[tuple[str, str, dict[str, Any]]] = [
            ("POST", "/v1/memories", {"text": AGAIN}),
            ("PATCH", f"/v1/memories/{id}", {"private": False}),
            ("POST", "/v1/memories/import", {"text": AGAIN}),
            ("POST", "/v1/memories/import?dry_run=1", {"text": AGAIN}),
            ("POST", "/v1/memories/files", {"command": "view", "path": "/memories/a.md"}),
            ("POST", "/v1/memories/files", {"command": "insert", "path": "/memories/a.md", "insert_line": 0}),
            ("POST", "/v1/memories/delete", {"ids": [id], "dry_run": True}),
            ("POST", "/v1/memories/delete", {"ids": [id]}),
            ("POST", "/v1/memories/restore", {"memories": whole}),
            ("POST", "/v1/memories/move", {"ids": [id], "scope": "elsewhere"}),
            ("PATCH", f"/v1/memories/{id}", {"pinned": False}),
        ]
        for method, path, body in asked:
            answer = sensor.request(method, path, json=body)
            assert "Zwitscherling" not in answer.text, (method, path, body)
        back = mia.post("/v1/memories", json={"text": SECRET}).raise_for_status().json()
        deleted = sensor.post("/v1/memories/delete", json={"ids": [back["id"]]}).raise_for_status().json()
        assert deleted["data"] == [{"id": back["id"], "object": "memory", "asked": True}]
        assert mia.get(f"/v1/memories/{back['id']}").status_code == 404
