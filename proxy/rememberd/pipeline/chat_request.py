"""The parsed chat request and what its headers say about memory. No I/O."""

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
from rememberd.memory.learn.wishes.group_wishes import GroupWish, group_wish
from rememberd.memory.learn.wishes.memory_commands import off_record, takes_back
from rememberd.memory.recall.recall import Recalled
from rememberd.ports import Reply
from rememberd.types import Deployment, Identity, MemoryMode, Millis, Principal, Space
from rememberd.upstream.context_limit import context_limit

_SMALLEST_LIMIT = 4_096  # tokens: the smallest context of the chat models in LiteLLM's map that are still served
_OTHER_TOKENIZERS = 1.4  # other tokenizers give up to 1.4 times as many tokens as OpenAI's for the same text


@dataclass(frozen=True, slots=True)
class UserTurn:
    """The newest message of an identified user, for a request that uses memory. `off_record`: the user asked earlier
    in this conversation not to remember it, or the conversation was too long to check this. `earlier`: the user asks
    this now, or to forget what they told last, and these are the ids of the turns that are meant. `group_wish`: what
    the user asks to remember for a group."""

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
        """The cache key of the block. It differs for local models, for other groups of the user and after a deletion
        in a group, so that none of these gets another's block. "4" is the version of the format."""
        shared = (" ".join(sorted(self.identity.roles)), deletions)
        text = "\0".join(("4", self.identity.conversation or "", self.asked.text, "local" if local else "", *shared))
        return blake2b(text.encode(), digest_size=16).hexdigest()


@dataclass(slots=True)  # `frozen` would take 3 µs of each request
class ChatRequest:
    """The parsed request. Do not change one: use `dataclasses.replace`."""

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
    stored_objects: dict[str, str] = field(default_factory=dict)  # ids that may be another user's, by field name
    late: bool = False  # it waited so long before it began that there is no time to recall
    used: int | None = None  # tokens of the context without the block; None if they are few enough for every model

    @property
    def model(self) -> str:
        """The requested model's name, else the deployment's: a Responses request may name no model."""
        return str(self.body.get("model", self.deployments[0].model_name))

    @property
    def local(self) -> bool:
        """True if every candidate deployment is on the operator's machines."""
        return all(each.local for each in self.deployments)

    def room(self, deployment: Deployment) -> int | None:
        """Tokens that are left for a block, counted as OpenAI's models do; None if no limit is known."""
        limit = None if self.used is None else context_limit(deployment)
        return None if limit is None or self.used is None else max(0, int((limit - self.used) / _OTHER_TOKENIZERS))


class CachePlace(NamedTuple):
    """Where a block is cached: its key, the versions of the groups' spaces (`shared`) and of the user's space before
    the block was made, and the time of the outdated block that it replaces (0 if there is none)."""

    key: str
    shared: list[int]
    version: int = 0
    replaces: Millis = 0


@dataclass(frozen=True, slots=True)
class RecallResult:
    """The result of recall, and where to cache it (None: do not cache it). `forgotten` are the ids of the memories
    that the user asked to delete."""

    recalled: Recalled
    place: CachePlace | None = None
    forgotten: tuple[str, ...] = ()


def context_used(
    raw: bytes, body: dict[str, Any], deployments: Sequence[Deployment], budget_tokens: int
) -> int | None:
    """See `ChatRequest.used`. Tokens are counted only in a body that may reach a limit."""
    budget = int(budget_tokens * _OTHER_TOKENIZERS)
    small = len(raw) < _SMALLEST_LIMIT and most_tokens(raw, body) + budget <= _SMALLEST_LIMIT
    if small and all(each.max_input_tokens is None for each in deployments):
        return None  # without a look at the map
    limits = [limit for each in deployments if (limit := context_limit(each)) is not None]
    if not limits or (len(raw) < min(limits) and most_tokens(raw, body) + budget <= min(limits)):
        return None
    return estimated_tokens(body)


def fitting(recall_result: RecallResult | None, room: int | None) -> RecallResult | None:
    """`recall_result`, without its block if there is no room for the block."""
    if recall_result is None or room is None or recall_result.recalled.tokens <= room:
        return recall_result
    return replace(recall_result, recalled=Recalled("miss", ms=recall_result.recalled.ms, room=room))


def user_turn(dialect: Dialect, identity: Identity, asked: UserMessage, body: dict[str, Any]) -> UserTurn:
    said = [each for each in dialect.user_messages(body) if each.at <= asked.at]
    wished = [each.at for each in said if off_record(each.text)]
    typed = [each.at for each in said if each.text]
    begun = set(typed if asked.at in wished else typed[-2:] if takes_back(asked.text) else [asked.at])
    id_at = turn_ids(identity.space, identity.conversation, ((each.at, each.content) for each in said), begun)
    current = id_at.pop(asked.at)
    unkept = not asked.whole or any(at < asked.at for at in wished)
    wish = None if asked.continues else group_wish(asked.text, identity.contributes_to)
    return UserTurn(identity, asked, current, off_record=unkept, earlier=tuple(id_at.values()), group_wish=wish)


def mode_of(headers: Mapping[str, str], allowed: MemoryMode) -> MemoryMode:
    """The memory mode that this request asks for, limited to what its key is `allowed`."""
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
    """`on` promises that the turn is queued. After an upstream error nothing is queued: the client will ask again."""
    if request.mode in ("off", "read") or request.identity is None or not may_write(request.identity):
        return "off"
    if request.user_turn and request.user_turn.off_record:
        return "off"
    return "on" if request.user_turn is not None and 200 <= reply.status < 300 else "skipped"


def attributes_of(
    request: ChatRequest, deployment: Deployment, reply: Reply, status: str, recalled: int
) -> dict[str, str | int]:
    """The attributes of the chat's span; `gen_ai.*` and `error.type` follow OpenTelemetry's conventions."""
    attributes: dict[str, str | int] = {
        "gen_ai.provider.name": deployment.provider,
        "http.response.status_code": reply.status,
        "rememberd.request.id": request.id,
        "rememberd.memory.status": status,
        "rememberd.memory.count": recalled,
    }
    return attributes if reply.status < 400 else attributes | {"error.type": str(reply.status)}
