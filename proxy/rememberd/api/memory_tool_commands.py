"""The commands of Anthropic's memory tool (`memory_20250818`): input and files to the result text.

Wording and formats: platform.claude.com/docs/en/agents-and-tools/tool-use/memory-tool. A directory exists while a
file is in it; /memories always does."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

Files = dict[str, str]  # text by path
Input = Mapping[str, Any]

ROOT = "/memories"
MAX_FILE_BYTES, MAX_BYTES, MAX_FILES = 256 * 1024, 1024 * 1024, 500
_MAX_LINES = 999_999  # the documentation's limit
_SHOWN_DEPTH = 2
_AROUND = 3  # lines before and after an edit
_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")


class ToolError(Exception):
    """The message is the tool's result, for the model to read."""


def run(files: Files, given: Input) -> str:
    """The text of the result. Changes `files`, which the caller must discard on `ToolError`."""
    name = given.get("command")
    if not isinstance(name, str) or name not in _COMMANDS:
        raise ToolError(f"Error: `command` must be one of {', '.join(_COMMANDS)}")
    return _COMMANDS[name](files, given)


def check(files: Files) -> None:
    """Raises `ToolError` if there are more files than a user may have in one scope."""
    sizes = {path: len(text.encode()) for path, text in files.items()}
    for path, size in sizes.items():
        if size > MAX_FILE_BYTES:
            raise ToolError(f"Error: {path} would have {size:,} bytes; the limit of a file is {MAX_FILE_BYTES:,}")
    if len(files) > MAX_FILES or sum(sizes.values()) > MAX_BYTES:
        raise ToolError(
            f"Error: the limit is {MAX_FILES} files with {MAX_BYTES:,} bytes together; delete what is not needed"
        )


def path_from(given: Input, name: str = "path") -> str:
    """The path without a slash at its end. Raises `ToolError` for a path outside of /memories."""
    path = text_from(given, name).rstrip("/")
    root, *names = path.split("/")[1:] or [""]
    inside = f"/{root}" == ROOT and path.startswith("/") and len(path) <= 1024
    if not inside or not all(_NAME.fullmatch(each) and unquote(each) not in (".", "..") for each in names):
        raise ToolError(f"Error: `{name}` must be a path under {ROOT}, without . and .. in it")
    return path


def _view(files: Files, given: Input) -> str:
    path = path_from(given)
    if path in files:
        return _content(path, files[path], given.get("view_range"))
    below = {each.removeprefix(f"{path}/"): len(files[each].encode()) for each in _below(files, path)}
    if not below and path != ROOT:
        raise _missing(path)
    sizes: dict[str, int] = {}
    for name, size in below.items():
        parts = name.split("/")
        if not any(each.startswith(".") or each == "node_modules" for each in parts):
            for depth in range(1, min(len(parts), _SHOWN_DEPTH) + 1):
                shown = "/".join(parts[:depth]) + ("/" if depth < len(parts) else "")
                sizes[shown] = sizes.get(shown, 0) + size
    lines = [f"{_size(sum(below.values()))}\t{path}"]
    lines += [f"{_size(size)}\t{path}/{name}" for name, size in sorted(sizes.items())]
    about = f"Here're the files and directories up to {_SHOWN_DEPTH} levels deep in {path}"
    return "\n".join([f"{about}, excluding hidden items and node_modules:", *lines])


def _content(path: str, text: str, view_range: Any) -> str:
    lines = _lines(text)
    if len(lines) > _MAX_LINES:
        raise ToolError(f"File {path} exceeds maximum line limit of {_MAX_LINES:,} lines.")
    first, last = 1, len(lines)
    if view_range is not None:
        if not isinstance(view_range, list) or [type(each) for each in view_range] != [int, int]:
            raise ToolError("Error: `view_range` must be two numbers of lines, such as [1, 20], or [1, -1] for all")
        first, end = view_range
        last = last if end == -1 else end
        if not 1 <= first <= last:
            raise ToolError(f"Error: Invalid `view_range`: {view_range}. It should be within [1, {len(lines)}]")
    return f"Here's the content of {path} with line numbers:\n{_numbered(lines, first, last)}"


def _create(files: Files, given: Input) -> str:
    path = path_from(given)
    if path in files or path == ROOT or _below(files, path):
        raise ToolError(f"Error: File {path} already exists")
    _put_new(files, path, text_from(given, "file_text"))
    return f"File created successfully at: {path}"


def _str_replace(files: Files, given: Input) -> str:
    path, old, new = path_from(given), text_from(given, "old_str"), text_from(given, "new_str", "")
    if path not in files:
        raise ToolError(f"Error: The path {path} does not exist. Please provide a valid path.")
    text, count = files[path], files[path].count(old) if old else 0
    if not count:
        raise ToolError(f"No replacement was performed, old_str `{old}` did not appear verbatim in {path}.")
    before, _, after = text.partition(old)
    line = before.count("\n") + 1
    if count > 1:
        pieces = text.split(old)[:-1]
        at = [line]
        for piece in pieces[1:]:
            at.append(at[-1] + old.count("\n") + piece.count("\n"))
        raise ToolError(
            f"No replacement was performed. Multiple occurrences of old_str `{old}` in lines:"
            f" {list(dict.fromkeys(at))}. Please ensure it is unique"
        )
    files[path] = before + new + after
    snippet = _numbered(_lines(files[path]), max(1, line - _AROUND), line + new.count("\n") + _AROUND)
    return f"The memory file has been edited.\n{snippet}"


def _insert(files: Files, given: Input) -> str:
    path, line, text = path_from(given), given.get("insert_line"), text_from(given, "insert_text")
    if path not in files:
        raise _missing(path)
    lines = _lines(files[path]) if files[path] else []
    if type(line) is not int or not 0 <= line <= len(lines):
        raise ToolError(
            f"Error: Invalid `insert_line` parameter: {line}. It should be within the range of lines of the file:"
            f" [0, {len(lines)}]"
        )
    lines[line:line] = _lines(text)
    files[path] = "\n".join(lines) + "\n"
    return f"The file {path} has been edited."


def _delete(files: Files, given: Input) -> str:
    path = path_from(given)
    gone = [path] if path in files else _below(files, path)
    if path == ROOT:
        raise ToolError(f"Error: {ROOT} itself cannot be deleted; delete what is in it")
    if not gone:
        raise _missing(path)
    for each in gone:
        del files[each]
    return f"Successfully deleted {path}"


def _rename(files: Files, given: Input) -> str:
    old, new = path_from(given, "old_path"), path_from(given, "new_path")
    moved = [old] if old in files else _below(files, old)
    if not moved or old == ROOT:
        raise _missing(old)
    if new in files or new == ROOT or _below(files, new):
        raise ToolError(f"Error: The destination {new} already exists")
    if new.startswith(f"{old}/"):
        raise ToolError(f"Error: {old} cannot be moved into itself")
    texts = {each: files.pop(each) for each in moved}
    for each, text in texts.items():
        _put_new(files, new + each.removeprefix(old), text)
    return f"Successfully renamed {old} to {new}"


_COMMANDS: dict[str, Callable[[Files, Input], str]] = {
    "view": _view,
    "create": _create,
    "str_replace": _str_replace,
    "insert": _insert,
    "delete": _delete,
    "rename": _rename,
}


def _put_new(files: Files, path: str, text: str) -> None:
    parts = path.split("/")
    for end in range(3, len(parts)):
        if (parent := "/".join(parts[:end])) in files:
            raise ToolError(f"Error: {parent} is a file, not a directory")
    files[path] = text


def _below(files: Files, path: str) -> list[str]:
    return [each for each in files if each.startswith(f"{path}/")]


def _missing(path: str) -> ToolError:
    return ToolError(f"Error: The path {path} does not exist. Please provide a valid path.")


def text_from(given: Input, name: str, default: Any = None) -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise ToolError(f"Error: `{name}` must be a text")
    return value.encode(errors="replace").decode()  # no half of a surrogate pair


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n")


def _numbered(lines: list[str], first: int, last: int) -> str:
    return "\n".join(f"{number:6}\t{line}" for number, line in enumerate(lines[first - 1 : last], first))


def _size(count: int) -> str:
    size, units = float(count), "BKM"
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{size:.1f}".removesuffix(".0") + units[0]
