"""Records how long the stages of a chat take; for a chat without memory, only the total."""

import time
from itertools import pairwise

from prometheus_client import Histogram

from rememberd.telemetry.metrics import observe

OVERHEAD = Histogram(
    "rememberd_overhead_seconds",
    "From a request's arrival until it is sent upstream.",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.5, 1),
)
STAGE = Histogram(
    "rememberd_overhead_stage_seconds",
    "The stages of it for chats with memory; remember: the time that the answer's last bytes wait.",
    ["stage"],
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
)
_BYTES_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
UPSTREAM = Histogram(
    "rememberd_upstream_first_byte_seconds",
    "From sending upstream to the first byte of a successful answer's body.",
    ["streamed"],
    buckets=_BYTES_BUCKETS,
)
CLIENT = Histogram(
    "rememberd_first_byte_seconds",
    "From a request's arrival to the first byte of a successful answer's body.",
    ["streamed"],
    buckets=_BYTES_BUCKETS,
)
_STAGES = {name: STAGE.labels(name) for name in ("read", "understand", "recall", "inject", "remember")}
_FIRST = {
    streamed: (UPSTREAM.labels(label), CLIENT.labels(label)) for streamed, label in ((True, "yes"), (False, "no"))
}
remembering = _STAGES["remember"]


class RequestTimings:
    """The times of one request; create it when the request arrives."""

    __slots__ = ("_laps",)

    def __init__(self) -> None:
        self._laps = [time.perf_counter()]

    def lap(self) -> None:
        """Record the end of the next stage of `_STAGES`."""
        self._laps.append(time.perf_counter())

    def leave(self, *, stages: bool) -> float:
        """Record that the request is sent upstream. Returns the seconds so far."""
        overhead = self._laps[-1] - self._laps[0]
        observe(OVERHEAD, overhead)
        for stage, (began, ended) in zip(_STAGES.values(), pairwise(self._laps), strict=False) if stages else ():
            observe(stage, ended - began)
        return overhead

    def first_byte(self, streamed: bool) -> None:
        now = time.perf_counter()
        upstream, client = _FIRST[streamed]
        observe(upstream, now - self._laps[-1])
        observe(client, now - self._laps[0])
