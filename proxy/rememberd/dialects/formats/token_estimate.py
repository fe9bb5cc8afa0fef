"""Estimates without a tokenizer how many tokens of a model's context a request may need at most. No I/O."""

from string import ascii_letters, digits, whitespace
from typing import Any

# Tokens per byte, by class. With these the estimate is 1.0 to 1.9 times the higher count of cl100k_base and
# o200k_base for prose in 16 languages, code, JSON, tables and lists of hashes (tested). The reserve is for other
# tokenizers, which count up to a third more.
_CLASSES = ((ascii_letters, 0.40), (digits, 0.70), (whitespace, 0.15), (bytes(range(128, 256)), 0.55))
_PUNCTUATION = 0.80
_UNBROKEN = 0.80  # per byte of a string without spaces, such as base64 or a signature
_UNBROKEN_CHARS = 200

_OBJECT = 4  # roles, ids and separators
_IMAGE = 3_000  # more than a large image costs by OpenAI's and Anthropic's rules
_FILE_BYTE = 0.25  # per byte of base64; the cost of a compressed file's pages is unknown

_OUTPUT = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_DELETED = tuple((each if isinstance(each, bytes) else each.encode(), weight) for each, weight in _CLASSES)


def most_tokens(raw: bytes, body: dict[str, Any]) -> int:
    """A cheap upper bound: a byte-level tokenizer makes at most one token per byte."""
    images = raw.count(b'image"') + raw.count(b'image_url"') if b"image" in raw else 0
    return len(raw) + _IMAGE * images + output_tokens(body)


def estimated_tokens(body: dict[str, Any]) -> int:
    """The tokens of the request and of the answer that it asks for. Linear: 3 ms for 100,000 tokens, most of it for
    walking through the JSON."""
    texts: list[str] = []
    tokens = 0.0
    nodes: list[Any] = [body]
    while nodes:
        node = nodes.pop()
        match node:
            case str():
                if len(node) >= _UNBROKEN_CHARS and not any(each.isspace() for each in node[:_UNBROKEN_CHARS]):
                    tokens += _unbroken(node)
                else:
                    texts.append(node)
            case dict():
                tokens += _OBJECT + _IMAGE * (node.get("type") in ("image", "image_url", "input_image"))
                texts.extend(node)
                nodes.extend(node.values())
            case list():
                nodes.extend(node)
            case int() | float():
                tokens += 2
            case _:
                pass
    return int(tokens + _text_tokens("\n".join(texts))) + output_tokens(body) + 1


def output_tokens(body: dict[str, Any]) -> int:
    """The most tokens that the client allows for the answer; 0 if it does not say. Most providers subtract them from
    the context."""
    options = body.get("options")
    asked = [body.get(name) for name in _OUTPUT]
    asked.append(options.get("num_predict") if isinstance(options, dict) else None)
    return max((each for each in asked if type(each) is int), default=0) if any(asked) else 0


def _unbroken(text: str) -> float:
    """The tokens of a string without spaces, such as base64. An image has a fixed cost, also Ollama's bare base64."""
    if text.startswith(("data:image/", "/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR")):
        return _IMAGE
    is_file = text.startswith(("data:", "JVBERi0"))
    return len(text) * _FILE_BYTE if is_file else len(text.encode(errors="surrogatepass")) * _UNBROKEN


def _text_tokens(text: str) -> float:
    left, tokens = text.encode(errors="surrogatepass"), 0.0
    for members, weight in _DELETED:
        rest = left.translate(None, members)
        tokens += (len(left) - len(rest)) * weight
        left = rest
    return tokens + len(left) * _PUNCTUATION
