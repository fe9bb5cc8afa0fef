"""Tries one deployment after another until one answers; the client has not received any byte yet."""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from prometheus_client import Counter

from rememberd.errors import RequestError, UpstreamUnavailable
from rememberd.ports import Reply, Upstream
from rememberd.types import Deployment, Headers

COOLDOWN_S = 30.0  # a deployment that failed is tried last for so long, or for its Retry-After
_LONGEST_COOLDOWN_S = 300.0

Body = Callable[[Deployment], bytes]  # gives the request's body for a deployment
_NO_SUCH_PATH = (404, 405, 501)

log = logging.getLogger("rememberd.failover")
_failed = Counter("rememberd_upstream_failures", "Deployments that did not answer, or with 429 or 5xx.", ["provider"])


class UpstreamResponse(NamedTuple):
    deployment: Deployment
    reply: Reply


class Failover:
    """`lanes` are the upstream clients by lane name. If there is only one deployment, it is tried once, and its
    answer is returned even if it is an error."""

    def __init__(self, lanes: Mapping[str, Upstream], clock: Callable[[], float] = time.monotonic) -> None:
        self._lanes, self._clock = lanes, clock
        self._cooldowns: dict[tuple[str | None, ...], float] = {}  # deployment -> end of its cooldown

    async def send(
        self,
        deployments: Sequence[Deployment],
        path: str,
        body: Body,
        headers: Headers,
        *,
        method: str = "POST",
    ) -> UpstreamResponse:
        """The first answer that is neither 429 nor 5xx, else the last answer. Deployments in cooldown are tried last.
        Raises the errors of the last deployment's lane."""
        *spare, last = self._cooled_down_first(deployments) if self._cooldowns else deployments
        for deployment in spare:
            try:
                answered = await self._ask(deployment, path, body, headers, method)
            except UpstreamUnavailable:
                continue
            if not _is_failure(answered.reply.status):
                return answered
            await answered.reply.close()
        return await self._ask(last, path, body, headers, method)

    async def _ask(
        self, deployment: Deployment, path: str, body: Body, headers: Headers, method: str
    ) -> UpstreamResponse:
        try:
            if deployment.may_speak and (native := path.partition("?")[0]) in deployment.may_speak:
                speaking = replace(deployment, speaks=deployment.speaks | {native})
                answered = UpstreamResponse(deployment, await self._send(speaking, path, body, headers, method))
                if answered.reply.status in _NO_SUCH_PATH:
                    answered = await self._translated(answered, deployment, path, body, headers, method)
            else:
                answered = UpstreamResponse(deployment, await self._send(deployment, path, body, headers, method))
        except UpstreamUnavailable:
            self._cool_down(deployment, COOLDOWN_S)
            raise
        if _is_failure(answered.reply.status):
            self._cool_down(deployment, _retry_after(answered.reply))
        return answered

    def _send(self, deployment: Deployment, path: str, body: Body, headers: Headers, method: str) -> Awaitable[Reply]:
        lane = self._lanes[deployment.lane(path)]
        return lane.send(deployment, path, body(deployment), headers, method=method)

    async def _translated(self, refused: UpstreamResponse, deployment: Deployment, *request: Any) -> UpstreamResponse:
        """Send the request in another dialect, because the server does not have this path. If it cannot be
        translated, return the server's first answer."""
        try:
            answered = UpstreamResponse(deployment, await self._send(deployment, *request))
        except RequestError:
            return refused
        except BaseException:
            await refused.reply.close()
            raise
        await refused.reply.close()
        return answered

    def _cool_down(self, deployment: Deployment, seconds: float) -> None:
        _failed.labels(deployment.provider).inc()
        place = deployment.model_name, deployment.provider, seconds
        log.warning("%s at %s failed and is tried last for %.0f s", *place)
        self._cooldowns[_place(deployment)] = self._clock() + seconds

    def _cooled_down_first(self, deployments: Sequence[Deployment]) -> list[Deployment]:
        now = self._clock()
        self._cooldowns = {place: until for place, until in self._cooldowns.items() if until > now}
        return sorted(deployments, key=lambda each: _place(each) in self._cooldowns)


def _is_failure(status: int) -> bool:
    return status == 429 or status >= 500


def _place(deployment: Deployment) -> tuple[str | None, ...]:
    return deployment.provider, deployment.upstream_model, deployment.api_base, deployment.api_key


def _retry_after(reply: Reply) -> float:
    seconds = next((value for name, value in reply.headers if name.lower() == "retry-after"), "")
    return min(float(seconds), _LONGEST_COOLDOWN_S) if seconds.isdigit() else COOLDOWN_S
