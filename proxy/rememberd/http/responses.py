"""Responses of the paths that rememberd answers itself."""

from typing import Any

import orjson
from starlette.responses import Response


def json_response(value: Any, status: int = 200) -> Response:
    """`value` as `application/json`. orjson must be able to serialise it."""
    return Response(orjson.dumps(value), status, media_type="application/json")
