"""Hours of the same load: does memory grow, does latency?"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np

from loadtests.machine import rss_mb
from loadtests.prompts import USER
from loadtests.run import Bench
from loadtests.scenario import Arm, Measure

WINDOW_SECONDS = 60.0
SETTLED = 0.2  # of the time passes before growth counts: caches fill first


def soak(bench: Bench, arm: Arm, hours: float, rate: float) -> dict[str, Any]:
    """One window after the other through `arm`, turns remembered."""
    target = bench.targets[arm.name]
    window = min(WINDOW_SECONDS, hours * 3600 / 10)
    measure = Measure("soak", "open", (arm.name,), seconds=window, rate=rate, warm=0)
    samples = []
    began = time.monotonic()
    while (at := (time.monotonic() - began) / 3600) < hours:
        figures = bench.measured(measure, arm)
        sizes = {"web_mb": figures["rss_mb"], "writer_mb": rss_mb([target.writer])}
        samples.append(
            {"hour": at, "p50": figures["p50"], "p99": figures["p99"], "errors": figures["errors"], **sizes}
        )
        print(
            f"{at:.2f} h: " + ", ".join(f"{n} {v:.1f}" for n, v in samples[-1].items()), file=sys.stderr, flush=True
        )
    return {"user": USER, "samples": samples} | {
        f"{name}_per_hour": slope([(s["hour"], s[name]) for s in samples]) for name in ("web_mb", "writer_mb", "p99")
    }


def slope(points: list[tuple[float, float]]) -> float:
    """Growth per hour by least squares, of what comes after the first fifth."""
    settled = points[int(len(points) * SETTLED) :]
    if len(settled) < 2:
        return 0.0
    hours, values = zip(*settled, strict=True)
    return float(np.polyfit(hours, values, 1)[0])
