"""`rememberd recall`: shows what a question would recall: the candidates with their scores, and the block."""

from typing import Any

import click

from rememberd.cli import command as a_command
from rememberd.cli.terminal.client import Where, proxy_options
from rememberd.cli.terminal.output import print_json, print_lines, print_table
from rememberd.cli.terminal.own_server import reachable

EXAMPLES = """\
  rememberd recall "which snacks should I avoid?"
  rememberd recall "where do I live?" --limit 50 --json
"""

_PARTS = ("cosine", "words", "session", "need")


@a_command("recall", EXAMPLES)
@proxy_options
@click.argument("question")
@click.option(
    "--limit", type=click.IntRange(1, 500), default=20, help="show at most this many other candidates (default: 20)"
)
@click.option("--model", help="show what this model would get: private memories are only for local models")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
def command(where: Where, question: str, limit: int, model: str | None, as_json: bool) -> int:
    asked = {"text": question, "limit": limit} | ({"model": model} if model else {})
    with reachable(where) as proxy:
        found = proxy.ask("POST", "/v1/memories/preview", asked)
    if as_json:
        print_json(found)
        return 0
    lists = (("in", found["memories"]), ("withheld", found["withheld"]), ("out", found["left_out"]))
    rows = [_row(name, each) for name, memories in lists for each in memories]
    if rows:
        print_table(("", "WHY", *map(str.upper, _PARTS), "TEXT"), rows)
    else:
        print("no memory is related to this question")
    print_lines(["", f"{found['status']}, {found['tokens']} tokens", *found["block"].splitlines()])
    return 0


def _row(name: str, memory: dict[str, Any]) -> tuple[str, ...]:
    parts = memory["parts"] or {}
    numbers = [f"{parts[each]:.2f}" if each in parts else "-" for each in _PARTS]
    return (name, memory.get("reason") or "", *numbers, memory["text"])
