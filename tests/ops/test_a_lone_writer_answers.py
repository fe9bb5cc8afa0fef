"""A writer without `rememberd serve` can be watched: whoever runs it sees that it works, or that it hangs."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from loadtests.servers import free_port
from rememberd.access.auth import Auth
from rememberd.api.health import Health
from rememberd.ports.queues import Claim
from rememberd.wiring.routes import health_routes
from tests.support.proxy_server import PATIENCE, eventually
from tests.support.writer_rig import Rig


def test_it_answers_for_itself_and_stops_when_told(tmp_path: Path) -> None:
    """Liveness and readiness to anybody, metrics to the admin; SIGTERM ends it as ever."""
    port = free_port()
    config = tmp_path / "rememberd.yaml"
    server = {"metrics_port": port}
    config.write_text(json.dumps({"server": server, "data_dir": str(tmp_path / "data"), "admin_key": "sk-admin"}))
    command = [sys.executable, "-m", "rememberd", "writer", "--config", str(config)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            assert eventually(lambda: client.get("/health/live").status_code == 200)
            ready = client.get("/health/ready").json()
            assert ready["parts"] == {"store": "ok", "queue": "ok", "embedder": "ok"}
            assert client.get("/metrics").status_code == 401
            metrics = client.get("/metrics", headers={"x-api-key": "sk-admin"}).text
            assert 'rememberd_turns_total{outcome="written"} 0.0' in metrics
            assert "rememberd_writer_lag_seconds_count 0.0" in metrics
            assert "\nrememberd_queue_depth 0.0" in metrics
    finally:
        process.terminate()
    assert process.wait(PATIENCE) == 0


@pytest.mark.slow
def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """And the exit code tells a supervisor that it makes no sense to try again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = tmp_path / "rememberd.yaml"
        server = {"metrics_port": taken.getsockname()[1]}
        config.write_text(json.dumps({"server": server, "data_dir": str(tmp_path / "data")}))
        command = [sys.executable, "-m", "rememberd", "writer", "--config", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert "set server.metrics_port to another" in done.stderr


async def test_a_writer_that_hangs_is_not_alive(tmp_path: Path) -> None:
    """A step that neither ends nor fails: whoever looks at /health/live starts another writer."""
    rig, stop, hung = Rig(tmp_path), asyncio.Event(), asyncio.Event()
    writer = rig.writer()
    health = Health(Auth({}, None), writer.queue, {}, alive=lambda: writer.alive(0.5))
    app = httpx.ASGITransport(Starlette(routes=health_routes(health)))
    running = asyncio.create_task(writer.run(stop))
    async with httpx.AsyncClient(transport=app, base_url="http://writer") as client:

        async def status() -> int:
            return (await client.get("/health/live")).status_code

        await asyncio.sleep(0.7)  # idle for longer than a step may take
        assert await status() == 200

        async def claim(limit: int) -> list[Claim]:
            hung.set()
            await asyncio.Event().wait()
            return []

        rig.queue.claim = claim  # type: ignore[method-assign]
        await hung.wait()
        async with asyncio.timeout(PATIENCE):
            while await status() == 200:
                await asyncio.sleep(0.05)
        assert (await client.get("/health/live")).json() == {"status": "stuck"}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await rig.queue.close()
