"""Which headers of an upstream reach the client."""

from collections.abc import Sequence
from functools import lru_cache

_NOT_RELAYED = frozenset(
    (
        # of one connection only (RFC 9110, 7.6.1)
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
        # of the provider's host, or said by our own server
        *("alt-svc", "date", "server", "set-cookie", "strict-transport-security"),
    )
)
# Which pages may read our answers is for us to say, and what the web server in front of us does as well.
_OF_THE_PROXY = ("access-control-", "x-accel-")
# Whatever an upstream sends is a document of our own origin to a browser, beside the memory page: as HTML it must run
# nothing and read nothing. What is said to be data is no document if the browser does not look for itself.
_DATA = frozenset((b"application/json", b"text/event-stream"))
_AS_IT_SAYS = (b"x-content-type-options", b"nosniff")
_INERT = (b"content-security-policy", b"sandbox; default-src 'none'; frame-ancestors 'none'")
_OURS = (_AS_IT_SAYS[0], _INERT[0])


def response_headers(
    upstream: Sequence[tuple[str, str]], added: Sequence[tuple[str, str]], *, streamed: bool
) -> list[tuple[bytes, bytes]]:
    """Upstream's headers without those of its connection; ours replace those of the same name, and its request id
    takes another. Values are encoded as they were decoded: no byte that a provider sends there costs an answer."""
    ours = {_encoded(name): value.encode() for name, value in added}
    headers = [
        (name, value.encode("utf-8", "surrogateescape"))
        for given, value in upstream
        if (name := _relayed(given)) and name not in ours
    ]
    if streamed:
        headers = [pair for pair in headers if pair[0] != b"content-length"]
        ours.setdefault(b"x-accel-buffering", b"no")
        if all(name != b"cache-control" for name, _ in headers):
            ours.setdefault(b"cache-control", b"no-cache")
    headers.append(_AS_IT_SAYS)
    types = [value.partition(b";")[0] for name, value in headers if name == b"content-type"]
    if len(types) != 1 or types[0] not in _DATA:
        headers.append(_INERT)
    headers.extend(ours.items())
    return headers


@lru_cache(maxsize=1024)
def _encoded(name: str) -> bytes:
    return name.lower().encode("latin-1")


@lru_cache(maxsize=1024)
def _relayed(name: str) -> bytes | None:
    """What the client gets this header of an upstream as; None if it does not get it."""
    name = name.lower()
    if name == "x-request-id":
        return b"x-upstream-request-id"
    relayed = name.encode("latin-1")
    return None if name in _NOT_RELAYED or relayed in _OURS or name.startswith(_OF_THE_PROXY) else relayed
