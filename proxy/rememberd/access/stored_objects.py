"""Who may name what a provider has stored (responses, files, containers): the one user whom its key serves. Where
several share the key, each may name their own responses and conversations, which `object_owners` knows.

Sources of the names: the API references of OpenAI (chat, responses, audio), Anthropic (messages, files, skills),
Gemini and xAI.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

from rememberd.access.auth import Auth
from rememberd.errors import RequestError
from rememberd.types import Deployment, Principal
from rememberd.upstream.catalog import Catalog, provider_key

# Members that name a stored object, whatever their value is.
_REFERENCES = frozenset(
    (
        *("previous_response_id", "file_id", "file_ids", "vector_store_id", "vector_store_ids", "container_id"),
        *("skill_id", "collection_id", "collection_ids", "library_ids", "cached_content", "cachedContent"),
    )
)
# Members that name one if they are an object with an `id`, and some of them as a text as well.
_OBJECTS = frozenset(("conversation", "container", "prompt", "audio", "voice"))
_OBJECTS_OR_TEXTS = frozenset(("conversation", "container"))
# Members whose value may be an address in the provider's storage.
_ADDRESSES = frozenset(("url", "image_url", "file_url", "file_uri", "fileUri"))
_STORAGES = ("gs://", "s3://", "https://generativelanguage.googleapis.com/")
_SUSPECTS = _REFERENCES | _OBJECTS | _ADDRESSES

# Members that hold the client's own data, in which any name may stand: the arguments and schemas of its tools.
# (So may an object `input`, which holds the arguments of a tool call of Anthropic's.)
_CLIENT_DATA = frozenset(("metadata", "parameters", "input_schema", "schema", "input_examples", "arguments"))
_ITEM_WITHOUT_CONTENT = frozenset(("id", "type", "status"))


def refuse_shared_objects(
    body: dict[str, Any], deployments: Sequence[Deployment], principal: Principal, auth: Auth, catalog: Catalog
) -> dict[str, str]:
    """The response and the conversation that `body` goes on from, by the member's name, if they may be another
    user's: then ask `object_owners`.

    Raises `RequestError` 400 if `body` names something else that is stored at a provider whose key also serves other
    users: the provider cannot tell whose it is."""
    goes_on = _goes_on_from(body)
    name = stored_object({each: value for each, value in body.items() if each not in goes_on} if goes_on else body)
    if (name is None and not goes_on) or not is_shared(deployments, principal, auth, catalog):
        return {}
    if name is not None:
        raise not_allowed(name)
    return goes_on


def is_shared(deployments: Sequence[Deployment], principal: Principal, auth: Auth, catalog: Catalog) -> bool:
    """Does a key of these deployments' providers serve several users?"""
    keys = {provider_key(each) for each in deployments}
    return principal.upstream_key is None and not auth.serves_one_user(
        lambda holder: not keys.isdisjoint(catalog.provider_keys(holder))
    )


def not_allowed(name: str) -> RequestError:
    message = (
        f"`{name}` names something that the provider stores and that is not known to be yours, and several users"
        " share the provider's key. Send the whole conversation and the content itself; or the operator gives this"
        " user a key of their own at the provider"
    )
    return RequestError(400, "stored_object_not_allowed", message, param=name)


def _goes_on_from(body: dict[str, Any]) -> dict[str, str]:
    if "conversation" not in body and "previous_response_id" not in body:
        return {}
    conversation = body.get("conversation")
    if type(conversation) is dict and set(conversation) == {"id"}:
        conversation = conversation["id"]
    found = {"previous_response_id": body.get("previous_response_id"), "conversation": conversation}
    return {name: id for name, id in found.items() if isinstance(id, str) and id}


def stored_object(body: dict[str, Any]) -> str | None:
    """The name of a member of `body`, at any depth, that makes the provider read what it has stored; None if all that
    is needed stands in the request. Reads every object once."""
    if _refers_to_item(body.get("input")):
        return "input"
    level = [body]
    while level:
        # Of a long conversation hundreds are looked at together, which is much faster than a look into each of them.
        if not _SUSPECTS.isdisjoint(chain.from_iterable(level)):
            for node in level:
                for name, value in node.items():
                    if name in _SUSPECTS and _names_one(name, value, node):
                        return name
        rest = [
            value
            for node in level
            for name, value in node.items()
            if (type(value) is list or (type(value) is dict and name != "input")) and name not in _CLIENT_DATA
        ]
        level = []
        while rest:
            level += [each for each in rest if type(each) is dict]
            rest = [each for part in rest if type(part) is list for each in part]
    return None


def _names_one(name: str, value: Any, owner: dict[str, Any]) -> bool:
    if name in _ADDRESSES:
        return isinstance(value, str) and value.strip().lower().startswith(_STORAGES)
    if name == "skill_id" and owner.get("type") == "anthropic":
        return False  # one of Anthropic's own, which are there for everybody
    if name in _REFERENCES:
        return bool(value)
    if isinstance(value, dict):
        return bool(value.get("id"))
    return name in _OBJECTS_OR_TEXTS and bool(value)


def _refers_to_item(items: Any) -> bool:
    """Is one of the items of a Responses request only the id of an item that the provider has?"""
    if not isinstance(items, list):
        return False
    return any(
        isinstance(item, dict)
        and bool(item.get("id"))
        and {name for name, value in item.items() if value is not None} <= _ITEM_WITHOUT_CONTENT
        for item in items
    )
