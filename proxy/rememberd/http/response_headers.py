"""Which headers of an upstream the client gets."""

from collections.abc import Sequence
from functools import lru_cache

_NOT_RELAYED = frozenset(
    (
        # of one connection only (RFC 9110, 7.6.1)
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
        # about the provider's host, or set by our own server
        *("alt-svc", "date", "server", "set-cookie", "strict-transport-security"),
    )
)
# CORS and the behaviour of a web server in front of the proxy are decided by the operator, not by an upstream.
_OF_THE_PROXY = ("access-control-", "x-accel-")
# To a browser, an upstream's response belongs to the same origin as the memory page. So HTML from an upstream must
# not run scripts or load anything. JSON and event streams are safe with `nosniff`.
_DATA = frozenset((b"application/json", b"text/event-stream"))
_AS_IT_SAYS = (b"x-content-type-options", b"nosniff")
_INERT = (b"content-security-policy", b"sandbox; default-src 'none'; frame-ancestors 'none'")
_OURS = (_AS_IT_SAYS[0], _INERT[0])


def response_headers(
    upstream: Sequence[tuple[str, str]], added: Sequence[tuple[bytes, bytes]], *, streamed: bool
) -> list[tuple[bytes, bytes]]:
    """Upstream's headers without those of its connection, and the `added` ones, which replace upstream's of the same
    name. Upstream's request id is renamed. Values are encoded as they were decoded, so that no byte in them can cause
    an error."""
    ours = dict(added)
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
def _relayed(name: str) -> bytes | None:
    """The name under which the client gets this header of an upstream; None if it does not get the header."""
    name = name.lower()
    if name == "x-request-id":
        return b"x-upstream-request-id"
    relayed = name.encode("latin-1")
    return None if name in _NOT_RELAYED or relayed in _OURS or name.startswith(_OF_THE_PROXY) else relayed
