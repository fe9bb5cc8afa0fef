"""What an answer says that it cost, in any dialect, streamed or not."""

from __future__ import annotations

import re

# In a text of the answer the quotation marks would be escaped.
_INPUT = re.compile(rb'"(?:prompt|input)_tokens":\s*(\d+)')
_OUTPUT = re.compile(rb'"(?:completion|output)_tokens":\s*(\d+)')


def usage(answer: bytes) -> dict[str, int]:
    """`gen_ai.usage.input_tokens` and `…output_tokens`, where it says them. A stream counts up: the largest holds."""
    found = {"input": _INPUT.findall(answer), "output": _OUTPUT.findall(answer)}
    return {f"gen_ai.usage.{kind}_tokens": max(map(int, numbers)) for kind, numbers in found.items() if numbers}
