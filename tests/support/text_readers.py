"""Every function and method of a package that is given a text, found by its signature: none has to be named in a
test."""

from __future__ import annotations

import dataclasses
import dis
import inspect
import io
import pkgutil
import re
from collections.abc import (
    Callable,
    Collection,
    Container,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
    Set,
)
from contextlib import suppress
from datetime import date
from functools import lru_cache
from importlib import import_module
from types import GenericAlias, ModuleType, NoneType, UnionType
from typing import IO, Any, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy

from rememberd.dialects import chat
from rememberd.dialects.registry import Dialect
from rememberd.ports import Embedder
from rememberd.search_results import Candidates
from rememberd.upstream.catalog import Catalog
from tests.support.fakes import EmbedderFake

Reader = Callable[[str], Any]

_PLAIN: dict[Any, Any] = {
    int: 0, float: 0.0, bool: False, NoneType: None, date: date(2026, 11, 30), numpy.ndarray: numpy.zeros(0),
    Candidates: Candidates.of([]), Dialect: chat, Embedder: EmbedderFake(),
    Catalog: Catalog([], {}), re.Pattern: re.compile("(?:)"),
}  # fmt: skip
_LISTS = (list, tuple, set, frozenset, Set, Sequence, Collection, Container, Iterable, Iterator)
_MAPPINGS = (dict, Mapping, MutableMapping)
_TEXTS = (str, bytes, Any, object)
_DEEPEST = 4  # of values in values
_LINES = 20
_OF_NAMED_TUPLES = ("_asdict", "_make", "_replace")


class CannotMake(LookupError):
    """There is nothing plain of this kind."""


def text_readers(package: ModuleType) -> tuple[dict[str, Reader], dict[str, str]]:
    """The readers, by module and name; and the kind of argument that cannot be made up of the others, by theirs.

    Called with a text, each function gets it for all its strings, in all its bytes, lists and mappings, and in the
    fields of the objects that it is given; and something plain for the rest. What it raises for such arguments is not
    looked at. A method's object is made up in the same way. Coroutines are left out: what they read they give to
    functions."""
    found, left = dict[str, Reader](), dict[str, str]()
    for module in _modules(package):
        for name, function, owner in _functions(module):
            where = f"{module.__name__.partition('.')[2]}.{name}"
            try:
                make = _maker(function, owner)
            except CannotMake as kind:
                left[where] = str(kind)
            else:
                if make is not None:
                    found[where] = _reader(make)
    return found, left


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    if not hasattr(package, "__path__"):
        yield package
        return
    for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield import_module(each.name)


def _functions(module: ModuleType) -> Iterator[tuple[str, Callable[..., Any], type | None]]:
    """With the class of a method, or None."""
    for name, value in vars(module).items():
        if inspect.isclass(value) and value.__module__ == module.__name__:
            for inner, each in vars(value).items():
                plain = isinstance(each, staticmethod | classmethod)
                method = each.fget if isinstance(each, property) else each.__func__ if plain else each
                method = inspect.unwrap(method) if callable(method) else None
                if inspect.isfunction(method) and _is_read(inner, method):
                    yield f"{name}.{inner}", getattr(value, inner) if plain else method, None if plain else value
        function = inspect.unwrap(value) if callable(value) else None
        if inspect.isfunction(function) and function.__module__ == module.__name__ and _is_read(name, function):
            yield name, function, None


def _is_read(name: str, function: Callable[..., Any]) -> bool:
    if name.startswith("__") or name in _OF_NAMED_TUPLES:
        return False
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return False
    return not any(each.opname == "IMPORT_NAME" for each in dis.get_instructions(function))  # of a large library


def _maker(function: Callable[..., Any], owner: type | None) -> Callable[[str], Callable[[], Any]] | None:
    """What makes up a call for a text; None if the function is given none. Raises `CannotMake`."""
    arguments = [each for each in inspect.signature(function).parameters.values() if _is_required(each)]
    if owner is not None:
        arguments = arguments[1:]
    hints = _hints(function)
    kinds = {each.name: hints.get(each.name, Any) for each in arguments}
    if not any(_holds_text(kind) for kind in kinds.values()) and (owner is None or not _holds_text(owner)):
        return None

    def make(text: str) -> Callable[[], Any]:
        given = [] if owner is None else [_made_up(owner, text)]
        values = {name: _made_up(kind, text) for name, kind in kinds.items()}
        return lambda: function(*given, **values)

    make("")
    return make


def _is_required(each: inspect.Parameter) -> bool:
    return each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)


def _hints(function: Any) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except NameError as unknown:  # a type that only type checkers import
        raise CannotMake(unknown.name) from None


def _reader(make: Callable[[str], Callable[[], Any]]) -> Reader:
    def read(text: str) -> None:
        with suppress(Exception):
            result = make(text)()
            if inspect.isgenerator(result):
                for _ in result:
                    pass

    return read


@lru_cache(4096)
def _fields(kind: Any) -> dict[str, Any] | None:
    """What must be given to make one; None of a class that is not ours, or that starts a thread."""
    if not kind.__module__.startswith(("rememberd", "tests")) or "Thread(" in inspect.getsource(kind):
        return None
    if dataclasses.is_dataclass(kind):
        missing = dataclasses.MISSING
        required = [
            each.name for each in dataclasses.fields(kind)
            if each.init and each.default is missing and each.default_factory is missing
        ]  # fmt: skip
    elif issubclass(kind, tuple) and hasattr(kind, "_fields"):
        required = [name for name in kind._fields if name not in kind._field_defaults]
    elif getattr(kind, "_is_protocol", False):
        return None
    else:
        required = [name for name, each in inspect.signature(kind).parameters.items() if _is_required(each)]
        hints = _hints(kind.__init__)
        return {name: hints.get(name, Any) for name in required}
    hints = _hints(kind)
    return {name: hints[name] for name in required}


@lru_cache(4096)
def _holds_text(kind: Any, depth: int = 0) -> bool:
    if kind in (str, bytes) or depth > _DEEPEST:
        return kind in (str, bytes)
    if args := get_args(kind):
        return get_origin(kind) not in (Literal, Callable) and any(
            _holds_text(each, depth + 1) for each in args if not isinstance(each, list)
        )
    fields = _fields(kind) if isinstance(kind, type) else None
    return any(_holds_text(each, depth + 1) for each in (fields or {}).values())


def _made_up(kind: Any, text: str, depth: int = 0) -> Any:
    """Raises `CannotMake`."""
    if depth > _DEEPEST:
        raise CannotMake(f"a deep {kind}")
    origin, args = get_origin(kind), get_args(kind)
    if isinstance(kind, NewType | TypeVar):
        return _made_up(getattr(kind, "__supertype__", str), text, depth)
    if kind in _TEXTS:
        return text.encode("utf-8", "replace") if kind is bytes else text
    if (origin or kind) in _PLAIN:
        return _PLAIN[origin or kind]
    if origin is Literal:
        return args[0]
    if origin in (Union, UnionType):
        return _made_up(min(args, key=lambda each: (not _holds_text(each), each is NoneType)), text, depth)
    if (origin or kind) in _MAPPINGS:
        values = _made_up(args[1] if args else Any, text, depth + 1)
        keys = ("text", "content", "input", "value")
        return {"messages": [{"role": "user", "content": text}]} | dict.fromkeys(keys, values)
    if (origin or kind) in _LISTS:
        return _list(origin or kind, args or (Any,), text, depth)
    if (origin or kind) in (Callable, type(len)):
        return lambda *_: text
    if (origin or kind) in (io.BytesIO, IO):
        return io.BytesIO(text.encode("utf-8", "replace"))
    if (origin or kind) is re.Match:
        return re.match("(?s)(?P<value>.?)(.?)(.*)", text)
    if isinstance(kind, type) and not isinstance(kind, GenericAlias) and (fields := _fields(kind)) is not None:
        values = {name: _made_up(each, text, depth + 1) for name, each in fields.items()}
        try:
            return kind(**values)
        except Exception:  # noqa: BLE001 - what refuses all that is made up
            raise CannotMake(kind.__name__) from None
    raise CannotMake(getattr(kind, "__name__", str(kind)))


def _list(kind: Any, args: tuple[Any, ...], text: str, depth: int) -> Any:
    """The first lines of the text, so that a text for each name, say, costs no more than linear work; of what holds
    text, one."""
    if kind is tuple and len(args) > 1 and args[1] is not ...:
        return tuple(_made_up(each, text, depth + 1) for each in args)
    values = text.splitlines()[:_LINES] if args[0] is str else [_made_up(args[0], text, depth + 1)]
    made = kind if kind in (tuple, set, frozenset) else frozenset if kind is Set else list
    return iter(values) if kind is Iterator else made(values)
