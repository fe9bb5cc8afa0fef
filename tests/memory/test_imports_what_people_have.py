"""What people have elsewhere comes along: exports of ChatGPT, Claude and Mem0, notes, and our own NDJSON."""

from __future__ import annotations

import gzip
import io
import json
import signal
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from rememberd.cli.main import main
from rememberd.memory.importers import json_stream as arrays
from rememberd.memory.importers.files import opened
from rememberd.memory.importers.records import BadFile
from tests.support.fake_model import FakeModel
from tests.support.proxy_in_process import running_here
from tests.support.proxy_server import PATIENCE, Proxy, eventually, memories, remembered

DATA = Path(__file__).parents[1] / "data" / "imports"
CHATGPT, CLAUDE, NOTES = DATA / "chatgpt.json", DATA / "claude.json", DATA / "notes.md"

Run = Callable[..., dict[str, Any]]


def lines(path: Path, wanted: str = "auto") -> list[dict[str, Any]]:
    with opened(path, wanted) as exports:
        return [line for export in exports for line in export.lines()]


def written(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value))
    return path


def zipped(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def run(proxy: Proxy, user: str, capsys: pytest.CaptureFixture[str]) -> Run:
    """`rememberd import` as `user`; returns its summary."""

    def do(*arguments: str | Path) -> dict[str, Any]:
        who = ["--url", proxy.url, "--key", "sk-webui", "--user", user]
        assert main(["import", *map(str, arguments), "--json", *who]) == 0
        summary: dict[str, Any] = json.loads(capsys.readouterr().out)
        return summary

    return do


@pytest.fixture
def mine(proxy: Proxy, user: str) -> Iterator[httpx.Client]:
    with proxy.client(user) as client:
        yield client


def test_chatgpts_tree_is_read_along_the_branch_that_was_shown() -> None:
    """No edited-away message, tool, page, reasoning, instruction or picture; text and time of each message are its
    own. A conversation that was to stay out of memory stays out."""
    assert lines(CHATGPT) == [
        {
            "id": "m4",
            "conversation": "conv-one",
            "created_at": "2024-03-01T10:00:10.250+00:00",
            "user": "I live in Lisbon. What should I see there?",
            "answer": "Take tram 28.",
            "model": "gpt-4o",
            "client": "chatgpt",
        },
        {
            "id": "mb1",
            "conversation": "conv-two",
            "created_at": "2024-03-31T10:00:00.250+00:00",
            "user": "I moved to Porto. My password is hunter2!x",
            "answer": "How nice!",
            "model": "gpt-4o-mini",
            "client": "chatgpt",
        },
        {
            "id": "mb3",
            "conversation": "conv-two",
            "created_at": "2024-03-31T10:01:00.250+00:00",
            "user": "I'm allergic to peanuts.",
            "answer": "Noted.",
            "model": None,
            "client": "chatgpt",
        },
    ]


def test_without_a_current_node_the_newest_branch_is_read(tmp_path: Path) -> None:
    """Some tools leave it out."""
    conversation = json.loads(CHATGPT.read_text())[0]
    del conversation["current_node"]
    assert [line["id"] for line in lines(written(tmp_path / "one.json", conversation))] == ["m4"]


def test_what_was_said_to_chatgpt_in_voice_mode_is_read(tmp_path: Path) -> None:
    """The words of each side stand beside their recordings."""

    def node(name: str, parent: str, role: str, *parts: Any) -> dict[str, Any]:
        content = {"content_type": "multimodal_text", "parts": list(parts)}
        message = {"id": name, "author": {"role": role}, "create_time": 1735689600.5, "content": content}
        return {"id": name, "parent": parent, "children": [], "message": message}

    def spoken(text: str, direction: str) -> dict[str, Any]:
        return {"content_type": "audio_transcription", "text": text, "direction": direction, "decoding_id": None}

    recording = {"content_type": "audio_asset_pointer", "asset_pointer": "sediment://file_1", "format": "wav"}
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "sediment://file_2"}
    asked = node("v1", "root", "user", spoken("I keep two goats.", "in"), recording, picture, None)
    answered = node("v2", "v1", "assistant", spoken("Lovely!", "out"), recording)
    conversation = {"id": "voice", "mapping": {"v1": asked, "v2": answered}, "current_node": "v2"}
    (line,) = lines(written(tmp_path / "conversations.json", [conversation]))
    assert (line["user"], line["answer"]) == ("I keep two goats.", "Lovely!")


NOTED = [
    {
        "conversations_memory": "**Work context**\n\nAda is a nurse in Lund.\n\n**Personal**\n\n- Keeps bees.",
        "project_memories": {"p1": "**Purpose & context**\n\nAda writes a book about bees.", "p2": None},
        "account_uuid": "acc",
    }
]


@pytest.mark.parametrize("place", ["memories.json", "memories/5b1c7f0e-acc.json"])
def test_what_claude_has_noted_comes_with_the_conversations(tmp_path: Path, place: str) -> None:
    """From one zip, or alone; headings are no statements, files and instructions of projects stay out."""
    project = [{"uuid": "p1", "name": "Bees", "prompt_template": "Answer in Latin.", "docs": [{"content": "Wax."}]}]
    noted = NOTED if place == "memories.json" else NOTED[0]
    members = {
        place: json.dumps(noted).encode(),
        "projects.json": json.dumps(project).encode(),
        "users.json": b"[]",
        "conversations.json": CLAUDE.read_bytes(),
    }
    texts = ["Ada is a nurse in Lund.", "Keeps bees.", "Ada writes a book about bees."]
    found = lines(zipped(tmp_path / "data-batch-0000.zip", **members))
    assert [line["text"] for line in found if "text" in line] == texts
    assert [line["user"] for line in found if "user" in line] == [line["user"] for line in lines(CLAUDE)]
    assert [line["text"] for line in lines(written(tmp_path / "memories.json", noted))] == texts


def test_claudes_messages_are_read_without_tools_thoughts_and_files() -> None:
    """Old exports have the text alone, new ones blocks."""
    first, second = lines(CLAUDE)
    assert (first["user"], first["answer"]) == ("I'm vegetarian. What can I cook?", "Let me look.\nA risotto.")
    assert (first["created_at"], first["conversation"]) == ("2025-02-03T18:00:01.000000Z", "claude-1")
    assert (second["id"], second["user"], second["answer"]) == ("h2", "My sister is called Dana.", "")


@pytest.mark.parametrize("shape", ["list", "results", "openmemory", "lines", "zip"])
def test_mem0_is_read_in_each_of_its_shapes(tmp_path: Path, shape: str) -> None:
    """Its API's list or answer, OpenMemory's backup, one object a line; deleted ones stay deleted."""
    at = "2025-06-01T08:00:00+00:00"
    api = [{"id": "1", "memory": "Likes tea.", "created_at": at, "metadata": {"k": 1}, "user_id": "ada"}]
    backup = [
        {"id": "1", "content": "Likes tea.", "state": "active", "created_at": at, "metadata": {}},
        {"id": "2", "content": "Likes coffee.", "state": "deleted", "created_at": at},
    ]
    wrapped = {"user": {"user_id": "ada"}, "apps": [], "memories": backup}
    match shape:
        case "list":
            path = written(tmp_path / "m.json", api)
        case "results":
            path = written(tmp_path / "m.json", {"results": api, "relations": []})
        case "openmemory":
            path = tmp_path / "m.json"
            path.write_text(json.dumps(wrapped, indent=2))
        case "lines":
            path = tmp_path / "memories.jsonl.gz"
            path.write_bytes(gzip.compress("\n".join(map(json.dumps, backup)).encode()))
        case _:
            path = zipped(tmp_path / "m.zip", **{"memories.json": json.dumps(wrapped, indent=2).encode()})
    assert lines(path) == [{"text": "Likes tea.", "created_at": at, "source": {"client": "mem0"}}]


def test_notes_give_a_statement_for_each_line_or_bullet() -> None:
    """Headings, quotations, tables and code are no statements."""
    assert [line["text"] for line in lines(NOTES)] == [
        "I live in Trondheim.",
        "My daughter plays the cello.",
        "I work at Globex.",
        "Ich esse kein Fleisch.",
    ]


def test_a_zip_is_read_as_it_was_downloaded(tmp_path: Path) -> None:
    """With the other files in it, in folders, and in as many parts as it has."""
    parts = [json.dumps([each]).encode() for each in json.loads(CHATGPT.read_text())[:2]]
    names = {"user.json": b"{}", "x/conversations-001.json": parts[1], "x/conversations-000.json": parts[0]}
    assert [line["id"] for line in lines(zipped(tmp_path / "export.zip", **names))] == ["m4", "mb1", "mb3"]


def test_a_large_export_is_read_as_a_stream() -> None:
    """20 MB of conversations never take more than a fraction of that, and none is lost at a seam."""
    one = json.dumps({"text": "é" * 5000, "n": [1, {"a": "]},["}]}, ensure_ascii=False)
    raw = io.BytesIO(("[\n" + ",\n".join([one] * 2000) + "]").encode())
    tracemalloc.start()
    try:
        assert sum(len(item["text"]) for item in arrays.items(raw)) == 5000 * 2000
        assert tracemalloc.get_traced_memory()[1] < 4 * 2**20
    finally:
        tracemalloc.stop()


def test_what_was_said_elsewhere_is_learned_as_if_it_had_been_said_here(run: Run, mine: httpx.Client) -> None:
    """Facts with evidence and the time they were said, what was said last holds, secrets are redacted."""
    summary = run(CHATGPT)
    assert (summary["turns"], summary["episodes"], summary["redacted"], summary["lost"]) == (3, 3, 1, 0)
    assert set(summary["learned"]) == {"I live in Lisbon.", "I moved to Porto.", "I'm allergic to peanuts."}
    assert summary["errors"] == ["entry 4 does not have the expected format"]
    porto = remembered(mine, "Porto", kind="fact")
    assert porto["created_at"] == porto["valid_from"] == "2024-03-31T10:00:00.250Z"
    assert porto["evidence"]["text"] in "I moved to Porto."
    assert porto["source"] == {"conversation": "conv-two", "model": "gpt-4o-mini", "client": "chatgpt"}
    everything = " ".join(memory["text"] for memory in memories(mine))
    assert "I live in Lisbon." not in {memory["text"] for memory in memories(mine, "fact")}
    assert "hunter2" not in everything
    assert "Atlantis" not in everything
    assert "Initech" not in everything
    assert mine.get("/v1/receipts").json()["data"] == []  # these are for answers that were given here


def test_run_again_or_stopped_half_way_it_adds_nothing_twice(run: Run, mine: httpx.Client, tmp_path: Path) -> None:
    """It goes on where it was, because a message has one id for ever."""
    half = written(tmp_path / "half.json", json.loads(CHATGPT.read_text())[:1])
    run(half)
    summary = run(CHATGPT)
    assert (summary["known"], summary["episodes"]) == (1, 2)
    before = {memory["id"]: memory["updated_at"] for memory in memories(mine)}
    again = run(CHATGPT)
    assert (again["known"], again["episodes"], again["facts"]) == (3, 0, 0)
    assert {memory["id"]: memory["updated_at"] for memory in memories(mine)} == before


def test_ctrl_c_in_the_middle_loses_and_doubles_nothing(
    run: Run, mine: httpx.Client, proxy: Proxy, user: str, tmp_path: Path
) -> None:
    """It says how to go on, and the next run does."""
    messages = [{"uuid": f"m{n}", "sender": "human", "text": f"Row {n} of my life."} for n in range(120)]
    export = written(tmp_path / "life.json", [{"uuid": "life", "chat_messages": messages}])
    who = ["--url", proxy.url, "--key", "sk-webui", "--user", user]
    process = subprocess.Popen(
        [sys.executable, "-m", "rememberd", "import", str(export), *who], stderr=subprocess.PIPE, text=True
    )
    eventually(lambda: memories(mine))
    process.send_signal(signal.SIGINT)
    assert "run the command again to continue" in process.communicate(timeout=PATIENCE)[1]
    assert process.returncode == 130
    assert run(export)["turns"] == 120
    said = [memory["text"] for memory in memories(mine, "episode")]
    assert sorted(said) == sorted(f"User: Row {n} of my life." for n in range(120))


def test_an_old_export_takes_nothing_back_that_is_newer(run: Run, mine: httpx.Client) -> None:
    """What was said here since holds; what was forgotten here stays forgotten."""
    mine.post("/v1/memories", json={"text": "I live in Bergen."}).raise_for_status()
    run(CHATGPT)
    homes = [memory["text"] for memory in memories(mine, "fact") if memory["slot"] == "home"]
    assert homes == ["I live in Bergen."]
    nuts = remembered(mine, "peanuts", kind="fact")
    mine.delete(f"/v1/memories/{nuts['id']}").raise_for_status()
    run(CHATGPT)
    assert not [memory for memory in memories(mine) if "peanuts" in memory["text"]]


def test_who_erased_everything_can_begin_with_an_import(run: Run, mine: httpx.Client) -> None:
    """The messages are older than the erasure, the wish to have them is newer."""
    run(CHATGPT)
    assert mine.delete("/v1/memories").json()["deleted"] > 0
    assert run(CHATGPT)["episodes"] == 3


def test_a_dry_run_shows_the_same_facts_and_writes_nothing(
    run: Run, mine: httpx.Client, proxy: Proxy, capsys: pytest.CaptureFixture[str]
) -> None:
    """As JSON, and for people."""
    guessed = run(CHATGPT, "--dry-run")
    who = ["--url", proxy.url, "--key", "sk-webui", "--user", mine.headers["X-Memory-User"]]
    assert main(["import", str(CHATGPT), "--dry-run", *who]) == 0
    assert memories(mine) == []
    said = capsys.readouterr().out
    assert "would be learned: 3 facts, 3 exchanges kept" in said
    assert "- I'm allergic to peanuts." in said
    done = run(CHATGPT)
    assert {name: done[name] for name in ("learned", "episodes", "redacted")} == {
        name: guessed[name] for name in ("learned", "episodes", "redacted")
    }


def test_statements_become_facts_and_are_merged_when_they_come_again(run: Run, mine: httpx.Client) -> None:
    """From notes; the slot of each is found, so that a newer value replaces it."""
    assert run(NOTES)["facts"] == 4
    assert remembered(mine, "Trondheim")["slot"] == "home"
    assert (run(NOTES)["known"], run(NOTES)["facts"]) == (4, 0)


def test_a_statement_that_is_refused_is_told_and_costs_no_other(run: Run, mine: httpx.Client, tmp_path: Path) -> None:
    """The statement is alone in its file, or among others."""
    notes = tmp_path / "notes.txt"
    notes.write_text("x" * 20_001)
    assert "at most 20,000 characters" in run(notes)["errors"][0]
    notes.write_text("I sail.\n" + "x" * 20_001)
    assert (run(notes)["facts"], [memory["text"] for memory in memories(mine)]) == (1, ["I sail."])


@pytest.mark.parametrize(
    ("form", "name"), [("ndjson", "m.ndjson"), ("pam", "memory-store.json"), ("mem", "m.mem.zip")]
)
def test_our_own_export_comes_back_whole(
    run: Run, mine: httpx.Client, proxy: Proxy, tmp_path: Path, form: str, name: str
) -> None:
    """Into another user by the command line, in each format: texts, kinds, marks and times; the open formats have
    whole seconds, and keep ours beside them."""
    run(CHATGPT)
    mine.post("/v1/memories", json={"text": "I take lithium.", "private": True, "pinned": True}).raise_for_status()
    who = ["--url", proxy.url, "--key", "sk-webui", "--user"]
    export = str(tmp_path / name)
    user = mine.headers["X-Memory-User"]
    assert main(["memories", "export", export, "--format", form, *who, user]) == 0
    assert main(["import", export, *who, f"{user} too"]) == 0
    names = ("kind", "created_at", "valid_from", "pinned", "private", "slot", "source")
    with proxy.client(f"{user} too") as other:
        theirs, ours = (
            {each["text"]: [each[name] for name in names] for each in memories(one)} for one in (other, mine)
        )
    assert theirs == ours


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("photo.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF", "neither JSON nor text"),
        ("other.json", b'[{"tweet": "hi"}]', "no known format"),
        ("half.json", b'[{"mapping": {}, "title": "a"}, {"mapp', "not a complete JSON list"),
        ("deep.json", b"[" * 100_000, "nested too deeply"),
        ("empty.json", b"[]", "has nothing to import"),
        ("empty.txt", b"", "has nothing to import"),
        ("broken.json", b'{\n "memories": [', "not complete JSON"),
        ("lines.ndjson", b'{"text": "I ski."}\n{"text"\n', "line 2 is not a JSON object"),
    ],
)
def test_a_foreign_or_broken_file_is_refused_with_what_was_expected(
    proxy: Proxy, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, reason: str
) -> None:
    """The error is one line, not a traceback."""
    path = tmp_path / name
    path.write_bytes(content)
    assert main(["import", str(path), "--dry-run", "--url", proxy.url, "--key", "sk-alice"]) == 1
    said = capsys.readouterr().err
    assert reason in said
    assert "expected ChatGPT's or Claude's export" in said or "export it again" in said


def whole_files() -> dict[str, tuple[bytes, int]]:
    """A file of each format that is JSON, as its vendor makes it, and how many lines it gives."""
    api = [{"id": str(n), "memory": f"Likes tea {n}.", "created_at": "2025-06-01T08:00:00+00:00"} for n in range(9)]
    backup = [{"id": each["id"], "content": each["memory"], "state": "active"} for each in api]
    chats = {name: (path.read_bytes(), len(lines(path))) for name, path in (("chatgpt", CHATGPT), ("claude", CLAUDE))}
    return chats | {
        "claude's notes": (json.dumps(NOTED * 3).encode(), 9),
        "mem0": (json.dumps(api).encode(), 9),
        "mem0 answer": (json.dumps({"results": api, "relations": []}).encode(), 9),
        "openmemory": (json.dumps({"user": {}, "apps": [], "memories": backup}).encode(), 9),
        "ndjson": ("\n".join(json.dumps({"text": each["memory"]}) for each in api).encode(), 9),
    }


def test_a_file_of_any_format_that_was_cut_off_says_what_to_do(tmp_path: Path) -> None:
    """The file itself, its zip, and the zip of half a file. The whole file gives all of its lines."""
    for name, (content, wanted) in whole_files().items():
        half = content[: len(content) // 2]
        member = "conversations.json" if name in ("chatgpt", "claude") else "memories.json"
        archive = zipped(tmp_path / "whole.zip", **{member: content}).read_bytes()
        found = lines(tmp_path / "whole.zip") if name != "ndjson" else [{}] * wanted
        assert len(found) == wanted, name
        cut = {"cut.json": half, "cut.zip": archive[:-20]}
        for file, damaged in cut.items():
            (tmp_path / file).write_bytes(damaged)
        zipped(tmp_path / "of-half.zip", **{member: half})
        for file in (*cut, "of-half.zip"):
            with pytest.raises(BadFile, match=r"again|expected ChatGPT"):
                lines(tmp_path / file)


def test_an_entry_that_makes_no_sense_costs_no_other(tmp_path: Path) -> None:
    """Of any vendor's file: it is counted, and the entries around it are read."""
    for name, (content, wanted) in whole_files().items():
        if name == "ndjson":
            continue  # each line of it is checked by the server
        entries = json.loads(content)
        listed = entries if isinstance(entries, list) else entries.get("results", entries.get("memories"))
        strange = {key: 5 for key in listed[0] if key != "id"}
        listed.insert(1, strange)
        with opened(written(tmp_path / "strange.json", entries)) as exports:
            (export,) = exports
            assert len(list(export.lines())) == wanted, name
            assert "entry 2" in export.unreadable, name


def test_a_zip_of_something_else_is_refused(tmp_path: Path) -> None:
    """With the names of what is in it."""
    with pytest.raises(BadFile, match=r"holds no conversations.json.* but cat.png"):
        lines(zipped(tmp_path / "cats.zip", **{"cat.png": b"x"}))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """As it was typed."""
    with pytest.raises(BadFile, match=r"cannot read .*gone\.zip"):
        lines(tmp_path / "gone.zip")


def test_lines_that_are_no_turns_are_told_by_their_number(proxy: Proxy, user: str) -> None:
    """The other lines are imported."""
    body = b'{"user": ""}\n{"user": "I ski.", "created_at": "yesterday"}\n{"user": "I sail.", "id": "1"}\n'
    with proxy.client(user) as client:
        answer = client.post("/v1/memories/import", content=body).raise_for_status().json()
        assert [error["line"] for error in answer["errors"]] == [1, 2]
        assert len(answer["turns"]["queued"]) == 1
        remembered(client, "I sail.", kind="episode")


@pytest.mark.slow
def test_a_key_with_a_limit_only_takes_longer(proxy: Proxy, tmp_path: Path, upstream: FakeModel) -> None:
    """The import waits for its turn, as it is told to."""
    keys = [{"name": "ada", "key": "sk-ada", "user": "ada", "requests_per_minute": 60}]
    with running_here(tmp_path, {"model-a": upstream.url}, keys=keys) as limited:
        with limited.client(key="sk-ada") as client:
            while client.get("/v1/memories").status_code == 200:
                pass
        assert main(["import", str(CHATGPT), "--url", limited.url, "--key", "sk-ada"]) == 0
