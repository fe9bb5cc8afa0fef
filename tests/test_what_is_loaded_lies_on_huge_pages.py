"""Fewer and larger pages for what stays, and nothing else changes: no content, and hardly the size of the process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

LOADED = """
import re
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from pathlib import Path
from proxy.huge_pages import HUGE, collapse

def kb(name):
    return int(re.search(name + r": +(\\d+)", Path("/proc/self/smaps_rollup").read_text())[1])

loaded = bytearray(b"weights!" * 2**21)
kept = [str(number) for number in range(200_000)]
barely = mmap(-1, 8 * HUGE, flags=MAP_PRIVATE | MAP_ANONYMOUS)
barely[::HUGE] = bytes(8)
before = kb("Rss")
moved = collapse()
print(moved, kb("AnonHugePages"), kb("Rss") - before)
assert loaded == b"weights!" * 2**21
assert kept == [str(number) for number in range(200_000)]
assert bytes(barely) == bytes(8 * HUGE)
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux only")
def test_what_is_loaded_moves_and_what_is_unused_does_not_grow() -> None:
    """In a process of its own. A kernel without the call leaves everything as it was."""
    answer = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True).stdout.split()
    moved, huge_kb, grown_kb = map(int, answer)
    assert grown_kb < 4096
    if not moved:
        assert re.match(r"[2-5]\.|6\.0", Path("/proc/sys/kernel/osrelease").read_text())
        return
    assert moved >= 14 * 2**20
    assert huge_kb * 1024 >= 14 * 2**20
