"""Scenarios: which arms are measured, and how. YAML files, read into these dataclasses; unknown keys are errors."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from loadtests.fake import behaviour

HERE = Path(__file__).parent / "scenarios"

T = TypeVar("T")
Load = Literal["closed", "open", "frontier", "sustained"]


@dataclass(frozen=True, slots=True)
class Arm:
    """`through` is direct, rememberd, embedder (alone), or the name of a peer. `memories` lie in the arm's store, of
    `users` users. `workers` are the proxy's web processes, 0 for one on each of its cores; `sealed`: its data is
    encrypted at rest.
    A `store` that is no "server" is embedded. The server is a `qdrant` on the PATH, or else the tests' stand-in."""

    name: str
    through: str
    memories: int = 0
    users: int = 1
    headers: dict[str, str] = field(default_factory=dict)
    question: Literal["new", "same"] = "new"
    lane: Literal["bytes", "litellm"] = "bytes"
    store: Literal["up", "stopped", "server"] = "up"
    workers: int = 1
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class Measure:
    """`closed` keeps `connections` busy, `open` sends `rate` a second. `frontier` climbs the `levels` of rate and
    `sustained` those of streams, each for `seconds`, until an arm gives in. `model` is the fake model's behaviour:
    milliseconds to the first token, between tokens, number of tokens. `warm` connections run before the clock does;
    `drain` waits afterwards until what was said is remembered."""

    name: str
    load: Load
    arms: tuple[str, ...]
    title: str = ""
    model: str = "0-0-16"
    seconds: float = 5.0
    connections: int = 1
    rate: float = 20.0
    tokens: int = 50
    stream: bool = False
    levels: tuple[int, ...] = ()
    rounds: int | None = None
    warm: int = 1
    drain: bool = False

    def __post_init__(self) -> None:
        behaviour(self.model)


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    arms: dict[str, Arm]
    measures: tuple[Measure, ...]
    rounds: int = 3
    pinned: bool = True
    clients: int = 1
    models: int = 1

    def models_asked(self) -> list[str]:
        return sorted({measure.model for measure in self.measures})


def load(path: Path) -> Scenario:
    """Raises `ValueError` that names what is wrong."""
    stored = yaml.safe_load(path.read_text())
    arms = {name: _made(Arm, {"name": name, **told}) for name, told in stored.pop("arms").items()}
    measures = tuple(_made(Measure, {"name": name, **told}) for name, told in stored.pop("measures").items())
    for measure in measures:
        if unknown := set(measure.arms) - set(arms):
            raise ValueError(f"{path.name}: {measure.name} measures unknown arms: {', '.join(sorted(unknown))}")
    return _made(Scenario, {"name": path.stem, "arms": arms, "measures": measures, **stored})


def _made(kind: type[T], told: dict[str, Any]) -> T:
    lists = {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}
    try:
        return kind(**lists)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{told.get('name', kind.__name__)}: {error}") from error
