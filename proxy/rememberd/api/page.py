"""`/`: the memory page for browsers, a line of text for other clients."""

from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from rememberd.api.client_settings import client_settings

FOLDER = Path(__file__).parent / "static"

_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".json": "application/json"}
_CLIENTS = "clients.json"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
)


class File(NamedTuple):
    body: bytes
    headers: dict[str, str]


class Page:
    """The files of `api/static`, read once. They contain no user's data, so no key is needed."""

    def __init__(self) -> None:
        self.files = {path.name: _file(path.name, path.read_bytes()) for path in FOLDER.iterdir() if _is_served(path)}
        table = [settings._asdict() for settings in client_settings().values()]
        self.files[_CLIENTS] = _file(_CLIENTS, orjson.dumps(table))

    async def home(self, request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return self._answer(request, "index.html")
        # Claude Code checks first whether a server answers.
        text = "rememberd: a chat proxy with memory. Its base URL ends in /v1; a browser gets the memory page here.\n"
        return PlainTextResponse(text, headers={"Vary": "Accept"})

    async def file(self, request: Request) -> Response:
        return self._answer(request, request.path_params["name"])

    def _answer(self, request: Request, name: str) -> Response:
        if name not in self.files:
            raise HTTPException(404, "Not Found")
        body, headers = self.files[name]
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers)


def _is_served(path: Path) -> bool:
    return path.suffix in _TYPES


def _file(name: str, body: bytes) -> File:
    headers = {
        "Content-Type": f"{_TYPES[Path(name).suffix]}; charset=utf-8",
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-cache",  # the browser asks each time, and gets the file only if it changed
        "ETag": f'"{blake2b(body, digest_size=12).hexdigest()}"',
        "Vary": "Accept",
    }
    return File(body, headers)
