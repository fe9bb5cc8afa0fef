"""Whatever somebody sends, reading it costs work in proportion to its length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any

import orjson
import pytest

from rememberd import dialects, memory
from rememberd.dialects import attribution_words, chat, client_text, marks, segments, side_tasks
from rememberd.dialects import body as json_body
from rememberd.dialects.formats import sse
from rememberd.memory import ids, text_similarity
from rememberd.memory.importers import statements
from rememberd.memory.learn import corrections
from rememberd.memory.learn.llm import prefilter
from rememberd.memory.learn.rules import extract, non_statements
from rememberd.memory.recall import block, dates, names
from rememberd.memory.safety import deobfuscate, quarantine, visible_text
from rememberd.memory.safety.privacy import CLASSES, Privacy
from rememberd.memory.safety.redact import redact
from rememberd.memory.safety.secret_patterns import PERSONAL
from rememberd.settings.operator_patterns import linear_pattern
from rememberd.types import Space
from tests.support.nasty_text import grows_faster_than_its_text, nasty
from tests.support.tables import each_row
from tests.support.text_readers import text_readers


def side_task(text: str) -> bool:
    return side_tasks.is_side_task({}, {"messages": [{"role": "user", "content": text}]}, [])


def spliced(text: str) -> bytes:
    """A chat of one message with a block in it."""
    raw = orjson.dumps({"model": "m", "messages": [{"role": "user", "content": text}]})
    body = json_body.parse(raw)
    asked = chat.question(body)
    edits = chat.inject(raw, body, asked, "<memory>\n</memory>", "user") if asked else []
    return json_body.outgoing(raw, body, "upstream", edits)


def test_the_operators_patterns_do_not_backtrack() -> None:
    """`(a+)+$` would take for ever by Python's own engine; what RE2 has not got is refused by name."""
    assert not linear_pattern(r"(a+)+$").match("a" * 4_000 + "b")
    assert linear_pattern(r"### Task: \w+").match("### Task: title")
    for pattern in (r"(a)\1", r"(?=a)", "(", 7):
        with pytest.raises(ValueError, match=r"."):
            linear_pattern(pattern)


FUNCTIONS: dict[str, Callable[[str], Any]] = {
    "spliced": spliced,
    "redact": lambda text: redact(text, tuple(PERSONAL)),
    "injection_reason": quarantine.injection_reason,
    "decoded_variants": deobfuscate.decoded_variants,
    "view": visible_text.view,
    "keeps_text": partial(Privacy((), tuple(CLASSES)).keeps_text, Space("ada")),
    "says_the_same": lambda text: text_similarity.says_the_same(text, f"{text}x"),
    "negated": text_similarity.negated,
    "content": text_similarity.content,
    "normal": ids.normal,
    "user_typed_text": client_text.user_typed_text,
    "is_client_generated": client_text.is_client_generated,
    "segment": segments.segment,
    "is_side_task": side_task,
    "hands_in": attribution_words.hands_in,
    "speaks_of_self": attribution_words.speaks_of_self,
    "is_own_introduction": attribution_words.is_own_introduction,
    "marked_spans": lambda text: list(marks.marked_spans(text)),
    "extract": lambda text: extract.extract(text, 0),
    "is_play": non_statements.is_play,
    "is_personal": prefilter.is_personal,
    "tokens": block.tokens,
    "clean": block.clean,
    "without_block": block.without_block,
    "asked_about": lambda text: dates.asked_about(text, 1_700_000_000_000),
    "statements": lambda text: list(statements.text(text.splitlines())),
    "sse.events": lambda text: list(sse.events(text.encode())),
    "named": lambda text: names.named(text, ["Ada", "Bob"]),
}
# Whatever else of these two rooms is given a text, whoever wrote it and however lately.
FOUND = text_readers(dialects) | text_readers(memory)
# What reads no more than so many characters of a message, because its callers ask for the length first.
BOUNDED = {"memory.learn.corrections._restated": corrections.LONGEST}
# Each of these cost one of the functions quadratic or cubic time once.
KNOWN = ["\n", " ", ".", "?", "(\n\n", "a\n", "Wrote: ", ". \n", "* ", "user "]


def grown(name: str, number: int, length: int, known: Sequence[str] = KNOWN) -> list[str]:
    function = FUNCTIONS[name] if name in FUNCTIONS else FOUND[name]
    length = min(length, BOUNDED.get(name, length))
    known_texts = (lambda size, piece=piece: f"\"''{piece * (size // len(piece))}]" for piece in known)
    texts = chain(known_texts, islice(nasty(len(name), length), number))
    return [found for text in texts if (found := grows_faster_than_its_text(function, text, length))]


@each_row("name", FUNCTIONS)
def test_work_grows_with_the_text(name: str) -> None:
    """The texts that were quadratic once, and a few that are made up anew for each function."""
    assert grown(name, 6, 4_000) == []


def test_functions_are_found_by_their_arguments() -> None:
    """Also what stands behind a cache, takes something plain besides, or is new."""
    assert BOUNDED.keys() <= FOUND.keys()
    assert {"memory.safety.redact.redact", "memory.ids.normal", "dialects.segments.segment"} <= FOUND.keys()
    assert len(FOUND) > 200


@each_row("name", FOUND)
def test_no_function_that_is_given_a_text_is_forgotten(name: str) -> None:
    """White space is what careless patterns begin with; the slow test has the other texts."""
    assert grown(name, 0, 4_000, KNOWN[:2]) == []


@pytest.mark.slow
@each_row("name", FOUND)
def test_no_function_that_is_given_a_text_is_slow(name: str) -> None:
    assert grown(name, 4, 4_000) == []


@pytest.mark.slow
@each_row("name", FUNCTIONS)
def test_work_grows_with_any_text(name: str) -> None:
    """A hundred made-up texts for each function, and a few long ones; two thousand would take an hour."""
    assert grown(name, 100, 4_000) == []
    assert grown(name, 3, 60_000) == []
