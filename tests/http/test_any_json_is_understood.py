"""Whatever JSON a client sends, in any dialect: nothing raises, and only the newest words of the person change."""

from __future__ import annotations

import copy
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from rememberd.access.identity import identify
from rememberd.dialects.registry import DIALECTS
from rememberd.types import Principal
from tests.support.raw_bodies import injected

BLOCK = "<memory>\n- I live in Oslo.\n</memory>"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
parts = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "input_text", "output_text", "image_url", "tool_result"])},
    optional={"text": texts, "content": texts, "tool_use_id": texts},
)
junk = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
messages = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool"])},
    optional={"content": texts | st.lists(parts, max_size=3) | junk, "type": st.sampled_from(["message", "x"])},
)
histories = st.lists(messages | junk, max_size=6)
bodies = st.fixed_dictionaries({}, optional={"messages": histories | junk, "input": histories | texts | junk})


@given(bodies, st.sampled_from(sorted(DIALECTS)))
def test_nothing_raises_and_one_message_changes(body: dict[str, Any], path: str) -> None:
    """All others, and the body that was given, stay as they were; taken out again, the block leaves no trace."""
    dialect, before = DIALECTS[path], copy.deepcopy(body)
    asked = dialect.question(body)
    assert body == before
    if asked is None:
        return
    after = injected(body, dialect, asked, BLOCK, "user")
    assert body == before
    key = "input" if path.endswith("responses") else "messages"
    assert {name: value for name, value in after.items() if name != key} == {
        name: value for name, value in before.items() if name != key
    }
    old, new = before[key], after[key]
    if isinstance(old, str):
        assert new.endswith(old)
        return
    assert len(new) == len(old)
    changed = [place for place, (was, now) in enumerate(zip(old, new, strict=True)) if was != now]
    assert len(changed) == 1
    assert old[changed[0]]["role"] == "user"
    assert orjson.dumps(new).count(b"I live in Oslo.") == orjson.dumps(old).count(b"I live in Oslo.") + 1


headers = st.dictionaries(
    st.sampled_from(["x-memory-user", "x-openwebui-user-id", "x-openwebui-user-jwt", "x-conversation-id", "user"]),
    st.text(max_size=20),
)
named = st.dictionaries(st.sampled_from(["user", "safety_identifier", "metadata", "prompt_cache_key"]), junk)


@given(headers, named)
def test_a_key_without_trust_speaks_for_its_own_user(head: dict[str, str], body: dict[str, Any]) -> None:
    """Whatever the request says of itself."""
    found = identify(Principal("k", user="ada"), head, body)
    assert found is not None
    assert found.user == "ada"


@given(headers, named)
def test_a_trusted_key_takes_the_first_name_or_none(head: dict[str, str], body: dict[str, Any]) -> None:
    """A token that cannot be verified names nobody; no identity is ever made up."""
    found = identify(Principal("k", user=None, trust_identity=True), head, body)
    if "x-openwebui-user-jwt" in head:
        assert found is None
    elif found is not None:
        said = [head.get("x-memory-user"), head.get("x-openwebui-user-id")]
        said += [body.get("safety_identifier"), body.get("user")]
        assert found.user in [each.strip() for each in said if isinstance(each, str)]
