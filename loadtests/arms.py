"""From a scenario's arms to running servers, each with the memories its arm asks for."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from loadtests import preload, servers
from loadtests.machine import Cores
from loadtests.peers.started import PEERS, litellm
from loadtests.scenario import Arm, Scenario
from loadtests.servers import Target
from tests.support.qdrant_process import qdrant_running


def own(scenario: Scenario, folder: Path, upstream: int, cores: Cores, stack: ExitStack) -> dict[str, Target]:
    """Arms that need the same share a proxy."""
    proxies: dict[tuple[object, ...], Target] = {}
    targets = {}
    for arm in scenario.arms.values():
        if arm.through == "direct":
            targets[arm.name] = servers.direct(upstream)
        elif arm.through == "rememberd":
            key = (arm.memories, arm.users, arm.store, arm.lane, arm.workers, arm.sealed)
            if key not in proxies:
                proxies[key] = _proxy(
                    scenario.models_asked(), arm, folder / f"proxy-{len(proxies)}", upstream, cores, stack
                )
            targets[arm.name] = proxies[key]
    return targets


def _proxy(models: list[str], arm: Arm, folder: Path, upstream: int, cores: Cores, stack: ExitStack) -> Target:
    _say(f"starting rememberd for {arm.name}: {arm.memories:,} memories in its store")
    store = stack.enter_context(qdrant_running()) if arm.store == "server" else None
    workers = arm.workers or len(cores.server)
    target = stack.enter_context(servers.rememberd(folder, upstream, models, cores, workers, arm.sealed, store))
    if arm.memories:
        preload.through_store(target, arm.memories, arm.users)
    return target


def existing(scenario: Scenario, target: Target, upstream: int | None) -> dict[str, Target]:
    """The arms that can be measured on a proxy that somebody else runs: nobody stops its store or fills it up."""
    targets = {}
    largest = 0
    for arm in scenario.arms.values():
        if arm.through == "direct" and upstream is not None:
            targets[arm.name] = servers.direct(upstream)
        elif (
            arm.through == "rememberd"
            and arm.memories <= preload.LARGEST_IMPORT
            and arm.store == "up"
            and not arm.sealed
        ):
            targets[arm.name] = target
            largest = max(largest, arm.memories)
    if largest:
        _say(f"importing {largest:,} memories through the API")
        preload.through_api(target, largest)
    left = ", ".join(sorted(set(scenario.arms) - set(targets)))
    _say(f"not measured on a proxy that runs already: {left or 'nothing'}")
    return targets


def peers_named(given: Sequence[str]) -> dict[str, str]:
    """From NAME or NAME=WHERE to what `with_peers` takes. Raises `ValueError` for what cannot be started."""
    peers = dict(each.partition("=")[::2] for each in given)
    for name, where in peers.items():
        if "://" not in where and (name not in PEERS or (where and name != "litellm")):
            raise ValueError(f"--peer {name}: not one of {', '.join(PEERS)}, and not NAME=http://HOST:PORT")
    return peers


def with_peers(
    scenario: Scenario, peers: Mapping[str, str], folder: Path, upstream: int, cores: Cores, stack: ExitStack
) -> tuple[Scenario, dict[str, Target]]:
    """A peer is measured wherever the proxy is with its memory off. `peers` maps a name to a URL, or to "" if the
    peer is to be started, or `litellm` to the path of its command."""
    targets = {}
    for name, where in peers.items():
        if "://" in where:
            targets[name] = servers.at(where)
            continue
        _say(f"installing and starting {name}")
        place, models = folder / name, scenario.models_asked()
        place.mkdir()
        start = partial(litellm, binary=where) if where else PEERS[name]
        targets[name] = stack.enter_context(start(place, upstream, models, cores))
    arms = scenario.arms | {name: Arm(name, through=name) for name in targets}
    measures = tuple(
        replace(each, arms=(*each.arms, *targets)) if "off" in each.arms and "store" not in each.name else each
        for each in scenario.measures
    )
    return replace(scenario, arms=arms, measures=measures), targets


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
