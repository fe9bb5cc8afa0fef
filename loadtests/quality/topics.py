"""`python -m loadtests.quality.topics`, after a change of `topics.toml`: its vectors by the packaged models.

Without them each process would spend 2 s on them at its start."""

from __future__ import annotations

import asyncio
import shutil

from rememberd.memory.embedding.embedder import FastEmbedder
from rememberd.memory.recall import needs


async def main() -> None:
    shutil.rmtree(needs.PACKAGED, ignore_errors=True)
    for model in (None, "multilingual"):
        embedder = FastEmbedder(model)
        await embedder.start()
        await needs.learn(embedder, needs.PACKAGED)
        embedder.close()


if __name__ == "__main__":
    asyncio.run(main())
