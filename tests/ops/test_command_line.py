"""Every command can be found, understood from its help, and run."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rememberd.cli import COMMANDS
from rememberd.cli.main import main, parser
from rememberd.cli.terminal import table
from tests.support.proxy_server import Proxy

Say = Callable[..., str]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_commands_help_shows_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One that can be typed as it stands: its options are those of the command."""
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert re.sub(r"\s+", "", COMMANDS[name]).lower() in re.sub(r"\s+", "", shown).lower()
    examples = re.split(r"&&|\n", re.sub(r" > \S+", "", shown.partition("examples:\n")[2]))
    typed = [shlex.split(line.partition("rememberd ")[2], comments=True) for line in examples if "rememberd " in line]
    assert typed
    for words in typed:
        parser(words[:1]).parse_args(words)


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """With a line about each."""
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for name in COMMANDS:
        assert re.search(rf"^ +{name}\s", shown, re.MULTILINE)


def test_an_unknown_command_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has to look them up."""
    with pytest.raises(SystemExit) as stopped:
        main(["sevre"])
    assert stopped.value.code == 2
    assert "serve" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "actions"), [("keys", "create"), ("dead", "replay"), ("encryption", "rotate")])
def test_a_missing_action_is_asked_for_by_the_known_ones(
    name: str, actions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not by what the code calls it."""
    with pytest.raises(SystemExit):
        main([name])
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert actions in complaint


@pytest.fixture
def say(proxy: Proxy, user: str, capsys: pytest.CaptureFixture[str]) -> Say:
    """`rememberd memories …` as `user`; returns what it prints."""

    def do(*words: str, code: int = 0) -> str:
        assert main(["memories", *words, "--url", proxy.url, "--key", "sk-webui", "--user", user]) == code
        printed = capsys.readouterr()
        return printed.out if code == 0 else printed.err

    return do


def test_memories_are_added_found_changed_and_forgotten(say: Say) -> None:
    """By the first digits of their id, as the table shows it."""
    assert "there are none" in say("list")
    said = say("add", "I live in Oslo.", "--pin", "--private")
    short = said.split()[1]
    assert said == f"remembered  {short}  I live in Oslo.\n"
    title, row = say("list", "--kind", "fact").splitlines()
    assert title.split() == ["ID", "SAID", "KIND", "TEXT"]
    assert row.split(maxsplit=2)[0] == short
    assert row.endswith("fact, pinned, private  I live in Oslo.")
    assert "I live in Oslo." in say("search", "which city is home?")
    assert say("edit", short, "--text", "I live in Bergen.", "--no-pin", "--expires", "2099-01-01T00:00:00Z")
    changed = json.loads(say("list", "--json"))["data"][0]
    assert (changed["text"], changed["pinned"], changed["expires_at"][:4]) == ("I live in Bergen.", False, "2099")
    assert json.loads(say("edit", short, "--expires", "never", "--json"))["expires_at"] is None
    assert say("list", "--past").count("\n") == 3
    assert "Oslo" not in say("list", "--containing", "bergen")
    assert say("forget", short) == f"forgotten  {short}\n"
    assert "there are none" in say("list")


def test_json_is_what_the_api_says(say: Say) -> None:
    """For every action, and nothing else on standard output."""
    added = json.loads(say("add", "I work at Globex.", "--json"))
    assert json.loads(say("search", "employer", "--json"))["data"][0]["id"] == added["id"]
    assert json.loads(say("list", "--json"))["data"] == [added]
    assert json.loads(say("forget", added["id"], "--json"))["data"][0]["deleted"] is True


def test_an_export_is_whole_or_not_there(say: Say, tmp_path: Path) -> None:
    """On standard output, or in a file; and comes back by `memories import`."""
    say("add", "I play the cello.")
    assert json.loads(say("export"))["text"] == "I play the cello."
    file = tmp_path / "mine.ndjson"
    assert say("export", str(file)) == f"1 memories in {file}\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.ndjson"]
    assert "1 known before" in say("import", str(file))


def test_a_mistake_is_told_with_the_next_step(say: Say) -> None:
    """No traceback, exit code 1."""
    assert "`rememberd memories list --json` shows whole ids" in say("forget", "zzzz", code=1)
    assert "nothing to change: give --text" in say("edit", "zzzz", code=1)
    assert "must be a time such as" in say("add", "I ski.", "--expires", "soon", code=1)


@pytest.fixture
def foreign() -> Iterator[str]:
    """A web server that is none of ours."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_no_proxy_no_key_and_a_foreign_server_are_told_apart(
    proxy: Proxy, foreign: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Start it; set a variable; look at the address."""
    for url, key, step in (
        ("http://127.0.0.1:1", "", "start it with `rememberd serve`"),
        (proxy.url, "sk-wrong", "set REMEMBERD_KEY"),
        (proxy.url, "sk-webui", "name one with --user"),
        (foreign, "", "is this its address?"),
        ("localhost", "", "give one such as http://127.0.0.1:8787"),
    ):
        assert main(["memories", "list", "--url", url, "--key", key]) == 1
        assert step in capsys.readouterr().err


def test_address_and_key_come_from_the_surroundings(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """From two variables, or the address from the settings that the proxy itself reads."""
    monkeypatch.setenv("REMEMBERD_KEY", "sk-alice")
    port = proxy.url.rpartition(":")[2]
    config = tmp_path / "rememberd.yaml"
    config.write_text(f"server: {{host: 0.0.0.0, port: {port}}}\nkeys: [{{name: a, key: sk-alice, user: alice}}]\n")
    assert main(["memories", "list", "--config", str(config)]) == 0
    monkeypatch.setenv("REMEMBERD_URL", f"{proxy.url}/v1/")
    assert main(["memories", "list"]) == 0
    assert capsys.readouterr().err == ""


def test_a_table_is_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in columns: a Chinese character takes two, a combining mark none; what is too long ends in "…"."""
    rows = [
        ("1", "我住在奥斯陆，我喜欢滑雪和越野跑。", "x" * 90),
        ("22", "cafe\N{COMBINING ACUTE ACCENT}", "short\x1b[31m"),
    ]
    monkeypatch.setenv("COLUMNS", "70")
    lines = list(table.table(("ID", "SAID", "TEXT"), rows))
    assert lines == [
        "ID  SAID                                TEXT",
        "1   我住在奥斯陆，我喜欢滑雪和越野跑。  " + "x" * 29 + "…",
        "22  cafe\N{COMBINING ACUTE ACCENT}                                short [31m",
    ]
    assert [table.width(line) for line in lines] == [44, 70, 50]


COMPLETED = {
    "bash": """
        COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _rememberd; printf '%s\\n' "${{COMPREPLY[@]}}"
    """,
    "zsh": """
        compadd() {{ print -l -- "${{(@P)2}}" }}; words=({words}); CURRENT=$#words; _rememberd
    """,
    "fish": "complete -C '{line}' | string split -f1 \\t",
}


@pytest.mark.parametrize("shell", COMPLETED)
def test_the_shell_completes_what_there_is(shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Commands, actions, options and their values, in each shell that is installed here."""
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    assert main(["completion", shell]) == 0
    script = tmp_path / "script"
    script.write_text(("compdef() { }\n" if shell == "zsh" else "") + capsys.readouterr().out)

    def completed(line: str) -> set[str]:
        words = " ".join(each or "''" for each in line.split(" "))
        asked = f"source {script}\n" + COMPLETED[shell].format(words=words, line=line)
        plain = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
        done = subprocess.run([shell, *plain, "-c", asked], capture_output=True, text=True, timeout=20, check=False)
        assert done.stderr == ""
        return set(done.stdout.split())

    assert {"serve", "memories", "import"} <= completed("rememberd ")
    assert {"list", "search", "forget"} <= completed("rememberd memories ")
    assert "serve" not in completed("rememberd memories ")
    assert "--past" in completed("rememberd memories list --")
    assert completed("rememberd memories list --kind ") == {"fact", "episode"}
    assert {"bash", "zsh", "fish"} <= completed("rememberd completion ")
