"""Prices of models, from LiteLLM's map."""

from collections.abc import Collection
from typing import NamedTuple

from rememberd.telemetry.model_map import listed
from rememberd.telemetry.usage.counts import Counts

_FIELDS = ("input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost")


class Price(NamedTuple):
    """US dollars per token."""

    input: float
    output: float
    cached: float

    def of(self, counts: Counts) -> float:
        fresh = max(0, counts.input - counts.cached)
        return fresh * self.input + counts.cached * self.cached + counts.output * self.output


def look_up(models: Collection[str]) -> dict[str, Price]:
    """The prices of those `models` (`provider/name`) that are in the map. Reads a file of 3 MB for each new one."""
    found = {model: _price(model) for model in models}
    return {model: price for model, price in found.items() if price is not None}


def _price(model: str) -> Price | None:
    read, written, cached = (listed(model).get(field) for field in _FIELDS)
    return None if read is None else Price(read, written or 0.0, read if cached is None else cached)
