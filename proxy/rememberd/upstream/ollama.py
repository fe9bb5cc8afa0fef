"""Finds an Ollama server on this machine and lists its models."""

from collections.abc import Mapping
from urllib.parse import urlsplit

import orjson

from rememberd.upstream.http_client import Client, address

USUAL = "http://127.0.0.1:11434"
_TIMEOUT_SECONDS = 0.5


def base(environ: Mapping[str, str]) -> str:
    """Ollama's own address, without /v1. OLLAMA_HOST may be a bare host or an address to listen on."""
    named = environ.get("OLLAMA_API_BASE") or environ.get("OLLAMA_HOST") or USUAL
    scheme, _, rest = named.rpartition("://")
    host, slash, path = rest.rstrip("/").partition("/")
    if host.rpartition(":")[2].isdigit() is False and not scheme:
        host += ":11434"
    return f"{scheme or 'http'}://{host.replace('0.0.0.0', '127.0.0.1')}{slash}{path}"  # noqa: S104 - replaced, not bound


def is_here(environ: Mapping[str, str]) -> bool:
    """True if the server is on this machine, so that no text leaves it."""
    return urlsplit(base(environ)).hostname in ("127.0.0.1", "localhost", "::1", "host.docker.internal")


async def models(base: str) -> list[str]:
    """The names of Ollama's models; empty if it does not answer within half a second."""
    client = Client()
    try:
        listing = orjson.loads(await client.get(address(base), "/api/tags", {}, within=_TIMEOUT_SECONDS))
        return [model["name"] for model in listing["models"]]
    except (OSError, ValueError, LookupError, TypeError):
        return []
    finally:
        client.close()
