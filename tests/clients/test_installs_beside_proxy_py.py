"""`pip install . proxy.py`: the other distribution has a package called `proxy`, and both work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.clients

ROOT = Path(__file__).parents[2]
FILES = """
import json, proxy, rememberd
from importlib.metadata import files
print(json.dumps([[str(each) for each in files(name)] for name in ("rememberd", "proxy.py")]))
"""


def test_the_two_share_no_file(tmp_path: Path) -> None:
    """Ours installs the package `rememberd`, and nothing beside it but the command."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path], check=True)
    python = str(tmp_path / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", "--no-deps", str(ROOT), "proxy.py"]
    done = subprocess.run(install, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"cannot be had: {done.stderr[-300:]}")
    said = subprocess.run([python, "-c", FILES], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    ours, theirs = map(set, json.loads(said))
    assert ours & theirs == set()
    assert {name.partition("/")[0].partition("-")[0] for name in ours if "bin/" not in name} == {"rememberd"}
    version = subprocess.run([tmp_path / "bin" / "proxy", "--version"], capture_output=True, check=True)
    assert version.stdout
