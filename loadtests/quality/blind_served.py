"""The blind sets that need a store, through a real `rememberd serve`: one person a case, told and asked over HTTP.

What was told on earlier days is imported with its date, which takes the writer's usual path; what is told today is a
chat. No model is configured for extraction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from loadtests.machine import cores
from loadtests.quality.blind import Counts, Misses, Row, by_place, holds, rows
from loadtests.quality.person import MODEL, Person
from loadtests.servers import KEY, serving
from loadtests.workers import models
from rememberd.memory.learn.wishes.memory_commands import memory_command

AT_ONCE = 4
OTHERS = 200  # facts that a person has besides the one that a need calls for
T = TypeVar("T")


def updates(url: str, dialogues: Sequence[Row], misses: Misses) -> dict[str, Counts]:
    """By kind: dialogues after which all is as it should be, and what became of each statement. `never a fact` was
    not learned, so that nothing could be closed either."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row, (current, past) in zip(dialogues, _each(lambda row: _told(url, row), dialogues), strict=True):
        states = [(text, "should hold", _state(text, current, past)) for text in row["current"]]
        states += [(text, "should be over", _state(text, current, past)) for text in row["over"]]
        good = all((wanted == "should hold") == (state == "holds") for _, wanted, state in states)
        count = Counter(dialogues=1, **{"as it should be": good})
        count.update(f"{wanted}: {state}" for _, wanted, state in states)
        for place in ("all", row["kind"]):
            counts[place].update(count)
        if not good:
            misses.append(f"updates {row['id']} ({row['kind']}, {row['sub']}): {states} after {row['turns']}")
    return by_place(counts)


def _told(url: str, row: Row) -> tuple[list[str], list[str]]:
    """Current and past facts after a dialogue of which each message came a day after the one before it."""
    *before, last = row["turns"]
    with Person(url) as person:
        person.said([(_ago(len(before) - place), text) for place, text in enumerate(before)])
        person.says(last)
        facts = person.memories(kind="fact", include_past="true")
    return [fact["text"] for fact in facts if fact["valid_to"] is None], [
        fact["text"] for fact in facts if fact["valid_to"] is not None
    ]


def _state(text: str, current: Sequence[str], past: Sequence[str]) -> str:
    return "holds" if holds(current, text) else "over" if holds(past, text) else "never a fact"


def forget(url: str, wishes: Sequence[Row], misses: Misses) -> dict[str, Counts]:
    """Wishes to forget and sentences that only look like one. All memories count, exchanges and past ones too.
    `understood`: taken for a wish about the memory, whether or not anything was found to forget."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row, left in zip(wishes, _each(lambda row: _wished(url, row), wishes), strict=True):
        still = [part for part in row["gone"] if holds(left, part)]
        lost = [part for part in row["stays"] if not holds(left, part)]
        place = "wish" if row["wish_to_forget"] else "looks like one"
        good = not still and not lost
        command = memory_command(row["wish"])
        count = Counter(cases=1, right=good, understood=command is not None and command.kind.startswith("forget"))
        count.update({"not gone": bool(still), "lost what should stay": bool(lost)})
        counts[place].update(count)
        if not good:
            misses.append(
                f"forget {row['id']} ({place}): left {still}, lost {lost} after {row['told']} {row['wish']!r}"
            )
    return by_place(counts)


def _wished(url: str, row: Row) -> list[str]:
    with Person(url) as person:
        for text in [*row["told"], row["wish"]]:
            person.says(text)
        return [memory["text"] for memory in person.memories(include_past="true")]


def needs(url: str, pairs: Sequence[Row], misses: Misses) -> dict[str, Counts]:
    """Is the fact in the block of a question that needs it? Asked by a person who has it and 200 others, and by one
    who has all facts of the set and these 200; there another fact of the set may answer as well."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    alone = _each(lambda row: _needed(url, row), pairs)
    with Person(url) as person:
        person.has([*(row["fact"] for row in pairs), *other_facts()])
        together = _each(lambda row: str(person.recalls(row["question"])["block"]), pairs)
    for row, block, crowded in zip(pairs, alone, together, strict=True):
        found = holds([block], row["fact"])
        for place in ("200 others", f"200 others, {_language(row)}"):
            counts[place].update(questions=1, found=found, **{"no block": not block})
        counts["all of them, 200 others"].update(
            questions=1, found=holds([crowded], row["fact"]), **{"no block": not crowded}
        )
        if not found:
            misses.append(f"needs {row['id']}: {row['fact']!r} for {row['question']!r}")
    return by_place(counts)


def _needed(url: str, row: Row) -> str:
    with Person(url) as person:
        person.has([row["fact"], *other_facts()])
        return str(person.recalls(row["question"])["block"])


def general(url: str, facts: Sequence[str], questions: Sequence[Row], misses: Misses) -> dict[str, Counts]:
    """Blocks of questions that need nothing of anybody, and their tokens. Asked by a person who has 200 everyday
    facts, and by one who has `facts` as well, none of which says how to answer.
    `profile only`: nothing in the block has to do with the question."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for who, more in (("200 others", ()), ("all of them, 200 others", facts)):
        with Person(url) as person:
            person.has([*more, *other_facts()])
            recalled = _each(lambda row: person.recalls(row["question"]), questions)
        for row, got in zip(questions, recalled, strict=True):
            found = [(memory["reason"], memory["text"]) for memory in got["memories"]]
            unasked = bool(found) and all(reason == "profile" for reason, _ in found)
            count = Counter(
                questions=1, tokens=got["tokens"], **{"with a block": bool(found), "profile only": unasked}
            )
            for place in (who, f"{who}, {_language(row)}"):
                counts[place].update(count)
            if found and not unasked:
                misses.append(f"general {row['id']} ({who}): {row['question']!r} got {found}")
    return by_place(counts)


def times(url: str, cases: Sequence[Row], misses: Misses) -> dict[str, Counts]:
    """Is what was told at the time that the question means in the block? Nothing is in the store but what the case
    tells; `others told`: cases that tell something else, too, which `… left out` does not show."""
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row, block in zip(cases, _each(lambda row: _asked_later(url, row), cases), strict=True):
        found = holds([block], row["expect"])
        others = [told["text"] for told in row["told"] if not holds([told["text"]], row["expect"])]
        alone = bool(others) and found and not any(holds([block], other) for other in others)
        count = Counter(questions=1, found=found, **{"no block": not block, "others told": bool(others)})
        count["… left out"] = alone
        for place in ("all", _language(row)):
            counts[place].update(count)
        if not found:
            misses.append(f"time {row['id']}: {row['expect']!r} for {row['question']!r}")
    return by_place(counts)


def _language(row: Row) -> str:
    return "English" if row["lang"] == "en" else "other languages"


def _asked_later(url: str, row: Row) -> str:
    told = [(_ago(each["days_ago"], place), each["text"]) for place, each in enumerate(row["told"])]
    with Person(url) as person:
        person.said(sorted(told))
        return str(person.recalls(row["question"])["block"])


def _ago(days: int, place: int = 0) -> datetime:
    """Some minutes before now on that day, but not before its midnight; what was told later in a day comes later."""
    now = datetime.now(UTC) - timedelta(days=days)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return max(now - timedelta(minutes=30 - place), midnight + timedelta(seconds=place))


def _each(does: Callable[[Row], T], given: Sequence[Row]) -> list[T]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(does, given))


def other_facts() -> list[str]:
    """Everyday facts that no need calls for, the same at each run."""
    things = (
        "an old piano,a red kayak,a stamp album,two hammocks,a film camera,a sewing kit,a telescope,a record player,"
        "a chess set,a toolbox,a tent,a typewriter,a banjo,a globe"
    )
    people = "My friend Mira,My cousin Jonas,My neighbour Ida,My colleague Pavel,My uncle Aldo,My old teacher Ruth"
    deeds = (
        "collects fountain pens,sings in a choir,restores clocks,plays the oboe,keeps bees,bakes on Sundays,"
        "paints landscapes,rides an old motorbike,studies fossils,repairs radios,writes novels,sails every June"
    )
    liked = (
        "crossword puzzles,rainy Sundays,flea markets,black-and-white films,lighthouses,jazz records,brass bands,"
        "tide pools,long train rides,paper maps,street chess,old cinemas,radio plays,snow,harbour cranes"
    )
    seen = (
        "a meteor shower,a puppet play,a steam fair,a tall-ship parade,a total eclipse,a glass workshop,"
        "a stone circle,an ice sculpture,a kite festival,a night market"
    )
    places = ["Ghent", "Turku", "Graz", "Porto", "Leiden", "Bath", "Trieste", "Lund", "Cork", "Riga"]
    facts = [f"I own {thing}." for thing in things.split(",")]
    facts += [f"{person} {deed}." for person in people.split(",") for deed in deeds.split(",")]
    facts += [f"I like {each}." for each in liked.split(",")]
    facts += [f"I once saw {each} in {place}." for place in places for each in seen.split(",")]
    return facts[:OTHERS]


@contextmanager
def proxy(folder: Path) -> Iterator[str]:
    """The address of a `rememberd serve` that keeps its data in `folder`."""
    with models(1, 0, cores(False)) as port:
        params = {"model": f"openai/{MODEL}", "api_base": f"http://127.0.0.1:{port}/{MODEL}/v1", "api_key": "sk-x"}
        settings = {
            "server": {"port": 0},
            "data_dir": str(folder / "data"),
            "model_list": [{"model_name": MODEL, "litellm_params": params}],
            "keys": [{"name": "blind", "key": KEY, "trust_identity": True}],
            "memory": {"deadline_ms": 10_000},  # a busy machine must not drop questions
        }
        with serving(folder / "proxy", settings) as (_, served):
            yield f"http://127.0.0.1:{served}"


def served(folder: Path, data: Path, misses: Misses) -> dict[str, Any]:
    """The sets in `folder` that need a store, which lies in `data` meanwhile."""
    pairs = rows(folder, "needs")
    facts = [row["fact"] for row in pairs]
    with proxy(data) as url:
        return {
            "updates": updates(url, rows(folder, "updates"), misses),
            "forget": forget(url, rows(folder, "forget"), misses),
            "needs": needs(url, pairs, misses),
            "general": general(url, facts, rows(folder, "general"), misses),
            "time": times(url, rows(folder, "time"), misses),
        }
