"""A stand-in for Ollama that embeds with the packaged model: `POST /api/embed`. Everything else is 404."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from rememberd.memory.embedding.embedder import FastEmbedder


@asynccontextmanager
async def serving(embedder: FastEmbedder) -> AsyncIterator[str]:
    """Its URL, on a free loopback port."""

    async def embed(request: Request) -> JSONResponse:
        asked = await request.json()
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        return JSONResponse({"model": asked["model"], "embeddings": [await embedder.dense(each) for each in texts]})

    app = Starlette(routes=[Route("/api/embed", embed, methods=["POST"])])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        running = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running
