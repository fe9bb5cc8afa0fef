"""Which headers of an upstream reach the client."""

from collections.abc import Sequence

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
# nothing and read nothing.
_INERT = {
    "content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
}


def response_headers(
    upstream: Sequence[tuple[str, str]], added: Sequence[tuple[str, str]], *, streamed: bool
) -> list[tuple[bytes, bytes]]:
    """Upstream's headers without those of its connection; ours replace those of the same name, and its request id
    takes another. Values are encoded as they were decoded: no byte that a provider sends there costs an answer."""
    ours = _INERT | {name.lower(): value for name, value in added}
    headers = [
        ("x-upstream-request-id" if n == "x-request-id" else n, v)
        for name, v in upstream
        if (n := name.lower()) not in _NOT_RELAYED
        and (n not in ours or n == "x-request-id")
        and not n.startswith(_OF_THE_PROXY)
    ]
    if streamed:
        headers = [(n, v) for n, v in headers if n != "content-length"]
        ours.setdefault("x-accel-buffering", "no")
        if all(n != "cache-control" for n, _ in headers):
            ours.setdefault("cache-control", "no-cache")
    return [(n.encode("latin-1"), v.encode("utf-8", "surrogateescape")) for n, v in (*headers, *ours.items())]
