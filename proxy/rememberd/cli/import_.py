"""`rememberd import`: sends exports of other tools and notes to the proxy, which learns from them."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import click
import orjson

from rememberd.cli import command as a_command
from rememberd.cli.terminal.client import Client, ProxyError, Where, proxy_options
from rememberd.cli.terminal.output import Progress, print_json, print_lines
from rememberd.cli.terminal.own_server import reachable
from rememberd.memory.importers.files import EXPECTED, FORMATS, Export, opened
from rememberd.memory.importers.records import BadFile, Line
from rememberd.memory.recall.block import clean

EXAMPLES = """\
  rememberd import chatgpt-export.zip --dry-run     # show what would be learned, and write nothing
  rememberd import chatgpt-export.zip
  rememberd import my-memory.mem                    # or PAM's memory-store.json
  rememberd import --prompt                         # a prompt for another assistant; import its answer
  rememberd import notes.md --scope work            # one statement per line or bullet
  rememberd import memories.ndjson                  # what `rememberd memories export` wrote
"""

# Assistants answer this in the format that `pasted` reads. The memory page shows the same text.
PROMPT = """\
List every memory that you have stored about me, and everything that you know about me from our conversations: who I
am, where I live and work, people, preferences, projects, and how I want you to answer. Leave nothing out and do not
summarise. Keep my own words where you have them. Write all of it in one code block, one memory a line, in this form:
[date saved as YYYY-MM-DD, or unknown] - memory"""

_LINES = 50  # per request: a new message of the user waits for at most this number of turns
_BYTES = 4 * 2**20  # per request, unless a single line is larger
_SHOWN = 20  # facts
_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.05, 1.0
_TIMEOUT_SECONDS = 300.0  # the writer learns from one request within this time


@dataclass
class Summary:
    """Counts of lines and results. `facts` are the distinct texts learned from turns; `added` counts memories that
    the file contained."""

    turns: int = 0
    memories: int = 0
    facts: dict[str, None] = field(default_factory=dict)
    added: int = 0
    episodes: int = 0
    known: int = 0
    skipped: int = 0
    lost: int = 0
    redacted: int = 0
    replaced: int = 0
    import_id: str = ""
    errors: list[str] = field(default_factory=list)

    @property
    def learned(self) -> int:
        return len(self.facts) + self.added


@a_command("import", EXAMPLES)
@proxy_options
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--format", "kind", type=click.Choice(FORMATS), default="auto", help="default: auto, from the file itself"
)
@click.option("--dry-run", is_flag=True, help="print what would be added, merged and refused, and write nothing")
@click.option("--undo", is_flag=True, help="FILE is the id of an import: delete everything that it added")
@click.option("--prompt", is_flag=True, help="print a prompt for another assistant, whose answer you can import")
@click.option("--json", "as_json", is_flag=True, help="print the summary as JSON")
def command(
    where: Where, file: Path | None, kind: str, dry_run: bool, undo: bool, prompt: bool, as_json: bool
) -> int:
    if prompt:
        print(PROMPT)
        return 0
    if file is None:
        raise click.UsageError("name a file to import")
    with reachable(where) as proxy:
        return _undo(proxy, str(file)) if undo else _import(proxy, file, kind, dry_run, as_json)


def _undo(proxy: Client, import_id: str) -> int:
    undone = proxy.ask("DELETE", f"/v1/memories/imports/{quote(import_id, safe='')}")
    print(f"deleted: {undone['deleted']:,} memories; {undone['reopened']:,} that they had replaced are valid again")
    if undone["pending"]:
        print(f"{undone['pending']:,} exchanges are still being processed: run this again in a moment")
    return 0


def _import(proxy: Client, file: Path, kind: str, dry_run: bool, as_json: bool) -> int:
    summary = Summary(import_id="" if dry_run else str(uuid4()))
    take = _foresee if dry_run else _send
    _allowed(partial(proxy.ask, "GET", "/v1/memories?limit=1"))  # fails early, before a long file is read
    try:
        with Progress("reading") as progress, opened(file, kind) as exports:
            for export in exports:
                for batch in _batches(export):
                    take(proxy, batch, summary)
                    progress.show(export.fraction, _so_far(summary))
                summary.errors += [f"{each} does not have the expected format" for each in export.unreadable]
    except KeyboardInterrupt:
        print("\nstopped; run the command again to continue, nothing is added twice", file=sys.stderr)
        return 130
    if not summary.turns + summary.memories + len(summary.errors):
        raise BadFile(f"{file} has nothing to import: {EXPECTED}")
    if as_json:
        print_json(_as_json(summary, dry_run))
    else:
        _report(summary, dry_run)
    return 0


def _batches(export: Export) -> Iterator[list[Line]]:
    batch: list[Line] = []
    size = 0
    for line in export.lines():
        batch.append(line)
        size += len(line.get("user") or "") + len(line.get("answer") or "")
        if len(batch) >= _LINES or size >= _BYTES:
            yield batch
            batch, size = [], 0
    yield batch


def _foresee(proxy: Client, batch: list[Line], summary: Summary) -> None:
    """Ask the proxy what it would learn from the batch. Writes nothing."""
    if not batch:
        return
    lines = [orjson.dumps(line) + b"\n" for line in batch]
    answer = _answer(proxy, "/v1/memories/import?dry_run=true", lines, summary)
    for told in answer["data"] if answer else ():
        outcome, is_turn = told["outcome"], "user" in batch[told["line"] - 1]
        summary.turns += is_turn
        summary.memories += not is_turn
        summary.known += outcome == "merge"
        summary.skipped += outcome == "skip"
        summary.replaced += outcome == "replace"
        summary.episodes += outcome == "exchange"
        summary.redacted += told["text"].count("[redacted: ")
        learned = told.get("facts", []) if is_turn else [told["text"]] if outcome in ("add", "replace") else []
        summary.facts.update((text, None) for text in learned)


def _answer(proxy: Client, path: str, lines: list[bytes], summary: Summary) -> dict[str, Any] | None:
    """The proxy's answer; None if all lines were refused. Errors are added to `summary.errors`."""
    try:
        answer: dict[str, Any] = _allowed(partial(proxy.ask, "POST", path, lines=lines))
    except ProxyError as error:
        if error.status != 400:
            raise
        summary.errors.append(str(error))
        return None
    summary.errors += [each["message"] for each in answer["errors"]]
    return answer


def _send(proxy: Client, batch: list[Line], summary: Summary) -> None:
    """Send the batch and wait until it is learned, so that a new message of the user does not wait for the whole
    import."""
    if not batch:
        return
    lines = [orjson.dumps(line) + b"\n" for line in batch]
    answer = _answer(proxy, f"/v1/memories/import?import_id={summary.import_id}", lines, summary)
    if answer is None:
        return
    taken = answer["turns"]
    turns = sum(map(len, taken.values()))
    summary.turns += turns
    summary.memories += len(batch) - turns - len(answer["errors"])
    summary.added += answer["added"]
    summary.known += answer["merged"] + len(taken["known"])
    summary.skipped += len(taken["skipped"])
    for receipt in _settled(proxy, taken["queued"]):
        _count(receipt, summary)


def _settled(proxy: Client, waiting: list[str]) -> Iterator[dict[str, Any]]:
    """The receipts, each after the writer has processed its turn. Receipts of an erased user are left out."""
    end, pause = time.monotonic() + _TIMEOUT_SECONDS, _POLL_SECONDS
    while waiting:
        path = f"/v1/receipts?ids={','.join(waiting)}"
        found = _allowed(partial(proxy.ask, "GET", path))["data"]
        yield from (receipt for receipt in found if receipt["write"] != "pending")
        waiting = [receipt["id"] for receipt in found if receipt["write"] == "pending"]
        if waiting and time.monotonic() > end:
            raise ProxyError("the writer makes no progress: see `rememberd check`, then run this again to continue")
        if waiting:
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_POLL_SECONDS)


def _allowed(ask: Callable[[], Any]) -> Any:
    """The result of `ask`, after waiting as long as the key's rate limit requires."""
    while True:
        try:
            return ask()
        except ProxyError as error:
            if error.retry_after is None:
                raise
            time.sleep(error.retry_after)


def _count(receipt: dict[str, Any], summary: Summary) -> None:
    summary.lost += receipt["write"] == "lost"
    summary.skipped += receipt["write"] == "nothing"
    written = [memory for memory in receipt["written"] if not memory.get("deleted")]
    for memory in written:
        if memory["kind"] == "fact":
            summary.facts[memory["text"]] = None
        else:
            summary.episodes += 1
            summary.redacted += memory["text"].count("[redacted: ")


def _so_far(summary: Summary) -> str:
    return f"{summary.turns + summary.memories:,} read, {summary.learned:,} facts"


def _report(summary: Summary, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    print(f"read: {summary.turns:,} exchanges, {summary.memories:,} memories")
    print(f"{would}learned: {summary.learned:,} facts, {summary.episodes:,} exchanges kept")
    print_lines([f"  - {clean(fact)}" for fact in list(summary.facts)[:_SHOWN]])
    if len(summary.facts) > _SHOWN:
        print(f"  and {len(summary.facts) - _SHOWN:,} more")
    for count, about in (
        (summary.replaced, "of them would replace current memories"),
        (summary.known, "already known"),
        (summary.skipped, "with nothing to remember"),
        (summary.redacted, "secrets redacted"),
        (summary.lost, "lost: see `rememberd check`"),
        (len(summary.errors), "not readable"),
    ):
        if count:
            print(f"{count:,} {about}")
    for error in summary.errors[:_SHOWN]:
        print(f"  - {error}")
    if summary.import_id and summary.learned + summary.episodes:
        print(f"to undo this import: rememberd import --undo {summary.import_id}")


def _as_json(summary: Summary, dry_run: bool) -> dict[str, Any]:
    return {
        "object": "import",
        "dry_run": dry_run,
        "turns": summary.turns,
        "memories": summary.memories,
        "facts": summary.learned,
        "episodes": summary.episodes,
        "known": summary.known,
        "skipped": summary.skipped,
        "redacted": summary.redacted,
        "lost": summary.lost,
        "errors": summary.errors,
        "import_id": summary.import_id or None,
        "learned": list(summary.facts),
    }
