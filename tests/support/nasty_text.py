"""Texts that make a careless function slow, and how much work a function does for them."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

# What patterns begin with, go on with and end with.
PIECES = [
    "\n", "\n\n", "\r\n", " ", "\t", "a", "A", "é", "你", "0", "1", "7",
    "\u200b", "\u0301", "\U000e0041", "\ufe0f", "ﬁ",
    ".", ",", ":", ";", "!", "?", "-", "_", "/", "\\", "|", "@", "=", "+", "*", "#", ">", "~",
    "`", "```", "```\n", "---\n",
    '"', "'", "“", "„", "’", "(", ")", "[", "]", "{", "}", "<", "<a ", "</a>", "<a>", "<!--", "<memory>", "</memory>",
    "I ", "my ", "is ", "the ", "and ", "not ", "to ", "of ", "user ", "you ", "never ", "always ",
    "remember ", "forget ", "password ", "pin ", "key ", "for ", "send ", "from now on ", "whenever ", "ask ",
    "ich ", "mein ", "je ", "mi ", "User: ", "Assistant: ", "# A\n", "> ", "- ", "1. ", "http://", "a@b.", "eyJ",
    "sk-", "4111 ", "GB29 ", "aws ", "data: {", "import a\n", "def a():\n", "Wrote: ", "Re: ", "On Monday wrote:\n",
    '{"a":', "<|", "[INST]", "in 2020 ", "yesterday ",
]  # fmt: skip


def nasty(seed: int, size: int) -> Iterator[Callable[[int], str]]:
    """Endless, and the same for the same seed: a beginning, a few pieces over and over, an end. Called with a length
    of at most `size`, each gives its text of that length."""
    chance = random.Random(seed)
    while True:
        begin, end = ("".join(chance.choices(PIECES, k=chance.randint(0, 2))) for _ in range(2))
        repeated = "".join(chance.choices(PIECES, k=chance.choice((1, 1, 2, 2, 3, 5))))

        def text(length: int, begin: str = begin, repeated: str = repeated, end: str = end) -> str:
            return begin + repeated * (max(length - len(begin) - len(end), 0) // len(repeated)) + end

        yield text


def seconds(function: Callable[[str], Any], text: str, tries: int = 1) -> float:
    """CPU time of this thread, the least of `tries`."""
    least = float("inf")
    for _ in range(tries):
        began = time.thread_time()
        read = function(text)
        if isinstance(read, Iterator):  # a generator does its work when it is asked
            deque(read, maxlen=0)
        least = min(least, time.thread_time() - began)
    return least


def grows_faster_than_its_text(function: Callable[[str], Any], text: Callable[[int], str], length: int) -> str | None:
    """How, if four times the text costs more than ten times the work, and four times that again does: a long text may
    be read in another way, which costs more once. Only what costs more than 20 ms is looked at closely, so that
    nothing is measured that is too short to be."""
    first = seconds(function, text(length))
    if first < 0.02:
        return None
    tries = 3 if first < 0.5 else 1  # what takes long is measured well enough at once
    short = seconds(function, text(length // 4), tries)
    long = seconds(function, text(length), tries) if tries > 1 else first
    if long <= 10 * short + 0.01 or (long < 1 and seconds(function, text(4 * length)) <= 10 * long):
        return None
    return f"{short:.4f} s for {length // 4}, {long:.4f} s for {length}: {text(60)!r}"
