"""A folder that holds one shard of embedded Qdrant. One process opens it, and one embedder fills it."""

import ctypes
import fcntl
import logging
import os
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import qdrant_edge as qdrant
from qdrant_edge import IntegerIndexParams, KeywordIndexParams, UpdateOperation

from rememberd.errors import ConfigError, StoreUnavailable

log = logging.getLogger("rememberd.store")

FORMAT = 2  # version of the points' format; no release wrote another

# There is no index over all users, one for each space: optimising 10,000 points costs 0.5 s of CPU instead of 9.4.
_HNSW = qdrant.HnswIndexConfig(m=0, payload_m=16, ef_construct=100, full_scan_threshold=10_000)
_INDEXES: dict[str, KeywordIndexParams | IntegerIndexParams] = {
    "space": KeywordIndexParams(is_tenant=True),
    "buried": KeywordIndexParams(enable_hnsw=False),
    "user_id": KeywordIndexParams(enable_hnsw=False),
    "kind": KeywordIndexParams(enable_hnsw=False),
    "slot": KeywordIndexParams(enable_hnsw=False),
    # A keyword field, because the engine (0.9.0) scans all points to answer from its boolean index: 40 ms for 10,000.
    "pinned": KeywordIndexParams(enable_hnsw=False),
    "standing": KeywordIndexParams(enable_hnsw=False),
    "names": IntegerIndexParams(lookup=True, range=False, enable_hnsw=False),
    "until": IntegerIndexParams(lookup=False, range=True, enable_hnsw=False),
    "order": IntegerIndexParams(lookup=True, range=True, enable_hnsw=False),
}

_MADV_DONTNEED = 4  # from Linux's mman.h; for a shared mapping of a file it loses nothing


def take_lock(folder: Path) -> int:
    """The file descriptor that locks the folder until it is closed. Raises `ConfigError` that names the holder of the
    lock."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _lock_exclusively(lock)
    except BlockingIOError:
        holder = os.read(lock, 20).decode() or "unknown"
        os.close(lock)
        raise ConfigError(
            f"the memories in {folder} are in use by process {holder}: stop it, or set another data_dir; several "
            "writers need a Qdrant server, memory.store.url"
        ) from None
    os.truncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock


def _lock_exclusively(lock: int) -> None:
    """Raises `BlockingIOError`. Tries twice, because `is_locked` in another process holds the lock for some
    microseconds."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        time.sleep(0.02)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(folder: Path) -> bool:
    """Whether a process holds this folder."""
    try:
        lock = os.open(folder / "lock", os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def check_embedder(folder: Path, name: str, dim: int) -> None:
    """Record which embedder fills this folder. Raises `ConfigError` if another embedder or an earlier format filled
    it, `StoreUnavailable` if this cannot be read."""
    file = folder / "embedder.json"
    if not file.exists():
        draft = file.with_suffix(".new")
        draft.write_bytes(orjson.dumps(_signature(name, dim)))
        draft.replace(file)
    try:
        known = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError as error:
        raise StoreUnavailable(f"{file} is damaged: delete it, if the embedding model is still the same") from error
    if known.get("format") != FORMAT:
        raise ConfigError(
            f"the memories in {folder} were stored by another version of rememberd: export them with that version"
            " (`rememberd memories export`), and import them into another data_dir"
        )
    if known != _signature(name, dim):
        raise ConfigError(
            f"the memories in {folder} were embedded with {known['name']} ({known['dim']} dimensions), not with"
            f" {name} ({dim}): set memory.embedding back, or see deploy/OPERATIONS.md, Changing the embedding model"
        )


def made_by(folder: Path) -> dict[str, Any]:
    """The `embedder` and the `dim` of its vectors. Raises `StoreUnavailable`."""
    known = _filled_by(folder)
    if known is None:
        raise StoreUnavailable(f"{folder} holds no store: its embedder.json is missing")
    return {"embedder": known["name"], "dim": known["dim"]}


def copy_folder(folder: Path, target: Path) -> None:
    """Copy the folder without its lock. The store was flushed, and nobody writes to it meanwhile. Raises
    `StoreUnavailable`."""
    try:
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns("lock", "temp_segments"))
    except OSError as error:
        raise StoreUnavailable(f"{folder} cannot be copied to {target}: {error.strerror or error}") from error


def mark_ready(folder: Path, ready: bool) -> None:
    """Record that the store in `folder` may replace the current store."""
    if ready:
        (folder / "ready").touch()
    else:
        (folder / "ready").unlink(missing_ok=True)


def index_version(folder: Path) -> int:
    """The version of `memory/embedding/indexing.py` that has written all points of `folder`; 0 for none."""
    try:
        return int((folder / "indexed").read_text())
    except (FileNotFoundError, ValueError):
        return 0


def mark_indexed(folder: Path, version: int) -> None:
    draft = folder / "indexed.new"
    draft.write_text(str(version))
    draft.replace(folder / "indexed")


def take_over(folder: Path, following: Path, name: str, dim: int) -> None:
    """If the store in `following` is ready and was made with this embedder, it replaces the store in `folder`, which
    is deleted. An interrupted switch is completed at the next start. Raises `ConfigError` if one of the stores is in
    use, or if a switch was interrupted and this is another embedder."""
    before = folder.with_name(f"{folder.name}-before")
    if not (following / "ready").exists() or _filled_by(following) != _signature(name, dim):
        if before.exists() and _filled_by(folder) is None:
            raise ConfigError(
                "the switch to another embedding model was interrupted: set memory.embedding to that model, or, to"
                f" keep {name}, move {before} back to {folder}"
            )
        return
    folder.mkdir(mode=0o700, exist_ok=True)
    locks = [take_lock(folder), take_lock(following)]
    shutil.rmtree(before, ignore_errors=True)
    folder.rename(before)
    following.rename(folder)
    mark_ready(folder, False)
    shutil.rmtree(before)
    for lock in locks:
        os.close(lock)
    log.info("the memories embedded with %s are now in use", name)


def clear_of_others(folder: Path, name: str, dim: int) -> None:
    """Delete a store that another embedder filled. It is left from a change of the model that was abandoned."""
    if folder.exists() and _filled_by(folder) != _signature(name, dim):
        shutil.rmtree(folder)


def _signature(name: str, dim: int) -> dict[str, str | int]:
    return {"name": name, "dim": dim, "format": FORMAT}


def _filled_by(folder: Path) -> Any:
    file = folder / "embedder.json"
    return orjson.loads(file.read_bytes()) if file.exists() else None


def open_shard(folder: Path, dim: int) -> qdrant.EdgeShard:
    config = _config(dim)
    if not folder.exists():
        _create(folder, config)
    # A process that was killed during an optimisation leaves its half-built segments behind.
    shutil.rmtree(folder / "temp_segments", ignore_errors=True)
    shard = qdrant.EdgeShard.load(str(folder), config)
    missing = _INDEXES.keys() - shard.info().payload_schema.keys()
    if "space" in missing:
        # The engine creates an empty shard if its segments are missing; without indexes it would refuse every list.
        log.error("%s had lost its indexes, and perhaps memories: compare with your backup", folder)
    _index(shard, missing)  # also those that a later version has added
    _unmap_pages(folder)
    return shard


def _unmap_pages(folder: Path) -> None:
    """Release the mapped pages of the files from this process until they are used: the engine maps all, 47 MB for an
    empty store. The system's cache keeps them, with all writes. Only Linux has this call and this list."""
    maps = Path("/proc/self/maps")
    advise = getattr(ctypes.CDLL(None), "madvise", None)
    if advise is None or not maps.exists():
        return
    inside = f"{folder.resolve()}/"
    for line in maps.read_text(errors="surrogateescape").splitlines():
        addresses, modes, *_, file = line.split(maxsplit=5)
        if inside in file and modes.endswith("s"):
            start, end = (int(address, 16) for address in addresses.split("-"))
            advise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _MADV_DONTNEED)


def _create(folder: Path, config: qdrant.EdgeConfig) -> None:
    """Create the shard completely or not at all, even if the process is killed."""
    draft = folder.with_suffix(".new")
    shutil.rmtree(draft, ignore_errors=True)
    shard = qdrant.EdgeShard.create(str(draft), config)
    _index(shard, _INDEXES)
    shard.flush()
    shard.close()
    draft.replace(folder)


def _index(shard: qdrant.EdgeShard, keys: Iterable[str]) -> None:
    for key in keys:
        shard.update(UpdateOperation.create_field_index(key, _INDEXES[key]))


def _config(dim: int) -> qdrant.EdgeConfig:
    return qdrant.EdgeConfig(
        vectors={"dense": qdrant.EdgeVectorParams(dim, qdrant.Distance.Cosine)},
        sparse_vectors={"bm25": qdrant.EdgeSparseVectorParams(modifier=qdrant.Modifier.Idf)},
        hnsw_config=_HNSW,
        wal_enabled=True,
        # giving a query to several threads takes longer than answering it, up to 100,000 points
        max_search_threads=1,
    )
