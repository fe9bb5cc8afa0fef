"""`python -m loadtests run`: what the proxy adds; `faults`: what it endures; `attack`: is anybody's memory safe?"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loadtests import arms, overload, plots, report, servers, stack_profile, units
from loadtests.against import caution, compare, earlier_run, markdown
from loadtests.attack.run import attack, safe, table
from loadtests.faults import command as faults
from loadtests.machine import Others, cores, describe, stolen_seconds
from loadtests.overload import SECONDS
from loadtests.peers.started import PEERS
from loadtests.run import Bench, progress
from loadtests.scenario import HERE, Arm, Scenario, load
from loadtests.soak import soak
from loadtests.stack_profile import Profiler
from loadtests.verdict import busy_before, sentences
from loadtests.workers import clients, embedder, models


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtests", description=__doc__)
    commands = parser.add_subparsers(required=True)
    faults.add_command(commands)
    unit = commands.add_parser("units", help="what one memory, one turn and one question cost, in half a minute")
    unit.add_argument("--memories", type=int, default=units.MEMORIES, help="in the embedded store (default: 40000)")
    unit.set_defaults(do=_units)
    run = commands.add_parser("run", help="measure, and write a report")
    run.set_defaults(do=_measured_run)
    run.add_argument(
        "--scenario", type=Path, default=HERE / "default.yaml", help="a YAML file (default: default.yaml)"
    )
    run.add_argument("--quick", action="store_true", help="a minute's check instead (scenarios/quick.yaml)")
    run.add_argument("--full", action="store_true", help="with 100,000 memories too (scenarios/full.yaml)")
    run.add_argument(
        "--store", choices=["embedded", "server"], default="embedded",
        help="of the arms whose memories can be reached: with server, on a Qdrant server",
    )  # fmt: skip
    run.add_argument("--cores", type=int, default=1, help="for the measured server, if the scenario pins it")
    run.add_argument("--rounds", type=int, help="instead of the scenario's")
    run.add_argument("--out", type=Path, default=Path("loadtests-report"), help="directory for the report")
    run.add_argument("--target", metavar="URL", help="measure a proxy that runs already; asks it for --model")
    run.add_argument("--key", help="its API key")
    run.add_argument("--model", help="the model to ask it for; let it point at the fake model of --fake-port")
    run.add_argument("--fake-port", type=int, default=0, help="port of the fake model (default: a free one)")
    run.add_argument(
        "--peer", action="append", default=[], metavar="NAME[=WHERE]",
        help=f"{', '.join(PEERS)} (installed and started here), litellm=COMMAND, or NAME=URL of any proxy that knows"
        " the fake model's names",
    )  # fmt: skip
    run.add_argument(
        "--against", type=earlier_run, metavar="FILE", help="the result.json of an earlier run, to compare with"
    )
    run.add_argument(
        "--profile", action="store_true", help="where the CPU of a web process goes, by part of the code"
    )
    run.add_argument("--soak", type=float, metavar="HOURS", help="one load for hours instead; is there a leak?")
    run.add_argument("--rate", type=float, default=20.0, help="requests/s of the soak")
    over = commands.add_parser("overload", help="chats, recall and learning from 10 %% to 300 %% of capacity")
    over.set_defaults(do=_overload)
    over.add_argument("--seconds", type=float, default=SECONDS, help=f"of each step (default: {SECONDS:.0f})")
    over.add_argument("--out", type=Path, default=Path("loadtests-report"), help="directory for overload.json")
    attacking = commands.add_parser("attack", help="everyone against everyone: does anybody get another's memories?")
    attacking.set_defaults(do=_attack)
    attacking.add_argument("--requests", type=int, default=100_000)
    attacking.add_argument("--users", type=int, default=200, help="all at once")
    attacking.add_argument("--workers", type=int, default=2, help="web processes of the proxy")
    attacking.add_argument("--out", type=Path, default=Path("loadtests-report"), help="directory for attack.json")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every clean-up runs
    sys.exit(arguments.do(arguments))


def _units(arguments: argparse.Namespace) -> int:
    units.main(arguments.memories)
    return 0


def _overload(arguments: argparse.Namespace) -> int:
    found = overload.overload(arguments.seconds)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "overload.json").write_text(json.dumps(found, indent=1) + "\n")
    print(overload.table(found))
    return 0


def _attack(arguments: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        found = attack(arguments.requests, arguments.users, arguments.workers, Path(folder) / "proxy")
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "attack.json").write_text(json.dumps({"machine": describe(), **found}, indent=1) + "\n")
    print(table(found))
    return 0 if safe(found) else 1


def _measured_run(arguments: argparse.Namespace) -> int:
    try:
        peers = arms.peers_named(arguments.peer)
    except ValueError as error:
        sys.exit(str(error))
    scenario = load(
        HERE / "quick.yaml" if arguments.quick else HERE / "full.yaml" if arguments.full else arguments.scenario
    )
    if arguments.store == "server":
        on_server = {name: replace(arm, store="server") for name, arm in scenario.arms.items() if arm.store == "up"}
        scenario = replace(scenario, arms=scenario.arms | on_server)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        result = _run(arguments, scenario, peers, stack)
    (arguments.out / "result.json").write_text(json.dumps(result, indent=1))
    print(f"\n{arguments.out}: result.json and, of a run, report.md and report.html", file=sys.stderr)
    return 0


def _run(
    arguments: argparse.Namespace, scenario: Scenario, peers: Mapping[str, str], stack: ExitStack
) -> dict[str, Any]:
    busy = busy_before()
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loadtests-")))
    use = cores(scenario.pinned, arguments.cores)
    upstream = stack.enter_context(models(scenario.models, arguments.fake_port, use))
    if arguments.target:
        target = servers.at(arguments.target, arguments.key, arguments.model)
        targets = arms.existing(scenario, target, upstream if arguments.fake_port else None)
    else:
        targets = arms.own(scenario, folder, upstream, use, stack)
    if arguments.rounds:
        scenario = replace(scenario, rounds=arguments.rounds)
    scenario, more = arms.with_peers(scenario, peers, folder, upstream, use, stack)
    alone = None if arguments.target else stack.enter_context(embedder(use))
    profiler = Profiler(folder / "py-spy") if arguments.profile else None
    bench = Bench(scenario, targets | more, stack.enter_context(clients(scenario.clients, use)), alone, profiler)
    if arguments.soak:
        return _soak(bench, arguments)
    return _measure(bench, arguments.out, busy, arguments.against)


def _measure(bench: Bench, out: Path, busy: float, against: Path | None) -> dict[str, Any]:
    before, others = stolen_seconds(), Others()
    began = time.monotonic()
    rows = progress(bench.scenario, bench.run())
    stolen = (stolen_seconds() - before) / (time.monotonic() - began)
    # The CPU of a server that was running already cannot be told from that of other programs.
    arms_of = bench.scenario.arms
    running_already = any(not at.pids and arms_of[name].through != "direct" for name, at in bench.targets.items())
    busy_during = 0.0 if running_already else others.cores()
    peers = {name: target.version for name, target in bench.targets.items() if target.version}
    machine = describe() | {"stolen": round(stolen, 3), "peers": peers}
    machine |= {"busy_before": round(busy, 2), "busy_during": round(busy_during, 2)}
    summary = report.summarise(rows)
    with_memories = [
        arm.name
        for arm in bench.scenario.arms.values()
        if arm.memories and arm.store != "stopped" and _asks_memory(arm)
    ]
    verdict = sentences(summary, with_memories, machine)
    result = {
        "at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "scenario": bench.scenario.name,
        "rounds": bench.scenario.rounds,
        "verdict": verdict,
        "machine": machine,
        "summary": summary,
        "rows": [[measure, arm, number, figures] for measure, arm, number, figures in rows],
    }
    table = report.markdown(bench.scenario, summary, machine)
    if bench.profiler:
        table += "\n" + stack_profile.table(bench.profiler.parts) + "\n"
        shares = {" ".join(which): dict(parts) for which, parts in bench.profiler.parts.items()}
        result |= {"profile": shares}
    if against is not None:
        earlier = json.loads(against.read_text())
        table += f"\n**Against {against.name}**\n\n" + caution(earlier) + markdown(compare(earlier, result))
    print(" ".join(verdict) + "\n\n" + table)
    (out / "report.md").write_text(" ".join(verdict) + "\n\n" + table)
    (out / "report.html").write_text(plots.page(table, plots.pictures(summary, bench.scenario), result))
    return result


def _asks_memory(arm: Arm) -> bool:
    return arm.headers.get("x-memory", "on") in ("on", "read")


def _soak(bench: Bench, arguments: argparse.Namespace) -> dict[str, Any]:
    remembering = [
        a for a in bench.scenario.arms.values() if a.through == "rememberd" and "x-memory" not in a.headers
    ]
    result = soak(bench, remembering[0], arguments.soak, arguments.rate)
    print(f"web {result['web_mb_per_hour']:+.2f} MB/h, writer {result['writer_mb_per_hour']:+.2f} MB/h")
    return {"machine": describe(), **result}


if __name__ == "__main__":
    main()
