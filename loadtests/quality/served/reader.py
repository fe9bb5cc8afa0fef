"""A reader: the share of questions that a real model answers rightly with memory, without it, and with the history.

Each conversation is imported into a running proxy, then each question is a chat with the model behind it. An answer
is right if it holds the words of the expected one; no model judges. Data sets without such words cannot be read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from loadtests.quality.baselines import text_of
from loadtests.quality.datasets.conversation import Conversation, Question
from loadtests.quality.person import Person
from loadtests.quality.report import interval
from loadtests.servers import KEY, serving
from rememberd.memory.recall.block import tokens

MODES = ("memory on", "memory off", "full history")
ANSWER_TOKENS = 24
HISTORY_TOKENS = 5000  # by our estimate; the newest turns that fit into the context of a small model, 8,192 tokens
PATIENCE = 1800.0  # for one answer of a real model on a busy machine
_ARTICLE = re.compile(r"^(?:an?|the|eine?[mnr]?|une?|una|la|le|el|l')\b\s*")
Progress = Callable[[int], None]
Messages = Sequence[Mapping[str, str]]


class Read(NamedTuple):
    """One question asked in one mode; `tokens` are those of the prompt, as the model counted them."""

    mode: str
    category: str
    right: bool
    tokens: int
    answer: str


@contextmanager
def served(folder: Path, base: str, name: str, **memory: Any) -> Iterator[str]:
    """The URL of a `rememberd serve` in front of the model `name` at `base`."""
    settings = {
        "server": {"port": 0},
        "data_dir": str(folder / "data"),
        "model_list": [model_entry(name, base)],
        "keys": [{"name": "load", "key": KEY, "trust_identity": True}],
        "memory": {"deadline_ms": 5000} | memory,  # a benchmark must not lose memories to a busy machine
    }
    with serving(folder, settings) as (_, port):
        yield f"http://127.0.0.1:{port}"


def model_entry(name: str, base: str) -> dict[str, object]:
    params = {"model": f"openai/{name}", "api_base": base, "api_key": "sk-x", "timeout": PATIENCE}
    return {"model_name": name, "litellm_params": params}


def read(
    url: str,
    name: str,
    conversations: Sequence[Conversation],
    progress: Progress,
    history_tokens: int = HISTORY_TOKENS,
) -> list[Read]:
    """Every question that has an answer, in each mode, through the proxy at `url`."""
    found = []
    for spoken in conversations:
        with Person(url) as person:
            imported(person, spoken)
            history = [*_history(spoken, history_tokens)]
            for mode in MODES:  # one after the other, so that the model keeps the history in its cache
                for question in spoken.questions:
                    if question.answer:
                        found.append(_asked(person.http, name, question, mode, history))
                        progress(1)
    return found


def imported(person: Person, spoken: Conversation) -> None:
    """Through the API, and written when this returns. An import has no speakers: their names stand in the text."""
    person.exchanged(
        [
            {"id": turn.id, "conversation": turn.source.conversation, "answer": turn.answer}
            | {"created_at": datetime.fromtimestamp(turn.created_at / 1000, UTC).isoformat()}
            | {"user": f"{turn.speaker}: {turn.user_text}" if turn.speaker else turn.user_text}
            for turn in spoken.turns
        ]
    )


def _asked(http: httpx.Client, name: str, question: Question, mode: str, history: Messages) -> Read:
    before = history if mode == "full history" else ()
    messages = [*before, {"role": "user", "content": question.text}]
    answer, used = chat(http, name, messages, memory="read" if mode == "memory on" else "off")
    return Read(mode, question.category, holds(answer, question.answer), used, answer)


def chat(
    http: httpx.Client, name: str, messages: Messages, memory: str, most: int = ANSWER_TOKENS
) -> tuple[str, int]:
    """The model's answer, always the same for the same prompt, and the tokens of that prompt."""
    body = {"model": name, "messages": list(messages), "temperature": 0, "max_tokens": most}
    answer = http.post("/v1/chat/completions", json=body, headers={"x-memory": memory}, timeout=PATIENCE)
    told = answer.raise_for_status().json()
    return told["choices"][0]["message"]["content"], told["usage"]["prompt_tokens"]


def _history(spoken: Conversation, most: int) -> Iterator[dict[str, str]]:
    used, first = 0, len(spoken.turns)
    for place in range(len(spoken.turns) - 1, -1, -1):
        used += tokens(text_of(spoken.turns[place]))
        if used > most:
            break
        first = place
    for turn in spoken.turns[first:]:
        yield {"role": "user", "content": turn.user_text}
        yield {"role": "assistant", "content": turn.answer}


def holds(answer: str, expected: str) -> bool:
    """True if the words of `expected` stand in `answer`, whatever their case, their accents and the article."""
    wanted = _ARTICLE.sub("", _plain(expected))
    return re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", _plain(answer)) is not None


def _plain(text: str) -> str:
    parts = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(each for each in parts if not unicodedata.combining(each)).split())


def accuracy(found: Sequence[Read]) -> dict[str, Any]:
    """By mode: percent right with its interval, by category, and tokens of the prompt on average."""
    figures = {}
    for mode in MODES:
        some = [each for each in found if each.mode == mode]
        names = sorted({each.category for each in some})
        figures[mode] = {
            "questions": len(some),
            "right": _percent(some),
            "interval": interval([float(each.right) for each in some]),
            "tokens": round(sum(each.tokens for each in some) / len(some)),
            "categories": {name: _percent([each for each in some if each.category == name]) for name in names},
        }
    return figures


def _percent(found: Sequence[Read]) -> float:
    return round(100 * sum(each.right for each in found) / len(found), 1)


def table(figures: Mapping[str, Any]) -> str:
    """Markdown: a row a mode."""
    names = sorted(next(iter(figures.values()))["categories"])
    rows = [["% of the answers right", "all", *names, "tokens of the prompt"]]
    rows.append(["---"] * len(rows[0]))
    for mode, cell in figures.items():
        low, high = cell["interval"]
        shares = [str(cell["categories"][name]) for name in names]
        rows.append([mode, f"{cell['right']} ({low:.0f}–{high:.0f})", *shares, f"{cell['tokens']:,}"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
