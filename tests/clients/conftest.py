"""What several tests of real clients and peers need once."""

from __future__ import annotations

import pytest

from loadtests.peers.started import installed_litellm


@pytest.fixture(scope="session")
def litellm_command(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of LiteLLM's command, installed from its registry; minutes."""
    try:
        return installed_litellm(tmp_path_factory.mktemp("litellm"))
    except RuntimeError as error:
        pytest.skip(str(error)[-500:])
