"""Imports go one way: each room of the package knows only the rooms below it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.support.tables import each_row

PACKAGE = Path(__file__).parents[2] / "proxy" / "rememberd"

# From the ground up. Rooms on one line do not know each other.
LAYERS = (
    ("types", "errors", "text_classifier"),
    ("search_results",),
    ("ports", "telemetry"),
    ("dialects",),
    ("memory",),
    ("http",),
    ("upstream",),
    ("access",),
    ("settings",),
    ("api", "pipeline", "encryption"),
    ("storage",),
    ("wiring",),
    ("processes",),
    ("cli",),
    ("__main__",),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
# What a room must not know although it comes from outside the package.
FOREIGN = {
    "memory": {"starlette", "uvicorn", "redis", "qdrant_client", "sqlite3"},
    "upstream": {"starlette", "uvicorn", "redis", "qdrant_client", "qdrant_edge", "sqlite3"},
    "dialects": {"starlette", "uvicorn", "redis", "asyncio", "socket", "sqlite3"},
    "storage": {"starlette", "uvicorn", "litellm"},
}
FOLDERS_BY_ROUTE_OR_COMMAND = {"cli", "api", "api/static"}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "rememberd":
            found |= {f"rememberd.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def room_of(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


@cache
def modules() -> dict[str, set[str]]:
    """What each module imports."""
    return {path.relative_to(PACKAGE).as_posix(): imports(path) for path in PACKAGE.rglob("*.py")}


@each_row("room", [room for rooms in LAYERS for room in rooms])
def test_a_room_knows_only_the_rooms_below_it(room: str) -> None:
    """So that no change of storage, of the API or of the wiring can break what memory is about."""
    wrong = [
        f"{module} imports {name}"
        for module, names in modules().items()
        if module.partition("/")[0].removesuffix(".py") == room
        for name in names
        if name.startswith("rememberd.")
        and LEVEL.get(room_of(name), -1) >= LEVEL[room]
        and room_of(name) not in (room, "__version__")
    ]
    assert not wrong


def test_every_room_has_its_layer() -> None:
    """A new room is named here before it is used."""
    rooms = {module.partition("/")[0].removesuffix(".py") for module in modules()} - {"__init__"}
    assert rooms == set(LEVEL)


@each_row("room", FOREIGN)
def test_a_room_leaves_foreign_work_to_others(room: str) -> None:
    """Memory knows people and text, upstream bytes and headers, storage nothing of HTTP."""
    wrong = [
        f"{module} imports {name}"
        for module, names in modules().items()
        if module.startswith(f"{room}/")
        for name in names
        if name.partition(".")[0] in FOREIGN[room]
    ]
    assert not wrong


def test_a_folder_can_be_read_at_a_glance() -> None:
    """At most 20 entries at the top, 15 in a folder; fewer than 300 lines in a module."""
    folders = {path.parent for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    for folder in folders | {each.parent for each in folders if each != PACKAGE}:
        name = folder.relative_to(PACKAGE).as_posix()
        entries = [each.name for each in folder.iterdir() if each.name not in ("__pycache__", "__init__.py")]
        most = 20 if folder == PACKAGE else 40 if name in FOLDERS_BY_ROUTE_OR_COMMAND else 15
        assert len(entries) <= most, f"{name}: {sorted(entries)}"
    lines = {path: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {path.relative_to(PACKAGE).as_posix(): count for path, count in lines.items() if count >= 300} == {}
