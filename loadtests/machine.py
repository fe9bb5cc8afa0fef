"""What Linux tells about processes and the machine they run on."""

from __future__ import annotations

import os
import platform
import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Cores(NamedTuple):
    """Which cores the measured server may use, and which everything else; both are all of them when not pinned."""

    server: frozenset[int]
    others: frozenset[int]


def cores(pinned: bool, server: int = 1) -> Cores:
    """The first `server` cores for the measured one. Raises `ValueError` if that leaves none for the load."""
    usable = sorted(os.sched_getaffinity(0))
    if not pinned or len(usable) < 2:
        return Cores(frozenset(usable), frozenset(usable))
    if not 0 < server < len(usable):
        raise ValueError(f"{server} of {len(usable)} cores for the server leave none for the load")
    return Cores(frozenset(usable[:server]), frozenset(usable[server:]))


def pin(pids: Iterable[int], to: frozenset[int]) -> None:
    """Pins all threads that the processes have now; new threads inherit it."""
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(ProcessLookupError):  # a thread may end meanwhile
                os.sched_setaffinity(int(task.name), to)


def cpu_us(pids: Sequence[int]) -> float:
    """Microseconds on a core so far, all threads that still run: the scheduler's own count, in nanoseconds."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                total += int((task / "schedstat").read_text().split()[0])
    return total / 1000


def rss_mb(pids: Sequence[int]) -> float:
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def memory_mb(pids: Iterable[int]) -> float:
    """What these processes need together: of a file that several have mapped, such as a library, the pages of the one
    that has most of them, and everything else of each."""
    own, shared = 0, dict[str, int]()
    for pid in pids:
        files = Counter[str]()
        file = ""
        for line in Path(f"/proc/{pid}/smaps").read_text(errors="replace").splitlines():
            if _MAPPING.match(line):
                file = line.partition("/")[2]
            elif line.startswith("Anonymous:"):
                own += _kb(line)
                files[file] -= _kb(line)
            elif line.startswith("Rss:"):
                files[file] += _kb(line)
        shared = {name: max(shared.get(name, 0), files[name]) for name in {*shared, *files}}
    return (own + sum(shared.values())) * 1024 / 1e6


def _kb(line: str) -> int:
    return int(line.split()[1])


_MAPPING = re.compile("[0-9a-f]+-[0-9a-f]+ ")


def children(pid: int) -> list[int]:
    """Of this process, and theirs."""
    parents = {int(stat.parent.name): _parent(stat) for stat in Path("/proc").glob("[0-9]*/stat")}
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


class Others:
    """How many cores processes that are not ours keep busy, from the moment that it is made."""

    def __init__(self) -> None:
        self._began, self._before = time.monotonic(), _all_seconds() - own_seconds()

    def cores(self) -> float:
        return max(0.0, _all_seconds() - own_seconds() - self._before) / (time.monotonic() - self._began)


def own_seconds() -> float:
    """CPU of this process and of those that it started, and they, also of those that have ended."""
    return sum(map(_ticks, [os.getpid(), *children(os.getpid())])) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> int:
    """Of the process and of its children that have ended."""
    try:
        return sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]))
    except OSError:
        return 0


def _all_seconds() -> float:
    """CPU of all processes, since the machine started."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def stolen_seconds() -> float:
    """What the host took from all our cores together, since it started."""
    return int(Path("/proc/stat").read_text().split()[8]) / os.sysconf("SC_CLK_TCK")


def describe() -> dict[str, str | int | float]:
    model = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
    return {
        "cores": os.cpu_count() or 1,
        "cpu": model.partition(":")[2].strip(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
    }
