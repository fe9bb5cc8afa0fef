"""Continues a conversation with another model: if that model refuses the history, a portable form of it is sent."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rememberd.dialects import body as json_body
from rememberd.dialects.formats.portable import portable, without_earlier_pictures
from rememberd.errors import RequestError, UpstreamUnavailable
from rememberd.ports import Reply
from rememberd.telemetry.metrics import counter
from rememberd.types import Deployment
from rememberd.upstream.failover import Failover

log = logging.getLogger("rememberd.chat")

_REFUSED = (400, 404, 422)  # the statuses that providers send for a history that they cannot read
_LARGE_BODY = 64 * 1024  # bytes; a larger body is rewritten in a thread
_STEPS = ("signed", "pictures")
_ABOUT = "Chats that were answered only without a part of their history."
REWRITTEN = counter("rememberd_history_rewritten", _ABOUT, "left_out", *_STEPS)


class Answered(NamedTuple):
    """`left_out` names the parts of the history that the model did not get."""

    deployment: Deployment
    reply: Reply
    left_out: tuple[str, ...] = ()


async def send_on(
    upstream: Failover,
    deployments: Sequence[Deployment],
    path: str,
    body: Callable[[Deployment], bytes],
    headers: Sequence[tuple[str, str]],
) -> Answered:
    """The answer to the client's own bytes. If they are refused, they are sent again without the parts that another
    provider signed, encrypted or numbered, and then without the pictures of earlier messages. If these are refused
    too, the first refusal is the answer."""
    refusal: RequestError | None = None
    try:
        answered = await upstream.send(deployments, path, body, headers)
    except RequestError as error:  # the request cannot be translated
        refusal, deployment = error, deployments[0]
    else:
        if answered.reply.status not in _REFUSED:
            return Answered(*answered)
        deployment = answered.deployment
    try:
        again = await _again(upstream, deployment, path, body(deployment), headers)
    except BaseException:
        if refusal is None:
            await answered.reply.close()
        raise
    if again is not None:
        if refusal is None:
            await answered.reply.close()
        return again
    if refusal is not None:
        raise refusal
    return Answered(*answered)


async def _again(
    upstream: Failover, deployment: Deployment, path: str, sent: bytes, headers: Sequence[tuple[str, str]]
) -> Answered | None:
    forms = await asyncio.to_thread(_forms, path, sent) if len(sent) > _LARGE_BODY else _forms(path, sent)
    for form, left_out in forms:
        try:
            answered = await upstream.send([deployment], path, lambda _, form=form: form, headers)  # type: ignore[misc]
        except (RequestError, UpstreamUnavailable):
            continue
        if answered.reply.status < 400:
            REWRITTEN.labels(left_out[-1]).inc()
            return Answered(*answered, left_out)
        await answered.reply.close()
    return None


def _forms(path: str, sent: bytes) -> list[tuple[bytes, tuple[str, ...]]]:
    """Portable forms of the body, and what each leaves out: each form leaves out more than the one before."""
    body = json_body.loads(sent)
    if not isinstance(body, dict):
        return []
    native = path.partition("?")[0]
    bare = portable(native, body)
    unseen = without_earlier_pictures(native, bare)
    signed = ("signed",) if bare != body else ()
    steps = [(bare, signed), (unseen, (*signed, "pictures"))]
    return [
        (json_body.dump(form), left_out)
        for (form, left_out), before in zip(steps, (body, bare), strict=True)
        if form != before
    ]
