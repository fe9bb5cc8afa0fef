"""Limits the requests per minute of a key, counted over all web processes of a host.

The counts are in a file that the processes map into their memory. A request of a key with a limit costs one lock (a
few microseconds) and no disk access; a key without a limit costs nothing. Each host counts separately.
"""

import fcntl
import math
import mmap
import os
import struct
import time
from pathlib import Path

_SLOT = struct.Struct("<16sd")  # the key's id, and the theoretical arrival time of its next request
_SLOTS = 16_384
_PROBES = 8
_WINDOW = 60.0  # seconds


class RateLimits:
    """The generic cell rate algorithm (ITU-T I.371): an idle key may make its `n` requests at once, and then one
    request every 60/n seconds. The slot of a key that was not used for a minute is free."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._file, _SLOT.size * _SLOTS)
        self._slots = mmap.mmap(self._file, _SLOT.size * _SLOTS)

    def take(self, whose: bytes, per_minute: int, now: float | None = None) -> int | None:
        """Count a request of the key `whose` (at least 16 random bytes). Returns None if it is allowed, else the
        seconds to wait."""
        now, step = time.time() if now is None else now, _WINDOW / per_minute
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            at, due = self._find(whose[:16], now)
            wait = max(due, now) + step - now - _WINDOW
            if wait > 1e-6:  # the rounding error of a sum of steps
                return math.ceil(wait)
            _SLOT.pack_into(self._slots, at, whose[:16], max(due, now) + step)
            return None
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        self._slots.close()
        os.close(self._file)

    def _find(self, whose: bytes, now: float) -> tuple[int, float]:
        """The position of the key's slot, and when its next request is due. If all slots are used, the slot that
        becomes free first is taken."""
        first = int.from_bytes(whose[:8], "little")
        idlest, least = 0, math.inf
        for probe in range(_PROBES):
            at = (first + probe) % _SLOTS * _SLOT.size
            holder, due = _SLOT.unpack_from(self._slots, at)
            if not now < due <= now + _WINDOW + 1:  # in the past, or the clock was set back
                due = 0.0
            if holder == whose:
                return at, due
            if due < least:
                idlest, least = at, due
        return idlest, 0.0
