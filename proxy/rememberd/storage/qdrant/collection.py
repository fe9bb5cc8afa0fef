"""The collections on a Qdrant server: one for all users, and one for each embedder that was ever used.

The alias `memory.store.collection` points to the one in use; `…-ready` to one that is filled and waits until its
embedder is configured. Aliases are changed in one step, so no process ever sees half a change.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from rememberd import __version__
from rememberd.errors import ConfigError, StoreUnavailable
from rememberd.storage.format_version import FORMAT, refuse_newer
from rememberd.storage.qdrant.connection import Connection, Refused

log = logging.getLogger("rememberd.store")

# Servers before 1.16 ignore `update_filter` of an upsert silently.
REQUIRED, OWN_IDF_SINCE = (1, 16), (1, 19)

# alone: the only collection. changing: the one in use, while the next one is filled. next: the one that is filled.
# reading: the one in use, for who changes nothing on the server.
Role = Literal["alone", "changing", "next", "reading"]

# Like in `edge/shard.py`: no index over all users, but one for each space.
_HNSW = {"m": 0, "payload_m": 16, "ef_construct": 100, "full_scan_threshold": 10_000}
# The server refuses a search over all users, which could only be a mistake. No limits: a page may be long.
_STRICT = {"enabled": True, "unindexed_filtering_retrieve": False, "unindexed_filtering_update": False}
# A quarter of the memory; the originals stay on disk and give the scores.
_QUANTIZED = {"scalar": {"type": "int8", "quantile": 0.99, "always_ram": True}}
_KEYWORD = {"type": "keyword", "enable_hnsw": False}
_INTEGER = {"type": "integer", "enable_hnsw": False}
_INDEXES: dict[str, dict[str, Any]] = {
    "space": {"type": "keyword", "is_tenant": True},
    **dict.fromkeys(("buried", "user_id", "kind", "slot", "pinned", "standing"), _KEYWORD),
    "names": _INTEGER | {"lookup": True, "range": False},
    "until": _INTEGER | {"lookup": False, "range": True},
    "order": _INTEGER | {"lookup": True, "range": True},
    "user_order": _INTEGER | {"lookup": True, "range": True},
    "written_at": _INTEGER | {"lookup": False, "range": True},
}


class NoCollection(StoreUnavailable):
    """The collection is made, or taken into use, by the next start."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the collections are named and how new ones are made: the settings of `memory.store` of the same names."""

    collection: str = "rememberd"
    shards: int = 1
    shard_by_user: bool = False
    replicas: int = 1
    write_consistency: int = 1
    quantize: bool = False

    @property
    def ready(self) -> str:
        return f"{self.collection}-ready"

    @property
    def indexed(self) -> str:
        """The start of the aliases for collections whose points were all written by one version of `indexing.py`."""
        return f"{self.collection}-indexed-"

    @property
    def formatted(self) -> str:
        """The start of the aliases that tell a collection's format, and the version that made it: `2-0.2.0`."""
        return f"{self.collection}-format-"


def collection_of(layout: Layout, embedder: str, dim: int) -> str:
    """The collection for vectors of `dim` numbers made by `embedder`. Raises `StoreUnavailable` while the embedder
    is not loaded, because its `dim` is 0 until then."""
    if not dim:
        raise StoreUnavailable("the embedding model, which the store depends on, is not loaded yet")
    return f"{layout.collection}-{re.sub(r'[^A-Za-z0-9._]+', '_', embedder)}-{dim}"


async def open_collection(at: Connection, layout: Layout, name: str, dim: int, role: Role) -> None:
    """Make sure that `name` is there, with its indexes and the mark of our format, and has its role: create it, or
    switch to it if it is ready. A process that only reads changes nothing, and gets `NoCollection` if it is missing
    or not in use.

    Raises `ConfigError` if the memories in force were made by another embedder or a newer version, or split
    otherwise."""
    aliases = await aliases_of(at)
    marked = _require_format(aliases, layout, name)
    if role == "reading":
        await _require_in_force(at, layout, name, aliases)
        return
    if role == "next":
        await create(at, layout, name, dim)
    else:
        await _put_in_force(at, layout, name, dim, role, aliases)
    if not marked:
        await point_alias(at, f"{layout.formatted}{FORMAT}-{__version__}", name)


def _require_format(aliases: Mapping[str, str], layout: Layout, name: str) -> bool:
    """Write our format into the collection `name` if it has none. Raises `ConfigError` for a newer format."""
    begin = layout.formatted
    marks = [alias.removeprefix(begin) for alias, to in aliases.items() if to == name and alias.startswith(begin)]
    for mark in marks:
        number, _, version = mark.partition("-")
        refuse_newer(f"the collection {name}", int(number), version)
    return bool(marks)


async def _put_in_force(
    at: Connection, layout: Layout, name: str, dim: int, role: Role, aliases: Mapping[str, str]
) -> None:
    in_force, filled = aliases.get(layout.collection), aliases.get(layout.ready)
    if in_force is None:
        await create(at, layout, name, dim)
        await point_alias(at, layout.collection, name)
    elif in_force == name:
        await check_shards(at, layout, name)
        if filled is not None and role == "alone":  # from now on the other one is not written to
            await drop_alias(at, layout.ready)
    elif filled == name:
        await point_alias(at, layout.collection, name, instead_of=layout.ready)
        log.info("the memories are now in the collection %s; %s can be deleted on the server", name, in_force)
    else:
        raise _other_model(in_force, name)
    await index(at, name)


async def _require_in_force(at: Connection, layout: Layout, name: str, aliases: Mapping[str, str]) -> None:
    in_force = aliases.get(layout.collection)
    if in_force is None:
        raise NoCollection(f"there is no collection {name} yet")
    if in_force == name:
        await check_shards(at, layout, name)
    elif aliases.get(layout.ready) == name:
        raise NoCollection(f"the memories are in {in_force} until the next start changes over to {name}")
    else:
        raise _other_model(in_force, name)


def _other_model(in_force: str, name: str) -> ConfigError:
    return ConfigError(
        f"the memories are in the collection {in_force}, made with another embedding model than {name}: set"
        " memory.embedding back, or see deploy/OPERATIONS.md, Changing the embedding model"
    )


async def holds_memories(at: Connection, layout: Layout) -> bool:
    """Whether the collection in use holds anything. Raises `StoreUnavailable`."""
    name = (await aliases_of(at)).get(layout.collection)
    if name is None:
        return False
    counted: int = (await at.ask("POST", f"/collections/{name}/points/count", {"exact": False}))["count"]
    return counted > 0


async def create(at: Connection, layout: Layout, name: str, dim: int) -> None:
    """Create the collection if it does not exist. Two processes may try at the same time."""
    if not (await at.ask("GET", f"/collections/{name}/exists"))["exists"]:
        dense: dict[str, Any] = {"size": dim, "distance": "Cosine"}
        made: dict[str, Any] = {
            "vectors": {"dense": dense},
            "sparse_vectors": {"bm25": {"modifier": "idf"}},
            "hnsw_config": _HNSW,
            "strict_mode_config": _STRICT,
            "replication_factor": layout.replicas,
            "write_consistency_factor": layout.write_consistency,
            "shard_number": 1 if layout.shard_by_user else layout.shards,
        }
        if layout.quantize:
            dense["on_disk"] = True  # the originals, which would stay in memory beside the quantised ones
            made["quantization_config"] = _QUANTIZED
        if layout.shard_by_user:
            made["sharding_method"] = "custom"
        with _exists_already():
            await at.ask("PUT", f"/collections/{name}", made)
    if layout.shard_by_user:
        for number in range(layout.shards):
            with _exists_already():
                await at.ask("PUT", f"/collections/{name}/shards", {"shard_key": f"users-{number}"})
    await index(at, name)


async def check_shards(at: Connection, layout: Layout, name: str) -> None:
    """Raises `ConfigError` if, by the settings, users are in other shards than those they were written to."""
    found = await at.ask("GET", f"/collections/{name}/cluster")
    keys = {str(each.get("shard_key")) for each in (*found["local_shards"], *found["remote_shards"])}
    present = sum(key.startswith("users-") for key in keys)
    wanted = layout.shards if layout.shard_by_user else 0
    if present != wanted:
        was = f"shard_by_user true and shards {present}" if present else "shard_by_user false"
        raise ConfigError(
            f"the collection {name} was made with {was}: set memory.store back to that, or `rememberd"
            " migrate` the memories to a new memory.store.collection"
        )


async def index(at: Connection, name: str) -> None:
    """Create the missing payload indexes: a creation may have been interrupted."""
    present = (await at.ask("GET", f"/collections/{name}"))["payload_schema"]
    for key, schema in _INDEXES.items():
        if key not in present:
            made = {"field_name": key, "field_schema": schema}
            await at.ask("PUT", f"/collections/{name}/index?wait=true", made)


async def aliases_of(at: Connection) -> dict[str, str]:
    found = (await at.ask("GET", "/aliases"))["aliases"]
    return {each["alias_name"]: each["collection_name"] for each in found}


async def point_alias(at: Connection, alias: str, name: str, *, instead_of: str | None = None) -> None:
    """Point `alias` at the collection `name`, and remove the alias `instead_of` in the same step."""
    known = await aliases_of(at)
    steps = [_without(old) for old in (alias, instead_of) if old in known]
    made = {"create_alias": {"collection_name": name, "alias_name": alias}}
    await at.ask("POST", "/collections/aliases", {"actions": [*steps, made]})


async def drop_alias(at: Connection, alias: str) -> None:
    if alias in await aliases_of(at):
        await at.ask("POST", "/collections/aliases", {"actions": [_without(alias)]})


def _without(alias: str | None) -> dict[str, Any]:
    return {"delete_alias": {"alias_name": alias}}


def index_version(aliases: Mapping[str, str], layout: Layout, name: str) -> int:
    """The latest version that has written all points of the collection `name`; 0 for none."""
    begin = layout.indexed
    marks = [alias.removeprefix(begin) for alias, to in aliases.items() if to == name and alias.startswith(begin)]
    return max((int(mark) for mark in marks if mark.isdigit()), default=0)


async def check_version(at: Connection) -> bool:
    """Returns whether this server can measure the rarity of words within one space, and logs if not. Raises
    `ConfigError` for a server that is too old: it could undo a deletion."""
    version = (await at.ask("GET", "/"))["version"]
    numbers = tuple(int(number) for number in re.findall(r"\d+", version)[:2])
    if numbers < REQUIRED:
        raise ConfigError(
            f"Qdrant at {at.where} is version {version}, and 1.16 or later is needed: an older one ignores the"
            " condition of a write, so that a memory could come back after it was deleted"
        )
    if numbers < OWN_IDF_SINCE:
        log.warning(
            "Qdrant %s measures the rarity of words over all users together; from 1.19 on it is measured for each",
            version,
        )
    return numbers >= OWN_IDF_SINCE


@contextmanager
def _exists_already() -> Iterator[None]:
    try:
        yield
    except Refused as error:
        if not error.exists_already:
            raise
