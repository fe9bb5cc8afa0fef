"""Decides who may use objects that a provider stores (responses, files, containers): the user, if the provider's key
serves only one. If several share the key, each may use their own responses and conversations (see `object_owners`).

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

# Members that always name a stored object.
_REFERENCES = frozenset(
    (
        *("previous_response_id", "file_id", "file_ids", "vector_store_id", "vector_store_ids", "container_id"),
        *("skill_id", "collection_id", "collection_ids", "library_ids", "cached_content", "cachedContent"),
        "previous_message_id",
    )
)
# Members that name one if they are an object with an `id`; some of them also if they are a string.
_OBJECTS = frozenset(("conversation", "container", "prompt", "audio", "voice"))
_OBJECTS_OR_TEXTS = frozenset(("conversation", "container"))
# Members whose value may be an address in the provider's storage.
_ADDRESSES = frozenset(("url", "image_url", "file_url", "file_uri", "fileUri"))
_STORAGES = ("gs://", "s3://", "https://generativelanguage.googleapis.com/")
_SUSPECTS = _REFERENCES | _OBJECTS | _ADDRESSES

# Members of a whole request that say what it continues.
_CONTINUES = frozenset(("previous_response_id", "conversation", "thread"))

# Members with the client's own data, in which any name may occur: the arguments and schemas of its tools. (An object
# `input` is such a member, too: it has the arguments of an Anthropic tool call.)
_CLIENT_DATA = frozenset(("metadata", "parameters", "input_schema", "schema", "input_examples", "arguments"))
_NESTS = frozenset((list, dict))
_ITEM_WITHOUT_CONTENT = frozenset(("id", "type", "status"))


def refuse_shared_objects(
    body: dict[str, Any], deployments: Sequence[Deployment], principal: Principal, auth: Auth, catalog: Catalog
) -> dict[str, str]:
    """The ids of the response, the conversation and the thread's message that `body` continues, by the member's name,
    if they may be another user's: then ask `object_owners`.

    Raises `RequestError` 400 if `body` names another object that is stored at a provider whose key also serves other
    users: the provider does not know the owner."""
    continued = _continued(body)
    others = {each: value for each, value in body.items() if each not in continued} if continued else body
    name = stored_object(others)
    if (name is None and not continued) or not is_shared(deployments, principal, auth, catalog):
        return {}
    if name is not None:
        raise not_allowed(name)
    return continued


def is_shared(deployments: Sequence[Deployment], principal: Principal, auth: Auth, catalog: Catalog) -> bool:
    """True if a key of these deployments' providers serves several users."""
    keys = {provider_key(each) for each in deployments}
    return principal.upstream_key is None and not auth.serves_one_user(
        lambda holder: not keys.isdisjoint(catalog.provider_keys(holder))
    )


def not_allowed(name: str) -> RequestError:
    message = (
        f"`{name}` names an object that the provider stores and that is not known to be yours, and several users"
        " share the provider's key. Send the whole conversation and the content itself, or ask the operator for"
        " your own key at the provider"
    )
    return RequestError(400, "stored_object_not_allowed", message, param=name)


def _continued(body: dict[str, Any]) -> dict[str, str]:
    if body.keys().isdisjoint(_CONTINUES):
        return {}
    conversation = body.get("conversation")
    if type(conversation) is dict and set(conversation) == {"id"}:
        conversation = conversation["id"]
    thread = body.get("thread")  # Anthropic's: the provider keeps the messages up to that one
    if type(thread) is dict and set(thread) == {"type", "previous_message_id"}:
        thread = thread["previous_message_id"]
    response = body.get("previous_response_id")
    found = {"previous_response_id": response, "conversation": conversation, "thread": thread}
    return {name: id for name, id in found.items() if isinstance(id, str) and id}


def stored_object(body: dict[str, Any]) -> str | None:
    """The name of a member of `body`, at any depth, that makes the provider read a stored object; None if there is
    none. Reads every object once."""
    if _refers_to_item(body.get("input")):
        return "input"
    level = [body]
    while level:
        # For a long conversation, checking hundreds of objects together is much faster than one by one.
        if not _SUSPECTS.isdisjoint(chain.from_iterable(level)):
            for node in level:
                for name, value in node.items():
                    if name in _SUSPECTS and _names_one(name, value, node):
                        return name
        if _NESTS.isdisjoint(map(type, chain.from_iterable(map(dict.values, level)))):
            return None  # messages with a plain text: most levels of most conversations
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
        return False  # one of Anthropic's own skills, which everybody can use
    if name in _REFERENCES:
        return bool(value)
    if isinstance(value, dict):
        return bool(value.get("id"))
    return name in _OBJECTS_OR_TEXTS and bool(value)


def _refers_to_item(items: Any) -> bool:
    """True if an item of a Responses request is only the id of an item that the provider stores."""
    if not isinstance(items, list):
        return False
    return any(
        isinstance(item, dict)
        and bool(item.get("id"))
        and {name for name, value in item.items() if value is not None} <= _ITEM_WITHOUT_CONTENT
        for item in items
    )
