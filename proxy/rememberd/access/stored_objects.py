"""Who may name what a provider has stored: only the one user whom the provider's key serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rememberd.access.auth import Auth
from rememberd.dialects.stored_objects import stored_object
from rememberd.errors import RequestError
from rememberd.types import Deployment, Principal
from rememberd.upstream.catalog import Catalog, provider_key


def refuse_shared_objects(
    body: dict[str, Any], deployments: Sequence[Deployment], principal: Principal, auth: Auth, catalog: Catalog
) -> None:
    """Raises `RequestError` 400 if `body` names something stored at a provider whose key also serves other users:
    the provider cannot tell whose it is."""
    name = stored_object(body)
    if name is None or principal.upstream_key is not None:
        return
    keys = {provider_key(each) for each in deployments}
    if not auth.serves_one_user(lambda holder: not keys.isdisjoint(catalog.provider_keys(holder))):
        message = (
            f"`{name}` names something that the provider stores, and several users share the provider's key. Send the"
            " whole conversation and the content itself; or the operator gives this user a key of their own at the"
            " provider"
        )
        raise RequestError(400, "stored_object_not_allowed", message, param=name)
