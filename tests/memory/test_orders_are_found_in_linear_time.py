"""A text is read by a back-tracking engine only for the orders that a linear one may have found in it."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from itertools import islice

from rememberd.memory import safety
from rememberd.memory.safety.injection_patterns import REASONS, filled, order, possible_orders
from tests.support.attacks_report import FIRST_RUNS, rows
from tests.support.nasty_text import nasty


def test_the_linear_engine_overlooks_no_order() -> None:
    """Each attack, as it is, in capitals, with the letters that Python takes for an i, and within other text."""
    texts = [row["text"] for name in FIRST_RUNS for row in rows(name)]
    overlooked = []
    for text in texts:
        for variant in (text, text.upper(), text.replace("i", "ı"), text.replace("I", "İ"), f"é {text} 你 {text}"):
            found = {reason for reason in REASONS if order(reason).search(variant)}
            overlooked += [(reason, variant) for reason in found - set(possible_orders(variant))]
    assert overlooked == []


def test_hardly_any_nasty_text_is_read_by_the_other() -> None:
    """Of 200 texts made for slowness; each would take up to 1.4 s."""
    assert sum(bool(possible_orders(text(2_000))) for text in islice(nasty(11, 2_000), 200)) < 10


def test_each_pattern_finds_its_example() -> None:
    tables = tomllib.loads(files(safety).joinpath("injections.toml").read_text("utf-8"))
    del tables["parts"]
    markup = {"markup": re.MULTILINE}
    blind = [
        row["example"]
        for complaint, rows in tables.items()
        for row in rows
        if not re.search(filled(row["find"]), row["example"], re.IGNORECASE | markup.get(complaint, re.DOTALL))
    ]
    assert blind == []
