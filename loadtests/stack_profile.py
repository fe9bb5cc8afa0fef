"""Where a web process spends its CPU: samples of its stack while it is under load, by the part of the code that ran.

py-spy (PyPI, MIT) reads the stack from outside and does not stop the process, but it takes CPU itself: do not compare
the other figures of a run with `--profile`. Time in C is that of the Python function that called it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGE = "py-spy==0.4.3"
SAMPLES_A_SECOND = 250
SHOWN = 14
_ROOM = re.compile(r"rememberd/(\w+(?:/\w+(?=/))?)")
_LIBRARY = re.compile(r"(?:site-packages/|lib/python[\d.]+/)?([\w.]+)")

Parts = Counter[str]  # samples by part


class Profiler:
    """`parts` are the samples of each measure and arm, over all rounds."""

    def __init__(self, folder: Path) -> None:
        """Installs py-spy into `folder`. Raises CalledProcessError if it cannot be had."""
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder), PACKAGE]
        subprocess.run(install, check=True)
        self.binary, self.output = folder / "bin/py-spy", folder / "stacks"
        self.parts: dict[tuple[str, str], Parts] = {}

    @contextmanager
    def sampling(self, measure: str, arm: str, pid: int) -> Iterator[None]:
        """The stacks of the process meanwhile."""
        options = ["--nonblocking", "--rate", str(SAMPLES_A_SECOND), "--format", "raw", "--output", str(self.output)]
        command = [str(self.binary), "record", "--pid", str(pid), *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            _, complaint = process.communicate()
        if not self.output.exists():
            raise RuntimeError(f"py-spy: {complaint.strip()[-500:]}")
        self.parts.setdefault((measure, arm), Counter()).update(parts(self.output.read_text()))
        self.output.unlink()


def parts(stacks: str) -> Parts:
    """Samples by the part that the innermost frame is in; a line is "outer (file:line);inner (file:line) count"."""
    found: Parts = Counter()
    for line in stacks.splitlines():
        frames, _, count = line.rpartition(" ")
        found[_part(frames.rpartition(";")[2].rpartition("(")[2])] += int(count)
    return found


def _part(file: str) -> str:
    if room := _ROOM.search(file):
        return room[1]
    library = _LIBRARY.match(file)
    return library[1].removesuffix(".py") if library else "?"


def table(profiles: dict[tuple[str, str], Parts]) -> str:
    """Markdown: the largest parts in percent of the samples, a column for each measure and arm."""
    together: Parts = sum(profiles.values(), Counter())
    names = [name for name, _ in together.most_common(SHOWN)]
    rows = [["% of the CPU in", *(f"{measure} {arm}" for measure, arm in profiles)]]
    rows.append(["---"] * len(rows[0]))
    rows += [
        [name, *(f"{100 * each[name] / max(1, each.total()):.0f}" for each in profiles.values())] for name in names
    ]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
