"""`rememberd completion`: a script that lets the shell complete commands and options. It is made from the parser
itself, so it knows each command that there is; it asks nobody when it runs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from shlex import quote
from typing import NamedTuple

from rememberd.cli import COMMANDS

EXAMPLES = """\
  rememberd completion bash > ~/.local/share/bash-completion/completions/rememberd
  rememberd completion zsh > ~/.zfunc/_rememberd      # with fpath+=~/.zfunc before compinit
  rememberd completion fish > ~/.config/fish/completions/rememberd.fish
"""


class Word(NamedTuple):
    """What can stand next, and after `choices`-taking options what can follow them."""

    text: str
    about: str
    choices: tuple[str, ...] = ()


Words = dict[str, list[Word]]
"""By what was typed so far: "", " memories", " memories list", …"""


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=sorted(_SCRIPTS))


def run(arguments: argparse.Namespace) -> int:
    from rememberd.cli.main import parser  # it imports this

    print(_SCRIPTS[arguments.shell](dict(_words(parser(COMMANDS)))), end="")
    return 0


def _words(parser: argparse.ArgumentParser, typed: str = "") -> Iterator[tuple[str, list[Word]]]:
    found: list[Word] = []
    for action in parser._actions:  # argparse has no other way to ask what a parser knows
        if isinstance(action, argparse._SubParsersAction):
            helps = {each.dest: each.help or "" for each in action._choices_actions}
            for name, sub in action.choices.items():
                found.append(Word(name, helps.get(name, "")))
                yield from _words(sub, f"{typed} {name}")
        elif action.help != argparse.SUPPRESS:
            choices = tuple(map(str, action.choices or ()))
            found += [Word(name, action.help or "", choices) for name in action.option_strings]
            found += [Word(choice, action.help or "") for choice in choices if not action.option_strings]
    yield typed, found


def _known(words: Words, between: str) -> str:
    return between.join(f'"{typed}"' for typed in words if typed)


def _choices(words: Words) -> dict[str, str]:
    """Of options, by their name: it means the same wherever it stands."""
    return {word.text: " ".join(word.choices) for found in words.values() for word in found if word.choices}


def _bash(words: Words) -> str:
    typed = "\n".join(f'    "{path}") words="{_texts(found)}" ;;' for path, found in words.items())
    choices = "\n".join(f'    {option}) words="{values}" ;;' for option, values in _choices(words).items())
    return f"""\
_rememberd() {{
  local typed="" word words=""
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$typed $word" in
      {_known(words, "|")}) typed="$typed $word" ;;
    esac
  done
  case "$typed" in
{typed}
  esac
  case "${{COMP_WORDS[COMP_CWORD-1]}}" in
{choices}
  esac
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _rememberd rememberd
"""


def _zsh(words: Words) -> str:
    typed = "\n".join(f'    "{path}") next=({_texts(found)}) ;;' for path, found in words.items())
    choices = "\n".join(f"    {option}) next=({values}) ;;" for option, values in _choices(words).items())
    return f"""\
#compdef rememberd
_rememberd() {{
  local typed="" word
  local -a next
  for word in "${{(@)words[2,CURRENT-1]}}"; do
    case "$typed $word" in
      {_known(words, "|")}) typed="$typed $word" ;;
    esac
  done
  case "$typed" in
{typed}
  esac
  case "${{words[CURRENT-1]}}" in
{choices}
  esac
  compadd -a next || _files
}}
if [ "$funcstack[1]" = "_rememberd" ]; then _rememberd "$@"; else compdef _rememberd rememberd; fi
"""


def _fish(words: Words) -> str:
    lines = [
        f"complete -c rememberd -n {_when(typed)} {_fish_word(word)} -d {_fish_quoted(word.about)}"
        for typed, found in words.items()
        for word in found
    ]
    return f"""\
function __rememberd_typed
  set -l typed ""
  for word in (commandline -opc)[2..-1]
    switch "$typed $word"
      case {_known(words, " ")}
        set typed "$typed $word"
    end
  end
  echo "$typed"
end
{chr(10).join(lines)}
"""


def _when(typed: str) -> str:
    return _fish_quoted(f'test "$(__rememberd_typed)" = "{typed}"')


def _fish_word(word: Word) -> str:
    if word.text.startswith("--"):
        return f"-l {word.text[2:]}" + (f" -xa {_fish_quoted(' '.join(word.choices))}" if word.choices else "")
    return f"-s {word.text[1:]}" if word.text.startswith("-") else f"-a {quote(word.text)}"


def _fish_quoted(text: str) -> str:
    """In fish a backslash escapes within single quotes too."""
    plain = text.replace("%%", "%").replace("\\", "\\\\").replace("'", "\\'")
    return f"'{plain}'"


def _texts(found: list[Word]) -> str:
    return " ".join(word.text for word in found)


_SCRIPTS = {"bash": _bash, "fish": _fish, "zsh": _zsh}
