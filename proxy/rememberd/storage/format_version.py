"""The format of what is stored. Each folder, database, Redis and collection carries the number and the version of
rememberd that wrote it, so that an older version refuses what it does not understand."""

from __future__ import annotations

from rememberd import __version__
from rememberd.errors import ConfigError

FORMAT = 2  # the number of the last of `formats.STEPS`


def refuse_newer(what: object, found: int, version: str) -> None:
    """Raises `ConfigError` if `found`, which rememberd `version` wrote, is above `FORMAT`."""
    if found > FORMAT:
        raise ConfigError(
            f"{what} has the format {found} of rememberd {version}; this is rememberd {__version__}, which knows"
            f" formats up to {FORMAT}: start that version, or restore an older backup"
        )
