"""A folder for copies of memories, which are deleted whatever ends the command that needs them."""

import fcntl
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

log = logging.getLogger("rememberd.scratch")

BACKUP = ".backup-in-progress-"  # in a data directory


@contextmanager
def scratch_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Only its owner can read it. SIGTERM ends the process with this folder deleted; one that was killed leaves it
    until the next call of `remove_abandoned`."""
    remove_abandoned(parent, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        with _ended_by_sigterm():
            yield folder
    finally:
        with _told(folder):
            shutil.rmtree(folder)
        os.close(held)


def remove_abandoned(parent: Path, prefix: str) -> None:
    """Delete the folders of processes that were killed; those of running ones are locked. What cannot be deleted is
    logged."""
    for folder in parent.glob(f"{prefix}*"):
        with _told(folder):
            held = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(held)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Logs that it stays, unless a running process has it or another one has deleted it."""
    try:
        yield
    except (BlockingIOError, FileNotFoundError):
        pass
    except OSError as error:
        log.error("%s holds copies of memories and cannot be deleted: delete it by hand (%s)", folder, error)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """The signal raises `SystemExit`, so that everything is cleaned up. Only the main thread can handle signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
