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
from rich.cells import cell_len

from rememberd.cli import COMMANDS
from rememberd.cli.main import main
from rememberd.cli.terminal.output import print_table
from tests.support.command_line import parsed
from tests.support.proxy_server import Proxy
from tests.support.tables import each_row

Say = Callable[..., str]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_commands_help_shows_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One that can be typed as it stands: its options are those of the command."""
    assert main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert re.sub(r"\s+", "", COMMANDS[name]).lower() in re.sub(r"\s+", "", shown).lower()
    examples = re.split(r"&&|\n", re.sub(r" > \S+", "", shown.partition("examples:\n")[2]))
    typed = [shlex.split(line.partition("rememberd ")[2], comments=True) for line in examples if "rememberd " in line]
    assert typed
    for words in typed:
        parsed(words)


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The help lists each command with one line about it."""
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for name in COMMANDS:
        assert re.search(rf"^ +{name}\s", shown, re.MULTILINE)


def test_an_unknown_command_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """The error lists the commands, so that nobody has to look them up."""
    assert main(["sevre"]) == 2
    assert "serve" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "actions"), [("keys", "create"), ("dead", "replay"), ("encryption", "rotate")])
def test_a_missing_action_is_asked_for_by_the_known_ones(
    name: str, actions: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error lists the actions that exist, not the name of the parameter in the code."""
    assert main([name]) == 2
    assert actions in capsys.readouterr().err


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
    assert "there are no memories" in say("list")
    said = say("add", "I live in Oslo.", "--pin", "--private")
    short = said.split()[1]
    assert said == f"remembered  {short}  I live in Oslo.\n"
    title, row = say("list", "--kind", "fact").splitlines()
    assert title.split() == ["ID", "SAID", "KIND", "TEXT"]
    assert row.split(maxsplit=2)[0] == short
    assert row.rstrip().endswith("fact, pinned, private  I live in Oslo.")
    assert "I live in Oslo." in say("search", "which city is home?")
    assert say("edit", short, "--text", "I live in Bergen.", "--no-pin", "--expires", "2099-01-01T00:00:00Z")
    changed = json.loads(say("list", "--json"))["data"][0]
    assert (changed["text"], changed["pinned"], changed["expires_at"][:4]) == ("I live in Bergen.", False, "2099")
    assert json.loads(say("edit", short, "--expires", "never", "--json"))["expires_at"] is None
    assert say("list", "--past").count("\n") == 3
    assert "Oslo" not in say("list", "--containing", "bergen")
    assert say("forget", short) == f"forgotten  {short}\n"
    assert "there are no memories" in say("list")


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
    assert "1 already known" in say("import", str(file))


def test_a_mistake_is_told_with_the_next_step(say: Say) -> None:
    """No traceback, exit code 1."""
    assert "`rememberd memories list --json` shows whole ids" in say("forget", "zzzz", code=1)
    assert "nothing to change: give --text" in say("edit", "zzzz", code=1)
    assert "must be a time such as" in say("add", "I ski.", "--expires", "soon", code=1)


@pytest.fixture
def foreign() -> Iterator[str]:
    """The address is that of another web server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_no_proxy_no_key_and_a_foreign_server_are_told_apart(
    proxy: Proxy, foreign: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error says what to do: start the proxy, set a variable, or check the address."""
    for url, key, step in (
        ("http://127.0.0.1:1", "", "start `rememberd serve`"),
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


@pytest.mark.slow
def test_memories_can_be_seen_while_no_proxy_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On the data directory of the settings, by a proxy that ends with the command and frees the folder."""
    config = tmp_path / "rememberd.yaml"
    config.write_text(f"data_dir: {tmp_path}/data\nserver: {{port: 1}}\n")
    on = ["--config", str(config)]
    assert main(["memories", "add", "I am allergic to peanuts.", *on]) == 0
    memory_id = capsys.readouterr().out.split()[1]
    for command, expected in (
        (["memories", "list"], "I am allergic to peanuts."),
        (["memories", "search", "peanut"], "I am allergic to peanuts."),
        (["memories", "why", memory_id], "topic health"),
        (["memories", "stats"], "1 fact"),
        (["recall", "which snacks should I avoid?"], "<memory>"),
    ):
        assert main([*command, *on]) == 0
        said = capsys.readouterr()
        assert expected in said.out
        assert said.err == ""
    assert "- I am allergic to peanuts." in said.out.partition("hit")[2]


def test_a_table_is_as_wide_as_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Chinese character takes two columns; what is too long ends in "…"; no escape code gets through."""
    monkeypatch.setenv("COLUMNS", "70")
    rows = [("1", "我住在奥斯陆，我喜欢滑雪和越野跑。", "x" * 90), ("22", "[bold]cafe[/bold]", "short\x1b[31m")]
    print_table(("ID", "SAID", "TEXT"), rows)
    title, first, second = capsys.readouterr().out.splitlines()
    assert title.split() == ["ID", "SAID", "TEXT"]
    assert first.rstrip().endswith("xxx…")
    assert (cell_len(first), "\x1b" in second, "[bold]cafe[/bold]" in second) == (70, False, True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_gets_a_script_of_its_own(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each shell that is installed here can read it."""
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "_REMEMBERD_COMPLETE" in script
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    subprocess.run([shell, "-n"], input=script, text=True, check=True)


@each_row(
    ("line", "there", "not_there"),
    [
        ("rememberd ", {"serve", "memories", "import"}, set()),
        ("rememberd memories ", {"list", "search", "forget"}, {"serve"}),
        ("rememberd memories list --", {"--past", "--kind"}, set()),
        ("rememberd memories list --kind ", {"fact", "episode"}, set()),
        ("rememberd completion ", {"bash", "zsh", "fish"}, set()),
    ],
)
def test_the_shell_completes_what_there_is(
    line: str,
    there: set[str],
    not_there: set[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Commands, actions, options and their values, as bash asks for them."""
    words = line.split(" ")
    asked = {"_REMEMBERD_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    for name, value in asked.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as left:
        main([])
    assert left.value.code == 0
    found = {answer.partition(",")[2] for answer in capsys.readouterr().out.splitlines()}
    assert there <= found
    assert not found & not_there
