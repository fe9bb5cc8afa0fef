"""How much of the gold evidence gets into the context block: no judge, no model call. DATASET is `synthetic`, which
the project makes itself, or one that you have downloaded to PATH."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from loadtests.quality.blind import here
from loadtests.quality.blind import table as table_of_sets
from loadtests.quality.blind_served import served
from loadtests.quality.datasets import READERS, checked
from loadtests.quality.datasets.conversation import Conversation
from loadtests.quality.folds import folds
from loadtests.quality.measure import BUDGETS, Answered, asked, recalls, written
from loadtests.quality.peers.installed import PEERS, answered
from loadtests.quality.report import agreement, plot, summary, table, timing
from loadtests.quality.scores import Found, in_sessions, points, session_shares, session_table
from loadtests.quality.served import reader, small_model
from loadtests.quality.served.evidence import through_the_proxy


class Bar:
    """A progress bar on stderr."""

    def __init__(self, label: str, total: int) -> None:
        self.label, self.total, self.done = label, total, 0

    def __call__(self, steps: int = 1) -> None:
        self.done += steps
        share = self.done / max(self.total, 1)
        end = "\n" if self.done >= self.total else ""
        print(f"\r{self.label} [{'#' * int(30 * share):30}] {share:4.0%}", end=end, file=sys.stderr, flush=True)


async def run(
    conversations: list[Conversation], check_folds: bool, peers: Sequence[str] = (), proxy: bool = False
) -> dict[str, Any]:
    """Every way of one data set; with `proxy` also what reaches the model behind a running one."""
    with tempfile.TemporaryDirectory(prefix="rememberd-quality-") as folder:
        writing = Bar("writing", sum(len(each.turns) for each in conversations))
        async with written(Path(folder), conversations, writing) as memories:
            asking = Bar("asking ", sum(len(each.questions) for each in conversations))
            answers: list[Answered] = []
            sessions: list[Found] = []
            ways = recalls(memories)
            for spoken in conversations:
                for question in spoken.questions:
                    answers += await asked(memories, ways, spoken, question)
                    if question.sessions:
                        sessions += await in_sessions(memories, ways, spoken, question)
                    asking()
            for name in peers:
                answers += await answered(name, memories, conversations, Path(folder))
            if proxy:
                asked_of = sum(bool(question.gold) for each in conversations for question in each.questions)
                chatting = Bar("chatting", len(BUDGETS) * asked_of)
                answers += await asyncio.to_thread(through_the_proxy, Path(folder), conversations, chatting)
            history = [memories.vectors.history_tokens(spoken.space.user) for spoken in conversations]
            result: dict[str, Any] = {
                "questions": sum(len(each.questions) for each in conversations),
                "memories": memories.counts,
                "history_tokens": round(sum(history) / len(history)),
            }
            if answers:
                result["recall_ms"] = timing(answers)
                for name in peers:
                    package, settings = PEERS[name].package, PEERS[name].settings
                    result.setdefault("peers", {})[package] = settings | {"recall_ms": timing(answers, package)}
                # without the question's embedding, which the product's recall has just cached
                result["vector_search_ms"] = timing(answers, "vector store")
                result["ways"] = summary(answers)
            if sessions:
                result["sessions"] = session_shares(sessions)
            if any(spoken.points for spoken in conversations):
                result["points"] = await points(memories, conversations)
            return result | ({"folds": await folds(memories, conversations)} if check_folds else {})


def read(conversations: list[Conversation], named: str) -> dict[str, Any]:
    """What a real model answers with memory on, off and with the history. `named` is NAME=API_BASE, or "" for the
    small model of PyPI. Raises ValueError for a data set that has no exact answers."""
    wanted = sum(bool(question.answer) for spoken in conversations for question in spoken.questions)
    if not wanted:
        raise ValueError("this data set has no answers that can be compared word by word; use `synthetic`")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rememberd-reader-")))
        name, _, base = named.partition("=")
        if not named:
            name = small_model.NAME
            base = stack.enter_context(small_model.small_model(small_model.installed(folder / "packages")))
        url = stack.enter_context(reader.served(folder / "proxy", base, name))
        found = reader.read(url, name, conversations, Bar("reading", wanted * len(reader.MODES)))
    return {"model": name, "modes": reader.accuracy(found)}


def blind(folder: Path, out: Path | None, show_misses: bool) -> None:
    misses: list[str] = []
    with tempfile.TemporaryDirectory(prefix="rememberd-blind-") as data:
        result = here(folder, misses) | served(folder, Path(data), misses)
    print(table_of_sets(result))
    if show_misses:
        print("\n".join(misses))
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "blind.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtests.quality", description=__doc__)
    parser.add_argument("dataset", nargs="?", choices=sorted(READERS))
    parser.add_argument("path", nargs="?", type=Path, help="the file or folder as it was published")
    parser.add_argument("--blind", type=Path, metavar="FOLDER", help="the blind sets in this folder, instead")
    parser.add_argument(
        "--out", type=Path, help="write quality.json and quality.svg, or blind.json, into this folder"
    )
    parser.add_argument("--against", type=Path, metavar="FILE", help="the quality.json of an earlier run")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N conversations or histories")
    parser.add_argument("--peer", action="append", default=[], choices=sorted(PEERS), help="installed by pip")
    parser.add_argument("--proxy", action="store_true", help="also through a running proxy: what its upstream gets")
    parser.add_argument(
        "--reader",
        nargs="?",
        const="",
        metavar="NAME=API_BASE",
        help="instead, what this model answers with memory on, off and the history; SmolLM2-135M if none is named",
    )
    parser.add_argument("--folds", action="store_true", help="tune on all conversations but one, check on that one")
    parser.add_argument("--misses", action="store_true", help="print each error on the blind sets")
    chosen = parser.parse_args()
    if chosen.blind:
        blind(chosen.blind, chosen.out, chosen.misses)
        return
    if not chosen.dataset or (chosen.dataset != "synthetic" and not chosen.path):
        parser.error("name a data set and its path, `synthetic`, or --blind FOLDER")
    if chosen.path:
        print(checked(chosen.path))
    conversations = READERS[chosen.dataset](chosen.path)[: chosen.first]
    if chosen.folds and len(conversations) < 2:
        parser.error("--folds needs at least two conversations")
    if chosen.reader is not None:
        result = read(conversations, chosen.reader)
        print(f"{result['model']}\n\n{reader.table(result['modes'])}")
    else:
        result = asyncio.run(run(conversations, chosen.folds, chosen.peer, chosen.proxy))
        shown(result)
        if chosen.against:
            print(agreement(json.loads(chosen.against.read_text())["ways"], result["ways"]))
    if chosen.out:
        chosen.out.mkdir(parents=True, exist_ok=True)
        (chosen.out / f"{'quality' if chosen.reader is None else 'reader'}.json").write_text(
            json.dumps(result, indent=2) + "\n"
        )
        if "ways" in result:
            plot(result["ways"], chosen.out / "quality.svg")


def shown(result: dict[str, Any]) -> None:
    if "ways" in result:
        print(table(result["ways"]))
    if "sessions" in result:
        print("\n" + session_table(result["sessions"]))
    print({key: value for key, value in result.items() if key not in ("ways", "sessions")})


if __name__ == "__main__":
    main()
