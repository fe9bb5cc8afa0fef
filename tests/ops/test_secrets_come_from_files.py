"""Settings from the environment, and from the files that it names as Docker does, are taken literally."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rememberd.errors import ConfigError
from rememberd.settings.loader import iter_fields
from rememberd.settings.schema import Settings, load
from tests.support.tables import each_row


def test_a_secret_is_read_from_its_file(tmp_path: Path) -> None:
    """Without the newline at its end."""
    secret = tmp_path / "redis-url"
    secret.write_text("redis://:pass@redis:6379/0\n")
    loaded = load(None, {"REMEMBERD_MEMORY_QUEUE_URL_FILE": str(secret)})
    assert loaded.memory.queue.url == "redis://:pass@redis:6379/0"


def test_a_file_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    """And so does a variable that says the same thing a second time, or one of no setting."""
    for environ, words in (
        ({"REMEMBERD_ADMIN_KEY_FILE": str(tmp_path / "none")}, "REMEMBERD_ADMIN_KEY_FILE: cannot read"),
        ({"REMEMBERD_ADMIN_KEY": "a", "REMEMBERD_ADMIN_KEY_FILE": str(tmp_path)}, "both set"),
        ({"REMEMBERD_MEMORY_QUEUE_ULR_FILE": str(tmp_path)}, "unknown environment variable"),
    ):
        with pytest.raises(ConfigError, match=words):
            load(None, environ)


TEXTS = (
    "ADMIN_KEY",
    "DATA_DIR",
    "MEMORY_STORE_URL",
    "MEMORY_STORE_API_KEY",
    "MEMORY_QUEUE_URL",
    "MEMORY_EMBEDDING_PATH",
)
# What YAML gives a meaning to, and letters of several scripts.
CHARACTERS = st.sampled_from("@#:%&*!|>'\"`{}[],?-~ \t\\=$abcXYZ019éßж愛🔑")


def value_of(variable: str, loaded: object) -> object:
    """Of the setting that a variable without its prefix names."""
    for part in {"DATA_DIR": ["data_dir"], "ADMIN_KEY": ["admin_key"]}.get(variable) or variable.lower().split(
        "_", 2
    ):
        loaded = getattr(loaded, part)
    return loaded


@given(variable=st.sampled_from(TEXTS), text=st.text(CHARACTERS | st.characters(exclude_categories=["Cs", "Cc"])))
@example(variable="ADMIN_KEY", text="correct horse #battery")
@example(variable="ADMIN_KEY", text="@home")
@example(variable="ADMIN_KEY", text="0x1F")
@example(variable="ADMIN_KEY", text="null")
@example(variable="MEMORY_QUEUE_URL", text=" os.environ/HOME ")
def test_a_text_is_taken_literally(tmp_path_factory: pytest.TempPathFactory, variable: str, text: str) -> None:
    """From a variable and from a file, whatever YAML would make of it. A key cannot begin or end with a space."""
    if variable == "ADMIN_KEY":
        text = text.strip()
    secret = tmp_path_factory.getbasetemp() / "literal"
    secret.write_text(f"{text}\n")
    for environ in ({f"REMEMBERD_{variable}": text}, {f"REMEMBERD_{variable}_FILE": str(secret)}):
        got = value_of(variable, load(None, environ))
        assert got == text if text.strip() else got == value_of(variable, load(None, {}))


@given(text=st.text(CHARACTERS, min_size=1).map(str.strip).filter(bool))
def test_a_reference_of_the_file_is_taken_literally(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "rememberd.yaml"
    path.write_text("admin_key: os.environ/MINE\nserver: {port: os.environ/PORT}\n")
    loaded = load(path, {"MINE": text, "PORT": "9000"})
    assert (loaded.admin_key, loaded.server.port) == (text, 9000)


@each_row(
    ("variable", "text", "expected"),
    [
        ("SERVER_PORT", " 9000\n", 9000),
        ("SERVER_METRICS_PORT", "null", None),
        ("SERVER_ACCESS_LOG", "TRUE", True),
        ("SERVER_ACCESS_LOG", "off", False),
        ("MEMORY_PLACEMENT", "system", "system"),
        ("MEMORY_REDACT", "[mail, phone]", ["mail", "phone"]),
        ("MEMORY_REDACT", '["mail"]', ["mail"]),
        ("ALIASES", "{fast: gpt}", {"fast": "gpt"}),
    ],
)
def test_what_is_no_text_is_read_by_its_type(variable: str, text: str, expected: object) -> None:
    path = next(path for path, _ in iter_fields(Settings) if "_".join(path).upper() == variable)
    loaded: object = load(None, {f"REMEMBERD_{variable}": text})
    for name in path:
        loaded = getattr(loaded, name)
    assert loaded == expected


@given(text=st.text(CHARACTERS | st.sampled_from("\n")))
@example(text="@secret")
@example(text="[a: {b")
@example(text="!!python/name:os.system")
@example(text="2020-99-99")
def test_what_cannot_be_read_is_refused_by_name(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """A list, a number, and the settings file itself: an error for the operator, no traceback."""
    marked = f"s3cret{text}s3cret"
    for variable in ("MEMORY_ENCRYPTION_MASTER_KEY_COMMAND", "KEYS", "MODEL_LIST"):
        try:
            load(None, {f"REMEMBERD_{variable}": marked})
        except ConfigError as error:
            assert "s3cret" not in str(error)  # noqa: PT017 - an entry that is a list is no error
    path = tmp_path_factory.getbasetemp() / "broken.yaml"
    path.write_text(f"admin_key: {text}\nmemory: {{redact: {text}}}\n", encoding="utf-8")
    with suppress(ConfigError):
        load(path, {})
