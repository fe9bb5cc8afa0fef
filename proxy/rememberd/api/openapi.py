"""`GET /openapi.json`: the memory API and the receipts, described for programs (OpenAPI 3.1)."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from rememberd import __version__
from rememberd.http.responses import json_response

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
_LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": 500}


def _object(
    required: dict[str, Schema], optional: dict[str, Schema] | None = None, *, closed: bool = False
) -> Schema:
    shape = {"type": "object", "properties": required | (optional or {}), "required": list(required)}
    return shape | {"additionalProperties": False} if closed else shape


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


_OR_NULL: Schema = {"type": ["string", "null"]}
_KIND: Schema = {"type": "string", "enum": ["fact", "episode"]}
_SCHEMAS: Schema = {
    "Memory": _object(
        {
            "id": _TEXT,
            "object": {"const": "memory"},
            "text": _TEXT,
            "kind": _KIND,
            "created_at": _TIME,
            "updated_at": _TIME,
            "valid_from": _TIME,
            "valid_to": _TIME,
            "pinned": _FLAG,
            "private": _FLAG,
            "quarantined": _FLAG,
            "expires_at": _TIME,
            "slot": _OR_NULL,
            "evidence": {"type": ["object", "null"]},
            "source": {"type": "object"},
        },
        {
            "group": _TEXT,
            "contributor": _OR_NULL,
            "speaker": _TEXT,
            "told_at": _list(_TIME),
            "score": {"type": ["number", "null"]},
            "parts": {"type": ["object", "null"]},
        },
    ),
    "Memories": _object({"object": {"const": "list"}, "data": _list(_ref("Memory"))}, {"next_cursor": _OR_NULL}),
    "App": _object(
        {
            "object": {"const": "memory.app"},
            "name": _TEXT,
            "reads": _FLAG,
            "writes": _FLAG,
            "scope": _OR_NULL,
            "key": _TEXT,
            "requests": _COUNT,
            "first_seen_at": _TIME,
            "last_seen_at": _TIME,
        }
    ),
    "Receipt": _object({"id": _TEXT, "object": _TEXT, "created_at": _TIME, "write": _TEXT}),
    "Error": _object({"error": {"type": "object"}}),
}

_WORDS: Schema = {"type": "string", "minLength": 1, "maxLength": 20_000, "pattern": r"\S"}
_ADD = _object({"text": _WORDS}, {"kind": _KIND, "pinned": _FLAG, "private": _FLAG, "expires_at": _TIME}, closed=True)
_EDIT = _object(
    {},
    {"text": _WORDS, "pinned": _FLAG, "private": _FLAG, "expires_at": _TIME, "valid_to": {"type": "null"}},
    closed=True,
)
_APP = _object({"name": _TEXT}, {"reads": _FLAG, "writes": _FLAG, "scope": _OR_NULL}, closed=True)
_DELETED = _object({"object": {"const": "memory.deleted"}, "id": _TEXT, "deleted": {"const": True}})
_GROUPS = _object({"object": {"const": "memory.groups"}, "total": _COUNT})
_ERASED = _object({"object": {"const": "user.erased"}, "deleted": _COUNT})
_SETTINGS = _object({"paused": _FLAG, "time_zone": _OR_NULL})
_PREVIEW = _object({"status": _TEXT, "block": _TEXT, "tokens": _COUNT, "memories": _list(_ref("Memory"))})


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


_TIME_ZONE: Schema = {
    "name": "X-Timezone",
    "in": "header",
    "description": "the user's, as Europe/Oslo: what yesterday is, and the dates of the block",
    "schema": {"type": "string"},
}


def _operation(
    about: str,
    answer: Schema,
    *,
    body: Schema | None = None,
    kinds: tuple[str, ...] = ("application/json",),
    asked: tuple[Schema, ...] = (),
    answers: str = "application/json",
) -> Schema:
    """One method of one path. Whatever goes wrong has the shape of an `Error`."""
    done: Schema = {"summary": about, "responses": {"200": _content("done", answer, answers)}}
    for status in ("400", "401", "403", "404", "409", "413", "429", "503"):
        done["responses"][status] = _content("refused; the message says what to do", _ref("Error"))
    if asked:
        done["parameters"] = list(asked)
    if body is not None:
        done["requestBody"] = {"required": True, "content": {kind: {"schema": body} for kind in kinds}}
    return done


def _content(about: str, schema: Schema, kind: str = "application/json") -> Schema:
    return {"description": about, "content": {kind: {"schema": schema}}}


_ID: Schema = {"name": "id", "in": "path", "required": True, "schema": _TEXT}
_NDJSON = "application/x-ndjson"
PATHS: dict[str, Schema] = {
    "/v1/memories": {
        "get": _operation(
            "list, newest first",
            _ref("Memories"),
            asked=(
                _query("limit", _LIMIT),
                _query("cursor", _TEXT),
                _query("kind", _KIND),
                _query("q", _TEXT),
                _query("include_past", _FLAG),
                *(_query(name, _TEXT) for name in ("topic", "person", "app", "model", "since", "before")),
                *(_query(name, _FLAG) for name in ("pinned", "private", "quarantined")),
            ),
        ),
        "post": _operation("add", _ref("Memory"), body=_ADD),
        "delete": _operation("erase the user whole", _ERASED),
    },
    "/v1/memories/search": {
        "post": _operation(
            "the nearest, with a score", _ref("Memories"), body=_object({"query": _WORDS}, {"limit": _LIMIT})
        )
    },
    "/v1/memories/delete": {
        "post": _operation(
            "delete many, with what says the same; `dry_run` only says what would go",
            _object({"data": _list(_ref("Memory")), "dry_run": _FLAG}),
            body=_object({"ids": _list(_TEXT)}, {"dry_run": _FLAG}),
        )
    },
    "/v1/memories/restore": {
        "post": _operation(
            "bring back what a deletion answered",
            _object({"restored": _COUNT}),
            body=_object({"memories": _list(_ref("Memory"))}),
        )
    },
    "/v1/memories/edit": {
        "post": _operation(
            "pin many, or mark them private; `before` of the answer takes it back",
            _object({"data": _list(_ref("Memory"))}),
            body=_object({"changes": _list(_object({"id": _TEXT}, {"pinned": _FLAG, "private": _FLAG}))}),
        )
    },
    "/v1/memories/move": {
        "post": _operation(
            "move to another scope",
            _object({"scope": _TEXT, "ids": {"type": "object"}}),
            body=_object({"ids": _list(_TEXT), "scope": _TEXT}),
        )
    },
    "/v1/memories/export": {
        "get": _operation(
            "everything: one memory a line, PAM's memory-store, or a .mem bundle",
            _TEXT,
            asked=(_query("format", {"type": "string", "enum": ["ndjson", "pam", "mem"]}),),
            answers=_NDJSON,
        )
    },
    "/v1/memories/import": {
        "post": _operation(
            "one memory or turn a line; `dry_run` only says what would be done",
            {"type": "object"},
            body=_TEXT,
            kinds=(_NDJSON, "text/plain"),
            asked=(_query("dry_run", _FLAG), _query("import_id", _TEXT)),
        )
    },
    "/v1/memories/import/read": {
        "post": _operation(
            "another tool's file as lines for an import",
            _TEXT,
            body=_TEXT,
            kinds=("application/octet-stream",),
            asked=(_query("format", _TEXT), _query("name", _TEXT)),
            answers=_NDJSON,
        )
    },
    "/v1/memories/imports/{id}": {
        "parameters": [_ID],
        "delete": _operation("undo an import as a whole", _object({"deleted": _COUNT, "reopened": _COUNT})),
    },
    "/v1/memories/files": {
        "get": _operation("the memory tool's files, with their text", _object({"data": _list({"type": "object"})})),
        "post": _operation(
            "run a command of Anthropic's memory tool (memory_20250818): the tool's input to its result",
            _object({"object": {"const": "memory.tool_result"}, "content": _TEXT, "is_error": _FLAG}),
            body=_object({"command": {"enum": ["view", "create", "str_replace", "insert", "delete", "rename"]}}),
        ),
    },
    "/v1/memories/preview": {
        "post": _operation(
            "what a message would recall",
            _PREVIEW,
            body=_object({"text": _WORDS}, {"model": _TEXT}),
            asked=(_TIME_ZONE,),
        )
    },
    "/v1/memories/stats": {"get": _operation("numbers", {"type": "object"})},
    "/v1/memories/settings": {
        "get": _operation("is memory paused, and the user's time zone", _SETTINGS),
        "put": _operation(
            "pause it, or go on; set the time zone (null or empty: the default)",
            _SETTINGS,
            body=_object({}, {"paused": _FLAG, "time_zone": _OR_NULL}, closed=True),
        ),
    },
    "/v1/memories/apps": {
        "get": _operation("the apps that use this memory", _object({"data": _list(_ref("App"))})),
        "patch": _operation("what an app may do", _ref("App"), body=_APP),
    },
    "/v1/memories/{id}": {
        "parameters": [_ID],
        "get": _operation("read", _ref("Memory")),
        "patch": _operation("edit; `valid_to: null` makes a past one hold again", _ref("Memory"), body=_EDIT),
        "delete": _operation("delete, with the exchanges that say the same", _DELETED),
    },
    "/v1/memories/groups": {"get": _operation("facts by topic, person, app and model", _GROUPS)},
    "/v1/memories/review": {
        "get": _operation("what wants a decision", {"type": "object"}, asked=(_query("since", _TEXT),))
    },
    "/v1/memories/{id}/why": {
        "parameters": [_ID],
        "get": _operation("the exchange it stands on and the answers it went into", {"type": "object"}),
    },
    "/v1/memories/{id}/history": {"parameters": [_ID], "get": _operation("what it said before", {"type": "object"})},
    "/v1/receipts": {
        "get": _operation(
            "the newest answers", _object({"data": _list(_ref("Receipt"))}), asked=(_query("limit", _LIMIT),)
        )
    },
    "/v1/receipts/{id}": {"parameters": [_ID], "get": _operation("why an answer knew what it knew", _ref("Receipt"))},
}

DOCUMENT: Schema = {
    "openapi": "3.1.0",
    "info": {
        "title": "rememberd: memories",
        "version": __version__,
        "description": "What is remembered about the holder of the key, and nobody else.",
    },
    "paths": PATHS,
    "components": {"schemas": _SCHEMAS, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    "security": [{"key": []}],
}


async def document(request: Request) -> Response:
    return json_response(DOCUMENT)
