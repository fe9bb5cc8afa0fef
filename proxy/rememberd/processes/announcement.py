"""The message that `serve` prints when it is ready."""

import asyncio
import logging
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from rememberd.settings.schema import Settings

log = logging.getLogger("rememberd.serve")

_SLOW_START_SECONDS = 10.0
_NO_MODELS = "none: set OPENAI_API_KEY or another provider's key, or write a model_list"


async def model_list(settings: Settings, environ: Mapping[str, str]) -> list[dict[str, Any]]:
    """The configured models, else those whose keys are in the environment."""
    from rememberd.upstream import client_keys, ollama
    from rememberd.upstream.catalog import defaults

    if settings.upstreams is not None:
        return client_keys.model_list(settings.upstreams)
    if settings.model_list is not None:
        return settings.model_list
    return defaults(environ, await ollama.models(ollama.base(environ)))


async def announce(settings: Settings, environ: Mapping[str, str], listener: socket.socket) -> None:
    """Wait until the proxy is ready, then print its address, models, data directory and keys."""
    from rememberd.upstream.catalog import Catalog

    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    began = time.monotonic()
    slow = False
    while await _status(host, port, "/health/ready") != 200:
        if not slow and time.monotonic() - began > _SLOW_START_SECONDS:
            slow = True
            log.warning("not ready after %.0f s; `rememberd check` shows the reason", _SLOW_START_SECONDS)
        await asyncio.sleep(0.05)
    catalog = Catalog(await model_list(settings, environ), environ, settings.aliases, settings.fallbacks)
    listed = ", ".join(catalog.names() + catalog.wildcards()) or _NO_MODELS
    keys = await _keys_needed(settings, host, port)
    print(
        f"rememberd is ready at {url} ({time.monotonic() - began:.1f} s)\n"
        f"  models:  {listed}\n"
        f"  data:    {settings.data_path}\n"
        f"  connect: base URL {url}/v1, {keys}",
        flush=True,
    )


async def _keys_needed(settings: Settings, host: str, port: int) -> str:
    """Tested by a request without a key, because another process may have created keys."""
    if settings.keys:
        return "API keys: " + ", ".join(key.name for key in settings.keys)
    if await _status(host, port, "/v1/memories/settings") == 401:
        return "with an API key (`rememberd keys list`, `rememberd keys create`)"
    return "no key needed from this machine"


async def _status(host: str, port: int, path: str) -> int:
    """The status of a GET; 0 without an answer. Uses no HTTP library, to keep the parent process small."""
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError, IndexError):
        async with asyncio.timeout(3):
            reader, sender = await asyncio.open_connection(host, port)
            sender.write(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            status = await reader.readline()
            sender.close()
            return int(status.split()[1])
    return 0
