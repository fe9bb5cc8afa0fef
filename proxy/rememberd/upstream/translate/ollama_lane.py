"""The lane for clients with Ollama's protocol: requests to an Ollama server are sent unchanged, others translated."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from rememberd.dialects.formats import sse
from rememberd.errors import RequestError, UpstreamUnavailable
from rememberd.ports import Reply, Upstream
from rememberd.types import CHAT, Deployment, Headers
from rememberd.upstream.headers import answer_headers
from rememberd.upstream.translate.faults import WholeReply
from rememberd.upstream.translate.ollama_translation import Answer, chat_request, is_empty, streams

_EMBEDDINGS = "/embeddings"


class OllamaLane:
    """`Upstream` for the paths below `/api`. `lanes` are the clients for other protocols, by lane name."""

    def __init__(self, lanes: Mapping[str, Upstream]) -> None:
        self._lanes = lanes

    async def send(
        self, deployment: Deployment, path: str, body: bytes, headers: Headers, *, method: str = "POST"
    ) -> Reply:
        """Raises `RequestError` 404 for a path that only Ollama has, and the errors of the other lanes."""
        if is_ollama(deployment):
            base = (deployment.api_base or "").removesuffix("/v1")
            return await self._lanes["bytes"].send(
                replace(deployment, api_base=base), path, body, headers, method=method
            )
        asked = path.partition("?")[0]
        fields = orjson.loads(body) if body else {}
        match asked:
            case "/api/chat" | "/api/generate":
                return await self._chat(deployment, asked, fields, headers)
            case "/api/embed" | "/api/embeddings":
                return await self._embed(deployment, asked, fields, headers)
        message = f"{asked} needs a model of an Ollama server, and {deployment.model_name} is not one"
        raise RequestError(404, "unsupported_endpoint", message, param="model")

    async def _chat(self, deployment: Deployment, path: str, body: dict[str, Any], headers: Headers) -> Reply:
        answer = Answer(path, deployment.model_name)
        if is_empty(path, body):
            return WholeReply(200, [], answer.loaded())
        request = chat_request(path, body, deployment.upstream_model)
        reply = await self._ask(deployment, CHAT, request, headers)
        if reply.status >= 300:
            return await _error(reply)
        if streams(body):
            return _Lines(reply, answer)
        return WholeReply(200, _kept(reply), answer.whole(orjson.loads(await _read(reply))))

    async def _embed(self, deployment: Deployment, path: str, body: dict[str, Any], headers: Headers) -> Reply:
        texts = body.get("input", body.get("prompt", ""))
        request = {"model": deployment.upstream_model, "input": texts, "encoding_format": "float"}
        if body.get("dimensions"):
            request["dimensions"] = body["dimensions"]
        reply = await self._ask(deployment, _EMBEDDINGS, request, headers)
        if reply.status >= 300:
            return await _error(reply)
        vectors = [each["embedding"] for each in orjson.loads(await _read(reply))["data"]]
        found = {"model": deployment.model_name, "embeddings": vectors}
        return WholeReply(
            200, _kept(reply), orjson.dumps({"embedding": vectors[0]} if path == "/api/embeddings" else found)
        )

    async def _ask(self, deployment: Deployment, path: str, request: dict[str, Any], headers: Headers) -> Reply:
        return await self._lanes[deployment.lane(path)].send(deployment, path, orjson.dumps(request), headers)

    async def close(self) -> None:
        """Does nothing: the other lanes are closed by their owner."""


def is_ollama(deployment: Deployment) -> bool:
    return deployment.provider in ("ollama", "ollama_chat")


class _Lines:
    """Writes a stream of events as lines of JSON."""

    arrived = False

    def __init__(self, reply: Reply, answer: Answer) -> None:
        self.status = 200
        self.headers = [*_kept(reply), ("content-type", "application/x-ndjson")]
        self._reply, self._answer = reply, answer

    async def chunks(self) -> AsyncIterator[bytes]:
        async for event in _events(self._reply):
            if event == b"[DONE]":
                break
            for line in self._answer.lines(_chunk(event)):
                yield line
        for line in self._answer.last_lines():
            yield line

    async def close(self) -> None:
        await self._reply.close()


async def _events(reply: Reply) -> AsyncIterator[bytes]:
    """The data of each event as soon as it is complete."""
    rest = b""
    async for read in reply.chunks():
        rest = (rest + read).replace(b"\r\n", b"\n")
        whole, mark, rest = rest.rpartition(b"\n\n")
        for data in sse.events(whole + mark):
            yield data
    for data in sse.events(rest):
        yield data


def _chunk(event: bytes) -> dict[str, Any]:
    """Raises `UpstreamUnavailable` for an error in the stream and for an invalid chunk."""
    try:
        chunk = orjson.loads(event)
    except orjson.JSONDecodeError:
        chunk = None
    if not isinstance(chunk, dict) or chunk.get("error"):
        raise UpstreamUnavailable("the model's stream broke off with an error")
    return chunk


async def _read(reply: Reply) -> bytes:
    try:
        return b"".join([chunk async for chunk in reply.chunks()])
    finally:
        await reply.close()


async def _error(reply: Reply) -> Reply:
    """The provider's status and reason, in Ollama's format."""
    raw = await _read(reply)
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        body = None
    error = body.get("error") if isinstance(body, dict) else None
    reason = error.get("message") if isinstance(error, dict) else error
    return WholeReply(
        reply.status, _kept(reply), orjson.dumps({"error": str(reason or "the provider refused")[:1000]})
    )


def _kept(reply: Reply) -> list[tuple[str, str]]:
    return answer_headers(dict(reply.headers))
