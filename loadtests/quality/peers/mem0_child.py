"""Runs Mem0 on one conversation: a job as JSON on stdin; per question and budget its turns, their texts and ms as the
last line on stdout.

It runs with Mem0's packages alone, so it imports nothing of ours."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

USER = "asking"


def main(job: dict[str, Any]) -> list[list[dict[str, Any]]]:
    # All are read at import. Offline: its keyword search would fetch a model from a hub, again and again.
    os.environ |= {"MEM0_TELEMETRY": "False", "MEM0_DIR": job["folder"], "HF_HUB_OFFLINE": "1"}
    from mem0 import Memory

    embedder = {"model": "packaged", "api_key": "none", "openai_base_url": f"{job['url']}/v1"}
    store = {"collection_name": "turns", "path": f"{job['folder']}/qdrant", "embedding_model_dims": job["dim"]}
    memory = Memory.from_config(
        {
            "embedder": {"provider": "openai", "config": embedder},
            "vector_store": {"provider": "qdrant", "config": store | {"on_disk": True}},
            "llm": {"provider": "openai", "config": {"model": "none", "api_key": "none"}},  # never asked
            "history_db_path": f"{job['folder']}/history.db",
        }
    )
    for turn in job["turns"]:
        text = f"{turn['user']}\n{turn['answer']}" if turn["answer"] else turn["user"]
        memory.add(text, user_id=USER, metadata={"turn": turn["id"]}, infer=False)
    return [[_asked(memory, question, top_k) for top_k in job["limits"]] for question in job["questions"]]


def _asked(memory: Any, question: str, top_k: int) -> dict[str, Any]:
    began = time.perf_counter()
    found = memory.search(question, top_k=top_k, filters={"user_id": USER})["results"]
    ms = (time.perf_counter() - began) * 1000
    return {
        "turns": [each["metadata"]["turn"] for each in found],
        "texts": [each["memory"] for each in found],
        "ms": ms,
    }


if __name__ == "__main__":
    print(json.dumps(main(json.load(sys.stdin))))
