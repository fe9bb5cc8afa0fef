"""A part that keeps failing is left alone for a while, so that nobody waits for it."""

import math
import time
from collections.abc import Callable

FAILURES, PAUSE_S = 3, 1.0  # so many failures in a row, and the part is left alone for so long


class Breaker:
    """Open after `FAILURES` in a row and `PAUSE_S` without a success: where some calls succeed, the part is busy and
    not down. Closed by a success; while it is open, one call every `PAUSE_S` may probe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._failures = 0
        self._next_probe = 0.0
        self._succeeded = -math.inf

    @property
    def closed(self) -> bool:
        return self._failures < FAILURES or self.clock() - self._succeeded < PAUSE_S

    def may_probe(self) -> bool:
        if self.clock() < self._next_probe:
            return False
        self._next_probe = self.clock() + PAUSE_S
        return True

    def success(self) -> None:
        self._failures, self._succeeded = 0, self.clock()

    def failure(self) -> None:
        self._failures += 1
        if not self.closed:
            self._next_probe = self.clock() + PAUSE_S
