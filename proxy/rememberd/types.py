"""The shared data types. All are frozen. Times are integer milliseconds since the Unix epoch, UTC."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal, NamedTuple

Kind = Literal["fact", "episode"]
Millis = int
Headers = Sequence[tuple[str, str]]
Verdict = Literal["same", "replaces"]
MemoryMode = Literal["on", "read", "write", "off"]
Verdicts = Mapping[str, Verdict]  # by the id of the older memory
NEVER: Millis = 1  # the `valid_to` of a memory in quarantine: it was never valid

DEFAULT_SCOPE = "default"
EVERY_SCOPE = ""  # no scope has this name
SCOPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

CHAT, RESPONSES, MESSAGES, COUNT_TOKENS = "/chat/completions", "/responses", "/messages", "/messages/count_tokens"
OLLAMA = "/api/"  # Ollama's own paths begin with this; they are relative to its address, without /v1
DIALECT_PATHS = frozenset((CHAT, RESPONSES, MESSAGES, COUNT_TOKENS))  # relative to an API base

Role = Literal["reader", "writer", "owner"]  # owners change everything, writers their own
GROUP_SCOPE = "@"  # prefix of a group's name when it is used as a scope
_GROUP_USER = "\x1d"  # prefix of a group's own user name; it is not printable, so no real user has it


class Space(NamedTuple):
    """The owner of memories: one user and one scope. A required argument of every store call. A group is stored as a
    separate user, with its own key and one scope that has the group's name."""

    user: str
    scope: str = DEFAULT_SCOPE

    @classmethod
    def of_group(cls, name: str) -> Space:
        return cls(_GROUP_USER + name, GROUP_SCOPE + name)

    @property
    def group(self) -> str | None:
        """The name of the group, if this is a group's space."""
        return self.user[1:] if self.user.startswith(_GROUP_USER) else None


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of an API key. `user` is the user of requests that name none. `models` may be used, with `*` for any
    text. `scopes` may be named; the first one is the default. None means all. `groups_claim` is the claim of the
    user's token that lists their groups; `groups` are those of a signed-in user. `memory` limits what requests may do
    with memories. `upstream_key` is the client's own key, for providers without a key of the operator."""

    name: str
    user: str | None = None
    trust_identity: bool = False
    jwt_secret: str | None = field(default=None, repr=False)
    groups_claim: str | None = None
    groups: tuple[str, ...] = ()
    models: tuple[str, ...] | None = None
    scopes: tuple[str, ...] | None = None
    requests_per_minute: int | None = None
    tokens_per_day: int | None = None
    expires_at: Millis | None = None
    memory: MemoryMode = "on"
    upstream_key: str | None = field(default=None, repr=False)

    def may_ask(self, model: str) -> bool:
        return self.models is None or any(fnmatchcase(model, pattern) for pattern in self.models)


@dataclass(frozen=True, slots=True)
class Identity:
    """A verified user, the requested scope, and the client's conversation (or None). `groups` are the names in the
    verified token, `roles` the user's roles in the groups that this request may read."""

    user: str
    scope: str = DEFAULT_SCOPE
    conversation: str | None = None
    groups: tuple[str, ...] = ()
    roles: Mapping[str, Role] = field(default_factory=dict)

    @property
    def space(self) -> Space:
        """The user's own space: for receipts, blocks and pauses, and for memories unless the scope is a group's."""
        return Space(self.user, self.scope)

    @property
    def group(self) -> str | None:
        """The group whose memories are requested, if the scope is a group's."""
        return self.scope[1:] if self.scope.startswith(GROUP_SCOPE) else None

    @property
    def contributor(self) -> str | None:
        return self.user if self.group else None

    @property
    def memories(self) -> Space:
        """Where this request reads and writes memories."""
        return Space.of_group(self.group) if self.group else self.space

    @property
    def looks_into(self) -> tuple[str, ...]:
        """Groups recalled with the user's own memories. Empty in a group's scope: answers may repeat them."""
        return () if self.group else tuple(sorted(self.roles))

    @property
    def contributes_to(self) -> tuple[str, ...]:
        """The groups of `looks_into` in which the user may write."""
        return tuple(name for name in self.looks_into if self.roles[name] != "reader")

    @property
    def shared(self) -> tuple[Space, ...]:
        """The spaces of all groups that this request reads."""
        return tuple(Space.of_group(name) for name in ([self.group] if self.group else self.looks_into))


@dataclass(frozen=True, slots=True)
class Evidence:
    """The verbatim span of the conversation that a memory is based on."""

    text: str
    role: str
    turn_id: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """The origin of a memory: the client's conversation id, the requested model, the app (`access.apps.app_of`)."""

    conversation: str | None = None
    model: str | None = None
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """One memory. `valid_to` None means that it is valid now. `slot` is the attribute that it states ("employer"; see
    `learn/rules/slots.py`). A `private` memory is sent only to models on the operator's own machines. `group`: the
    group that it belongs to, if any. `contributor`: the member who wrote it. `told`: when it was said again, after
    `created_at`."""

    id: str
    text: str
    kind: Kind
    created_at: Millis
    updated_at: Millis
    valid_from: Millis
    valid_to: Millis | None = None
    pinned: bool = False
    expires_at: Millis | None = None
    slot: str | None = None
    evidence: Evidence | None = None
    source: Source = field(default_factory=Source)
    speaker: str | None = None
    private: bool = False
    group: str | None = None
    contributor: str | None = None
    told: tuple[Millis, ...] = ()


class Sparse(NamedTuple):
    """A BM25 vector: term ids and their weights, same length."""

    indices: list[int]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Point:
    """A memory with its search fields. `dense` has the embedder's dimension and unit length. `tokens` is the cost of
    its line in the block, `answer_tokens` the part of it for the assistant's words. `cues` is a bit set of surface
    features for ranking. `topics` are joined by spaces. `names` are the BM25 term ids of the people, places and
    things in it. `label` is the speaker at the beginning of a transcript's line ("Ada: …"), if the memory has no
    speaker."""

    memory: Memory
    dense: list[float]
    sparse: Sparse
    tokens: int
    cues: int = 0
    answer_tokens: int = 0
    topics: str | None = None
    names: Sequence[int] = ()
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange for the writer. `id` is the same for every retry and every step of a tool loop: a digest of the
    space, the conversation and the person's messages up to the newest. Facts that a model `found` are a separate job
    with its own `id`; `of` is the turn's id. A turn in a group's space has a `contributor`."""

    id: str
    space: Space
    created_at: Millis
    user_text: str
    answer: str
    receipt: str
    source: Source = field(default_factory=Source)
    speaker: str | None = None
    recalled: tuple[str, ...] = ()  # ids of the memories in the block
    earlier: tuple[str, ...] = ()  # ids of this conversation's turns that the user asks to forget
    forgotten: tuple[str, ...] = ()  # ids of memories that were deleted on request before the answer
    continues: bool = False  # a later step of a tool loop: the user said nothing new
    trace: str = ""  # the chat's span, in the format of the header traceparent
    taken_at: Millis = 0  # when it was imported, if it is an import
    found: tuple[Fact, ...] = ()
    of: str = ""
    redacted: bool = False
    contributor: str | None = None
    groups: tuple[str, ...] = ()  # groups to which the user may contribute: "forget …" also applies to these
    doubtful: bool = False  # a program may have written it, so no fact is made of it

    @property
    def owner(self) -> Space:
        """The owner of its receipt."""
        return Space(self.contributor, self.space.scope) if self.contributor else self.space

    @property
    def said_in(self) -> str:
        """The id of this turn, or of the turn in which its facts were found."""
        return self.of or self.id

    @property
    def began(self) -> Millis:
        """The time that counts for erasure: an erasure at this time or later includes this turn."""
        return self.taken_at or self.created_at


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact that an extractor found: one sentence about the user, and the span of the user's own text as evidence.
    `expires_at` is its natural end (an age, an exam on Friday) or None. `verdicts`: the memories that the fact
    repeats or replaces in a model's judgement."""

    text: str
    evidence: str
    slot: str | None = None
    valid_from: Millis | None = None
    verdicts: Verdicts = field(default_factory=dict, hash=False)
    expires_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """The memories that an answer used, and those that were written after it. `write` is
    pending|written|nothing|off|skipped|lost."""

    id: str
    space: Space
    created_at: Millis
    status: str
    model: str
    turn_id: str | None = None
    recalled: tuple[str, ...] = ()
    tokens: int = 0
    recall_ms: float = 0.0
    write: str = "off"
    written: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()  # why each of `recalled` was chosen, if known
    room: int | None = None  # tokens that the model's context had left for the block, if they were too few


@dataclass(frozen=True, slots=True)
class Deployment:
    """One model at one provider. `model_name` is the client's name for it, `upstream_model` the provider's. `speaks`
    are the paths, relative to the API base, that the provider supports without translation; `may_speak` are paths
    that it may support. `params` are the other `litellm_params`. `max_input_tokens` is the limit in the settings."""

    model_name: str
    provider: str
    upstream_model: str
    speaks: frozenset[str] = frozenset()
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 600.0  # seconds: the longest silence of the provider
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    local: bool = False  # on the operator's own machines
    memory: bool = True  # False: never use memory with this model
    may_speak: frozenset[str] = frozenset()
    max_input_tokens: int | None = None

    @property
    def priced(self) -> str:
        """Its name in price lists."""
        return f"{self.provider}/{self.upstream_model}"

    def lane(self, path: str) -> Literal["bytes", "translate", "ollama"]:
        """The lane for `path`; its query is ignored. Paths outside the dialects (files, batches, skills, embeddings)
        use the byte lane if the provider supports any dialect."""
        asked = path.partition("?")[0]
        if asked.startswith(OLLAMA):
            return "ollama"
        as_bytes = asked in self.speaks if asked in DIALECT_PATHS else bool(self.speaks)
        return "bytes" if as_bytes else "translate"
