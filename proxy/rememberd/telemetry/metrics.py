"""Metrics on the path of a request. All series of a counter exist from the start, because Prometheus sees no increase
in a series that begins with 1.

With several processes the library stores its numbers in a file, and each update costs a system call, a lock and a
write. A chat has 8 updates, a tenth of its time. So `count` and `observe` only note the updates in memory. `flush`
passes them on: `FLUSH_S` later, before this process's metrics are read, and at its end. A killed process loses the
updates since the last flush."""

import asyncio
import atexit
import time
from bisect import bisect_right
from collections import Counter as Tally
from collections import defaultdict

from prometheus_client import Counter, Histogram

FLUSH_S = 0.25

_counted = Tally[Counter]()
_observed: defaultdict[Histogram, list[float]] = defaultdict(list)


def counter(name: str, about: str, label: str, *values: str) -> Counter:
    """A counter with one series for each of the `values` of `label`."""
    made = Counter(name, about, [label])
    for value in values:
        made.labels(value)
    return made


def count(counter: Counter) -> None:
    """Increment by one. Like `observe` and `flush`, only for the event loop's thread."""
    if not _counted:
        _flush_later()
    _counted[counter] += 1


def observe(histogram: Histogram, seconds: float) -> None:
    if not _observed:
        _flush_later()
    _observed[histogram].append(seconds)


def _flush_later() -> None:
    if not _counted and not _observed:
        asyncio.get_running_loop().call_later(FLUSH_S, flush)


@atexit.register
def flush() -> None:
    """Pass all noted updates to the library."""
    for counter, number in _counted.items():
        counter.inc(number)
    _counted.clear()
    for histogram, values in _observed.items():
        histogram._sum.inc(sum(values))
        values.sort()
        below = 0
        for bound, bucket in zip(histogram._upper_bounds, histogram._buckets, strict=True):
            if (at := bisect_right(values, bound, below)) > below:
                bucket.inc(at - below)
                below = at
    _observed.clear()


class Timed:
    """Context manager that observes its duration in seconds."""

    __slots__ = ("_began", "_histogram")

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        observe(self._histogram, time.perf_counter() - self._began)
