"""What README gives to type after `rememberd serve` does what README says, pasted together."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.support.fake_model import FakeModel
from tests.support.proxy_server import remembered, running

README = (Path(__file__).parents[2] / "README.md").read_text()
DEFAULT = "http://127.0.0.1:8787"  # where `rememberd serve` listens


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_what_is_told_is_there_in_the_next_request(tmp_path: Path, upstream: FakeModel) -> None:
    """README waits two seconds for the writer; here, on whatever machine, as long as it takes."""
    (pasted,) = (block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if f"curl {DEFAULT}" in block)
    told, wait, asked = re.split(r"(?m)^(sleep .*\n)", pasted)
    assert wait
    with running(tmp_path, {"gpt-4o": upstream.url}, keys=None) as proxy:
        assert '"choices"' in shell(told.replace(DEFAULT, proxy.url))
        with httpx.Client(base_url=proxy.url, timeout=120) as client:
            remembered(client, "I live in Oslo", "fact")
        assert "x-memory-status: hit" in shell(asked.replace(DEFAULT, proxy.url)).lower()


def shell(pasted: str) -> str:
    return subprocess.run(["sh", "-euc", pasted], capture_output=True, text=True, check=True).stdout
