"""The repairs of a person's memories that are safe without asking."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rememberd.memory.audit import REPAIRABLE, Complaint, Finding
from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.safety.redact import redact
from rememberd.ports import Embedder, MemoryStore
from rememberd.types import Memory, Millis, Space


@dataclass(frozen=True, slots=True)
class Repaired:
    """`memories` are those left after the `repairs`; of these, `changed` must be written. `gone` must be deleted."""

    memories: list[Memory]
    changed: list[Memory]
    gone: list[Memory]
    repairs: list[Finding]


def repair(memories: Sequence[Memory], now: Millis) -> Repaired:
    """Expired memories are deleted, secrets redacted, duplicates merged, and of two values of a slot the older is
    closed. `memories` are all of one space. A second repair would change nothing."""
    before = {each.id: each for each in memories}
    after, repairs = dict(before), list[Finding]()
    for find in REPAIRABLE:
        for finding in list(find(list(after.values()), now)):
            _REPAIRS[finding.complaint](after, finding)
            repairs.append(finding)
    changed = [each for each in after.values() if each != before[each.id]]
    gone = [each for each in memories if each.id not in after]
    return Repaired(list(after.values()), changed, gone, repairs)


async def write(
    store: MemoryStore, embedder: Embedder, space: Space, read: Sequence[Memory], mended: Repaired
) -> list[Finding]:
    """Write the repairs to the store, and return those written: a memory changed since it was `read` is left
    unchanged. Raises `StoreUnavailable`, `EmbedderUnavailable`; a second call completes it."""
    as_read = {each.id: each for each in read}
    touched = [each.id for each in (*mended.changed, *mended.gone)]
    same = {each.id for each in await store.get(space, touched) if each == as_read[each.id]}
    await store.put(space, [await to_point(each, embedder) for each in mended.changed if each.id in same])
    for each in mended.gone:
        if each.id in same:
            # With the memory's own time: statements from now on are learned again.
            await store.delete(space, [each.id], at=each.updated_at)
    return [each for each in mended.repairs if each.memory.id in same]


def _drop(kept: dict[str, Memory], finding: Finding) -> None:
    del kept[finding.memory.id]


def _redact(kept: dict[str, Memory], finding: Finding) -> None:
    memory = finding.memory
    evidence = memory.evidence and replace(memory.evidence, text=redact(memory.evidence.text).text)
    kept[memory.id] = replace(memory, text=redact(memory.text).text, evidence=evidence)


def _merge(kept: dict[str, Memory], finding: Finding) -> None:
    assert finding.other
    keeper, copy = kept[finding.other], kept.pop(finding.memory.id)
    kept[keeper.id] = replace(
        keeper,
        created_at=min(keeper.created_at, copy.created_at),
        updated_at=max(keeper.updated_at, copy.updated_at),
        valid_from=min(keeper.valid_from, copy.valid_from),
        slot=keeper.slot or copy.slot,
        told=tuple(sorted({*keeper.told, *copy.told, max(keeper.created_at, copy.created_at)})),
    )


def _close(kept: dict[str, Memory], finding: Finding) -> None:
    assert finding.other
    memory, newer = kept[finding.memory.id], kept[finding.other]
    kept[memory.id] = replace(memory, valid_to=max(memory.valid_from, newer.valid_from))


_REPAIRS: dict[Complaint, Callable[[dict[str, Memory], Finding], None]] = {
    "expired": _drop,
    "secret": _redact,
    "duplicate": _merge,
    "contradiction": _close,
}
