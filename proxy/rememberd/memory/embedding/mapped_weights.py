"""The large tables of bytes in an ONNX file, mapped instead of read: all processes share their pages, and a page that
no text needs is never loaded. For all-MiniLM-L6-v2-int8 that is 11 of 32 MB in each process (measured, 1.32)."""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGE = 4 * 2**20  # bytes; smaller tensors are rewritten for the processor, and the copy is what counts
_BYTE_TYPES = {2: np.uint8, 3: np.int8}  # of TensorProto.DataType: they may begin at any address

# Numbers of the fields in onnx.proto: ModelProto.graph, GraphProto.initializer, and those of TensorProto.
_GRAPH, _INITIALIZER = 7, 5
_DIMS, _DATA_TYPE, _NAME, _RAW_DATA = 1, 2, 8, 9
_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5  # wire types

Span = tuple[int, int]


def byte_tables(file: Path) -> dict[str, NDArray[Any]]:
    """The tables by the names of their initializers. Raises `ValueError` or `IndexError` for a file that is not
    ONNX."""
    with file.open("rb") as opened:
        data = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    tables = {}
    for graph in _of(data, (0, len(data)), _GRAPH):
        for tensor in _of(data, graph, _INITIALIZER):
            if tensor[1] - tensor[0] >= _LARGE:
                tables.update(_table(data, tensor))
    return tables


def _table(data: mmap.mmap, tensor: Span) -> dict[str, NDArray[Any]]:
    kind = next((_varint(data, start)[0] for start, _ in _of(data, tensor, _DATA_TYPE)), 0)
    raw = next(_of(data, tensor, _RAW_DATA), None)
    if kind not in _BYTE_TYPES or raw is None:
        return {}
    name = next(data[start:end].decode() for start, end in _of(data, tensor, _NAME))
    flat = np.frombuffer(data, _BYTE_TYPES[kind], raw[1] - raw[0], raw[0])
    return {name: flat.reshape(list(_dims(data, tensor)))}


def _dims(data: mmap.mmap, tensor: Span) -> Iterator[int]:
    """One dimension in each field, or all packed into one field."""
    for start, end in _of(data, tensor, _DIMS):
        while start < end:
            size, start = _varint(data, start)
            yield size


def _of(data: mmap.mmap, message: Span, wanted: int) -> Iterator[Span]:
    """The positions of the values of the field `wanted` in `message`."""
    at, end = message
    while at < end:
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == _LENGTH:
            length, at = _varint(data, at)
        elif wire == _VARINT:
            length = _varint(data, at)[1] - at
        else:
            length = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}[wire]
        if number == wanted:
            yield at, at + length
        at += length


def _varint(data: mmap.mmap, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
