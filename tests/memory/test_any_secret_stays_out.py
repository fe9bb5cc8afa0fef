"""Redaction, whatever surrounds a secret and however often it is run."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rememberd.memory.safety.redact import redact
from rememberd.memory.safety.secret_patterns import GROUPED, NATIONAL_IDS, PERSONAL, SECRETS, Shape

_WORD = st.text(string.ascii_letters + string.digits, min_size=36, max_size=36)
_SECRETS = st.one_of(
    _WORD.map("ghp_{}".format),
    _WORD.map("sk-ant-api03-{}".format),
    _WORD.map("npm_{}".format),
    st.just("4111111111111111"),
    st.just("GB29NWBK60161331926819"),
)
_AROUND = st.text(string.ascii_letters + " \n,;()", max_size=40)


@given(_AROUND, _SECRETS, _AROUND)
def test_no_secret_survives_its_surroundings(before: str, secret: str, after: str) -> None:
    """Words before and after it stay."""
    result = redact(f"{before} {secret} {after}")
    assert secret not in result.text
    assert sum(result.counts.values()) >= 1


@given(st.text(max_size=300), st.lists(st.sampled_from(sorted(PERSONAL)), unique=True))
def test_once_is_enough(text: str, personal: list[str]) -> None:
    """The result is not changed again."""
    once = redact(text, personal)
    assert redact(once.text, personal) == (once.text, {})
    assert once.counts or once.text == text


_SHAPES = [each for each in (*SECRETS, *GROUPED, *NATIONAL_IDS) if each.digits or each.unbroken]
_LOOK_AROUND = re.compile(r"\(\?<?[!=][^()]*\)")  # without it a pattern finds more, and is easier to fill


@pytest.mark.parametrize("shape", _SHAPES)
@given(data=st.data())
def test_a_secret_is_searched_for_wherever_it_can_be(shape: Shape, data: st.DataObject) -> None:
    """A text with too few digits, or with short words only, is not searched for some secrets. No text that the
    pattern finds has so few."""
    pattern = re.compile(_LOOK_AROUND.sub("", shape.pattern.pattern), re.ASCII)
    found = data.draw(st.from_regex(pattern, fullmatch=True))
    assert sum(map(str.isdigit, found)) >= shape.digits, found
    assert max(map(len, found.split())) >= shape.unbroken, found
