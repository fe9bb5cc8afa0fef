"""Which paths of a provider are forwarded, and for whom. No I/O."""

from urllib.parse import unquote

from rememberd.dialects.registry import DIALECTS
from rememberd.errors import RequestError

# A POST to these neither stores nor reads anything at the provider, so that several users may share the provider's
# key. Sources: the API references of OpenAI, Anthropic, Mistral, Cohere and vLLM.
STATELESS = frozenset(
    (
        *("/embeddings", "/completions", "/fim/completions", "/moderations", "/images/generations", "/audio/speech"),
        *("/rerank", "/score", "/pooling", "/classify", "/tokenize", "/detokenize"),
        *("/messages/count_tokens", "/responses/compact", "/responses/input_tokens"),
    )
)

_PREFIXES = ("v1", "api", "openai", "anthropic")  # usual ends of base URLs


def upstream_path(raw_path: str) -> str:
    """The path below the API base for `raw_path`, with its escapes.

    Raises `RequestError`: 400 for dot segments, which would leave the API base; 404 for a path that is almost a chat
    path and would be answered without memory."""
    refuse_dot_segments(raw_path)
    if not raw_path.startswith("/v1/"):
        raise RequestError(400, "invalid_path", f"write /v1/ without escapes, not {raw_path!r}")
    refuse_near_miss(raw_path)
    return raw_path.removeprefix("/v1")


def refuse_dot_segments(raw_path: str) -> None:
    """Raises `RequestError` 400 for a path with dot segments, which may lead to another folder of the server."""
    decoded = _decoded(raw_path)
    segments = [segment.partition(";")[0] for segment in decoded.replace("\\", "/").split("/")]
    if any(segment.strip() in (".", "..") for segment in segments):
        message = f"{decoded!r} has dot segments: write the path without them"
        raise RequestError(400, "invalid_path", message)


def refuse_near_miss(raw_path: str) -> None:
    """Raises `RequestError` 404 with the right path if this looks like a chat path but is not one."""
    decoded = _decoded(raw_path)
    if (meant := _meant(decoded)) is not None and decoded != meant:
        raise RequestError(404, "not_found", f"There is no {decoded} here. Did you mean {meant}?")


def _meant(path: str) -> str | None:
    """The chat path that a client with a wrong base URL probably means."""
    segments = [segment.partition(";")[0].strip().casefold() for segment in path.replace("\\", "/").split("/")]
    segments = [segment for segment in segments if segment]
    if segments[-2:] == ["chat", "completions"]:
        return "/v1/chat/completions"
    while segments and segments[0] in _PREFIXES:
        segments = segments[1:]
    plain = "/v1/" + "/".join(segments)
    return plain if plain in DIALECTS else None


def _decoded(path: str) -> str:
    """The path, decoded until nothing changes: a server behind a gateway may decode more often than we do."""
    for _ in range(4):
        decoded = unquote(path)
        if decoded == path:
            break
        path = decoded
    return path


def not_here(method: str, path: str) -> RequestError:
    """The error for a path that the client's key may not use."""
    if f"/v1{path}" in DIALECTS:
        return RequestError(405, "method_not_allowed", f"Method Not Allowed: {method} /v1{path}")
    message = (
        f"There is no {method} /v1{path} here for this key. Objects that a provider stores can be used only if the"
        " proxy has one user and all models have one provider"
    )
    hint = f"; {', '.join(sorted(STATELESS))} need a `model` in a JSON body." if method == "POST" else "."
    return RequestError(404, "not_found", message + hint, param="model" if method == "POST" else None)
