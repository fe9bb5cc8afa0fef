"""`serve` keeps its processes running, stops them in order, and never leaves one behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class Supervisor:
    """A supervisor in its own process, and the journal of its children."""

    def __init__(self, process: asyncio.subprocess.Process, journal: Path) -> None:
        self.process, self.journal = process, journal

    def events(self) -> list[tuple[str, str, int]]:
        return [(name, event, int(pid)) for name, event, pid, _ in self.lines()]

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self.journal.read_text().splitlines()] if self.journal.exists() else []

    def pids(self, name: str) -> list[int]:
        return list(dict.fromkeys(pid for each, _, pid in self.events() if each == name))

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(120):
            while not true():
                await asyncio.sleep(0.02)

    async def exit(self) -> tuple[int | None, str]:
        _, log = await asyncio.wait_for(self.process.communicate(), 120)
        return self.process.returncode, log.decode()


@asynccontextmanager
async def supervisor(folder: Path, *argv: str) -> AsyncIterator[Supervisor]:
    journal = folder / "journal"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.supervised", argv[0], str(journal), *argv[1:]),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    running = Supervisor(process, journal)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.terminate()
            await running.exit()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def ask(port: int) -> int:
    """The pid of the worker that answers."""
    async with asyncio.timeout(120):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return int(answer)


async def test_a_killed_child_comes_back(tmp_path: Path) -> None:
    """kill -9 of one child starts another in its place, leaves its sibling alone, and is logged with its reason."""
    async with supervisor(tmp_path, "parent", "5", "web:good", "writer:good") as running:
        await running.until(lambda: len(running.events()) == 2)
        (web,), (writer,) = running.pids("web"), running.pids("writer")
        os.kill(web, signal.SIGKILL)
        await running.until(lambda: len(running.pids("web")) == 2)
        assert alive(writer)
        running.process.terminate()
        code, log = await running.exit()
    assert code == 0
    assert "web exited: SIGKILL" in log
    assert log.count("web started, pid ") == 2
    assert running.pids("writer") == [writer]


async def test_connections_wait_while_a_worker_restarts(tmp_path: Path) -> None:
    """With the only web worker killed, a new connection is answered by its successor instead of refused."""
    async with supervisor(tmp_path, "serve", "1") as running:
        await running.until(lambda: running.pids("web") and running.pids("writer"))
        port = next(int(event[5:]) for _, event, _ in running.events() if event.startswith("port-"))
        first = await ask(port)
        os.kill(first, signal.SIGKILL)
        assert await ask(port) != first


async def test_all_workers_share_the_socket(tmp_path: Path) -> None:
    """Each of several web workers answers on the one port."""
    async with supervisor(tmp_path, "serve", "2") as running:
        await running.until(lambda: len(running.pids("web")) == 2)
        port = next(int(event[5:]) for _, event, _ in running.events() if event.startswith("port-"))
        answered: set[int] = set()
        async with asyncio.timeout(120):
            while len(answered) < 2:
                answered |= set(await asyncio.gather(*(ask(port) for _ in range(8))))
        assert answered == set(running.pids("web"))


@pytest.mark.parametrize("how", ["SIGTERM", "Ctrl-C"])
async def test_web_workers_drain_before_the_writer_stops(tmp_path: Path, how: str) -> None:
    """The writer hears of the end only when the last web worker is done; Ctrl-C reaches the parent alone."""
    async with supervisor(tmp_path, "parent", "5", "web-0:good", "web-1:good", "writer:good") as running:
        await running.until(lambda: len(running.events()) == 3)
        if how == "SIGTERM":
            running.process.terminate()
        else:
            os.killpg(running.process.pid, signal.SIGINT)  # what a terminal does
        code, _ = await running.exit()
    names = [(name, event) for name, event, _ in running.events()[3:]]
    assert code == 0
    assert sorted(names[:2]) == [("web-0", "stopping"), ("web-1", "stopping")]
    assert sorted(names[2:4]) == [("web-0", "stopped"), ("web-1", "stopped")]
    assert names[4:] == [("writer", "stopping"), ("writer", "stopped")]


async def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """When the grace time is over, the end comes anyway, and the writer still gets to stop."""
    async with supervisor(tmp_path, "parent", "0.5", "web:stubborn", "writer:good") as running:
        await running.until(lambda: len(running.events()) == 2)
        running.process.terminate()
        code, log = await running.exit()
    assert code == 0
    assert "web exited: SIGKILL" in log
    assert not alive(running.pids("web")[0])
    assert running.events()[-1][:2] == ("writer", "stopped")


async def test_two_signals_at_once_are_one_request(tmp_path: Path) -> None:
    """As GNU timeout and some init systems send them: the children stop in order. A later one kills those that do
    not stop."""
    async with supervisor(tmp_path, "parent", "30", "web:good", "writer:good") as running:
        await running.until(lambda: len(running.events()) == 2)
        for _ in range(3):
            running.process.terminate()
        code, log = await running.exit()
    assert code == 0
    assert "SIGKILL" not in log
    assert [event for _, event, _ in running.events()[2:]] == ["stopping", "stopped"] * 2
    later = tmp_path / "later"
    later.mkdir()
    async with supervisor(later, "parent", "30", "web:stubborn") as running:
        await running.until(lambda: len(running.events()) == 1)
        running.process.terminate()
        await asyncio.sleep(1.2)
        running.process.terminate()
        _, log = await running.exit()
    assert "web exited: SIGKILL" in log


async def test_children_stop_when_their_parent_is_killed(tmp_path: Path) -> None:
    """After kill -9 of the supervisor its children end by themselves, in good order."""
    async with supervisor(tmp_path, "serve", "1") as running:
        await running.until(lambda: running.pids("web") and running.pids("writer"))
        pids = running.pids("web") + running.pids("writer")
        running.process.kill()
        await running.until(lambda: not any(alive(pid) for pid in pids))
    stopped = sorted(name for name, event, _ in running.events() if event == "stopped")
    assert stopped == ["web", "writer"]


async def test_a_configuration_error_ends_it_all(tmp_path: Path) -> None:
    """A child that exits with code 2 is not restarted: the others stop, and the code is handed on."""
    async with supervisor(tmp_path, "parent", "5", "web:config-error", "writer:good") as running:
        code, log = await running.exit()
    assert code == 2
    assert log.count("web started") == 1
    assert not any(alive(pid) for pid in running.pids("writer"))


async def test_a_child_that_keeps_crashing_is_started_ever_more_slowly(tmp_path: Path) -> None:
    """0.2 s after the first crash, then 0.4, then 0.8."""
    async with supervisor(tmp_path, "parent", "5", "web:crash") as running:
        await running.until(lambda: len(running.pids("web")) == 4)
        starts = [float(at) for *_, at in running.lines()]
        gaps = [later - at for at, later in pairwise(starts)]
        assert [gap >= delay for gap, delay in zip(gaps, (0.2, 0.4, 0.8), strict=True)] == [True] * 3
        running.process.terminate()
        code, log = await running.exit()
    assert code == 0
    assert "web exited: code 1" in log


async def test_a_command_that_does_not_exist_is_tried_again(tmp_path: Path) -> None:
    """A child that cannot be started (a broken update) is logged and retried, and the end still works."""
    script = (
        "import asyncio, logging, sys; from rememberd.processes.supervisor import Child, supervise;"
        "logging.basicConfig(level=logging.INFO);"
        "sys.exit(asyncio.run(supervise([Child('web', ['./no-such-command'])], first_delay_s=0.01)))"
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, cwd=ROOT, stderr=pipe)
    assert process.stderr
    for _ in range(2):
        assert b"web cannot be started" in await asyncio.wait_for(process.stderr.readline(), 120)
    process.terminate()
    await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0
