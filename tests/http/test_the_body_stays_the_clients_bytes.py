"""Promise: whatever JSON a client writes, every byte but the value of `model` and the block goes to the provider."""

from __future__ import annotations

import itertools
import random
import re
from typing import Any
from unittest.mock import patch

import orjson
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from rememberd.dialects import body as json_body
from rememberd.dialects.formats import byte_search, json_cut, raw_json
from rememberd.dialects.registry import DIALECTS
from tests.support.raw_bodies import Number, Pairs, pairs, written
from tests.support.tables import each_row

BLOCK = '<memory>\n- I said "ä".\n</memory>'
UP = "up-XYZ"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ['"model":"x"', 'a "content":"hello there"', "hello there", "\\", '\\"', "}]}", '","model":"', "\\u006d", "[{"]
)
numbers = st.sampled_from(["1", "-0", "1e400", "123456789012345678901234567890", "1.0", "0.10", "-1E-9"]).map(Number)
keys = st.sampled_from(["content", "model", "text", "messages", "input", "a", "Content"]) | texts
junk = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(keys, inner), max_size=3).map(Pairs),
    max_leaves=8,
)
words = st.sampled_from(["hello there", 'a "quote"\n', "ünïcödé 🙂", "yes", "\\", "x" * 50])


def part(kind: str) -> st.SearchStrategy[Any]:
    others = st.lists(st.tuples(keys.filter(lambda key: key not in ("text", "type")), junk), max_size=2)
    return st.tuples(words | texts, others).map(lambda made: Pairs([("type", kind), *made[1], ("text", made[0])]))


@st.composite
def messages(draw: st.DrawFn, kind: str) -> Any:
    role = draw(st.sampled_from(["user", "user", "assistant", "system", "tool"]))
    content = draw(words | st.lists(part(kind), min_size=1, max_size=3) | junk)
    others = draw(st.lists(st.tuples(st.sampled_from(["a", "content", "x"]), junk), max_size=2))
    return Pairs(draw(st.permutations([("role", role), ("content", content), *others])))


@st.composite
def documents(draw: st.DrawFn, name: str, kind: str) -> Pairs:
    """With the model once, twice, or in capitals as well."""
    history = draw(st.lists(messages(kind) | junk, min_size=1, max_size=4))
    last = Pairs([("role", "user"), ("content", draw(words | st.lists(part(kind), min_size=1, max_size=2)))])
    listed = [*history, last] if draw(st.booleans()) else [last, *history]
    members: list[tuple[str, Any]] = [(name, listed if name == "messages" or draw(st.booleans()) else draw(words))]
    spelled = draw(st.lists(st.sampled_from(["model", "model", "MODEL", "Model"]), max_size=2))
    members += [(key, f"MODEL-{number}") for number, key in enumerate(["model", *spelled])]
    members += draw(st.lists(st.tuples(keys.filter(lambda key: key.casefold() != "model"), junk), max_size=3))
    return Pairs(draw(st.permutations(members)))


@given(st.data(), st.sampled_from(sorted(DIALECTS)), st.integers(0, 2**32), st.sampled_from([0.0, 0.0, 0.3]))
def test_only_the_block_and_the_models_value_differ(
    data: st.DataObject, path: str, seed: int, escapes: float
) -> None:
    """With the block and without. Taken out again, the block leaves the bytes that were there."""
    name, kind = ("input", "input_text") if path.endswith("responses") else ("messages", "text")
    document = data.draw(documents(name, kind))
    check_edits(path, name, kind, written(document, random.Random(seed), escapes).encode())


@settings(phases=[Phase.generate])
@given(st.data(), st.sampled_from(sorted(DIALECTS)), st.integers(0, 2**32), st.sampled_from([0.0, 0.0, 0.1]))
def test_a_long_text_hides_neither_the_model_nor_the_content(
    data: st.DataObject, path: str, seed: int, escapes: float
) -> None:
    """What is searched in another way because it is large: here everything is. The text says what keys look like."""
    name, kind = ("input", "input_text") if path.endswith("responses") else ("messages", "text")
    document = data.draw(documents(name, kind))
    said = data.draw(st.lists(words | texts, min_size=5, max_size=10)) * data.draw(st.integers(5, 50))
    place = data.draw(st.sampled_from(["first", "newest", "key"]))
    long: Any = data.draw(st.sampled_from(["".join(said), [Pairs([("type", kind), ("text", "".join(said))])]]))
    for number, (key, value) in enumerate(document):
        if key == name and isinstance(value, list) and place != "key":
            message = Pairs([("role", "user"), ("content", long)])
            listed = [message, *value] if place == "first" else [*value, message]
            document = Pairs([*document[:number], (name, listed), *document[number + 1 :]])
            break
    else:
        document = Pairs([*document, ("long", "".join(said))])
    with (
        patch.object(raw_json, "LARGE", 256),
        patch.object(json_cut, "LARGE", 256),
        patch.object(json_cut, "_BRACKETS", data.draw(st.sampled_from([1, 64]))),
        patch.object(byte_search, "LARGE", 256),
        patch.object(byte_search, "_END", 16),
    ):
        check_edits(path, name, kind, written(document, random.Random(seed), escapes).encode())


def check_edits(path: str, name: str, kind: str, raw: bytes) -> None:
    body = json_body.parse(raw)
    plain = json_body.outgoing(raw, body, UP)
    assert plain.split(f'"{UP}"'.encode()) == re.split(rb'"MODEL-\d"', raw)
    named = [value for key, value in pairs(plain) if key.casefold() == "model"]
    assert set(named) == {UP}
    dialect = DIALECTS[path]
    asked = dialect.question(body)
    if asked is None:
        return
    (edit,) = edits = dialect.inject(raw, body, asked, BLOCK, "user")
    with_block = json_body.outgoing(raw, body, UP, edits)
    assert with_block.replace(edit.new, b"", 1) == plain
    before, after = json_body.parse(plain), json_body.parse(with_block)
    if isinstance(before[name], str):
        assert after[name] == f"{BLOCK}\n\n{before[name]}"
    else:
        changed = [at for at, (was, now) in enumerate(zip(before[name], after[name], strict=True)) if was != now]
        assert changed == [asked.at]
        said, now = before[name][asked.at]["content"], after[name][asked.at]["content"]
        if isinstance(said, str):
            assert now == f"{BLOCK}\n\n{said}"
        else:
            assert [each for each in now if each != {"type": kind, "text": BLOCK}] == said
    assert {k: v for k, v in after.items() if k != name} == {k: v for k, v in before.items() if k != name}


@given(junk, st.integers(0, 2**32), st.sampled_from([0.0, 0.3]))
@example([[[[[["deep", Pairs([("a", [[[True]]])])]]]]]], 1, 0.0)
def test_every_value_is_found_where_it_stands(value: Any, seed: int, escapes: float) -> None:
    """Members with their keys, elements, and where each ends, at any depth."""

    def check(raw: bytes, at: int, value: Any) -> None:
        assert pairs(raw[at : raw_json.value_end(raw, at)]) == value
        if isinstance(value, Pairs):
            found = list(raw_json.members(raw, at))
            assert [member.key for member in found] == [key for key, _ in value]
            for member, (_, inner) in zip(found, value, strict=True):
                check(raw, member.start, inner)
        elif isinstance(value, list):
            spans = list(raw_json.elements(raw, at))
            for (start, _), inner in zip(spans, value, strict=True):
                check(raw, start, inner)

    raw = written([value], random.Random(seed), escapes).encode()
    check(raw, raw.index(b"["), pairs(raw))


@each_row(
    "raw",
    [
        b'{"model":"secret","model":"open"}',
        b'{"model":"open","mod\\u0065l":"open"}',
        b'{"m\\u006Fdel":"secret","model":"open"}',
        b'{"MODEL":"secret","model":"open"}',
        b'{"model":{"model":"open"},"model":"open"}',
        b'{"a":"\\"model","model":"open"}',
        b'{"model":"secret","a":["]",{"model":["b"]}],"model":"open"}',
        b'{"model":"secret","a":["]"] , "m\\u006fdel":"open"}',
    ],
)
def test_a_second_model_never_reaches_the_provider(raw: bytes) -> None:
    """Which of two a server takes is its own choice, also where our name for the model is the provider's."""
    long = b'"' + rb"A \"model\": " * 3000 + b'"'
    large = [b'{"b":' + each + raw[1:] for each in (long + b",", b"[" + long + b"],", b"[[" + long + b'],"c"],')]
    large.append(raw.replace(b'"a":[', b'"a":[' + long + b","))
    for name, each in itertools.product(("open", UP), (raw, *large)):
        sent = json_body.outgoing(each, json_body.parse(each), name)
        assert {value for key, value in pairs(sent) if key.casefold() == "model"} == {name}


def test_the_block_goes_into_the_content_that_counts() -> None:
    """The last one of a message, also where only the first is written without escapes and the text begins with a line
    end, so that nothing of it stands in the bytes."""
    for key, text in itertools.product(("content", "c\\u006fntent"), ("", "\\n", "\\u0068ello")):
        parts = f'[{{"type":"text","text":"{text}"}},{{"type":"text","text":"hello"}}]'
        for first in ("[]", "[null]", parts, "null", '"hello"'):
            message = f'{{"role":"user","content":{first},"{key}":{parts},"a":null}}'
            raw = f'{{"messages":[{message}],"model":"open"}}'.encode()
            body, dialect = json_body.parse(raw), DIALECTS["/v1/chat/completions"]
            asked = dialect.question(body)
            assert asked is not None
            sent = json_body.parse(json_body.outgoing(raw, body, UP, dialect.inject(raw, body, asked, BLOCK, "user")))
            assert sent["messages"][0]["content"] == [
                {"type": "text", "text": BLOCK},
                *json_body.parse(raw)["messages"][0]["content"],
            ]


def test_depth_and_size_cost_in_proportion() -> None:
    """A thousand brackets and a text of quotation marks are passed over like others."""
    deep = b'{"a":' + b"[" * 1000 + b"]" * 1000 + b',"b":"' + b'\\"' * 10**6 + b'","model":"m"}'
    found = list(raw_json.top_level(deep))
    sizes = [("a", 2000), ("b", 2 * 10**6 + 2), ("model", 3)]
    assert [(member.key, member.end - member.start) for member in found] == sizes
    assert orjson.loads(deep)["model"] == "m"
