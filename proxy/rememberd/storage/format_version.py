"""The format of what is stored. Each folder, database, Redis and collection, each file of the spool and each line of
the audit log carries the number and the version of rememberd that wrote it. An older version refuses what a newer one
wrote."""

import re
from pathlib import Path

from rememberd import __version__
from rememberd.errors import ConfigError

FORMAT = 2  # the number of the last of `formats.STEPS`
STAMP = {"format": FORMAT, "version": __version__}  # for a line of JSON
IN_NAME = f".v{FORMAT}-{__version__}"  # for a file's name, before its suffix
_IN_NAME = re.compile(r"\.v(\d+)-(.+)\.\w+")


def refuse_newer(what: object, found: int, version: str) -> None:
    """Raises `ConfigError` if `found`, which rememberd `version` wrote, is above `FORMAT`."""
    if found > FORMAT:
        raise ConfigError(
            f"{what} has the format {found} of rememberd {version}; this is rememberd {__version__}, which knows"
            f" formats up to {FORMAT}: start that version, or restore an older backup"
        )


def refuse_newer_name(path: Path) -> None:
    """Raises `ConfigError` if a newer version wrote this file, by its name. 0.1 put no version into names."""
    if found := _IN_NAME.search(path.name):
        refuse_newer(path, int(found[1]), found[2])
