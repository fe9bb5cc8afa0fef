"""Other memories on the same turns and questions, with our embedder and no language model, each in a process of its
own with its own packages, installed by pip.

engram-proxy: the write path of its own benchmark and its own recall. Each turn is a session of its own, so that
engram itself says which turns are behind its block. Its thresholds are its defaults, which its author calibrated on
another embedder. Its summaries are its extractive ones, as in its own published benchmark. Its recall is asked in its
dry mode, so that a question changes nothing.

Mem0: `add(infer=False)`, which stores each turn as it is, for its inference needs a language model; its own search
with its default threshold, in its default store, Qdrant's local mode. What it finds fills the budget in its order.
Its keyword search is off, because it fetches a model from a hub. Its published figures are with inference, so they
are another thing."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from loadtests.quality.datasets.conversation import Conversation
from loadtests.quality.measure import BUDGETS, Answered, Memories
from loadtests.quality.peers import embeddings
from rememberd.memory.recall.block import tokens

HERE = Path(__file__).parent


class Peer(NamedTuple):
    """`child` is the program that asks it, `limits` what it is told for each budget, `settings` what is printed."""

    package: str
    child: Path
    limits: Sequence[Any]
    settings: dict[str, Any]


# Summaries and titles at most, by budget: engram's own three sizes, for models below 4, below 14 and from 14 billion
# parameters on. Its smallest has 350 tokens.
_SIZES = {250: (2, 2), 500: (2, 2), 1000: (4, 4), 2000: (6, 6)}
MEM0_TOP_K = 100  # more than 2,000 tokens hold
PEERS = {
    "engram": Peer(
        "engram-proxy==0.7.0",
        HERE / "engram_child.py",
        [(*_SIZES[budget], budget) for budget in BUDGETS],
        {"summaries": "extractive", "sizes": _SIZES, "embedder": "ours, behind a stand-in for Ollama"},
    ),
    "mem0": Peer(
        "mem0ai==2.2.1",
        HERE / "mem0_child.py",
        [MEM0_TOP_K for _ in BUDGETS],
        {
            "infer": False,
            "top_k": MEM0_TOP_K,
            "keyword search": False,
            "embedder": "ours, behind a stand-in for OpenAI",
        },
    ),
}


async def answered(
    name: str, memories: Memories, conversations: Sequence[Conversation], folder: Path
) -> list[Answered]:
    """Installs the peer into `folder` and asks it everything. Raises RuntimeError if pip or the peer fails."""
    peer, packages = PEERS[name], folder / name
    await _run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(packages), peer.package], {})
    answers = []
    async with embeddings.serving(memories.embedder) as url:
        for number, spoken in enumerate(conversations):
            place = folder / f"{name}-{number}"
            place.mkdir()
            told = json.dumps(_job(peer, spoken, url, memories.embedder.dim, place)).encode()
            output = await _run([sys.executable, "-P", str(peer.child)], {"PYTHONPATH": str(packages)}, told)
            for question, results in zip(spoken.questions, json.loads(output.splitlines()[-1]), strict=True):
                for budget, got in zip(BUDGETS, results, strict=True):
                    shown, used = _within(got, budget)
                    share = await memories.score(question, shown, turns=True)
                    answers.append(Answered(peer.package, budget, question.category, share, used, got["ms"]))
    return answers


def _within(got: dict[str, Any], budget: int) -> tuple[list[str], int]:
    """The turns that are shown, and the tokens. A peer that gives a list of texts leaves the choice to its caller."""
    if "block" in got:
        return got["turns"], tokens(got["block"]) if got["block"] else 0
    shown, used = [], 0
    for turn, text in zip(got["turns"], got["texts"], strict=True):
        cost = tokens(text + "\n")
        if used + cost <= budget:
            shown.append(turn)
            used += cost
    return shown, used


def _job(peer: Peer, spoken: Conversation, url: str, dim: int, folder: Path) -> dict[str, Any]:
    turns = [
        {
            "id": turn.id,
            "date": datetime.fromtimestamp(turn.created_at / 1000, UTC).strftime("%Y/%m/%d (%a) %H:%M"),
            "user": f"{turn.speaker}: {turn.user_text}" if turn.speaker else turn.user_text,
            "answer": turn.answer,
        }
        for turn in spoken.turns
    ]
    questions = [question.text for question in spoken.questions]
    job = {"url": url, "dim": dim, "folder": str(folder), "turns": turns, "questions": questions}
    return job | {"limits": peer.limits}


async def _run(command: Sequence[str], environment: dict[str, str], told: bytes = b"") -> bytes:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, env=os.environ | environment
    )
    output, complaint = await child.communicate(told)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)}: {complaint.decode(errors='replace').strip()[-2000:]}")
    return output
