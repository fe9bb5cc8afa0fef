"""From a scenario's arms to running servers, each with the memories its arm asks for."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from loadtests import preload, servers
from loadtests.machine import Cores
from loadtests.scenario import Arm, Scenario
from loadtests.servers import Target


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
    store = stack.enter_context(servers.qdrant(folder.with_suffix(".qdrant"))) if arm.store == "server" else None
    target = stack.enter_context(servers.rememberd(folder, upstream, models, cores, arm.workers, arm.sealed, store))
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


def with_peers(
    scenario: Scenario, peers: Mapping[str, str], folder: Path, upstream: int, cores: Cores, stack: ExitStack
) -> tuple[Scenario, dict[str, Target]]:
    """A peer is measured wherever the proxy is with its memory off. `peers` maps a name to a URL, `nginx` to "",
    `litellm` to the path of the command."""
    targets = {}
    for name, where in peers.items():
        if name == "nginx" and not where:
            targets[name] = stack.enter_context(servers.nginx(folder / name, upstream, cores))
        elif name == "litellm" and "://" not in where:
            _say("starting LiteLLM's proxy")
            models = scenario.models_asked()
            targets[name] = stack.enter_context(
                servers.litellm(folder / name, upstream, models, cores, where or name)
            )
        else:
            targets[name] = servers.at(where)
    arms = scenario.arms | {name: Arm(name, through=name) for name in targets}
    measures = tuple(
        replace(each, arms=(*each.arms, *targets)) if "off" in each.arms and "store" not in each.name else each
        for each in scenario.measures
    )
    return replace(scenario, arms=arms, measures=measures), targets


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
