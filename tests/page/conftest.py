from __future__ import annotations

import shutil
import subprocess

import pytest


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, from npm: it is not part of the project."""
    folder = tmp_path_factory.mktemp("axe")
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: axe-core comes from there")
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), "axe-core"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"axe-core cannot be had: {done.stderr[-300:]}")
    return (folder / "node_modules/axe-core/axe.min.js").read_text()
