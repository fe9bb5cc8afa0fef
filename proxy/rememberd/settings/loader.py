"""Reads YAML and the environment into dataclasses. An error names the file, the line and the setting."""

import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from rememberd.errors import ConfigError

_LITELLM_TABLES = frozenset(
    {"litellm_settings", "general_settings", "router_settings", "environment_variables", "callback_settings"}
)
_ADOPTED = {"fallbacks": "fallbacks", "model_group_alias": "aliases"}  # settings in those tables: our names
_SECRET = re.compile(r"key|secret|url|model_list", re.IGNORECASE)  # names of settings that may contain a secret
_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_ABSENT = object()


def iter_fields(cls: type, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Field[Any]]]:
    """Every setting that is not a table, with its path: `(("server", "port"), <field>)`."""
    found: list[tuple[tuple[str, ...], Field[Any]]] = []
    hints = get_type_hints(cls)
    for item in fields(cls):
        where = (*path, item.name)
        found += iter_fields(hints[item.name], where) if is_dataclass(hints[item.name]) else [(where, item)]
    return found


class SettingsReader:
    """Turns YAML nodes into the dataclass `root` and its tables. Errors name the line of the node."""

    def __init__(self, root: type, environ: Mapping[str, str]) -> None:
        self.root, self.environ = root, environ
        self.variables = {_variable(path) for path, _ in iter_fields(root)}

    def fail(self, node: yaml.Node | None, message: str) -> ConfigError:
        mark = node.start_mark if node is not None else None
        # YAML's name of a text that is not a file is "<unicode string>": it is a variable, which the message names.
        where = f"{mark.name}:{mark.line + 1}: " if mark is not None and not mark.name.startswith("<") else ""
        return ConfigError(where + message)

    def read(self, cls: type, node: yaml.Node | None, path: tuple[str, ...]) -> Any:
        given = self.mapping(cls, node, path)
        hints = get_type_hints(cls)
        values = {}
        for item in fields(cls):
            value = self.value(hints[item.name], given.get(item.name), (*path, item.name))
            if value is not _ABSENT:
                values[item.name] = value
            elif item.default is MISSING and item.default_factory is MISSING:
                raise self.fail(node, f"{'.'.join((*path, item.name))} is missing")
        return cls(**values)

    def mapping(self, cls: type, node: yaml.Node | None, path: tuple[str, ...]) -> dict[str, yaml.Node]:
        if node is None or node.tag == "tag:yaml.org,2002:null":
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise self.fail(node, f"{'.'.join(path) or 'the file'} must be a table of settings")
        known = [item.name for item in fields(cls)]
        given: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = str(key.value)
            if name not in known:
                if not path and name in _LITELLM_TABLES:
                    given = _adopted(value) | given  # from LiteLLM's config.yaml; its other settings are ignored
                    continue
                elsewhere = [".".join(place) for place, _ in iter_fields(self.root) if place[-1] == name]
                near = elsewhere or get_close_matches(name, known, 1, 0.5) or [", ".join(known)]
                raise self.fail(key, f"unknown setting {'.'.join((*path, name))!r}; did you mean {near[0]}?")
            given[name] = value
        return given

    def value(self, hint: Any, node: yaml.Node | None, path: tuple[str, ...]) -> Any:
        if is_dataclass(hint):
            return self.read(hint, node, path)  # type: ignore[arg-type]
        override = self.override(_variable(path))
        if override.strip() and _variable(path) in self.variables:
            return self.from_text(hint, override, None, (_variable(path),))
        return _ABSENT if node is None else self.convert(hint, node, path)

    def convert(self, hint: Any, node: Any, path: tuple[str, ...]) -> Any:
        raw, options = self.plain(node, path), _options(hint)
        if isinstance(raw, str) and raw.startswith("os.environ/"):
            referred = self.variable(node, raw.removeprefix("os.environ/"), path)
            return None if referred is None else self.from_text(hint, referred, node, path)
        if raw is None and type(None) in options:
            return None
        want = options[0]
        if get_origin(want) is list and isinstance(node, yaml.SequenceNode):
            inner = get_args(want)[0]
            if is_dataclass(inner):
                return [self.read(inner, item, (*path, "[]")) for item in node.value]  # type: ignore[arg-type]
            return raw
        if list[str] in options and isinstance(raw, list) and raw and all(isinstance(each, str) for each in raw):
            return raw
        if get_origin(want) is Literal and raw in get_args(want):
            return raw
        if get_origin(want) is dict and isinstance(raw, dict):
            return raw
        if isinstance(want, type) and isinstance(raw, want) and not (want is int and isinstance(raw, bool)):
            return raw
        if want is str and isinstance(raw, int | float | date) and not isinstance(raw, bool):
            return str(node.value)
        raise self.fail(node, _wanted(want, raw, path))

    def from_text(self, hint: Any, text: str, node: yaml.Node | None, path: tuple[str, ...]) -> Any:
        """The value of an environment variable or of the file that it names. Strings are literal, not YAML. `node` is
        the place in the settings that refers to the variable, if there is one."""
        options = _options(hint)
        want, word = options[0], text.strip()
        if want is str:
            return text
        if type(None) in options and word.lower() in ("null", "none"):
            return None
        if get_origin(want) in (list, dict):
            return self.convert(hint, self.composed(want, text, node, path), path)
        if want is int and _WHOLE_NUMBER.fullmatch(word):
            return int(word)
        if want is bool and word.lower() in _TRUTH:
            return _TRUTH[word.lower()]
        if get_origin(want) is Literal and word in get_args(want):
            return word
        raise self.fail(node, _wanted(want, text, path))

    def composed(self, want: Any, text: str, node: yaml.Node | None, path: tuple[str, ...]) -> yaml.Node:
        """The list or table in `text`, in YAML's short form or as JSON: `[a, b]`, `{"a": "b"}`."""
        try:
            found = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.YAMLError:
            found = None  # its message would quote the text
        if not isinstance(found, yaml.SequenceNode if get_origin(want) is list else yaml.MappingNode):
            raise self.fail(node, _wanted(want, text, path))
        return found

    def plain(self, node: Any, path: tuple[str, ...]) -> Any:
        """Raises `ConfigError` if YAML cannot make a value of the node, such as an unknown tag or an impossible
        date."""
        loader = yaml.SafeLoader("")
        try:
            return loader.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError, TypeError, RecursionError):
            raise self.fail(node, f"{'.'.join(path)} is not a plain YAML value: put it in quotes") from None
        finally:
            loader.dispose()

    def variable(self, node: yaml.Node, name: str, path: tuple[str, ...]) -> str | None:
        """The variable's value. A missing variable is an error, because it may be a secret; only a setting's own
        variable (`admin_key: os.environ/REMEMBERD_ADMIN_KEY`) may be missing."""
        if name not in self.environ and name != _variable(path):
            raise self.fail(node, f"{'.'.join(path)}: the environment variable {name} is not set")
        return self.environ.get(name)

    def override(self, variable: str) -> str:
        """The value of the variable, or the content of the file that its `_FILE` variant names."""
        named = f"{variable}_FILE"
        if named in self.variables or not self.environ.get(named):
            return self.environ.get(variable, "")
        if variable in self.environ:
            raise ConfigError(f"{variable} and {named} are both set: set only one of them")
        try:
            return Path(self.environ[named]).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{named}: cannot read {self.environ[named]}: {error}") from error

    def refuse_unknown_variables(self) -> None:
        tables = tuple(f"REMEMBERD_{item.name.upper()}_" for item in fields(self.root))
        for name in self.environ:
            if name.startswith(tables) and not {name, name.removesuffix("_FILE")} & self.variables:
                near = get_close_matches(name, self.variables, 1, 0.5) or sorted(self.variables)
                raise ConfigError(f"unknown environment variable {name}; did you mean {near[0]}?")


def _variable(path: tuple[str, ...]) -> str:
    return "REMEMBERD_" + "_".join(path).upper()


def _adopted(litellm: yaml.Node) -> dict[str, yaml.Node]:
    pairs = litellm.value if isinstance(litellm, yaml.MappingNode) else ()
    return {_ADOPTED[key.value]: value for key, value in pairs if key.value in _ADOPTED}


def _options(hint: Any) -> tuple[Any, ...]:
    """The type of a setting, followed by `NoneType` if it may be null."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _wanted(want: Any, given: Any, path: tuple[str, ...]) -> str:
    shown = "the given value" if _SECRET.search(path[-1]) else repr(given)
    return f"{'.'.join(path)} must be {_described(want)}, not {shown}"


def _described(want: Any) -> str:
    if get_origin(want) is Literal:
        return "one of " + ", ".join(get_args(want))
    names = {int: "a whole number", str: "text", bool: "true or false", dict: "a table"}
    return names.get(get_origin(want) or want, "a list")
