"""A setting can stand in a file that the environment names, as Docker's and Kubernetes's secrets do."""

from __future__ import annotations

from pathlib import Path

import pytest

from rememberd.errors import ConfigError
from rememberd.settings.schema import load


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
