"""A reader for each data set: its published file or folder as conversations and questions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from loadtests.quality.datasets import locomo, synthetic
from loadtests.quality.datasets.conversation import Conversation

READERS: dict[str, Callable[[Path], list[Conversation]]] = {"locomo": locomo.load, "synthetic": synthetic.load}
