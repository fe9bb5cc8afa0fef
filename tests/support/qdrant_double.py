"""A stand-in for a Qdrant server: the REST endpoints the store uses, over qdrant-client's local mode, with faults.

In a test, in a thread of its own:

    async with QdrantDouble(version="1.18.0") as qdrant:
        qdrant.faults = Faults(status=503, share=0.5, paths="points/query")

As a process, `python -m tests.support.qdrant_double --port 6333`, controlled by `PUT /double/faults` with the fields
of `Faults` in JSON (`{}`: none) and `DELETE /double/data`; `GET /double/requests` counts what was asked, by method
and path. With `--nodes 2` it is a cluster of two addresses, on this port and the next; `PUT /double/nodes/1` with
`{"faults": {…} or null, "lags": true or false}` is about one of them.

What the server has and local mode lacks is here: payload indexes and a strict mode that wants them, shard keys,
versions without an IDF of one's own.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import socket
import threading
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import orjson
from aiohttp import web
from pydantic import BaseModel
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.models import PayloadIndexInfo
from qdrant_client.local.local_collection import LocalCollection

from rememberd.ports import Embedder
from rememberd.settings.schema import Store
from rememberd.storage.changes import ChangeLog
from rememberd.storage.qdrant.collection import Role
from rememberd.storage.qdrant.connection import CALL_SECONDS, Connection
from rememberd.storage.qdrant.store import QdrantStore
from rememberd.wiring.store import layout_of
from tests.support.change_log import LocalChangeLog
from tests.support.qdrant_search import SpaceSearch

NEWEST = "1.20.0"
_WRITE_BYTES = 8192
_PAYLOAD_S = 10e-6  # of each point that is returned with its payload (measured: 8 ms for 800 points of ten keys)
_CREATION = ("vectors", "sparse_vectors")  # what local mode reads of a collection's configuration


@dataclass
class Faults:
    """What befalls a `share` of the requests whose "METHOD /path" matches `paths`. Times are in seconds.

    `status`: answered instead of a result, nothing done. `delay`: before anything is done. `disconnect`: the
    connection is cut, before or after the work. `drip`: between tenths of the answer's body."""

    status: int | None = None
    delay: float = 0.0
    disconnect: Literal["before", "after"] | None = None
    drip: float = 0.0
    share: float = 1.0
    paths: str = ""
    message: str = "a fault of the double"


_LOGS: defaultdict[str, LocalChangeLog] = defaultdict(LocalChangeLog)


def server_store(
    at: Store,
    embedder: Embedder,
    role: Role = "alone",
    call_seconds: float = CALL_SECONDS,
    changes: ChangeLog | None = None,
) -> QdrantStore:
    """As `wiring` makes one; those of one server share their changes. Raises `ConfigError`."""
    connection = Connection(at.urls, at.api_key, call_seconds)
    return QdrantStore(connection, layout_of(at), embedder, role, changes or _LOGS[at.urls[0]])


class Refused(Exception):
    """Answered with this status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Collection:
    """What the server knows of a collection beside its points."""

    config: dict[str, Any]
    indexes: dict[str, PayloadIndexInfo] = field(default_factory=dict)
    shard_keys: set[str] = field(default_factory=set)


class LocalQdrant(AsyncQdrantClient):
    """Local mode, which has no use for indexes and says so with a warning."""

    def __init__(self) -> None:
        super().__init__(":memory:")

    async def create_payload_index(self, *arguments: Any, **options: Any) -> Any:
        return models.UpdateResult(status=models.UpdateStatus.COMPLETED)


class Node:
    """One address of the cluster, with a replica of everything. `lags`: it answers with what it had, and changes made
    through others reach it when it is set right by `catch_up`; those made through it are refused."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.faults: Faults | None = None  # instead of the cluster's
        self.lags = False
        self.asked = 0
        self.url = ""
        self._missed: list[tuple[str, str, dict[str, Any]]] = []
        self.empty()

    def empty(self) -> None:
        self.collections: dict[str, Collection] = {}
        self.client = LocalQdrant()
        self._searches: dict[str, SpaceSearch] = {}
        self._missed.clear()

    async def change(self, method: str, path: str, body: dict[str, Any]) -> None:
        """As another node was asked to."""
        if self.lags:
            self._missed.append((method, path, body))
        else:
            await self.route(method, path, body)

    async def catch_up(self) -> None:
        self.lags = False
        for missed in self._missed:
            await self.route(*missed)
        self._missed.clear()

    async def route(self, method: str, path: str, body: dict[str, Any]) -> Any:
        for of, pattern, endpoint in _ENDPOINTS:
            found = re.fullmatch(pattern, path)
            if of == method and found:
                result = await endpoint(self, *found.groups(), **({"body": body} if body else {}))
                return result if path == "/" else {"result": _plain(result), "status": "ok", "time": 0.0}
        raise Refused(404, f"the double has no {method} {path}")

    def of(self, name: str) -> Collection:
        named = self.client._client.aliases.get(name, name)  # type: ignore[attr-defined]
        if named not in self.collections:
            raise Refused(404, f"Not found: Collection `{name}` doesn't exist!")
        return self.collections[named]

    def search_of(self, name: str) -> SpaceSearch:
        named = self.client._client.aliases.get(name, name)  # type: ignore[attr-defined]
        if named not in self._searches:
            self._searches[named] = SpaceSearch(self.client._client.collections[named])  # type: ignore[attr-defined]
        return self._searches[named]

    def drop_search(self, name: str) -> None:
        """It is made anew when it is needed."""
        self._searches.pop(self.client._client.aliases.get(name, name), None)  # type: ignore[attr-defined]

    def compact(self, name: str) -> None:
        """Local mode looks through deleted points too, for ever."""
        collections = self.client._client.collections  # type: ignore[attr-defined]
        named = self.client._client.aliases.get(name, name)  # type: ignore[attr-defined]
        old = collections[named]
        if old.deleted.sum() < len(old.ids) / 2:
            return
        self.drop_search(name)
        records, _ = old.scroll(limit=len(old.ids) + 1, with_vectors=True)
        collections[named] = LocalCollection(old.config)
        if kept := [models.PointStruct(id=r.id, vector=r.vector, payload=r.payload) for r in records]:
            collections[named].upsert(kept)

    def checked(self, name: str, body: dict[str, Any], *filters: Any, writes: bool = False) -> str | None:
        """Strict mode, versions and shards. Returns the shard key."""
        collection = self.of(name)
        strict = (collection.config.get("strict_mode_config") or {}).get("enabled")
        for condition in _conditions(filters):
            if strict and condition["key"] not in collection.indexes:
                raise Refused(403, f"Index required but not found for {condition['key']}")
        shard = body.get("shard_key")
        if writes and collection.shard_keys and shard not in collection.shard_keys:
            raise Refused(400, f"Wrong input: shard key not specified or unknown: {shard}")
        return shard


class QdrantDouble:
    """`api_key`: refuse requests without it. `nodes`: how many addresses. `requests` holds "METHOD /path" and the
    body of each; `faults` are those of all nodes."""

    def __init__(self, version: str = NEWEST, api_key: str | None = None, port: int = 0, nodes: int = 1) -> None:
        self.version, self.api_key, self.port = version, api_key, port
        self.nodes = [Node(version) for _ in range(nodes)]
        self.faults = Faults()
        self.requests: list[tuple[str, Any]] = []
        self.under_way = 0  # requests, also those whose client has gone
        self.encodings: set[str] = set()  # that clients asked for
        self.refuse: str | None = None  # requests that hold this text
        self._ready = threading.Event()

    @property
    def collections(self) -> dict[str, Collection]:
        return self.nodes[0].collections

    @property
    def url(self) -> str:
        return ",".join(node.url for node in self.nodes)

    async def __aenter__(self) -> Self:
        self._thread = threading.Thread(target=asyncio.run, args=(self.serve(),), daemon=True)
        self._thread.start()
        await asyncio.to_thread(self._ready.wait)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        await asyncio.to_thread(self._thread.join)

    async def catch_up(self) -> None:
        """The nodes that lag become equal to the others."""
        for node in self.nodes:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(node.catch_up(), self._loop))

    async def serve(self) -> None:
        """Until it is left."""
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        runners = [await self._served(node, self.port + n if self.port else 0) for n, node in enumerate(self.nodes)]
        self._ready.set()
        await self._stop.wait()
        for runner in runners:
            await runner.cleanup()
        for node in self.nodes:
            await node.client.close()

    async def _served(self, node: Node, port: int) -> web.AppRunner:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._handle(node, request)

        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_put("/double/faults", self._set_faults)
        app.router.add_put("/double/nodes/{number}", self._set_node)
        app.router.add_get("/double/requests", self._count_requests)
        app.router.add_delete("/double/data", self._forget)
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        node.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    async def _set_faults(self, request: web.Request) -> web.Response:
        self.faults = Faults(**await request.json())
        return web.json_response({})

    async def _set_node(self, request: web.Request) -> web.Response:
        node, body = self.nodes[int(request.match_info["number"])], await request.json()
        node.faults = None if body["faults"] is None else Faults(**body["faults"])
        if body["lags"]:
            node.lags = True
        else:
            await node.catch_up()
        return web.json_response({})

    async def _count_requests(self, request: web.Request) -> web.Response:
        return web.json_response(Counter(what for what, _ in self.requests))

    async def _forget(self, request: web.Request) -> web.Response:
        for node in self.nodes:
            node.empty()
        return web.json_response({})

    async def _handle(self, node: Node, request: web.Request) -> web.StreamResponse:
        what, body = f"{request.method} {request.path}", await request.read()
        node.asked += 1
        self.under_way += 1
        try:
            return await self._handled(node, request, what, body)
        finally:
            self.under_way -= 1

    async def _handled(self, node: Node, request: web.Request, what: str, body: bytes) -> web.StreamResponse:
        self.requests.append((what, orjson.loads(body) if body else None))
        self.encodings.add(request.headers.get("accept-encoding", ""))
        given = self.faults if node.faults is None else node.faults
        faults = given if re.search(given.paths, what) else Faults()
        if random.random() >= faults.share:
            faults = Faults()
        await asyncio.sleep(faults.delay)
        if faults.disconnect == "before":
            return _cut(request)
        if faults.status is not None:
            return _answer({"status": {"error": faults.message}}, faults.status)
        try:
            self._check_key(request)
            if self.refuse is not None and self.refuse in body.decode():
                raise Refused(400, "Wrong input: refused by the test")
            status, answer = 200, await self._answered(node, request, orjson.loads(body) if body else {})
        except Refused as error:
            status, answer = error.status, {"status": {"error": str(error)}}
        except ValueError as error:  # how local mode refuses
            status, answer = 404 if "not found" in str(error) else 400, {"status": {"error": str(error)}}
        if faults.disconnect == "after":
            return _cut(request)
        await asyncio.sleep(_PAYLOAD_S * _payloads(answer))
        if faults.drip:
            return await _dripped(request, answer, status, faults.drip)
        if re.search("gzip|deflate|zstd|br", request.headers.get("accept-encoding", "")):
            return await _compressed(request, answer, status)
        return _answer(answer, status)

    async def _answered(self, node: Node, request: web.Request, body: dict[str, Any]) -> Any:
        changes = request.method in ("PUT", "DELETE") or request.path.endswith(("/points/delete", "/aliases"))
        if not changes or request.method == "GET":
            return await node.route(request.method, request.path, body)
        if node.lags:
            raise Refused(503, "Service unavailable: this node is not in step with the cluster")
        answer = await node.route(request.method, request.path, body)
        for other in self.nodes:
            if other is not node:
                await other.change(request.method, request.path, body)
        return answer

    def _check_key(self, request: web.Request) -> None:
        if self.api_key is not None and request.headers.get("api-key") != self.api_key:
            raise Refused(401, "Must provide an API key or an Authorization bearer token")


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


def _answer(answer: Any, status: int) -> web.Response:
    return web.Response(body=orjson.dumps(answer), status=status, content_type="application/json")


async def _dripped(request: web.Request, answer: Any, status: int, pause: float) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
    await response.prepare(request)
    body = orjson.dumps(answer)
    size = len(body) // 10 + 1
    for start in range(0, len(body), size):
        await asyncio.sleep(pause)
        await response.write(body[start : start + size])
    return response


async def _compressed(request: web.Request, answer: Any, status: int) -> web.StreamResponse:
    """As the server does: in several writes, each of which waits until the last one was acknowledged."""
    assert request.transport is not None
    request.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
    response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
    response.enable_compression()
    await response.prepare(request)
    body = orjson.dumps(answer)
    for start in range(0, len(body), _WRITE_BYTES):
        await response.write(body[start : start + _WRITE_BYTES])
    return response


def _payloads(answer: Any) -> int:
    """How many of the points in it have their payload."""
    if isinstance(answer, dict):
        return int(bool(answer.get("payload"))) + sum(_payloads(answer.get(key)) for key in ("result", "points"))
    return sum(map(_payloads, answer)) if isinstance(answer, list) else 0


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [_plain(each) for each in value] if isinstance(value, list) else value


def _conditions(filters: Any) -> Iterator[dict[str, Any]]:
    """Those on payload keys, however deep they stand."""
    if isinstance(filters, dict):
        if "key" in filters:
            yield filters
        for value in filters.values():
            yield from _conditions(value)
    elif isinstance(filters, list | tuple):
        for value in filters:
            yield from _conditions(value)


async def _version(double: Node) -> Any:
    return {"title": "qdrant - vector search engine", "version": double.version}


async def _is_ready(double: Node) -> Any:
    return "all shards are ready"


async def _collections(double: Node) -> Any:
    return await double.client.get_collections()


async def _collection(double: Node, name: str) -> Any:
    known = double.of(name)
    info = (await double.client.get_collection(name)).model_dump(mode="json")
    info["config"]["params"] |= {k: v for k, v in known.config.items() if k not in _CREATION}
    return info | {"payload_schema": {key: _plain(index) for key, index in known.indexes.items()}}


async def _exists(double: Node, name: str) -> Any:
    return {"exists": await double.client.collection_exists(name)}


async def _create(double: Node, name: str, body: dict[str, Any]) -> Any:
    if name in double.collections:
        raise Refused(409, f"Wrong input: Collection `{name}` already exists!")
    asked = models.CreateCollection(**body)
    await double.client.create_collection(
        name, vectors_config=asked.vectors, sparse_vectors_config=asked.sparse_vectors
    )
    double.collections[name] = Collection(body)
    return True


async def _drop(double: Node, name: str) -> Any:
    double.drop_search(name)
    double.collections.pop(name, None)
    return await double.client.delete_collection(name)


async def _aliases(double: Node) -> Any:
    return await double.client.get_aliases()


async def _change_aliases(double: Node, body: dict[str, Any]) -> Any:
    return await double.client.update_collection_aliases(models.ChangeAliasesOperation(**body).actions)


async def _index(double: Node, name: str, body: dict[str, Any]) -> Any:
    kind = models.PayloadSchemaType(body["field_schema"]["type"])
    double.of(name).indexes[body["field_name"]] = PayloadIndexInfo(data_type=kind, points=0)
    return models.UpdateResult(status=models.UpdateStatus.COMPLETED)


async def _add_shard(double: Node, name: str, body: dict[str, Any]) -> Any:
    keys = double.of(name).shard_keys
    if body["shard_key"] in keys:
        raise Refused(400, f"Wrong input: Shard key {body['shard_key']} already exists")
    keys.add(body["shard_key"])
    return True


async def _cluster(double: Node, name: str) -> Any:
    keys: list[str | None] = [*double.of(name).shard_keys] or [None]
    shards = [{"shard_id": n, "points_count": 0, "state": "Active", "shard_key": key} for n, key in enumerate(keys)]
    return {
        "peer_id": 1,
        "shard_count": len(keys),
        "local_shards": shards,
        "remote_shards": [],
        "shard_transfers": [],
    }


async def _upsert(double: Node, name: str, body: dict[str, Any]) -> Any:
    double.checked(name, body, body.get("update_filter"), writes=True)
    asked, search = models.PointsList(**body), double.search_of(name)
    result = await double.client.upsert(name, asked.points, update_filter=asked.update_filter)
    search.changed(each["id"] for each in body["points"])
    return result


async def _retrieve(double: Node, name: str, body: dict[str, Any]) -> Any:
    double.checked(name, body)
    asked = models.PointRequest(**body)
    return await double.client.retrieve(
        name, asked.ids, with_payload=asked.with_payload or True, with_vectors=asked.with_vector or False
    )


async def _delete(double: Node, name: str, body: dict[str, Any]) -> Any:
    double.checked(name, body, body.get("filter"), writes=True)
    selector = models.FilterSelector(**body) if "filter" in body else models.PointIdsList(**body)
    result = await double.client.delete(name, selector)
    named = body.get("points") or [id_ for each in body["filter"].get("must", ()) for id_ in each.get("has_id", ())]
    if named:
        double.search_of(name).changed(named)
    else:
        double.drop_search(name)
    double.compact(name)
    return result


async def _count(double: Node, name: str, body: dict[str, Any]) -> Any:
    double.checked(name, body, body.get("filter"))
    if (found := double.search_of(name).count(body)) is not None:
        return {"count": found}
    return await double.client.count(name, models.CountRequest(**body).filter)


async def _scroll(double: Node, name: str, body: dict[str, Any]) -> Any:
    double.checked(name, body, body.get("filter"), body.get("order_by"))
    if (page := double.search_of(name).page(body)) is not None:
        return page
    asked = models.ScrollRequest(**body)
    records, following = await double.client.scroll(
        name,
        asked.filter,
        limit=asked.limit or 10,
        order_by=asked.order_by,
        offset=asked.offset,
        with_payload=asked.with_payload if asked.with_payload is not None else True,
        with_vectors=asked.with_vector or False,
    )
    return {"points": _plain(records), "next_page_offset": following}


async def _query(double: Node, name: str, body: dict[str, Any]) -> Any:
    for each in body["searches"]:
        double.checked(name, each, each.get("filter"), each.get("params"))
        if "idf" in (each.get("params") or {}) and tuple(map(int, double.version.split("."))) < (1, 19):
            raise Refused(400, "Format error in JSON body: unknown field `idf`")
        (each.get("params") or {}).pop("quantization", None)  # local mode knows whole vectors only
    found = double.search_of(name).answers(body["searches"])
    if found is None:
        return await double.client.query_batch_points(name, models.QueryRequestBatch(**body).searches)
    return found


async def _facet(double: Node, name: str, body: dict[str, Any]) -> Any:
    double.checked(name, body, body.get("filter"), {"key": body["key"]})
    wanted = models.Filter(**body["filter"]) if "filter" in body else None
    return await double.client.facet(name, body["key"], facet_filter=wanted, limit=body["limit"])


_NAME = "/collections/([^/]+)"
_ENDPOINTS: list[tuple[str, str, Callable[..., Awaitable[Any]]]] = [
    ("GET", "/", _version),
    ("GET", "/readyz", _is_ready),
    ("GET", "/collections", _collections),
    ("POST", "/collections/aliases", _change_aliases),
    ("GET", "/aliases", _aliases),
    ("GET", _NAME, _collection),
    ("PUT", _NAME, _create),
    ("DELETE", _NAME, _drop),
    ("GET", f"{_NAME}/exists", _exists),
    ("PUT", f"{_NAME}/index", _index),
    ("PUT", f"{_NAME}/shards", _add_shard),
    ("GET", f"{_NAME}/cluster", _cluster),
    ("PUT", f"{_NAME}/points", _upsert),
    ("POST", f"{_NAME}/points", _retrieve),
    ("POST", f"{_NAME}/points/delete", _delete),
    ("POST", f"{_NAME}/points/count", _count),
    ("POST", f"{_NAME}/points/scroll", _scroll),
    ("POST", f"{_NAME}/points/query/batch", _query),
    ("POST", f"{_NAME}/facet", _facet),
]


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--version", default=NEWEST)
    parser.add_argument("--api-key")
    parser.add_argument("--nodes", type=int, default=1, help="on that many ports, one after the other")
    arguments = parser.parse_args()
    double = QdrantDouble(arguments.version, arguments.api_key, arguments.port, arguments.nodes)
    serving = asyncio.create_task(double.serve())
    await asyncio.to_thread(double._ready.wait)
    print(f"ready at {double.url}", flush=True)
    await serving


if __name__ == "__main__":
    asyncio.run(main())
