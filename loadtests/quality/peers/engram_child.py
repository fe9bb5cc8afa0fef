"""Runs engram on one conversation: a job as JSON on stdin, per question and budget its turns, block and ms on stdout.

It runs with engram's packages alone, so it imports nothing of ours."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import aiohttp
from engram.config import Config
from engram.lme import _ingest
from engram.recall import Recall
from engram.store import Store

PATIENCE_S = 10.0  # for an embedding, as in engram's own benchmark


async def main(job: dict[str, Any]) -> list[list[dict[str, Any]]]:
    config = Config(services_url=job["url"], embed_model="packaged", embed_dim=job["dim"], embed_timeout_s=PATIENCE_S)
    with tempfile.TemporaryDirectory(dir=job["folder"]) as folder:
        store = Store(Path(folder) / "engram.db", config.embed_dim)
        async with aiohttp.ClientSession() as http:
            recall = Recall(store, config, http)
            said, turns_of = await _ingest(store, recall, config, _history(job["turns"]))
            if said["embeds_failed"]:
                raise RuntimeError(f"{said['embeds_failed']} embeddings failed")
            return [
                [await _asked(recall, turns_of, question, tuple(limits)) for limits in job["limits"]]
                for question in job["questions"]
            ]


def _history(turns: list[dict[str, str]]) -> dict[str, Any]:
    return {
        "haystack_session_ids": [each["id"] for each in turns],
        "haystack_dates": [each["date"] for each in turns],
        "haystack_sessions": [
            [{"role": "user", "content": each["user"]}, {"role": "assistant", "content": each["answer"]}]
            for each in turns
        ],
    }


async def _asked(
    recall: Recall, turns_of: dict[int, set[str]], question: str, limits: tuple[int, int, int]
) -> dict[str, Any]:
    began = time.perf_counter()
    block, found = await recall.recall(question, "asking", dry_run=True, limits=limits)
    ms = (time.perf_counter() - began) * 1000
    shown = [turn for each in found if each["shown"] for turn in sorted(turns_of.get(each["id"], ()))]
    return {"block": block or "", "turns": shown, "ms": ms}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(json.load(sys.stdin)))))
