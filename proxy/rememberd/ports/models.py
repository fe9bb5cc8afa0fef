"""What calls a model: the embedder, the extractor and the providers."""

from collections.abc import AsyncIterator
from typing import Protocol

from rememberd.types import Deployment, Fact, Headers, Sparse, Turn


class Embedder(Protocol):
    """Text to vectors. Raises `EmbedderUnavailable`."""

    name: str
    dim: int
    gain: float  # what its cosines are multiplied by for ranking

    @property
    def backlog_ms(self) -> float:
        """How long a text would wait for those before it."""

    async def dense(self, text: str) -> list[float]:
        """A vector of unit length. The same text gives the same vector, whatever was embedded beside it."""

    def document(self, text: str) -> Sparse: ...

    def query(self, text: str) -> Sparse: ...


class Extractor(Protocol):
    async def facts(self, turn: Turn) -> list[Fact]:
        """Facts about the user, each with a span that stands verbatim in `turn.user_text`."""


class Reply(Protocol):
    """An upstream's answer: status and headers at once, the body as it comes. `close` is safe at any time."""

    status: int
    headers: list[tuple[str, str]]

    def chunks(self) -> AsyncIterator[bytes]:
        """Raises `UpstreamUnavailable` when the body breaks off or falls silent for too long."""

    async def close(self) -> None: ...


class Upstream(Protocol):
    async def send(
        self, deployment: Deployment, path: str, body: bytes, headers: Headers, *, method: str = "POST"
    ) -> Reply:
        """One request, no retry. `path` is relative to the API base ("/chat/completions", with the client's query if
        there is one), `headers` are the client's, `body` already names `deployment.upstream_model`. Cancelling it
        cancels the call upstream.
        Raises `UpstreamUnavailable`, and `RequestError` for a parameter that cannot be translated."""

    async def close(self) -> None: ...
