"""The current time in the unit in which it is stored."""

import time

from rememberd.types import Millis


def wall_clock() -> Millis:
    return time.time_ns() // 1_000_000
