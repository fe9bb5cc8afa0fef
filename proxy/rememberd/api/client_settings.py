"""The settings that each client needs to use this proxy, from the table `client_settings.toml`."""

import tomllib
from functools import cache
from pathlib import Path
from typing import NamedTuple

import orjson

NO_KEY = "local"  # any word is accepted if the proxy has no keys
_TABLE = Path(__file__).with_suffix(".toml")


class ClientSettings(NamedTuple):
    """`text` has the placeholders @URL@, @KEY@ and @MODEL@ inside `quotes` of this kind: "shell" or "json"."""

    name: str
    title: str
    where: str
    text: str
    note: str = ""
    quotes: str = "json"

    def filled(self, url: str, key: str, model: str) -> str:
        """`url` ends without a slash and without /v1."""
        text = self.text
        for place, value in (("@URL@", url), ("@KEY@", key), ("@MODEL@", model)):
            text = text.replace(place, self._quoted(value))
        return text

    def _quoted(self, value: str) -> str:
        if self.quotes == "shell":
            return value.replace("'", "'\\''")
        return orjson.dumps(value).decode()[1:-1]


@cache
def client_settings() -> dict[str, ClientSettings]:
    """The settings by the client's name, in the order of display."""
    rows = tomllib.loads(_TABLE.read_text(encoding="utf-8"))["client"]
    return {row["name"]: ClientSettings(**row | {"text": row["text"].lstrip("\n")}) for row in rows}
