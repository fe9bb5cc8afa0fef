"""Anthropic's memory tool keeps its files here: results as documented, per user and scope, exported and erased."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from rememberd.api.memory_tool_commands import MAX_FILE_BYTES, MAX_FILES, ToolError, check, run
from tests.support.fake_model import Behaviour, FakeModel, anthropic_body
from tests.support.proxy_server import Proxy

FILES = "/v1/memories/files"
NOTES = "/memories/notes.md"


def used(client: httpx.Client, command: str, **given: Any) -> str:
    answer = client.post(FILES, json={"command": command, **given}).raise_for_status().json()
    assert answer["is_error"] is False, answer
    return str(answer["content"])


def test_a_session_reads_as_the_documentation_says(proxy: Proxy, user: str) -> None:
    """Each command's result, word for word."""
    with proxy.client(user) as client:
        head = "Here're the files and directories up to 2 levels deep in /memories, excluding hidden items and"
        assert used(client, "view", path="/memories") == f"{head} node_modules:\n0B\t/memories"
        text = "one\ntwo\nthree\n"
        assert used(client, "create", path=NOTES, file_text=text) == f"File created successfully at: {NOTES}"
        assert used(client, "view", path=NOTES) == (
            f"Here's the content of {NOTES} with line numbers:\n     1\tone\n     2\ttwo\n     3\tthree"
        )
        assert used(client, "view", path=NOTES, view_range=[2, -1]).endswith(":\n     2\ttwo\n     3\tthree")
        edited = used(client, "str_replace", path=NOTES, old_str="two", new_str="2")
        assert edited == "The memory file has been edited.\n     1\tone\n     2\t2\n     3\tthree"
        inserted = used(client, "insert", path=NOTES, insert_line=0, insert_text="zero\n")
        assert inserted == f"The file {NOTES} has been edited."
        renamed = used(client, "rename", old_path=NOTES, new_path="/memories/old/notes.md")
        assert renamed == f"Successfully renamed {NOTES} to /memories/old/notes.md"
        for hidden in ("/memories/.git/x", "/memories/node_modules/y", "/memories/a/b/c/d.txt"):
            used(client, "create", path=hidden, file_text="x" * 1536)
        shown = used(client, "view", path="/memories").splitlines()[2:]
        a, old = (
            ["1.5K\t/memories/a/", "1.5K\t/memories/a/b/"],
            ["17B\t/memories/old/", "17B\t/memories/old/notes.md"],
        )
        assert shown == a + old
        assert client.get(FILES).json()["data"][-1]["text"] == "zero\none\n2\nthree\n"
        assert used(client, "delete", path="/memories/old") == "Successfully deleted /memories/old"


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({}, "`command` must be one of view, create"),
    ({"command": ["view"]}, "`command` must be one of"),
    (
        {"command": "view", "path": "/memories/no"},
        "The path /memories/no does not exist. Please provide a valid path.",
    ),
    ({"command": "view", "path": NOTES, "view_range": [3, 2]}, "Invalid `view_range`: [3, 2]"),
    ({"command": "view", "path": NOTES, "view_range": "1"}, "must be two numbers"),
    ({"command": "create", "path": NOTES, "file_text": ""}, f"Error: File {NOTES} already exists"),
    ({"command": "create", "path": f"{NOTES}/x", "file_text": ""}, f"{NOTES} is a file"),
    ({"command": "create", "path": "/memories/x"}, "`file_text` must be a text"),
    ({"command": "str_replace", "path": "/memories", "old_str": "a"}, "The path /memories does not exist"),
    ({"command": "str_replace", "path": NOTES, "old_str": "z", "new_str": ""}, "did not appear verbatim in"),
    ({"command": "str_replace", "path": NOTES, "old_str": "", "new_str": ""}, "did not appear verbatim in"),
    ({"command": "str_replace", "path": NOTES, "old_str": "a", "new_str": ""}, "`a` in lines: [1, 3]. Please"),
    ({"command": "insert", "path": NOTES, "insert_line": 4, "insert_text": ""}, "range of lines of the file: [0, 3]"),
    ({"command": "insert", "path": NOTES, "insert_line": True, "insert_text": ""}, "Invalid `insert_line`"),
    ({"command": "delete", "path": "/memories/"}, "/memories itself cannot be deleted"),
    ({"command": "delete", "path": "/memories/no"}, "does not exist"),
    ({"command": "rename", "old_path": NOTES, "new_path": "/memories/other"}, "/memories/other already exists"),
    ({"command": "rename", "old_path": "/memories/no", "new_path": "/memories/x"}, "does not exist"),
]


def test_a_mistake_is_told_to_the_model_and_changes_nothing(proxy: Proxy, user: str) -> None:
    """As the result of the tool, which it reads."""
    with proxy.client(user) as client:
        used(client, "create", path=NOTES, file_text="a\nb\na")
        used(client, "create", path="/memories/other", file_text="x")
        before = client.get(FILES).json()
        wrong = []
        for given, expected in MISTAKES:
            answer = client.post(FILES, json=given).json()
            if not answer["is_error"] or expected not in answer["content"]:
                wrong.append((given, answer))
        assert wrong == []
        assert client.get(FILES).json() == before


@pytest.mark.parametrize("command", ["view", "create", "delete"])
def test_no_path_leads_out(command: str) -> None:
    """Every way to write a parent directory, another root or a control character."""
    for path in (
        *("", "/", "memories/a", "/etc/passwd", "/memoriesx", "/memories/../etc/passwd", "/memories/a/../../b"),
        *(
            "/memories/%2e%2e/b",
            "/memories/%2E./b",
            "/memories/./a",
            "/memories//a",
            "/memories\\..\\a",
            "../memories",
        ),
        *("/memories/a\x00b", "/memories/a\nb", "/memories/" + "a" * 256, "/memories" + "/aa" * 500),
    ):
        with pytest.raises(ToolError, match="must be a path under /memories"):
            run({}, {"command": command, "path": path, "file_text": ""})


def test_there_are_limits() -> None:
    """For a file, for all of them together, and for their number."""
    check({f"/memories/{number}": "x" * MAX_FILE_BYTES for number in range(4)})
    for files in (
        {"/memories/a": "é" * (MAX_FILE_BYTES // 2 + 1)},
        {f"/memories/{number}": "x" * MAX_FILE_BYTES for number in range(5)},
        {f"/memories/{number}": "" for number in range(MAX_FILES + 1)},
    ):
        with pytest.raises(ToolError, match="the limit"):
            check(files)


def test_changes_at_the_same_time_all_count(proxy: Proxy, user: str) -> None:
    """Several agents of one user, on any process."""
    with proxy.client(user) as client, ThreadPoolExecutor(8) as pool:
        paths = [f"/memories/{number}" for number in range(16)]
        list(pool.map(lambda path: used(client, "create", path=path, file_text="x"), paths))
        assert sorted(each["path"] for each in client.get(FILES).json()["data"]) == sorted(paths)


def test_anthropics_own_tool_runner_keeps_its_files_here(proxy: Proxy, upstream: FakeModel, user: str) -> None:
    """A model that writes, edits, reads and errs, asked through the proxy by the SDK: it is told each result."""
    import anthropic
    from anthropic.lib.tools import BetaAbstractMemoryTool, ToolError

    class Forwarded(BetaAbstractMemoryTool):
        """As the documents show."""

        def execute(self, command: Any) -> Any:
            answer = client.post(FILES, json=command.model_dump(exclude_none=True)).raise_for_status().json()
            if answer["is_error"]:
                raise ToolError(answer["content"])
            return answer["content"]

        view = create = str_replace = insert = delete = rename = execute

    commands = [
        {"command": "create", "path": NOTES, "file_text": "Bees like clover.\n"},
        {"command": "str_replace", "path": NOTES, "old_str": "clover", "new_str": "thyme"},
        {"command": "view", "path": NOTES},
        {"command": "view", "path": "/memories/none.md"},
        {"command": "rename", "old_path": NOTES, "new_path": "/memories/bees.md"},
    ]
    whole = json.loads(anthropic_body("claude-x", "x"))
    for number, command in enumerate(commands):
        use = {"type": "tool_use", "id": f"toolu_{number}", "name": "memory", "input": command}
        asked = whole | {"content": [use], "stop_reason": "tool_use"}
        upstream.script(Behaviour(body=json.dumps(asked).encode()))
    with proxy.client(user) as client:
        named = {"X-Memory-User": user}
        sdk = anthropic.Anthropic(base_url=proxy.url, api_key="sk-webui", default_headers=named, max_retries=0)
        last = sdk.beta.messages.tool_runner(
            model="claude",
            max_tokens=99,
            messages=[{"role": "user", "content": "What do bees like?"}],
            tools=[Forwarded()],
        ).until_done()
        assert last.stop_reason == "end_turn"
        asked_of_us = upstream.requests[-len(commands) :]  # the SDK sends what is new; the provider keeps the thread
        told = [each.json["messages"][-1]["content"][0] for each in asked_of_us]
        assert [bool(each.get("is_error")) for each in told] == [False, False, False, True, False]
        assert "     1\tBees like thyme." in json.dumps(told[2]["content"]).replace("\\t", "\t")
        assert [each["path"] for each in client.get(FILES).json()["data"]] == ["/memories/bees.md"]


def test_files_are_the_users_own_without_secrets_exported_and_erased(proxy: Proxy, user: str) -> None:
    """One's export brings them back, and changes nothing where they are."""
    with proxy.client(user) as client, proxy.client(f"{user} other") as other:
        used(client, "create", path=NOTES, file_text="Key: sk-proj-Zq8vN3xT7mK2pL9wR4yB6cD1\n")
        assert "sk-proj" not in used(client, "view", path=NOTES)
        work = {"X-Memory-Scope": "work"}
        for answer in (other.get(FILES), client.get(FILES, headers=work)):
            assert answer.json()["data"] == []
        exported = client.get("/v1/memories/export").content
        assert [json.loads(line)["path"] for line in exported.splitlines()] == [NOTES]
        assert client.post("/v1/memories/import", content=exported).is_success
        assert other.post("/v1/memories/import", content=exported).is_success
        assert client.get(FILES).json() == other.get(FILES).json()
        client.put("/v1/memories/settings", json={"paused": True})
        assert client.post(FILES, json={"command": "view", "path": NOTES}).json()["is_error"] is True
        client.put("/v1/memories/settings", json={"paused": False})
        client.post(FILES, json={"command": "create", "path": NOTES, "file_text": "x"}, headers=work)
        client.delete("/v1/memories").raise_for_status()
        assert client.get(FILES).json()["data"] == client.get(FILES, headers=work).json()["data"] == []
        assert len(other.get(FILES).json()["data"]) == 1
