"""What chats need of files and patterns is loaded before the first of them, outside the event loop."""

from __future__ import annotations

import json
import subprocess
import sys

# In a process of its own: in this one, other tests have loaded everything.
AS_THE_FIRST_CHATS = """
import asyncio, builtins, io, json, re
from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.dialects.side_tasks import program_odds
from rememberd.memory.learn.wishes.group_wishes import group_wish
from rememberd.memory.learn.wishes.memory_commands import asks_what_is_known, memory_command, off_record
from rememberd.memory.recall.lexicon import asks_only_when, telling_words
from rememberd.memory.recall.needs import learn
from rememberd.processes.run import rehearse

loaded = []
open_file, compiled = io.open, re._compiler.compile

def watched_open(file, *rest, **more):
    loaded.append(str(file))
    return open_file(file, *rest, **more)

def watched_compile(pattern, *rest):
    loaded.append(pattern)
    return compiled(pattern, *rest)

async def chats():
    embedder = FastEmbedder()
    await embedder.start()
    needs = await learn(embedder)
    if PREPARED:
        rehearse(needs)
    io.open = builtins.open = watched_open
    re._compiler.compile = watched_compile
    for said in SAID:
        program_odds({}, {"messages": [{"role": "user", "content": said}]}, ())
        off_record(said), memory_command(said), asks_what_is_known(said), group_wish(said, ("team",))
        asks_only_when(said), telling_words(said)
        if said.isascii():
            needs.asked(said, await embedder.dense(said))
    io.open = builtins.open = open_file
    print(json.dumps(loaded))
    embedder.close()

SAID = (
    "Where do I live?",
    "Delete everything about Oslo.",
    "Olvida que vivo en Málaga.",
    "What did I tell you last week?",
    "Remember for the team that we ship on Friday.",
    "Don't remember this.",
    "どこに住んでいますか？",
    "昨日何を食べた？",
    "Was isst du am liebsten, süß oder salzig?",
)
asyncio.run(chats())
"""


def loaded(prepared: bool) -> list[str]:
    command = [sys.executable, "-c", f"PREPARED = {prepared}\n{AS_THE_FIRST_CHATS}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found: list[str] = json.loads(done.stdout)
    return found


def test_nothing_is_loaded_by_the_first_chats() -> None:
    assert len(loaded(prepared=False)) > 20
    assert loaded(prepared=True) == []
