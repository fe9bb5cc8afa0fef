"""The blind sets: messages and dialogues by somebody who knew none of the code, run through the product.

    python -m loadtests.quality --blind tests/data/blind [--out FOLDER] [--misses]

Here is what one message decides, in this process: facts by the rules (`turns`, `durable`, `handed`) and whether a
program or a person sent a request (`sidetasks`). What needs a store is in `blind_served`. The README in the folder
describes the sets.
"""

from __future__ import annotations

import json
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rememberd.dialects import chat
from rememberd.dialects.side_tasks import DOUBTFUL, ENOUGH, program_odds
from rememberd.memory.learn.rules.extract import extract
from rememberd.memory.learn.rules.judge import read_meaning

Row = dict[str, Any]
Counts = dict[str, int]
Misses = list[str]

# Labels of messages whose sentences do not hold of their writer. What comes of the other messages without facts
# (questions, tasks, moods, what is passing or past) is at worst of no use.
UNTRUE = frozenset(
    (
        "hypothesis",
        "pasted",
        "code",
        "joke",
        "hearsay",
        "sarcasm",
        "role play",
        "quoted",
        "lyrics",
        "fiction",
        "hedged",
        "almost",
        "riddle",
        "example sentence",
        "game",
        "imagined letter",
        "generic you",
        "story of others",
        "not said by user",
        "ad copy",
        "irony",
        "rejected",
    )
)


def rows(folder: Path, name: str) -> list[Row]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def totals(count: Counter[str]) -> Counts:
    return {name: int(number) for name, number in count.items()}


def by_place(counts: Mapping[str, Counter[str]]) -> dict[str, Counts]:
    return {place: totals(count) for place, count in counts.items()}


def plain(text: str) -> str:
    """As texts are compared: case, spaces and the mark at the end do not matter."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split()).rstrip(".!?…。！？ ")


def holds(texts: Iterable[str], part: str) -> bool:
    return any(plain(part) in plain(text) for text in texts)


def learned(message: str) -> list[str]:
    """The facts that the rules make of one message that came as a chat of its own."""
    return _learned({}, {"messages": [{"role": "user", "content": message}]})


def _learned(headers: Mapping[str, str], body: Row) -> list[str]:
    asked = chat.question(body) if program_odds(headers, body) < DOUBTFUL else None
    return [fact.text for fact in extract(asked.text, _now())] if asked else []


def turns(labelled: Sequence[Row], misses: Misses, learn: Callable[[str], list[str]] = learned) -> dict[str, Counts]:
    """By language and over all: counts of `_judged`, and of labelled facts and those found. The arguable messages are
    counted by themselves and nowhere else."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in labelled:
        made = learn(row["text"])
        if row.get("arguable"):
            counts["arguable"].update(messages=1, **{"with a fact": bool(made)})
            continue
        count = Counter(messages=1, labelled=len(row["facts"]), stored=len(made))
        count["strict right"] = sum(plain(text) in map(plain, row["facts"]) for text in made)
        count["strict found"] = sum(plain(fact) in map(plain, made) for fact in row["facts"])
        for text in made:
            count[kind := _judged(text, row)] += 1
            if kind != "right":
                misses.append(f"turns {row['id']} {kind} ({row.get('note') or row['slot']}): {text!r}")
        for core in row.get("core", ()):
            count["found"] += holds(made, core)
            if not holds(made, core):
                misses.append(f"turns {row['id']} not found ({row['slot']}): {core!r} in {row['text']!r}")
        for place in ("all", row["lang"]):
            counts[place].update(count)
    return by_place(counts)


def _judged(text: str, row: Row) -> str:
    """`right`: holds what is durable of a labelled sentence. `cut`: a piece of one that lacks some of it.
    `wrong`: not true of the writer. `junk`: anything else."""
    if any(holds([text], core) for core in row.get("core", ())):
        return "right"
    if any(holds([fact], text) for fact in row["facts"]):
        return "cut"
    return "wrong" if row.get("note") in UNTRUE else "junk"


def durable(statements: Sequence[Row], misses: Misses) -> dict[str, Counts]:
    """By class, then English and other languages: of how many statements a fact is made."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in statements:
        kept = bool(learned(row["text"]))
        for place in ("all", row["class"], "English" if row["lang"] == "en" else "other languages"):
            counts[place].update(statements=1, kept=kept)
        if not kept:
            misses.append(f"durable {row['id']} no fact ({row['class']}): {row['text']!r}")
    return by_place(counts)


def handed(messages: Sequence[Row], misses: Misses) -> Counts:
    """Messages of others' words alone that make a fact; facts that the person typed around such words and that are
    kept; and facts made of the others' words beside them."""
    count: Counter[str] = Counter()
    for row in messages:
        made, typed = learned(row["message"]), row.get("core") or row.get("facts") or ()
        others = [text for text in made if not any(holds([fact], text) or holds([text], fact) for fact in _own(row))]
        if row.get("arguable"):
            count.update(arguable=1, **{"arguable with a fact": bool(made)})
        elif not typed:
            count.update(only=1, **{"only, with a fact": bool(made)})
        else:
            count.update(around=1, typed=len(typed), **{"around, others' too": bool(others)})
            count["typed kept"] += sum(holds(made, core) for core in typed)
        if others and not row.get("arguable"):
            misses.append(f"handed {row['id']} others' words ({row['shape']}): {others}")
        misses.extend(
            f"handed {row['id']} not kept ({row['shape']}): {core!r}" for core in typed if not holds(made, core)
        )
    return totals(count)


def _own(row: Row) -> list[str]:
    return [*row.get("facts", ()), *row.get("core", ())]


def sidetasks(requests: Sequence[Row], misses: Misses) -> Counts:
    """Both errors: a program's request taken for a person's, and a person's taken for a program's. `with a fact`: the
    rules then learn one from the program's request."""
    count: Counter[str] = Counter()
    for row in requests:
        is_side = program_odds(row["headers"], row["body"]) >= ENOUGH
        error = is_side != (row["label"] == "side")
        label = "arguable" if row.get("arguable") else row["label"]
        count.update({label: 1, f"{label} mistaken": error})
        if error and label != "arguable":
            count[f"{label} mistaken, with a fact"] += bool(_learned(row["headers"], row["body"]))
            misses.append(f"sidetasks {row['id']} {label} mistaken ({row['kind']}): {row['body']['messages']}"[:400])
    return totals(count)


def _now() -> int:
    return round(time.time() * 1000)


def here(folder: Path, misses: Misses) -> dict[str, Any]:
    """The sets that one message decides."""
    read_meaning()
    return {
        "turns": turns(rows(folder, "turns"), misses),
        "durable": durable(rows(folder, "durable"), misses),
        "handed": handed(rows(folder, "handed"), misses),
        "sidetasks": sidetasks(rows(folder, "sidetasks"), misses),
    }


def table(result: Mapping[str, Any]) -> str:
    """All figures as Markdown, one table a set."""
    return "\n\n".join(f"**{name}**\n\n{_grid(figures)}" for name, figures in result.items())


def _grid(figures: Mapping[str, Any]) -> str:
    """A row a place; a set without places is one row."""
    nested: dict[str, Any] = {name: value for name, value in figures.items() if isinstance(value, dict)}
    nested = nested or {"all": dict(figures)}
    columns = list(dict.fromkeys(column for counts in nested.values() for column in counts))
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    lines += [[name, *(str(counts.get(column, "")) for column in columns)] for name, counts in nested.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
