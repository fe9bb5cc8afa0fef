"""engram-proxy (PyPI) as a peer: the write path of its own benchmark and its own recall, in a process of its own.

Each turn is a session of its own, so that engram itself says which turns are behind its block. Its thresholds are its
defaults, which its author calibrated on another embedder. Its summaries are its extractive ones, as in its own
published benchmark: no language model runs here. Its recall is asked in its dry mode, so that a question changes
nothing."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests.quality.datasets.conversation import Conversation
from loadtests.quality.measure import BUDGETS, Answered, Memories
from loadtests.quality.peers import ollama
from rememberd.memory.recall.block import tokens

NAME, VERSION = "engram-proxy", "0.7.0"
# Summaries and titles at most, by budget: engram's own three sizes, for models below 4, below 14 and from 14 billion
# parameters on. Its smallest has 350 tokens.
SIZES = {250: (2, 2), 500: (2, 2), 1000: (4, 4), 2000: (6, 6)}
SETTINGS = {
    "version": VERSION,
    "summaries": "extractive",
    "sizes": SIZES,
    "embedder": "ours, behind a stand-in for Ollama",
}
CHILD = Path(__file__).with_name("engram_child.py")  # with -P: `engram` is the package, not this module


async def answered(memories: Memories, conversations: Sequence[Conversation], folder: Path) -> list[Answered]:
    """Installs engram into `folder` with pip and asks it everything. Raises RuntimeError if pip or engram fails."""
    packages = folder / "engram"
    wanted = f"{NAME}=={VERSION}"
    await _run([sys.executable, "-m", "pip", "install", "--quiet", "--target", str(packages), wanted], {})
    answers = []
    async with ollama.serving(memories.embedder) as url:
        for spoken in conversations:
            told = json.dumps(_job(spoken, url, memories.embedder.dim, folder)).encode()
            output = await _run([sys.executable, "-P", str(CHILD)], {"PYTHONPATH": str(packages)}, told)
            for question, results in zip(spoken.questions, json.loads(output), strict=True):
                for budget, got in zip(BUDGETS, results, strict=True):
                    share = await memories.score(question, got["turns"], turns=True)
                    used = tokens(got["block"]) if got["block"] else 0
                    answers.append(Answered(NAME, budget, question.category, share, used, got["ms"]))
    return answers


def _job(spoken: Conversation, url: str, dim: int, folder: Path) -> dict[str, Any]:
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
    limits = [(*SIZES[budget], budget) for budget in BUDGETS]
    return {"url": url, "dim": dim, "folder": str(folder), "turns": turns, "questions": questions, "limits": limits}


async def _run(command: Sequence[str], environment: dict[str, str], told: bytes = b"") -> bytes:
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(
        *command, stdin=pipe, stdout=pipe, stderr=pipe, env=os.environ | environment
    )
    output, complaint = await child.communicate(told)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)}: {complaint.decode(errors='replace').strip()[-2000:]}")
    return output
