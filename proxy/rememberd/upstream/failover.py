"""Asks one deployment after the other until one answers, before the client has received a byte."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from prometheus_client import Counter

from rememberd.errors import RequestError, UpstreamUnavailable
from rememberd.ports import Reply, Upstream
from rememberd.types import Deployment, Headers

REST_SECONDS = 30.0  # how long a deployment that failed is asked last; its own Retry-After wins
_LONGEST_REST_SECONDS = 300.0

Body = Callable[[Deployment], bytes]  # of a request, as this deployment takes it
_NO_SUCH_PATH = (404, 405, 501)

log = logging.getLogger("rememberd.failover")
_failed = Counter("rememberd_upstream_failures", "Deployments that did not answer, or with 429 or 5xx.", ["provider"])


class UpstreamResponse(NamedTuple):
    deployment: Deployment
    reply: Reply


class Failover:
    """`lanes` are the ways to a provider, by name. A single deployment is asked once, and its answer is returned
    even if it is an error."""

    def __init__(self, lanes: Mapping[str, Upstream], clock: Callable[[], float] = time.monotonic) -> None:
        self._lanes, self._clock = lanes, clock
        self._resting: dict[tuple[str | None, ...], float] = {}

    async def send(
        self,
        deployments: Sequence[Deployment],
        path: str,
        body: Body,
        headers: Headers,
        *,
        method: str = "POST",
    ) -> UpstreamResponse:
        """The first answer that is neither 429 nor 5xx, else the last answer. Deployments that failed lately are
        asked last. Raises what the lane of the last one raises."""
        *spare, last = self._rested_first(deployments)
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
                answered = await self._send(speaking, path, body, headers, method)
                if answered.reply.status in _NO_SUCH_PATH:
                    answered = await self._translated(answered, deployment, path, body, headers, method)
            else:
                answered = await self._send(deployment, path, body, headers, method)
        except UpstreamUnavailable:
            self._rest(deployment, REST_SECONDS)
            raise
        if _is_failure(answered.reply.status):
            self._rest(deployment, _retry_after(answered.reply))
        return answered

    async def _send(
        self, deployment: Deployment, path: str, body: Body, headers: Headers, method: str
    ) -> UpstreamResponse:
        lane = self._lanes[deployment.lane(path)]
        return UpstreamResponse(
            deployment, await lane.send(deployment, path, body(deployment), headers, method=method)
        )

    async def _translated(self, refused: UpstreamResponse, deployment: Deployment, *request: Any) -> UpstreamResponse:
        """Ask the server, which lacks this path, in another dialect. If the request cannot be translated, return
        the server's first answer."""
        try:
            answered = await self._send(deployment, *request)
        except RequestError:
            return refused
        except BaseException:
            await refused.reply.close()
            raise
        await refused.reply.close()
        return answered

    def _rest(self, deployment: Deployment, seconds: float) -> None:
        _failed.labels(deployment.provider).inc()
        log.warning("%s at %s rests for %.0f s", deployment.model_name, deployment.provider, seconds)
        self._resting[_place(deployment)] = self._clock() + seconds

    def _rested_first(self, deployments: Sequence[Deployment]) -> list[Deployment]:
        if not self._resting:
            return list(deployments)
        now = self._clock()
        self._resting = {place: until for place, until in self._resting.items() if until > now}
        return sorted(deployments, key=lambda each: _place(each) in self._resting)


def _is_failure(status: int) -> bool:
    return status == 429 or status >= 500


def _place(deployment: Deployment) -> tuple[str | None, ...]:
    return deployment.provider, deployment.upstream_model, deployment.api_base, deployment.api_key


def _retry_after(reply: Reply) -> float:
    said = next((value for name, value in reply.headers if name.lower() == "retry-after"), "")
    return min(float(said), _LONGEST_REST_SECONDS) if said.isdigit() else REST_SECONDS
