"""Every function of a package that is given a text, found by its signature: none has to be named in a test."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from datetime import date
from importlib import import_module
from inspect import Parameter, iscoroutinefunction, isfunction, isgenerator, signature, unwrap
from types import MappingProxyType, ModuleType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from rememberd.types import Memory

Reader = Callable[[str], Any]

_PLAIN: dict[Any, Any] = {
    **dict.fromkeys((tuple, list, Sequence, Iterable, Iterator, Collection), ()),
    **dict.fromkeys((frozenset, Set), frozenset()),
    **dict.fromkeys((dict, Mapping), MappingProxyType({})),
    **dict.fromkeys((int, float, bool), 0),
    bytes: b"",
    date: date(2026, 11, 30),
}


def text_readers(package: ModuleType) -> dict[str, Reader]:
    """By module and name. Called with a text, each function gets it for all its strings, and something plain or
    empty for the rest; what it raises for such arguments is not looked at. Functions whose other arguments cannot be
    made up so are left out: their callers are here."""
    found: dict[str, Reader] = {}
    for name in _modules(package):
        module = import_module(name)
        for each, value in vars(module).items():
            function = unwrap(value) if callable(value) else None
            if isfunction(function) and function.__module__ == name and not iscoroutinefunction(function):
                kinds = _kinds(function)
                if kinds is not None and str in kinds.values():
                    found[f"{name.partition('.')[2]}.{each}"] = _reader(function, kinds)
    return found


def _modules(package: ModuleType) -> Iterator[str]:
    for each in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield each.name


def _kinds(function: Callable[..., Any]) -> dict[str, Any] | None:
    """Of its required arguments, by their names; None if one of them cannot be made up."""
    required = [each.name for each in signature(function).parameters.values() if _is_required(each)]
    try:
        hints = get_type_hints(function)
        kinds = {name: hints.get(name) for name in required}
        for kind in kinds.values():
            _made_up(kind, "")
    except (NameError, LookupError):  # also a type that only type checkers import
        return None
    return kinds


def _is_required(each: Parameter) -> bool:
    return each.default is each.empty and each.kind not in (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


def _reader(function: Callable[..., Any], kinds: dict[str, Any]) -> Reader:
    def read(text: str) -> None:
        try:
            result = function(**{name: _made_up(kind, text) for name, kind in kinds.items()})
            if isgenerator(result):
                list(result)
        except Exception:  # noqa: BLE001 - what it refuses costs nothing
            pass

    return read


def _made_up(kind: Any, text: str) -> Any:
    """Raises `LookupError` if there is nothing plain of this kind."""
    if kind is str or (str in get_args(kind) and get_origin(kind) in (Union, UnionType)):
        return text
    if kind is Memory:
        return Memory("m", text, "fact", 0, 0, 0)
    if kind in _PLAIN:
        return _PLAIN[kind]
    if NoneType in get_args(kind):
        return None
    return _PLAIN[get_origin(kind)]
