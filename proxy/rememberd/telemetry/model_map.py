"""Prices and limits of a model from LiteLLM's map. The file is read directly: importing LiteLLM takes 200 MB."""

import json
from functools import lru_cache
from importlib.util import find_spec
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

_MAP = "model_prices_and_context_window_backup.json"
_LONGEST_ENTRY = 64 * 1024  # bytes; today the longest entry has 4 KB


@lru_cache(maxsize=1024)
def listed(model: str) -> dict[str, Any]:
    """The entry of `model` (`provider/name`), else of its name without the provider, else empty. Takes 1 to 2 ms the
    first time: the file is searched, because parsing it would take 0.1 s and 30 MB."""
    with (_folder() / _MAP).open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as known:
        return _entry(known, model) or _entry(known, model.partition("/")[2])


def _entry(known: mmap, name: str) -> dict[str, Any]:
    key = json.dumps(name).encode() + b": "
    start = known.find(key + b"{")
    if start < 0:
        return {}
    begin = start + len(key)
    text = known[begin : begin + _LONGEST_ENTRY].decode(errors="ignore")
    found: dict[str, Any] = json.JSONDecoder().raw_decode(text)[0]
    return found


def _folder() -> Path:
    spec = find_spec("litellm")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])
