"""Records who owns the responses and conversations that a provider stores for a key that several users share. Only a
digest of owner, provider and id is stored, as long as the provider stores the object (30 days at OpenAI)."""

import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from hashlib import blake2b

import orjson

from rememberd.access.auth import Auth
from rememberd.access.stored_objects import is_shared, not_allowed
from rememberd.dialects.formats import sse
from rememberd.errors import QueueUnavailable
from rememberd.ports import OwnedObjects
from rememberd.types import MESSAGES, RESPONSES, Deployment, Identity, Principal, Space
from rememberd.upstream.catalog import Catalog, provider_key

CONVERSATIONS = "/conversations"
_OBJECT = re.compile(r"/(responses|conversations)/([\w-]{1,256})(?:/[\w/-]*)?")
_CANCEL = re.compile(r"/responses/[\w-]+/cancel")
_BEGINNING = 64 * 1024  # bytes of a stream; its first event names the response

log = logging.getLogger("rememberd.objects")

OnEnd = Callable[[bytes, bool], Awaitable[None]]


class ObjectOwners:
    def __init__(self, auth: Auth, catalog: Catalog, owned: OwnedObjects) -> None:
        self.auth, self.catalog, self.owned = auth, catalog, owned

    async def deployments_of(
        self, named: Mapping[str, str], deployments: Sequence[Deployment], identity: Identity | None
    ) -> list[Deployment]:
        """The `deployments` whose provider stores all objects in `named` for this user.

        Raises `RequestError` 400 if there is none, and `QueueUnavailable`."""
        found = [each for each in deployments if await self._owns_all(identity, each, named.values())]
        if not found:
            raise not_allowed(next(iter(named)))
        return found

    async def deployment_for(
        self, method: str, path: str, principal: Principal, identity: Identity | None
    ) -> Deployment | None:
        """The deployment with the stored object that `path` reads, deletes or cancels, if the object is this user's.
        For a new conversation, the deployment if all models have the same provider. Raises `QueueUnavailable`."""
        places = {provider_key(each): each for each in self.catalog.reachable(principal) if _has_objects(each)}
        if identity is None:
            return None
        if method == "POST" and path == CONVERSATIONS:
            return next(iter(places.values())) if len(places) == 1 else None
        found = _OBJECT.fullmatch(path)
        if found is None or not (method in ("GET", "DELETE") or _CANCEL.fullmatch(path)):
            return None
        for each in places.values():
            if await self._owns_all(identity, each, [found[2]]):
                return each
        return None

    def recorder(
        self,
        path: str,
        deployment: Deployment,
        principal: Principal,
        identity: Identity | None,
        threaded: bool = False,
    ) -> OnEnd | None:
        """The function to call with the successful answer to a POST to `path`; None if the POST creates no object of
        a user. `threaded`: the provider keeps the messages."""
        creates = path in (RESPONSES, CONVERSATIONS) or (path == MESSAGES and threaded)
        if not creates or identity is None or deployment.lane(path) != "bytes":
            return None  # the ids of translated answers are invented
        if not is_shared([deployment], principal, self.auth, self.catalog):
            return None
        return partial(self._record, identity.space, deployment)

    async def _record(self, space: Space, deployment: Deployment, answer: bytes, _whole: bool) -> None:
        id = _id_in(answer)
        if id is None:
            return
        try:
            await self.owned.record(_key(space, deployment, id))
        except QueueUnavailable as error:
            log.warning("a stored response cannot be continued, because its owner could not be recorded: %s", error)

    async def _owns_all(self, identity: Identity | None, deployment: Deployment, ids: Iterable[str]) -> bool:
        if identity is None or not (_has_objects(deployment) or MESSAGES in deployment.speaks):
            return False
        return all([await self.owned.known(_key(identity.space, deployment, id)) for id in ids])


def _has_objects(deployment: Deployment) -> bool:
    """True if the provider may store responses."""
    return RESPONSES in deployment.speaks | deployment.may_speak


def _key(space: Space, deployment: Deployment, id: str) -> bytes:
    parts = orjson.dumps([*space, provider_key(deployment), id])
    return blake2b(parts, digest_size=16, person=b"stored objects").digest()


def _id_in(answer: bytes) -> str | None:
    """The id of the response, message or conversation in an answer or at the beginning of a stream."""
    streamed = not answer.lstrip().startswith(b"{")
    try:
        found = orjson.loads(next(iter(sse.events(answer[:_BEGINNING])), b"") if streamed else answer)
    except orjson.JSONDecodeError:
        return None
    made = (found.get("response") or found.get("message")) if streamed and isinstance(found, dict) else found
    id = made.get("id") if isinstance(made, dict) else None
    return id if isinstance(id, str) else None
