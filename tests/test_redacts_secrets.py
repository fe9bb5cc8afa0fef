"""Secrets do not reach the memory, and what only looks like one is left alone."""

from __future__ import annotations

import json
import random
import re
import string
import time
from pathlib import Path
from typing import Any

import pytest

from proxy.memory.redact import iban, luhn, redact

_ALPHABETS = {
    "a": string.ascii_letters + string.digits,
    "h": "0123456789abcdef",
    "u": "ABCDEFGHJKLMNPQRSTUVWXYZ234567",
}
LINES = (Path(__file__).parent / "data" / "secrets.jsonl").read_text(encoding="utf-8").splitlines()


def _filled(template: str) -> str:
    """`<a48>` stands for 48 characters of alphabet a: no key-like text is kept in the repository."""
    return re.sub(r"<([ahu])(\d+)>", lambda found: _characters(found[1], int(found[2])), template)


def _characters(alphabet: str, length: int) -> str:
    chosen = random.Random(length).choices(_ALPHABETS[alphabet], k=length)
    return "".join(chosen[:-1]) + "7"


def _cases(labelled: bool) -> list[dict[str, Any]]:
    return [case for case in map(json.loads, LINES) if bool(case["kind"]) is labelled]


@pytest.mark.parametrize("case", _cases(labelled=True), ids=lambda case: f"{case['kind']}: {case['text'][:30]}")
def test_a_secret_is_replaced_by_its_kind(case: dict[str, Any]) -> None:
    """Keys, tokens, passwords, card numbers and IBANs are replaced and counted by kind."""
    text, secret = _filled(case["text"]), _filled(case["secret"])
    assert secret in text
    result = redact(text)
    assert secret not in result.text
    assert f"[redacted: {case['kind']}]" in result.text
    assert result.counts == {case["kind"]: 1}


@pytest.mark.parametrize("case", _cases(labelled=False), ids=lambda case: case["text"][:40])
def test_a_near_miss_is_left_alone(case: dict[str, Any]) -> None:
    """Commit hashes, UUIDs, order numbers and talk about passwords stay as they are."""
    assert redact(case["text"]) == (case["text"], {})


@pytest.mark.parametrize("case", _cases(labelled=True), ids=lambda case: case["text"][:30])
def test_redacting_twice_is_redacting_once(case: dict[str, Any]) -> None:
    """A text that went through once, say by an export and an import, is not changed again."""
    once = redact(_filled(case["text"])).text
    assert redact(once) == (once, {})


def test_the_words_around_a_secret_stay() -> None:
    """Only the secret goes: what the person said around it is what memory is for."""
    assert (
        redact("My bank pin is 4821 and I live in Oslo.").text
        == "My bank pin is [redacted: password] and I live in Oslo."
    )


def test_several_secrets_are_counted() -> None:
    """The receipt can say how many of each kind were taken out."""
    text = _filled("sk-proj-<a60> and sk-<a48>, card 4111111111111111")
    assert redact(text).counts == {"OpenAI key": 2, "card number": 1}


def test_check_digits() -> None:
    """Luhn and modulo 97 tell a number from a card or an account; one wrong digit makes it neither."""
    assert luhn("4012888888881881")
    assert not luhn("4012888888881882")
    assert iban("GB29 NWBK 6016 1331 9268 19")
    assert not iban("GB29 NWBK 6016 1331 9268 18")


_HOSTILE = [
    "sk-",
    "a:",
    "postgres://",
    "my password is ",
    "4 1",
    "eyJ",
    "A",
    "DE89 ",
    "twilio ",
    "aws key ",
    "https://x:",
    " ",
]
_HOSTILE += ["-----BEGIN RSA PRIVATE KEY-----", "Authorization: Bearer ", "eyJaaaaaaaaa.eyJ", "pin for ", "use "]


@pytest.mark.parametrize("piece", _HOSTILE)
def test_hostile_text_costs_linear_time(piece: str) -> None:
    """200 kB of the beginnings of secrets are read in moments: quadratic time would be minutes."""
    text = piece * (200_000 // len(piece))
    started = time.perf_counter()
    redact(text)
    assert time.perf_counter() - started < 15
