"""Imports go one way (DESIGN section 4)."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
ADAPTERS = (
    "proxy.memory.store",
    "proxy.memory.queue",
    "proxy.memory.pending",
    "proxy.memory.redis",
    "proxy.memory.sealed",
    "proxy.memory.embed",
    "proxy.upstream.passthrough",
)
COMPOSERS = {
    "proxy/app.py",
    "proxy/queues.py",
    "proxy/sealing.py",
    "proxy/serve.py",
    "proxy/stores.py",
    "proxy/commands/audit.py",
    "proxy/commands/check.py",
    "proxy/commands/erase.py",
    "proxy/commands/migrate.py",
}
PURE = {"proxy/types.py", "proxy/errors.py", "proxy/sse.py", "proxy/identity.py", "proxy/memory/block.py"}
IO = {"aiohttp", "httptools", "asyncio", "socket", "sqlite3", "starlette", "uvicorn", "qdrant_edge", "redis"}


HTTP = ("proxy.api", "proxy.app", "proxy.chat", "proxy.relay", "proxy.upstream", "starlette", "aiohttp")


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def modules() -> dict[str, set[str]]:
    return {str(path.relative_to(ROOT)): imports(path) for path in (ROOT / "proxy").rglob("*.py")}


def under(name: str, parents: tuple[str, ...]) -> bool:
    return any(name == parent or name.startswith(f"{parent}.") for parent in parents)


def test_only_the_composition_root_knows_adapters() -> None:
    """A folder under store/ or queue/ can be deleted and breaks app.py only."""
    for module, names in modules().items():
        room = module.rpartition("/")[0].replace("/", ".")
        if module not in COMPOSERS and not under(room, ADAPTERS):
            assert not [name for name in names if under(name, ADAPTERS)], module


def test_memory_knows_nothing_of_http_and_upstream_nothing_of_memory() -> None:
    """People and text there, bytes and headers here."""
    for module, names in modules().items():
        if module.startswith("proxy/memory/"):
            assert not [name for name in names if under(name, HTTP)], module
        if module.startswith("proxy/upstream/"):
            assert not [name for name in names if under(name, ("proxy.memory", "proxy.api", "proxy.app"))], module


def test_pure_modules_do_no_io() -> None:
    """They can be read, and tested, without a server."""
    for module, names in modules().items():
        if module in PURE or module.startswith("proxy/wire/"):
            assert not {name.partition(".")[0] for name in names} & IO, module
            assert not [name for name in names if under(name, ("proxy.upstream", "proxy.app", "proxy.chat"))], module
