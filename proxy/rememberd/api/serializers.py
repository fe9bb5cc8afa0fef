"""Converts memories to JSON and back. Times are RFC 3339 in UTC in JSON, milliseconds in the code."""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rememberd.errors import RequestError
from rememberd.memory.explain import Score
from rememberd.memory.ids import episode_id, fact_id, imported_id
from rememberd.memory.learn.build_memories import speaker_name
from rememberd.memory.learn.reconcile import MOST_TIMES
from rememberd.memory.learn.rules.extract import extract
from rememberd.memory.safety.quarantine import quarantine_if_suspicious
from rememberd.memory.safety.redact import redact
from rememberd.ports import LARGEST_PAGE
from rememberd.types import NEVER, Evidence, Kind, Memory, Millis, Source, Space, Turn

LONGEST_TEXT = 20_000
LONGEST_NAME = 256
_SWITCHES = dict.fromkeys(("", "1", "true", "yes"), True) | dict.fromkeys(("none", "0", "false", "no"), False)
_KINDS: tuple[Kind, ...] = ("fact", "episode")


def memory_json(memory: Memory, score: float | None = None) -> dict[str, Any]:
    """The memory object of proxy/HTTP.md; a group's has `group` and `contributor` (null: taken off),
    what was said under a name its `speaker`, and what was said again all its times (`told_at`)."""
    evidence = memory.evidence
    shown: dict[str, Any] = {
        "id": memory.id,
        "object": "memory",
        "text": memory.text,
        "kind": memory.kind,
        "created_at": rfc3339(memory.created_at),
        "updated_at": rfc3339(memory.updated_at),
        "valid_from": rfc3339(memory.valid_from),
        "valid_to": rfc3339(memory.valid_to),
        "pinned": memory.pinned,
        "private": memory.private,
        "quarantined": memory.valid_to == NEVER,
        "expires_at": rfc3339(memory.expires_at),
        "slot": memory.slot,
        "evidence": evidence and {"text": evidence.text, "role": evidence.role, "turn_id": evidence.turn_id},
        "source": {
            "conversation": memory.source.conversation,
            "model": memory.source.model,
            "client": memory.source.client,
        },
    }
    if memory.told:
        shown["told_at"] = [rfc3339(at) for at in (memory.created_at, *memory.told)]
    if memory.speaker:
        shown["speaker"] = memory.speaker
    if memory.group:
        shown |= {"group": memory.group, "contributor": memory.contributor}
    return shown if score is None else shown | {"score": round(score, 4)}


def parts_json(score: Score) -> dict[str, float]:
    return {name: round(value, 4) for name, value in score._asdict().items()}


def memory_from(
    fields: Mapping[str, Any],
    space: Space,
    now: Millis,
    redact_too: Collection[str] = (),
    contributor: str | None = None,
) -> Memory:
    """A memory that a user adds or imports. Secrets in it are redacted. If it reads like an order to an assistant, it
    is in quarantine: a model may have added it, or somebody else may have made the file. `redact_too` are keys of
    `PERSONAL`. In a group, the id also depends on the `contributor`.

    Only `text` is required. An id in `fields` is ignored. Raises `RequestError` 400."""
    stated = text_from(fields.get("text"), redact_too)
    kind = fields.get("kind", "fact")
    if kind not in _KINDS:
        raise _bad("kind", "must be fact or episode")
    created = _time(fields, "created_at", default=now)
    evidence = fields.get("evidence")
    source = fields.get("source")
    memory = Memory(
        id=(fact_id if kind == "fact" else episode_id)(space, stated, contributor=contributor),
        text=stated,
        kind=kind,
        created_at=created,
        updated_at=_time(fields, "updated_at", default=created),
        valid_from=_time(fields, "valid_from", default=created),
        valid_to=time_from(fields, "valid_to"),
        pinned=flag_from(fields, "pinned"),
        private=flag_from(fields, "private"),
        expires_at=time_from(fields, "expires_at"),
        slot=_slot(fields, stated, created) if kind == "fact" else None,
        evidence=_evidence(evidence, redact_too) if isinstance(evidence, Mapping) else Evidence(stated, "user"),
        source=_source(source) if isinstance(source, Mapping) else Source(),
        speaker=speaker_name(_name(fields.get("speaker")), redact_too),
        told=_told(fields.get("told_at"), created),
    )
    return quarantine_if_suspicious(memory)


def turn_from(fields: Mapping[str, Any], space: Space, now: Millis) -> Turn:
    """An exchange from another tool: `user` is the user's message, `answer` the reply. With the same `id` and
    `conversation` it is always the same turn. Raises `RequestError` 400."""
    said = fields.get("user")
    if not isinstance(said, str) or not said.strip():
        raise _bad("user", "must be a text that is not empty")
    answer = fields.get("answer")
    at = min(_time(fields, "created_at", default=now), now)
    source = _source(fields)
    turn_id = imported_id(space, source.conversation, _name(fields.get("id")) or f"{at} {_whole(said)}")
    return Turn(
        id=turn_id,
        space=space,
        created_at=at,
        user_text=_whole(said),
        answer=_whole(answer) if isinstance(answer, str) else "",
        receipt=f"imp_{turn_id}",
        source=source,
        speaker=_name(fields.get("speaker")) or None,
        taken_at=now,
    )


def text_from(value: Any, redact_too: Collection[str] = (), longest: int = LONGEST_TEXT) -> str:
    """The redacted text without surrounding spaces. Raises `RequestError` 400."""
    if not isinstance(value, str) or not value.strip():
        raise _bad("text", "must be a text that is not empty")
    if len(value) > longest:
        raise _bad("text", f"must be at most {longest:,} characters; this one has {len(value):,}")
    return redact(_whole(value).strip(), redact_too).text


def time_from(fields: Mapping[str, Any], name: str) -> Millis | None:
    """Milliseconds from an RFC 3339 text; a time without an offset is in UTC. Raises `RequestError` 400."""
    value = fields.get(name)
    if value is None:
        return None
    try:
        given = datetime.fromisoformat(value)
        at = round((given if given.tzinfo else given.replace(tzinfo=UTC)).timestamp() * 1000)
        rfc3339(at)  # raises if the time in UTC is before year 1 or after 9999
    except (TypeError, ValueError, OverflowError) as error:
        raise _bad(name, 'must be a time such as "2026-11-22T18:00:00Z", or null') from error
    return at


def limit_from(given: Any, default: int) -> int:
    try:
        limit = default if given is None else int(f"{given}")  # no true and no 2.5
    except (TypeError, ValueError):
        limit = 0
    if not 1 <= limit <= LARGEST_PAGE:
        raise RequestError(400, "invalid_limit", f"`limit` must be between 1 and {LARGEST_PAGE}", param="limit")
    return limit


def flag_from(fields: Mapping[str, Any], name: str) -> bool:
    value = fields.get(name, False)
    if not isinstance(value, bool):
        raise _bad(name, "must be true or false")
    return value


def switch_from(value: Any, name: str) -> bool:
    """A switch of a query, or of a search; None is off, and a name without a value on. Raises `RequestError` 400."""
    found = _SWITCHES.get(str(value).lower())
    if found is None:
        raise RequestError(400, "invalid_switch", f"`{name}` must be true or false", param=name)
    return found


def refuse_unknown(fields: Iterable[str], known: Collection[str]) -> None:
    """Raises `RequestError` 400 for a field that is not `known`."""
    for name in fields:
        if name not in known:
            names = ", ".join(sorted(known))
            raise RequestError(400, "unknown_field", f"`{name}` cannot be set here; known: {names}", param=name)


def unknown_memory(memory_id: str) -> RequestError:
    return RequestError(404, "memory_not_found", f"you have no memory {memory_id[:64]!r}")


def rfc3339(at: Millis | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _slot(fields: Mapping[str, Any], stated: str, at: Millis) -> str | None:
    """The slot in the fields, else the slot that the same words would get in a chat, so that they replace the old
    value."""
    given = fields.get("slot")
    if isinstance(given, str) and given:
        return _name(given)
    found = extract(stated, at) if "slot" not in fields else []
    return found[0].slot if len(found) == 1 else None


def _time(fields: Mapping[str, Any], name: str, default: Millis) -> Millis:
    at = time_from(fields, name)
    return default if at is None else at


def _told(given: Any, created: Millis) -> tuple[Millis, ...]:
    """The times of repetitions."""
    times = (
        {time_from({"told_at": each}, "told_at") for each in given[-MOST_TIMES:]}
        if isinstance(given, list)
        else set()
    )
    return tuple(sorted(at for at in times if at is not None and at > created))


def _evidence(fields: Mapping[str, Any], redact_too: Collection[str]) -> Evidence:
    text = _whole(str(fields.get("text") or ""))[:LONGEST_TEXT]
    return Evidence(redact(text, redact_too).text, _name(fields.get("role")) or "user", _name(fields.get("turn_id")))


def _source(fields: Mapping[str, Any]) -> Source:
    return Source(**{name: _name(fields.get(name)) for name in ("conversation", "model", "client")})


def _name(value: Any) -> str | None:
    return _whole(value)[:LONGEST_NAME] if isinstance(value, str) else None


def _whole(text: str) -> str:
    """The text without lone surrogates: JSON allows them, stores do not."""
    return text.encode("utf-8", "replace").decode()


def _bad(param: str, message: str) -> RequestError:
    return RequestError(400, "invalid_memory", f"`{param}` {message}", param=param)
