"""Whether a move of the memories to another place is complete: a file in `data_dir`. So no process starts on a store
to which only a part has been copied, or which others have not written to since."""

from __future__ import annotations

from pathlib import Path

import orjson

from rememberd.errors import ConfigError

FILE = "moving.json"


def record(data: Path, to: str, *, ready: bool) -> None:
    draft = data / f"{FILE}.new"
    draft.write_bytes(orjson.dumps({"to": to, "ready": ready}))
    draft.replace(data / FILE)


def check(data: Path, here: str) -> None:
    """Raises `ConfigError` if the memories are moving `here`, and have not all arrived."""
    to, ready = _known(data)
    if to == here and not ready:
        raise ConfigError(
            f"not all memories have been copied to {here}: set memory.store.url back and memory.store.next_url to the"
            f" new place until the log says that all are there; or, to start without the others, delete {data / FILE}"
        )


def begin(data: Path, here: str) -> None:
    """A writer begins, and writes to this store alone: it has taken over, or the other one falls behind. Raises as
    `check` does."""
    check(data, here)
    to, _ = _known(data)
    if to == here:
        (data / FILE).unlink()
    elif to is not None:
        record(data, to, ready=False)


def _known(data: Path) -> tuple[str | None, bool]:
    try:
        known = orjson.loads((data / FILE).read_bytes())
    except FileNotFoundError:
        return None, False
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"{data / FILE} is damaged: delete it, if all memories are in memory.store.url") from error
    return known["to"], known["ready"]
