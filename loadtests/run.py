"""The measuring: all arms in turn, round after round, so that whatever else the machine does hits them alike."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import replace

import numpy as np

from loadtests import exposition
from loadtests.client import Job, Outcome
from loadtests.fake import behaviour
from loadtests.machine import cpu_us, rss_mb
from loadtests.prompts import USER, Prompt
from loadtests.scenario import Arm, Measure, Scenario
from loadtests.servers import TRANSLATED, Target, stopped
from loadtests.stack_profile import Profiler
from loadtests.workers import Clients, Embed

Figures = dict[str, float]
Row = tuple[str, str, int, Figures]  # measure, arm, round

LIMITS_MS = (5, 10, 50, 100)  # of the throughput frontier's p99
SUSTAINED_MS = 50.0  # a stream counts as sustained while 99 % of its tokens are no later than this
_WRITE_PATIENCE = 120.0


class Bench:
    def __init__(
        self,
        scenario: Scenario,
        targets: Mapping[str, Target],
        clients: Clients,
        embed: Embed | None = None,
        profiler: Profiler | None = None,
    ) -> None:
        self.scenario, self.targets, self.clients, self.embed = scenario, targets, clients, embed
        self.profiler = profiler
        self._seed = 0

    def run(self) -> Iterator[Row]:
        """A row as soon as it is measured."""
        for number in range(self.scenario.rounds):
            for measure in self.scenario.measures:
                if measure.rounds is not None and number >= measure.rounds:
                    continue
                for name in measure.arms:
                    arm = self.scenario.arms[name]
                    if arm.through == "embedder" and self.embed:
                        rate = measure.rate if measure.load == "open" else None
                        yield (
                            measure.name,
                            name,
                            number,
                            figures_of(self.embed(measure.seconds, rate), measure.seconds),
                        )
                    elif name in self.targets:
                        yield measure.name, name, number, self.measured(measure, arm)

    def measured(self, measure: Measure, arm: Arm) -> Figures:
        target = self.targets[arm.name]
        with ExitStack() as stack:
            stack.enter_context(stopped(target.writer) if arm.store == "stopped" else nullcontext())
            if measure.warm:
                self.clients.run(self._job(measure, arm, connections=measure.warm, seconds=0.3))
            if self.profiler and target.metrics:
                stack.enter_context(self.profiler.sampling(measure.name, arm.name, target.pids[0]))
            figures = self._loads[measure.load](self, measure, arm)
            if target.pids:
                figures["rss_mb"] = rss_mb(target.pids)
        if arm.store == "stopped":
            self._recovered(measure, arm)
        return figures

    def _once(self, measure: Measure, arm: Arm) -> Figures:
        if measure.load == "open":
            return self._watched(measure, arm, self._job(measure, arm, rate=measure.rate))
        return self._watched(measure, arm, self._job(measure, arm, connections=measure.connections))

    def _frontier(self, measure: Measure, arm: Arm) -> Figures:
        """The highest rate with which the p99 stays below each limit. A level counts by the better of two tries: the
        machine may have stalled in one."""
        best = {f"rps_p99_{limit}ms": 0.0 for limit in LIMITS_MS}
        for rate in measure.levels:
            p99 = self._p99_at(float(rate), measure, arm)
            if p99 > LIMITS_MS[0]:
                p99 = min(p99, self._p99_at(float(rate), measure, arm))
            if p99 > LIMITS_MS[-1]:
                break
            best |= {f"rps_p99_{limit}ms": float(rate) for limit in LIMITS_MS if p99 <= limit}
        return best

    def _p99_at(self, rate: float, measure: Measure, arm: Arm) -> float:
        figures = self._watched(measure, arm, self._job(measure, arm, rate=rate))
        return float("inf") if figures["errors"] else figures["p99"]

    def _sustained(self, measure: Measure, arm: Arm) -> Figures:
        """How many streams at once get their tokens in time."""
        best: Figures = {"streams": 0.0}
        for streams in measure.levels:
            figures = self._watched(measure, arm, self._job(measure, arm, connections=streams))
            if figures["errors"] or figures["lost"] or figures["delay_p99"] > SUSTAINED_MS:
                break
            best = figures | {"streams": float(streams)}
        return best

    _loads: Mapping[str, Callable[[Bench, Measure, Arm], Figures]] = {
        "closed": _once,
        "open": _once,
        "frontier": _frontier,
        "sustained": _sustained,
    }

    def _watched(self, measure: Measure, arm: Arm, job: Job) -> Figures:
        """One load, and what it cost the server."""
        target = self.targets[arm.name]
        before = exposition.read(target) if target.metrics else {}
        cpu, writer_cpu = cpu_us(target.pids), cpu_us([target.writer] if target.writer else [])
        began = time.monotonic()
        outcome = self.clients.run(job)
        seconds, cpu = time.monotonic() - began, cpu_us(target.pids) - cpu
        figures = figures_of(outcome, seconds) | {"open": float(job.rate is not None)}
        if target.pids:
            figures["cpu_us"] = cpu / max(1, len(outcome.latency))
            figures["core"] = cpu / 1e6 / seconds
            figures["processes"] = len(target.pids)
            if outcome.tokens:
                figures["cpu_us_token"] = cpu / outcome.tokens
        if target.metrics:
            if measure.drain:
                figures |= exposition.drained(target, _WRITE_PATIENCE)
            after = exposition.read(target)
            figures |= exposition.stages(before, after)
            turns = exposition.learned(before, after) if measure.drain else 0
            if turns:
                figures["learned_s"] = turns / (time.monotonic() - began)
                figures["learn_cpu_ms"] = (cpu_us([target.writer]) - writer_cpu) / 1000 / turns
        return figures

    def _job(self, measure: Measure, arm: Arm, **changes: object) -> Job:
        target, self._seed = self.targets[arm.name], self._seed + 1
        named = (TRANSLATED if arm.lane == "litellm" else "") + measure.model
        model = target.model.replace("{model}", measure.model) if target.model else named
        prompt = Prompt(model, measure.tokens, measure.stream, arm.question, seed=self._seed)
        if arm.question == "same":
            prompt.seed = 0
        own = {name: value.replace("{model}", measure.model) for name, value in target.headers.items()}
        headers = {**own, **({"x-memory-user": USER} if target.metrics else {}), **arm.headers}
        job = Job(
            host=target.host,
            port=target.port,
            path=target.path.format(model=measure.model),
            headers=headers,
            prompt=prompt,
            seconds=measure.seconds,
            start=0.0,
            each=behaviour(measure.model).tokens,
        )
        return replace(job, **changes)  # type: ignore[arg-type]

    def _recovered(self, measure: Measure, arm: Arm) -> None:
        """Wait until memory takes part again, so that the next round finds what this one found."""
        for _ in range(40):
            outcome = self.clients.run(self._job(measure, arm, connections=1, seconds=0.01))
            if not outcome.memory["degraded"]:
                return
            time.sleep(0.25)


def figures_of(outcome: Outcome, seconds: float) -> Figures:
    done = len(outcome.latency)
    figures: Figures = {"n": done, "errors": sum(outcome.errors.values()), "rps": done / max(seconds, 1e-9)}
    for name, values in (("", outcome.latency), ("first_", outcome.first), ("late_", outcome.late)):
        figures |= _quantiles(name, values)
    if outcome.tokens:
        figures |= _quantiles("delay_", outcome.delay) | _quantiles("gap_", outcome.gap)
        figures |= {"tokens": outcome.tokens, "lost": outcome.lost, "tokens_s": outcome.tokens / seconds}
    known = sum(outcome.memory.values())
    return figures | {f"status_{status}": count / known for status, count in outcome.memory.items()}


def _quantiles(prefix: str, values: object) -> Figures:
    found = np.asarray(values)
    if not len(found):
        return {f"{prefix}{name}": float("nan") for name in ("p50", "p95", "p99")}
    p50, p95, p99 = np.percentile(found, (50, 95, 99))
    return {f"{prefix}p50": float(p50), f"{prefix}p95": float(p95), f"{prefix}p99": float(p99)}


def progress(scenario: Scenario, rows: Iterator[Row]) -> list[Row]:
    """The rows, told one by one on stderr."""
    total = sum(len(m.arms) * min(m.rounds or scenario.rounds, scenario.rounds) for m in scenario.measures)
    kept = []
    for number, row in enumerate(rows, 1):
        measure, arm, turn, figures = row
        told = (f"{name} {figures[name]:,.4g}" for name in _TOLD if name in figures)
        print(f"[{number}/{total}] round {turn + 1} {measure} {arm}: {', '.join(told)}", file=sys.stderr, flush=True)
        kept.append(row)
    return kept


_TOLD = ("rps", "p50", "p99", "cpu_us", "cpu_us_token", "delay_p99", "streams", "rps_p99_10ms", "lost", "errors")
