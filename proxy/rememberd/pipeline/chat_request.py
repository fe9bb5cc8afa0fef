"""A request as it was understood, and what its headers say about memory. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, NamedTuple

from rememberd.access.apps import narrower
from rememberd.access.groups import may_write
from rememberd.dialects.formats.token_estimate import estimated_tokens, most_tokens
from rememberd.dialects.registry import Dialect
from rememberd.dialects.user_message import UserMessage
from rememberd.errors import RequestError
from rememberd.memory.ids import turn_ids
from rememberd.memory.learn.group_wishes import GroupWish, group_wish
from rememberd.memory.learn.memory_commands import off_record
from rememberd.memory.recall.recall import Recalled
from rememberd.ports import Reply
from rememberd.types import Deployment, Identity, MemoryMode, Millis, Principal, Space
from rememberd.upstream.context_limit import context_limit

_SMALLEST_LIMIT = 4_096  # of the chat models in LiteLLM's map that are still served
_OTHER_TOKENIZERS = 1.4  # times as many tokens as OpenAI's of the same text


@dataclass(frozen=True, slots=True)
class UserTurn:
    """What a known user said, where memory takes part. `off_record`: they asked earlier in this conversation that
    nothing of it be kept, or may have, because it was too long to be read whole; `earlier`: they ask it now, and
    these are the turns that may have been kept so far. `group_wish`: what they ask to be remembered for a group."""

    identity: Identity
    asked: UserMessage
    turn_id: str
    off_record: bool = False
    earlier: tuple[str, ...] = ()
    group_wish: GroupWish | None = None

    @property
    def space(self) -> Space:
        return self.identity.space

    def key(self, *, local: bool, deletions: str) -> str:
        """Of the cached block. What a local model gets is never kept for another, nor what was recalled from groups
        once the user is a member of others, or something was deleted there. "3" is the format's number."""
        shared = (" ".join(sorted(self.identity.roles)), deletions)
        text = "\0".join(("3", self.identity.conversation or "", self.asked.text, "local" if local else "", *shared))
        return blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(slots=True)  # `frozen` would take 3 µs of each request
class ChatRequest:
    """A request as it was understood. Nobody changes one: see `dataclasses.replace`."""

    id: str
    at: Millis
    offset: Millis  # of the user's time zone
    dialect: Dialect
    raw: bytes
    body: dict[str, Any]
    deployments: list[Deployment]
    principal: Principal
    mode: MemoryMode
    identity: Identity | None
    user_turn: UserTurn | None
    client: str | None
    app: str
    goes_on_from: dict[str, str] = field(default_factory=dict)  # what may be another user's, by the member's name
    used: int | None = None  # tokens of the context, without the block; None: few enough for every model

    @property
    def model(self) -> str:
        """As the client asked for it; a Responses request may name none."""
        return str(self.body.get("model", self.deployments[0].model_name))

    @property
    def local(self) -> bool:
        """Whoever of those that may answer does: nothing leaves the operator's machines."""
        return all(each.local for each in self.deployments)

    def room(self, deployment: Deployment) -> int | None:
        """Tokens that are left for a block; None if nothing is known to limit it. The block's tokens are counted as
        OpenAI's models do; others count more."""
        limit = None if self.used is None else context_limit(deployment)
        return None if limit is None or self.used is None else max(0, int((limit - self.used) / _OTHER_TOKENIZERS))


class CachePlace(NamedTuple):
    """Where a block is cached: its key; the versions of the groups' spaces and of the user's own, before it was made;
    and when the block was made that is out of date (0: there is none)."""

    key: str
    shared: list[int]
    version: int = 0
    replaces: Millis = 0


@dataclass(frozen=True, slots=True)
class RecallResult:
    """What recall gave, and where to cache it: None when that need not be done (again). `forgotten` are the ids that
    were deleted at the user's wish."""

    recalled: Recalled
    place: CachePlace | None = None
    forgotten: tuple[str, ...] = ()


def context_used(
    raw: bytes, body: dict[str, Any], deployments: Sequence[Deployment], budget_tokens: int
) -> int | None:
    """See `ChatRequest.used`. Only a body that may come near a limit is counted."""
    most = most_tokens(raw, body) + int(budget_tokens * _OTHER_TOKENIZERS)
    if most <= _SMALLEST_LIMIT and all(each.max_input_tokens is None for each in deployments):
        return None  # without a look at the map
    limits = [limit for each in deployments if (limit := context_limit(each)) is not None]
    return estimated_tokens(body) if limits and most > min(limits) else None


def fitting(recall_result: RecallResult | None, room: int | None) -> RecallResult | None:
    """Without its block if there is no room for it."""
    if recall_result is None or room is None or recall_result.recalled.tokens <= room:
        return recall_result
    return replace(recall_result, recalled=Recalled("miss", ms=recall_result.recalled.ms, room=room))


def user_turn(dialect: Dialect, identity: Identity, asked: UserMessage, body: dict[str, Any]) -> UserTurn:
    said = [each for each in dialect.user_messages(body) if each.at <= asked.at]
    wished = [each.at for each in said if off_record(each.text)]
    begun = {each.at for each in said if each.text} if asked.at in wished else {asked.at}
    id_at = turn_ids(identity.space, identity.conversation, [(each.at, each.content) for each in said], begun)
    current = id_at.pop(asked.at)
    unkept = not asked.whole or any(at < asked.at for at in wished)
    wish = None if asked.continues else group_wish(asked.text, identity.contributes_to)
    return UserTurn(identity, asked, current, off_record=unkept, earlier=tuple(id_at.values()), group_wish=wish)


def mode_of(headers: Mapping[str, str], allowed: MemoryMode) -> MemoryMode:
    """What this request asks for, as far as its key is `allowed` to."""
    match headers.get("x-memory", "on").strip().lower():
        case "on" | "read" | "write" | "off" as mode:
            return narrower(mode, allowed)
        case other:
            message = f"X-Memory must be on, read, write or off, not {other!r}"
            raise RequestError(400, "invalid_memory_mode", message, param="X-Memory")


def status_of(request: ChatRequest, recall_result: RecallResult | None) -> str:
    if recall_result is not None:
        return recall_result.recalled.status
    if request.mode in ("off", "write"):
        return "off"
    return "no-identity" if request.identity is None else "skipped"


def write_of(request: ChatRequest, reply: Reply) -> str:
    """`on` promises a queued turn: an upstream error is no exchange, and the client will ask again."""
    if request.mode in ("off", "read") or request.identity is None or not may_write(request.identity):
        return "off"
    if request.user_turn and request.user_turn.off_record:
        return "off"
    return "on" if request.user_turn is not None and 200 <= reply.status < 300 else "skipped"


def attributes_of(
    request: ChatRequest, deployment: Deployment, reply: Reply, status: str, recalled: int
) -> dict[str, str | int]:
    """Of the chat's span; `gen_ai.*` and `error.type` as OpenTelemetry's conventions have them."""
    attributes: dict[str, str | int] = {
        "gen_ai.provider.name": deployment.provider,
        "http.response.status_code": reply.status,
        "rememberd.request.id": request.id,
        "rememberd.memory.status": status,
        "rememberd.memory.count": recalled,
    }
    return attributes if reply.status < 400 else attributes | {"error.type": str(reply.status)}
