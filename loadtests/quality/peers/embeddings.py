"""The packaged embedder behind the protocols that peers ask for: Ollama's `/api/embed` and OpenAI's `/v1/embeddings`.
Everything else is 404."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from rememberd.memory.embedding.embedder import FastEmbedder


@asynccontextmanager
async def serving(embedder: FastEmbedder) -> AsyncIterator[str]:
    """Its URL, on a free loopback port."""

    async def vectors(asked: dict[str, Any]) -> list[list[float]]:
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        return [await embedder.dense(each) for each in texts]

    async def ollama(request: Request) -> JSONResponse:
        asked = await request.json()
        return JSONResponse({"model": asked["model"], "embeddings": await vectors(asked)})

    async def openai(request: Request) -> JSONResponse:
        asked = await request.json()
        found = await vectors(asked)
        data = [{"object": "embedding", "index": place, "embedding": each} for place, each in enumerate(found)]
        usage = {"prompt_tokens": 0, "total_tokens": 0}
        return JSONResponse({"object": "list", "model": asked["model"], "data": data, "usage": usage})

    routes = [Route("/api/embed", ollama, methods=["POST"]), Route("/v1/embeddings", openai, methods=["POST"])]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), log_level="warning", lifespan="off"))
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running
