"""When a web process of this host last got a request: the writer leaves the CPU to chats, with memory or without.

The time is in a file that the processes map into their memory, so that a request costs no disk access. A writer on
another host, which takes no CPU from them, has its own data directory and sees no requests.
"""

import math
import mmap
import os
import struct
import time
from pathlib import Path

TRAFFIC = "traffic"  # the file's name in the data directory
_TIME = struct.Struct("<d")  # of CLOCK_MONOTONIC, which all processes share


class Traffic:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(file).st_size < _TIME.size:
                os.pwrite(file, bytes(_TIME.size), 0)  # takes its place on the disk: a full one later is no SIGBUS
            self._shared = mmap.mmap(file, _TIME.size)
        finally:
            os.close(file)

    def note(self) -> None:
        _TIME.pack_into(self._shared, 0, time.monotonic())

    def quiet_for(self) -> float:
        """Seconds since the last request; infinite if that was before the host's start."""
        ago = time.monotonic() - _TIME.unpack_from(self._shared)[0]
        return ago if ago >= 0 else math.inf
