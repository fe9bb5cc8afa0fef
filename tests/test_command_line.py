"""Every command can be found, understood from its help, and run."""

from __future__ import annotations

import re

import pytest

from proxy.cli import main, parser
from proxy.commands import COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_every_commands_help_shows_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One that can be typed as it stands: its options are those of the command."""
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert re.sub(r"\s+", "", COMMANDS[name]).lower() in re.sub(r"\s+", "", shown).lower()
    examples = [line.partition("#")[0] for line in shown.partition("examples:\n")[2].splitlines()]
    typed = [words for each in examples for words in each.split("&&") if f"rememberd {name}" in words]
    assert typed
    for words in typed:
        parser({name}).parse_args(words.partition("rememberd ")[2].split())


def test_the_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """With a line about each."""
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    for name in COMMANDS:
        assert re.search(rf"^ +{name} ", shown, re.MULTILINE)


def test_an_unknown_command_is_refused_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody has to look them up."""
    with pytest.raises(SystemExit) as stopped:
        main(["sevre"])
    assert stopped.value.code == 2
    assert "serve" in capsys.readouterr().err
