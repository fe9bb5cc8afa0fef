"""An import, whatever its lines are: taken or refused by number, never an error of the proxy."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.proxy_server import Proxy

_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=8), inner, max_size=2),
    max_leaves=4,
)
_FIELDS = (
    "text",
    "kind",
    "created_at",
    "updated_at",
    "valid_from",
    "valid_to",
    "pinned",
    "private",
    "expires_at",
    "slot",
    "evidence",
    "source",
    "user",
    "answer",
    "id",
    "conversation",
)


def _line(fields: Mapping[str, object]) -> bytes:
    """As JSON, but for what orjson does not write: whole numbers over 64 bits, lone surrogates."""
    try:
        return orjson.dumps(fields)
    except TypeError:
        return repr(fields).encode(errors="replace")


_LINES = st.dictionaries(st.sampled_from(_FIELDS), _VALUES, max_size=5).map(_line) | st.binary(max_size=40)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_LINES, max_size=4))
def test_any_lines(proxy: Proxy, lines: list[bytes]) -> None:
    """200, or 400 that names the first bad line."""
    headers = {"Authorization": "Bearer sk-webui", "X-Memory-User": "importer-of-anything"}
    reply = httpx.post(f"{proxy.url}/v1/memories/import", content=b"\n".join(lines), headers=headers, timeout=120)
    assert reply.status_code in (200, 400), reply.text
    if reply.status_code == 400:
        assert "line" in reply.json()["error"]["message"]
