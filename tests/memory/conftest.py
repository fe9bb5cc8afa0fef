from __future__ import annotations

import pytest

from rememberd.memory.learn.rules.judge import read_meaning


@pytest.fixture(scope="session", autouse=True)
def judged_as_in_the_writer() -> None:
    """By meaning, too, whichever test comes first."""
    read_meaning()
