"""What a model costs, by the price map that comes with LiteLLM, read as a file.

As a program it reads names of models from stdin, in a process of its own: the map takes 30 MB and 0.1 s to read, and
LiteLLM's import 200 MB.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from rememberd.telemetry.usage.counts import Counts

_MAP = "model_prices_and_context_window_backup.json"
_FIELDS = ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")

log = logging.getLogger("rememberd.usage")


class Price(NamedTuple):
    """US dollars a token."""

    input: float
    output: float
    cached: float

    def of(self, counts: Counts) -> float:
        fresh = max(0, counts.input - counts.cached)
        return fresh * self.input + counts.cached * self.cached + counts.output * self.output


def look_up(models: Collection[str]) -> dict[str, Price]:
    """Those of `models` (`provider/name`) that the map knows."""
    known = orjson.loads((_folder() / _MAP).read_bytes())
    found = {model: _price(known, model) for model in models}
    return {model: price for model, price in found.items() if price is not None}


class Prices:
    """Looked up by another process, each model once."""

    def __init__(self) -> None:
        self._known: dict[str, Price | None] = {}

    async def of(self, models: Collection[str]) -> dict[str, Price]:
        if new := [model for model in dict.fromkeys(models) if model not in self._known]:
            found = await _asked(new)
            self._known |= {model: found.get(model) for model in new}
        prices = {model: self._known[model] for model in models}
        return {model: price for model, price in prices.items() if price is not None}


async def _asked(models: Collection[str]) -> dict[str, Price]:
    command = (sys.executable, "-P", "-m", "rememberd.telemetry.usage.prices")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    answer, _ = await process.communicate(orjson.dumps(list(models)))
    if process.returncode != 0:
        log.error("no prices: the price map could not be read")  # its own words are on stderr
        return {}
    return {model: Price(*price) for model, price in orjson.loads(answer).items()}


def _folder() -> Path:
    """LiteLLM's, without importing it."""
    spec = find_spec("litellm")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def _price(known: dict[str, Any], model: str) -> Price | None:
    for name in (model, model.partition("/")[2]):
        read, written, cached = (known.get(name, {}).get(field) for field in _FIELDS)
        if read is not None:
            return Price(read, written or 0.0, read if cached is None else cached)
    return None


if __name__ == "__main__":
    prices = look_up(orjson.loads(sys.stdin.buffer.read()))
    sys.stdout.buffer.write(orjson.dumps({model: tuple(price) for model, price in prices.items()}))
