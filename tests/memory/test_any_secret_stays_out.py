"""Redaction, whatever surrounds a secret and however often it is run."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from rememberd.memory.safety.redact import redact
from rememberd.memory.safety.secret_patterns import PERSONAL

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
