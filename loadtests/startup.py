"""`python -m loadtests.startup`: how long `rememberd serve` takes to be ready, and what it costs while idle; with
`--memories 100000` also how long it takes after kill -9 with so many memories in its store."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loadtests import servers
from loadtests.machine import children, cores, memory_mb, rss_mb
from loadtests.preload import through_store

ROUNDS = 3
IDLE_SECONDS = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtests.startup", description=__doc__)
    parser.add_argument("--memories", type=int, default=0, help="in the store of a proxy that is killed")
    memories = parser.parse_args().memories
    os.environ.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # an installed package is compiled: without, a start takes .3 s more
    rounds = [measure() for _ in range(ROUNDS + 1)][1:]  # the first compiles, and reads the files into the cache
    print(f"rememberd serve, median of {ROUNDS} starts, an empty store, no model configured, {os.cpu_count()} cores")
    print("| | |\n|---|---|")
    print(f"| ready in | {statistics.median(r['ready'] for r in rounds):.1f} s |")
    for name in ("web", "writer", "parent"):
        resident = statistics.median(r[name] for r in rounds)
        print(f"| resident memory of the {name} process, idle | {resident:.0f} MB |")
    print(f"| memory of all together, idle | {statistics.median(r['all'] for r in rounds):.0f} MB |")
    if memories:
        print(f"| ready after kill -9, {memories:,} memories | {after_kill(memories):.1f} s |")


def measure() -> dict[str, float]:
    """Seconds until it says that it is ready, and megabytes of each process a moment later."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "rememberd.yaml"
        config.write_text(json.dumps({"server": {"port": 0}, "data_dir": folder, "model_list": []}))
        command = [sys.executable, "-m", "rememberd", "serve", "--config", str(config)]
        began = time.monotonic()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            while "ready at" not in (line := process.stdout.readline()):
                if not line:
                    sys.exit("rememberd did not start:\n" + process.stderr.read())
            ready = time.monotonic() - began
            time.sleep(IDLE_SECONDS)
            started = dict(re.findall(r"(web|writer)\S* started, pid (\d+)", _so_far(process)))
            sizes = {name: rss_mb([int(pid)]) for name, pid in started.items()}
            together = memory_mb([process.pid, *children(process.pid)])
            return {"ready": ready, "parent": rss_mb([process.pid]), "all": together} | sizes
        finally:
            process.terminate()
            process.communicate()


def after_kill(memories: int) -> float:
    """Median of `ROUNDS` starts, each after all processes were killed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "proxy"
        with servers.rememberd(folder, 1, ["none"], cores(False)) as target:
            through_store(target, memories, users=10)
            for pid in children(os.getpid()):
                os.kill(pid, signal.SIGKILL)
        return statistics.median(_start_and_kill(folder / servers.CONFIG, Path(name) / "log") for _ in range(ROUNDS))


def _start_and_kill(config: Path, log: Path) -> float:
    command = [sys.executable, "-m", "rememberd", "serve", "--config", str(config)]
    began = time.monotonic()
    with log.open("w") as opened:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=opened, text=True)
    assert process.stdout is not None
    while "ready at" not in (line := process.stdout.readline()):
        if not line:
            sys.exit("rememberd did not start:\n" + log.read_text())
    ready = time.monotonic() - began
    for pid in [process.pid, *children(process.pid)]:
        os.kill(pid, signal.SIGKILL)
    process.wait()
    return ready


def _so_far(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    os.set_blocking(process.stderr.fileno(), False)
    return process.stderr.read() or ""


if __name__ == "__main__":
    main()
