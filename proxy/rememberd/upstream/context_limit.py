"""The most tokens that a request to a model may have."""

from rememberd.telemetry.model_map import listed
from rememberd.types import Deployment


def context_limit(deployment: Deployment) -> int | None:
    """The limit from the settings (`model_info.max_input_tokens`), else from LiteLLM's map of models; None if
    neither has one."""
    if deployment.max_input_tokens is not None:
        return deployment.max_input_tokens
    limit = listed(deployment.priced).get("max_input_tokens")
    return limit if isinstance(limit, int) and limit > 0 else None
