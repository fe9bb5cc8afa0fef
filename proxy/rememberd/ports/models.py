"""The interfaces to models: embedder, extractor and providers."""

from collections.abc import AsyncIterator
from typing import Protocol

from rememberd.types import Deployment, Fact, Headers, Sparse, Turn


class Embedder(Protocol):
    """Text to vectors. Raises `EmbedderUnavailable`."""

    name: str
    dim: int
    gain: float  # factor for its cosines in ranking

    @property
    def backlog_ms(self) -> float:
        """How long a new text would wait for the texts before it."""

    async def dense(self, text: str) -> list[float]:
        """A vector of unit length. A text always gives the same vector, also in a batch with others."""

    def document(self, text: str) -> Sparse: ...

    def query(self, text: str) -> Sparse: ...


class Extractor(Protocol):
    async def facts(self, turn: Turn) -> list[Fact]:
        """Facts about the user, each with a verbatim span of `turn.user_text` as evidence."""


class Reply(Protocol):
    """An upstream's answer: status and headers at once, the body as it arrives. `close` is safe at any time."""

    status: int
    headers: list[tuple[str, str]]

    @property
    def arrived(self) -> bool:
        """True if reading the whole body waits for nothing. It may be False although it could be True."""

    def chunks(self) -> AsyncIterator[bytes]:
        """Raises `UpstreamUnavailable` if the body breaks off or the provider is silent for too long."""

    async def close(self) -> None: ...


class Upstream(Protocol):
    async def send(
        self, deployment: Deployment, path: str, body: bytes, headers: Headers, *, method: str = "POST"
    ) -> Reply:
        """Sends one request, without a retry. `path` is relative to the API base and includes the client's query.
        `headers` are the client's. `body` already contains `deployment.upstream_model`. Cancelling this cancels the
        call upstream. Raises `UpstreamUnavailable`, and `RequestError` for a parameter that cannot be translated."""

    async def close(self) -> None: ...
