"""Which of a client's headers are sent to the provider: all except connection, credentials, cookies and identity.

So new headers of a provider or its SDK (session affinity, beta flags, versions) are passed on. Headers that identify
the user, their host or their network are not: the provider knows only the operator.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

from rememberd.types import Deployment

_ANTHROPIC_VERSION = "2023-06-01"  # in 2026 still the usual one; a client's own version takes precedence

# Each alternative matches a whole name.
_NOT_SENT = re.compile(
    r"""(?x)
    # the connection and its encoding (RFC 9110, 7.6.1), and a browser's context
      connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|http2-settings|expect|host
    | content-length|content-encoding|accept-encoding|via|max-forwards|priority
    | origin|referer|sec-.*|access-control-.*|dnt|upgrade-insecure-requests
    # credentials and accounts
    | (?:.*-)?(?:authorization|api-?key|token|secret|password|jwt|assertion|signature|credentials?)
    | openai-(?:organization|project)|chatgpt-account-id|x-amz-.*|x-amzn-.*
    # cookies
    | cookie2?|set-cookie
    # the user, their address, and a gateway's headers about them
    | x-memory(?:-.*)?|x-openwebui-.*|from|(?:.*-)?forwarded(?:-.*)?|x-original-.*
    | (?:.*-)?(?:real|client|connecting|remote)-ip|(?:.*-)?remote-(?:user|addr|groups|email|name)
    | x-auth-.*|x-authenticated-.*|x-webauth-.*|x-envoy-.*|cf-.*
    | (?:.*-)?user-?(?:id|name|email|groups?|role)?|(?:.*-)?e-?mail|tailscale-.*|x-ms-client-principal.*|x-goog-.*
    """
)
_USER_AGENT = "user-agent"
_LAST_WINS = frozenset(("content-type", "idempotency-key", "traceparent", _USER_AGENT, "x-request-id"))
_OF_THE_ANSWER = re.compile(r"retry-after(?:-ms)?|(?:x-)?request-id|(?:.*-)?rate-?limit.*|x-should-retry")


@lru_cache(maxsize=1024)
def passes(name: str) -> bool:
    """True if a client's header of this name (in lower case) is sent on to the provider."""
    return name == _USER_AGENT or not _NOT_SENT.fullmatch(name)


def client_headers(client: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The client's headers that are sent to the provider, by lower-case name. The values of a repeated name are
    joined by a comma (RFC 9110, 5.3); for a few names with a single value, the last one is used. Names that the
    client's Connection header lists are not sent."""
    found: dict[str, str] = {}
    of_connection: set[str] = set()
    for given, value in client:
        name = given.lower()
        if passes(name):
            found[name] = f"{found[name]}, {value}" if name in found and name not in _LAST_WINS else value
        elif name == "connection":
            of_connection |= {each.strip().lower() for each in value.split(",")}
    for name in of_connection:
        found.pop(name, None)
    return found


def request_headers(deployment: Deployment, client: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The headers for the provider, with lower-case names: the client's that may be sent, then the operator's."""
    headers = client_headers(client)
    # Memory cannot read a compressed answer. Send everything except multipart as JSON, whatever the client declared:
    # curl's default would be a form.
    headers["accept-encoding"] = "identity"
    if not headers.get("content-type", "").startswith("multipart/"):
        headers["content-type"] = "application/json"
    if deployment.provider == "anthropic":
        headers.setdefault("anthropic-version", _ANTHROPIC_VERSION)
    if deployment.api_key and deployment.provider == "anthropic":
        headers["x-api-key"] = deployment.api_key
    elif deployment.api_key:
        headers["authorization"] = f"Bearer {deployment.api_key}"
    for name, value in deployment.extra_headers.items():
        headers[name.lower()] = value
    return headers


def answer_headers(provider: Mapping[str, str]) -> list[tuple[str, str]]:
    """The provider's headers that are also valid for a translated answer: request id, rate limits, retries. A
    provider's `request-id` is also given as `x-request-id`, for clients of the other dialects."""
    kept = {name.lower(): value for name, value in provider.items() if _OF_THE_ANSWER.fullmatch(name.lower())}
    if "request-id" in kept:
        kept.setdefault("x-request-id", kept["request-id"])
    return list(kept.items())
