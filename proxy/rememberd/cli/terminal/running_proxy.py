"""Finds out whether a proxy, another program or nothing answers at the address in the settings."""

import http.client
from typing import Any, NamedTuple

import orjson

from rememberd.settings.schema import Settings

_TIMEOUT_SECONDS = 5.0
_ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - listening address -> address for clients


class Running(NamedTuple):
    """`parts`: for each part of the proxy, "ok" or the problem. None: another program uses the port."""

    host: str
    port: int
    parts: dict[str, str] | None

    def models(self, key: str | None) -> list[str] | None:
        """The names of the models; None if this key is not accepted."""
        status, answer = _get(self.host, self.port, "/v1/models", key)
        return [each["id"] for each in answer["data"]] if status == 200 else None


def running_proxy(settings: Settings) -> Running | None:
    """None if nothing answers."""
    host, port = _ANY_ADDRESS.get(settings.server.host, settings.server.host), settings.server.port
    if not port:
        return None
    try:
        _, answer = _get(host, port, "/health/ready", None)
    except ConnectionError:
        return None
    except (OSError, http.client.HTTPException, orjson.JSONDecodeError):
        return Running(host, port, None)
    parts = answer.get("parts") if isinstance(answer, dict) else None
    return Running(host, port, parts if isinstance(parts, dict) else None)


def _get(host: str, port: int, path: str, key: str | None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        answer = connection.getresponse()
        return answer.status, orjson.loads(answer.read())
    finally:
        connection.close()
