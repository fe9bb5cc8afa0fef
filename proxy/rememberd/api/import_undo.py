"""Undoes an import as a whole. A separate receipt records what each request of the import added; it is stored as long
as other receipts."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from rememberd.memory.embedding.indexing import to_point
from rememberd.memory.ids import imported_id
from rememberd.ports import Embedder, MemoryStore, ReceiptStore
from rememberd.types import Memory, Millis, Receipt, Space

_PREFIX = "imp_"  # of all receipts of imports, which belong to no answer and are not listed
_VALUES = 100  # the most values of a slot that are checked


class Undone(NamedTuple):
    """`pending` counts exchanges that the writer has not processed yet: undo again after that."""

    deleted: int
    reopened: int
    pending: int


async def record(receipts: ReceiptStore, space: Space, import_id: str, added: Sequence[str], now: Millis) -> None:
    """`added` are ids of memories and of the receipts of turns. Raises `QueueUnavailable`."""
    number = 0
    while await receipts.get(space, _name(space, import_id, number)):
        number += 1
    await receipts.put(
        Receipt(
            id=_name(space, import_id, number),
            space=space,
            created_at=now,
            status="off",
            model="import",
            write="written",
            written=tuple(added),
        )
    )


async def undo(
    store: MemoryStore,
    embedder: Embedder,
    receipts: ReceiptStore,
    space: Space,
    owner: Space,
    import_id: str,
    now: Millis,
    may_delete: Callable[[Memory], bool],
) -> Undone | None:
    """`owner` has the receipts of the import, `space` its memories. None if there is no such import. The tombstones
    do not block the same import later."""
    noted = [each async for each in _noted(receipts, owner, import_id)]
    if not noted:
        return None
    ids, pending = list[str](), 0
    for each in (name for receipt in noted for name in receipt.written):
        if not each.startswith(_PREFIX):
            ids.append(each)
        elif turn := await receipts.get(owner, each):
            pending += turn.write == "pending" and not turn.written
            ids += turn.written
            await receipts.written(owner, each, (), "pending")  # so that the same exchange can be imported again
    gone = [each for each in await store.get(space, ids) if may_delete(each)]  # others may have said the same later
    await store.delete(space, [each.id for each in gone], at=0)
    reopened = await _reopened(store, space, gone, now)
    if reopened:
        await store.put(space, [await to_point(each, embedder) for each in reopened])
    return Undone(len(gone), len(reopened), pending)


async def _noted(receipts: ReceiptStore, space: Space, import_id: str) -> AsyncIterator[Receipt]:
    number = 0
    while receipt := await receipts.get(space, _name(space, import_id, number)):
        yield receipt
        number += 1


async def _reopened(store: MemoryStore, space: Space, gone: Sequence[Memory], now: Millis) -> list[Memory]:
    """The values that ended when one of the deleted memories began."""
    began = {(each.slot, each.valid_from) for each in gone if each.slot}
    found: dict[str, Memory] = {}
    for slot in {slot for slot, _ in began}:
        values, _ = await store.page(space, limit=_VALUES, now=now, slot=slot, include_past=True)
        ended = [each for each in values if each.valid_to is not None and (slot, each.valid_to) in began]
        found |= {each.id: replace(each, valid_to=None, updated_at=now) for each in ended}
    return list(found.values())


def _name(space: Space, import_id: str, number: int) -> str:
    """The id of the receipt; different for each space, because the client chooses `import_id` and ids of receipts are
    unique in a store."""
    return f"{_PREFIX}set_{imported_id(space, import_id, str(number))}"
