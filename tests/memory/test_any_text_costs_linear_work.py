"""Whatever somebody sends, reading it costs work in proportion to its length."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import chain, islice
from typing import Any

import orjson
import pytest

from rememberd import access, api, dialects, http, memory, pipeline, upstream
from rememberd.dialects import attribution_words, chat, client_text, marks, segments, side_tasks
from rememberd.dialects import body as json_body
from rememberd.dialects.formats import sse
from rememberd.memory import ids, text_similarity
from rememberd.memory.importers import statements
from rememberd.memory.learn import corrections
from rememberd.memory.learn.llm import prefilter
from rememberd.memory.learn.rules import extract, non_statements, sentences
from rememberd.memory.recall import block, dates, names
from rememberd.memory.safety import deobfuscate, quarantine, visible_text
from rememberd.memory.safety.privacy import CLASSES, Privacy
from rememberd.memory.safety.redact import redact
from rememberd.memory.safety.secret_patterns import PERSONAL
from rememberd.settings.operator_patterns import linear_pattern
from rememberd.types import Space
from tests.support.nasty_text import grows_faster_than_its_text, nasty
from tests.support.tables import each_row
from tests.support.text_readers import Reader, text_readers


def side_task(text: str) -> float:
    return side_tasks.program_odds({}, {"messages": [{"role": "user", "content": text}]})


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
    "program_odds": side_task,
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
# The operator's texts; and what imports litellm when it is called: 3 s, and 160 MB.
NOT_THE_USERS = ("upstream.catalog.", "upstream.model_list.", "upstream.translate.litellm")
# What reads no more than so many characters of a message, because its callers ask for the length first.
BOUNDED = {
    "memory.learn.rules.extract._judged": sentences.LONGEST_SENTENCE,
    "memory.learn.rules.extract._put_right": sentences.LONGEST_SENTENCE,
    "memory.learn.corrections._restated": corrections.LONGEST,
    "memory.text_similarity.with_value_of": corrections.LONGEST,
}
# Each of these cost one of the functions quadratic or cubic time once.
KNOWN = ["\n", " ", ".", "?", "!", "(\n\n", "a\n", "Wrote: ", ". \n", "* ", "user "]

# Beginnings of what each looks for, and how long a text of it is.
HOSTILE: dict[str, tuple[int, Sequence[str]]] = {
    "user_typed_text": (1_000_000, (
        "<context>", "</context>", "<context ", "<context></context>", "\n<memory>", "x<memory>", "<", " ",
        "\n\nReply in ",
    )),
    "redact": (8_000, (
        "sk-", "a:", "postgres://", "my password is ", "4 1", "eyJ", "A", "DE89 ", "twilio ", "aws key ",
        "https://x:", " ", "-----BEGIN RSA PRIVATE KEY-----", "Authorization: Bearer ", "eyJaaaaaaaaa.eyJ",
        "pin for ", "use ", "Aa-", "calle de ", "rue a ", "steuer-id ", "a@a.", "+1 2", "1 ", "GB29 ",
    )),
    "extract": (7_900, (
        "I ", "my ", "I am a ", '"', "'I ", "`", "and I ", "I live in ", "a-b ", ", I", "(", "you are ", "> I\n",
        "write a ", "As A ", "A: ", "I have a very ", "my favourite a ", "turn it ",
    )),
    "segment": (10_000, (
        "a", "I ", '"', "“", "„", "'a ", "`", "```\n", "<a>", "<a ", "a: I\n", "a:", "\n", "\n\n", "[", "- I\n",
        "I. ", "this ", "---\n", "mail ", "Dear x,\n", "\x00", "> I\n", "{", "A I", "A - ", "# a\n", "(A",
    )),
}  # fmt: skip


@cache  # a second of CPU, which each worker would spend if a module's variable held it
def readers() -> tuple[dict[str, Reader], dict[str, str]]:
    """All other functions that are given a text, in the rooms that handle what users send; and what is left out."""
    rooms = [text_readers(room) for room in (access, api, dialects, http, memory, pipeline, upstream)]
    found = {name: read for each, _ in rooms for name, read in each.items() if not name.startswith(NOT_THE_USERS)}
    return found, {name: kind for _, left in rooms for name, kind in left.items()}


def grown(name: str, number: int, length: int, known: Sequence[str] = KNOWN) -> list[str]:
    function = FUNCTIONS[name] if name in FUNCTIONS else readers()[0][name]
    length = min(length, BOUNDED.get(name, length))
    known_texts = (lambda size, piece=piece: f"\"''{piece * (size // len(piece))}]x" for piece in known)
    texts = chain(known_texts, islice(nasty(len(name), length), number))
    return [f"{name}: {found}" for text in texts if (found := grows_faster_than_its_text(function, text, length))]


@each_row("name", FUNCTIONS)
def test_work_grows_with_the_text(name: str) -> None:
    """The texts that were quadratic once, and a few that are made up anew for each function."""
    assert grown(name, 6, 4_000) == []


@each_row("name", HOSTILE)
def test_work_grows_with_what_is_looked_for(name: str) -> None:
    """Nothing but the beginnings of tags, secrets, statements or quotations."""
    length, pieces = HOSTILE[name]
    assert grown(name, 0, length, pieces) == []


def test_functions_and_methods_are_found_by_their_arguments() -> None:
    """Also what stands behind a cache, takes something plain or an object that holds a text, or is new. Left out is
    what works with a connection, a store or a folder."""
    found, left_out = readers()
    assert BOUNDED.keys() <= found.keys()
    expected = {
        "memory.safety.redact.redact", "memory.ids.normal", "dialects.segments.segment", "memory.recall.rank.rank",
        "dialects.blocks.BlockReader._line", "dialects.formats.sse.EventBuffer.add", "dialects.chat.inject",
        "memory.safety.privacy.Privacy.keeps_text", "http.response_buffer.ResponseBuffer.add",
    }  # fmt: skip
    assert expected <= found.keys()
    assert len(found) > 800
    assert len(left_out) < len(found) / 6, Counter(left_out.values())
    assert not [name for name in left_out if name.startswith("memory.safety")], left_out


class Careless:
    """What the tests below are to find."""

    def __init__(self, said: str) -> None:
        self.said = said

    def is_signed(self) -> bool:
        return re.search(r"\s+--", self.said) is not None


def test_a_careless_method_is_found() -> None:
    """Its pattern begins at every space anew."""
    found, _ = text_readers(sys.modules[__name__])
    reads = found["memory.test_any_text_costs_linear_work.Careless.is_signed"]
    assert grows_faster_than_its_text(reads, lambda length: " " * length, 8_000)


@pytest.mark.parametrize("piece", ["\n", pytest.param(" ", marks=pytest.mark.slow)])
def test_no_function_that_is_given_a_text_is_forgotten(piece: str) -> None:
    """White space is what careless patterns begin with; the slow test has the other texts."""
    assert [slow for name in readers()[0] for slow in grown(name, 0, 4_000, [piece])] == []


@pytest.mark.slow
def test_no_function_that_is_given_a_text_is_slow() -> None:
    names = [name for name in readers()[0] if name.startswith(("dialects.", "memory."))]
    assert [slow for name in names for slow in grown(name, 4, 4_000)] == []


@pytest.mark.slow
@each_row("name", FUNCTIONS)
def test_work_grows_with_any_text(name: str) -> None:
    """Two thousand made-up texts for each function; most are short, because a text of a megabyte takes seconds."""
    assert grown(name, 1_900, 2_000, ()) == []
    assert grown(name, 98, 10_000, ()) == []
    assert grown(name, 2, 1_000_000, ()) == []
