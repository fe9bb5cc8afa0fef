"""Portable AI Memory (PAM) 1.0, `memory-store.json`, both ways. Specification: https://portable-ai-memory.org/spec/v1.0

PAM has no fields for pins, private marks and exchanges: an export puts them under `metadata.rememberd`, where our own
import finds them."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rememberd.memory.importers.records import BadFile, Line, memory

SCHEMA, SPEC = "portable-ai-memory", "https://portable-ai-memory.org/spec/v1.0"
OURS = "rememberd"  # in `metadata`, and as the exporter's name

_GONE = ("retracted",)  # "explicitly invalidated by the user", section 7
_PAST = ("superseded", "archived")
_PLATFORM = re.compile(r"[a-z0-9_-]{2,32}")  # section 11.4
_SAID_BESIDE = frozenset(("text", "object", "quarantined"))  # fields of a memory that `metadata` need not repeat


def is_entry(given: Mapping[str, Any]) -> bool:
    return isinstance(given.get("temporal"), dict) and isinstance(given.get("provenance"), dict)


def check(document: Mapping[str, Any]) -> None:
    """Raises `BadFile` if the document's own integrity block says that memories are missing or changed."""
    stated, memories = document.get("integrity"), document.get("memories")
    if not isinstance(stated, dict) or not isinstance(memories, list):
        return
    if stated.get("total_memories") not in (None, len(memories)):
        raise BadFile(
            f"the file names {stated['total_memories']} memories and holds {len(memories)}: it is damaged, "
            "export it again"
        )
    # The reference SDK leaves out null values before it computes the checksum; the specification does not.
    if stated.get("checksum") not in (None, _checksum(memories), _checksum(_without_nulls(memories))):
        raise BadFile("the memories of the file do not match its checksum: it is damaged, export it again")


def lines(given: Any) -> Iterator[Line]:
    """The lines of one memory object. Raises `KeyError`, `TypeError` or `AttributeError` for another shape."""
    status, when = given.get("status") or "active", given["temporal"]
    if status in _GONE:
        return
    source = {
        "client": given["provenance"].get("platform"),
        "conversation": given["provenance"].get("conversation_ref"),
    }
    line = memory(given["content"], when["created_at"], "pam") | {"source": source}
    ends = when.get("valid_until") or (when.get("updated_at") or when["created_at"] if status in _PAST else None)
    times = {"updated_at": when.get("updated_at"), "valid_from": when.get("valid_from"), "valid_to": ends}
    line |= {name: at for name, at in times.items() if at}
    yield line | kept_in(given.get("metadata") or {})


def document(memories: Sequence[Mapping[str, Any]], owner: str, at: str, version: str) -> bytes:
    """The memory-store of memories as `GET /v1/memories` shows them. `at` is RFC 3339."""
    entries = [_entry(each) for each in memories if not each["quarantined"]]
    whole = {
        "schema": SCHEMA,
        "schema_version": "1.0",
        "spec_uri": SPEC,
        "exported_by": f"{OURS}/{version}",
        "export_date": at,
        "owner": {"id": owner},
        "memories": entries,
        "relations": [],
        "conversations_index": [],
        "integrity": {
            "canonicalization": "RFC8785",
            "checksum": _checksum(entries),
            "total_memories": len(entries),
        },
        "export_type": "full",
    }
    return json.dumps(whole, ensure_ascii=False, indent=2).encode()


def _entry(given: Mapping[str, Any]) -> dict[str, Any]:
    client = str(given["source"]["client"] or "").lower()
    stated = given["evidence"] is not None and given["evidence"]["turn_id"] is None
    return {
        "id": given["id"],
        "type": "fact" if given["kind"] == "fact" else "context",
        "status": "archived" if given["valid_to"] else "active",
        "content": given["text"],
        "content_hash": _content_hash(given["text"]),
        "tags": [],
        "temporal": {
            name: seconds(given[ours])
            for name, ours in (
                ("created_at", "created_at"),
                ("updated_at", "updated_at"),
                ("valid_from", "valid_from"),
                ("valid_until", "valid_to"),
            )
            if given[ours]
        },
        "provenance": {
            "platform": client if _PLATFORM.fullmatch(client) else OURS,
            "extraction_method": "explicit_user_input" if stated else "llm_inference",
        },
        "metadata": kept(given),
    }


def seconds(at: str | None) -> str | None:
    """RFC 3339 in whole seconds, the form that both formats use for their checksums."""
    return at and f"{at[:19]}Z"


def kept(given: Mapping[str, Any]) -> dict[str, Any]:
    """The data without a field in an open format, under our own name."""
    return {OURS: _without_nulls({name: value for name, value in given.items() if name not in _SAID_BESIDE})}


def kept_in(holder: Mapping[str, Any]) -> dict[str, Any]:
    found = holder.get(OURS)
    return dict(found) if isinstance(found, dict) else {}


def _content_hash(text: str) -> str:
    """Section 6: trimmed, lower case, NFC, each run of white space as one space."""
    plain = re.sub(r"\s+", " ", unicodedata.normalize("NFC", text.strip().lower()))
    return f"sha256:{hashlib.sha256(plain.encode()).hexdigest()}"


def _checksum(memories: Sequence[Any]) -> str:
    """Section 15.2: sorted by id, as canonical JSON (RFC 8785)."""
    ordered = sorted(memories, key=lambda each: str(each.get("id")) if isinstance(each, dict) else "")
    return f"sha256:{hashlib.sha256(canonical(ordered)).hexdigest()}"


def canonical(value: Any) -> bytes:
    """Canonical JSON (RFC 8785): sorted names, no space, whole numbers without a point, text as it is."""
    text = json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "surrogatepass")


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return [_without_nulls(each) for each in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e16 else value
