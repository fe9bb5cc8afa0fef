"""`rememberd completion`: prints a script for a shell's completion, which asks rememberd for commands and options."""

import click
from click.shell_completion import get_completion_class

from rememberd.cli import command as a_command

EXAMPLES = """\
  rememberd completion bash > ~/.local/share/bash-completion/completions/rememberd
  rememberd completion zsh > ~/.zfunc/_rememberd      # with fpath+=~/.zfunc before compinit
  rememberd completion fish > ~/.config/fish/completions/rememberd.fish
"""


@a_command("completion", EXAMPLES)
@click.argument("shell", type=click.Choice(["bash", "fish", "zsh"]))
def command(shell: str) -> int:
    from rememberd.cli.main import program  # it imports this module

    completer = get_completion_class(shell)
    assert completer is not None
    print(completer(program, {}, "rememberd", "_REMEMBERD_COMPLETE").source())
    return 0
