"""The nouns that travel between rooms. All are frozen. Times are integer milliseconds since the Unix epoch, UTC."""

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

NEVER: Millis = 1  # the `valid_to` of a memory in quarantine: it has never held

DEFAULT_SCOPE = "default"
EVERY_SCOPE = ""  # no scope has this name
SCOPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

CHAT, RESPONSES, MESSAGES, COUNT_TOKENS = "/chat/completions", "/responses", "/messages", "/messages/count_tokens"
OLLAMA = "/api/"  # Ollama's own paths begin with this; they are relative to its address, without /v1
DIALECT_PATHS = frozenset((CHAT, RESPONSES, MESSAGES, COUNT_TOKENS))  # relative to an API base

Role = Literal["reader", "writer", "owner"]  # of a member: reads; adds, changes what is their own; changes everything
GROUP_SCOPE = "@"  # begins the name of a group where a scope may stand
_GROUP_USER = "\x1d"  # begins the user who stands for a group. It is not printable, so nobody can be called so


class Space(NamedTuple):
    """Whose memories: one user, one scope. A required argument of every store call. A group is a user of its own,
    with its own key and one scope, which is called as the group."""

    user: str
    scope: str = DEFAULT_SCOPE

    @classmethod
    def of_group(cls, name: str) -> Space:
        return cls(_GROUP_USER + name, GROUP_SCOPE + name)

    @property
    def group(self) -> str | None:
        """The name of the group whose space this is."""
        return self.user[1:] if self.user.startswith(_GROUP_USER) else None


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of an API key. `user` is whom the key acts for if the request names nobody. `models` are the names
    that it may use, with `*` for any text. `scopes` are those that it may name; the first one is used if the request
    names none. None means all. `groups_claim` is the claim of the user's token that lists their groups; `groups` are
    those of somebody who signed in. `memory` is the most that its requests may do with memories. `upstream_key` is
    the holder's own key, for providers that the operator has no key of."""

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
    """A verified user, the scope asked for, and the client's conversation (or None). `groups` are the names that the
    verified token lists, `roles` what the user is in the groups that this request may see."""

    user: str
    scope: str = DEFAULT_SCOPE
    conversation: str | None = None
    groups: tuple[str, ...] = ()
    roles: Mapping[str, Role] = field(default_factory=dict)

    @property
    def space(self) -> Space:
        """Of the user's own: receipts, blocks, pauses; and memories, unless the scope is a group's."""
        return Space(self.user, self.scope)

    @property
    def group(self) -> str | None:
        """The group whose memories are asked for, if it is one."""
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
        """Groups recalled beside the user's own memories. None in a group's scope: an answer may repeat them."""
        return () if self.group else tuple(sorted(self.roles))

    @property
    def contributes_to(self) -> tuple[str, ...]:
        """Those of them in which the user may write."""
        return tuple(name for name in self.looks_into if self.roles[name] != "reader")

    @property
    def shared(self) -> tuple[Space, ...]:
        """The spaces of all groups that this request reads."""
        return tuple(Space.of_group(name) for name in ([self.group] if self.group else self.looks_into))


@dataclass(frozen=True, slots=True)
class Evidence:
    """The verbatim span of the conversation that a memory stands on."""

    text: str
    role: str
    turn_id: str | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where a memory was said: the client's conversation id, the model asked, the app (`access.apps.app_of`)."""

    conversation: str | None = None
    model: str | None = None
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """One memory. `valid_to` None means it holds now; `slot` names the attribute that it states ("employer"; see
    `learn/rules/slots.py`). What is `private` goes to models on the operator's own machines only. `group`: whose it
    is if it is no person's; `contributor`: who wrote it; `told`: when it was said again, after `created_at`."""

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
    """A memory as the store keeps it. `dense` has the embedder's dimension and unit length; `tokens` is what its
    line costs in the block, `answer_tokens` what the assistant's words in it cost; `cues` is a bit set of surface
    features that ranking reads without the text. `topics` are those that it belongs to, joined by spaces; `names` are
    the BM25 term ids of the people, places and things that it names; `label` is the speaker named at the head of a
    transcript's line ("Ada: …"), where the memory itself has none."""

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
    """One exchange on its way to memory. `id` is the same for every retry and every step of a tool loop: a digest of
    the space, the conversation and the person's messages up to the newest. What a model `found` in it is a job of its
    own: its `id` is another, and the turn's is `of`. What goes into a group's space has its `contributor`."""

    id: str
    space: Space
    created_at: Millis
    user_text: str
    answer: str
    receipt: str
    source: Source = field(default_factory=Source)
    speaker: str | None = None
    recalled: tuple[str, ...] = ()  # ids of the memories in the block
    earlier: tuple[str, ...] = ()  # ids of this conversation's turns before; only when they are to be forgotten
    forgotten: tuple[str, ...] = ()  # ids of what was deleted at its wish before the answer
    continues: bool = False  # a further step of a tool loop: nothing new was said
    trace: str = ""  # the chat's span, as the header traceparent names it
    taken_at: Millis = 0  # when it came to us, where that is later than it was said: an import
    found: tuple[Fact, ...] = ()
    of: str = ""
    redacted: bool = False
    contributor: str | None = None
    groups: tuple[str, ...] = ()  # to which the user may contribute: a wish to forget is about these, too
    doubtful: bool = False  # a program may have written it, so that no fact is made of it

    @property
    def owner(self) -> Space:
        """Whose receipt it has."""
        return Space(self.contributor, self.space.scope) if self.contributor else self.space

    @property
    def said_in(self) -> str:
        """The id of this turn, or of the turn whose facts it brings."""
        return self.of or self.id

    @property
    def began(self) -> Millis:
        """The time that counts for erasure: an erasure at this time or later includes this turn."""
        return self.taken_at or self.created_at


@dataclass(frozen=True, slots=True)
class Fact:
    """What an extractor found: one sentence about the user, and the span of the user's own text that it is based on.
    `expires_at` is when it ends by nature (an age, an exam on Friday), None if it has no such end. `verdicts`: the
    memories that the fact repeats or replaces in the judgement of a model."""

    text: str
    evidence: str
    slot: str | None = None
    valid_from: Millis | None = None
    verdicts: Verdicts = field(default_factory=dict, hash=False)
    expires_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What went into an answer, and what was written after; `write` is pending|written|nothing|off|skipped|lost."""

    id: str
    space: Space
    created_at: Millis
    status: str
    model: str
    turn_id: str | None
    recalled: tuple[str, ...]
    tokens: int
    recall_ms: float
    write: str
    written: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()  # why each of `recalled` is there, where that is known
    room: int | None = None  # tokens that the model's context left for the block, where these were too few


@dataclass(frozen=True, slots=True)
class Deployment:
    """One model at one provider: `model_name` is what the client asked for, `upstream_model` what the provider calls
    it. `speaks` are the paths, relative to the API base, whose bytes the provider takes as they are, `may_speak`
    those of which only the server itself knows. `params` is the rest of `litellm_params`, for the translate lane.
    `max_input_tokens` is what the operator says that the model takes."""

    model_name: str
    provider: str
    upstream_model: str
    speaks: frozenset[str] = frozenset()
    api_base: str | None = None
    api_key: str | None = field(default=None, repr=False)
    timeout: float = 600.0  # seconds: the longest silence of the provider
    extra_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, Any] = field(default_factory=dict, repr=False)
    local: bool = False  # what is sent there stays with the operator
    memory: bool = True  # may it take part there?
    may_speak: frozenset[str] = frozenset()
    max_input_tokens: int | None = None

    @property
    def priced(self) -> str:
        """What price lists call it."""
        return f"{self.provider}/{self.upstream_model}"

    def lane(self, path: str) -> Literal["bytes", "translate", "ollama"]:
        """Which way leads to `path`, its query left aside. A path of no dialect (files, batches, skills, embeddings)
        goes as bytes to a provider that takes the bytes of any dialect."""
        asked = path.partition("?")[0]
        if asked.startswith(OLLAMA):
            return "ollama"
        as_bytes = asked in self.speaks if asked in DIALECT_PATHS else bool(self.speaks)
        return "bytes" if as_bytes else "translate"
