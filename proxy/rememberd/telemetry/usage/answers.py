"""What an answer says that it cost, in any dialect, streamed or not."""

import re
from typing import NamedTuple

# In a text of the answer the quotation marks would be escaped.
_SAID = re.compile(
    rb'"(prompt_tokens|input_tokens|prompt_eval_count|completion_tokens|output_tokens|eval_count|cached_tokens'
    rb'|cache_read_input_tokens|cache_creation_input_tokens)":\s*(\d{1,12})'
)
_NEAR = (b'"usage"', b'"prompt_eval_count"', b'"eval_count"')  # looked for first: a pattern takes 20 µs for a page
_BYTES_A_TOKEN = 4  # of a request, where no answer tells; of JSON around English text
_EVENT = b"data:"


class Tokens(NamedTuple):
    """`input` is everything that the model read, `cached` the part of it that came from the provider's cache.
    `estimated`: the provider did not say."""

    input: int
    output: int
    cached: int = 0
    estimated: bool = False


def said(answer: bytes) -> Tokens | None:
    """None if the answer does not say. A stream counts up: the largest number holds."""
    for near in _NEAR:
        if (begin := answer.find(near)) >= 0:
            break
    else:
        return None
    found: dict[bytes, int] = {}
    for name, digits in _SAID.findall(answer, begin):
        if (number := int(digits)) >= found.get(name, 0):
            found[name] = number
    if not found:
        return None
    get = found.get
    read, written = get(b"cache_read_input_tokens", 0), get(b"cache_creation_input_tokens", 0)
    return Tokens(
        # Anthropic counts what came from the cache, or went into it, apart; OpenAI counts it in.
        (get(b"prompt_tokens") or get(b"input_tokens") or get(b"prompt_eval_count", 0)) + read + written,
        get(b"completion_tokens") or get(b"output_tokens") or get(b"eval_count", 0),
        read or get(b"cached_tokens", 0),
    )


def estimated(request_bytes: int, ends: bytes, answer_bytes: int, *, streamed: bool) -> Tokens:
    """For an answer that does not say. A stream's events are alike, and each brings about one token."""
    if not streamed:
        return Tokens(request_bytes // _BYTES_A_TOKEN, answer_bytes // _BYTES_A_TOKEN, estimated=True)
    events = ends.count(_EVENT) * answer_bytes // max(1, len(ends))
    return Tokens(request_bytes // _BYTES_A_TOKEN, events, estimated=True)


def attributes(answer: bytes) -> dict[str, int]:
    """`gen_ai.usage.input_tokens` and `…output_tokens`, where the answer says them."""
    tokens = said(answer)
    if tokens is None:
        return {}
    counted = {"input": tokens.input, "output": tokens.output}
    return {f"gen_ai.usage.{kind}_tokens": count for kind, count in counted.items() if count}
