"""Implements `telemetry.tracing` with OpenTelemetry: OTLP over HTTP, semantic conventions for generative AI.

It is configured only by the standard OTEL_* variables, and off unless one of them names an endpoint. It needs
`pip install rememberd[otel]`. Names of attributes and metrics: opentelemetry.io/docs/specs/semconv/gen-ai.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from rememberd.errors import ConfigError
from rememberd.telemetry import tracing
from rememberd.telemetry.tracing import Value

try:
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.metrics import Meter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.trace import Link, SpanKind, Status, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
except ImportError as error:
    raise ConfigError(
        f"an OTEL_EXPORTER_OTLP_…ENDPOINT is set, but {error.name} is missing: pip install 'rememberd[otel]', "
        "or set OTEL_SDK_DISABLED=true"
    ) from error

log = logging.getLogger("rememberd.otel")

_STOP_SECONDS = 3.0
# litellm's name of a provider -> the name in the conventions, where they differ.
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = tuple(4**power for power in range(14))
_LABELS = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "error.type")

_propagator = TraceContextTextMapPropagator()
_seen: ContextVar[dict[str, Value] | None] = ContextVar("seen", default=None)  # attributes of the current chat


@contextmanager
def exporting(process: str) -> Iterator[None]:
    """Export traces and metrics within this context. `process` is "web" or "writer"."""
    os.environ.setdefault("OTEL_SERVICE_NAME", "rememberd")
    resource = Resource.create({"rememberd.process": process, "process.pid": os.getpid()})
    traces = TracerProvider(resource=resource, shutdown_on_exit=False)
    traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    readers = [PeriodicExportingMetricReader(OTLPMetricExporter())]
    metrics = MeterProvider(readers, resource=resource, shutdown_on_exit=False)
    tracing.configure(Otel(traces.get_tracer("rememberd"), metrics.get_meter("rememberd")))
    log.info("traces and metrics are exported by OTLP")
    try:
        yield
    finally:
        tracing.configure(None)
        _within(_STOP_SECONDS, traces.shutdown, metrics.shutdown)


def _within(seconds: float, *steps: Callable[[], None]) -> None:
    """Run the steps for at most `seconds`: if the collector is unavailable, the SDK would retry for half a minute."""
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=step, daemon=True) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


class Otel:
    """A `Tracer` that uses OpenTelemetry's SDK."""

    def __init__(self, tracer: trace.Tracer, meter: Meter) -> None:
        self.tracer = tracer
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration", "s", explicit_bucket_boundaries_advisory=_SECONDS
        )
        self._usage = meter.create_histogram(
            "gen_ai.client.token.usage", "{token}", explicit_bucket_boundaries_advisory=_TOKENS
        )

    @contextmanager
    def chat(self, model: str, provider: str, headers: Mapping[str, str]) -> Iterator[None]:
        began, context = time.perf_counter(), _propagator.extract(headers)
        span = self.tracer.start_span(f"chat {model}", context, SpanKind.CLIENT)
        token = _seen.set({})
        try:
            with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
                self.annotate(
                    {
                        "gen_ai.operation.name": "chat",
                        "gen_ai.provider.name": provider,
                        "gen_ai.request.model": model,
                    }
                )
                try:
                    yield
                except Exception as error:
                    self.annotate({"error.type": type(error).__name__})
                    raise
        finally:
            seen = _seen.get() or {}
            labels = {name: seen[name] for name in _LABELS if name in seen}
            self._duration.record(time.perf_counter() - began, labels)
            for kind in ("input", "output"):
                if tokens := seen.get(f"gen_ai.usage.{kind}_tokens"):
                    self._usage.record(int(tokens), labels | {"gen_ai.token.type": kind})
            _seen.reset(token)

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        with self.tracer.start_as_current_span(name, record_exception=False):
            yield

    @contextmanager
    def linked(self, name: str, traceparent: str) -> Iterator[None]:
        context = trace.get_current_span(_propagator.extract({"traceparent": traceparent})).get_span_context()
        links = [Link(context)] if context.is_valid else []
        with self.tracer.start_as_current_span(name, kind=SpanKind.CONSUMER, links=links, record_exception=False):
            yield

    def annotate(self, attributes: Mapping[str, Value]) -> None:
        named = dict(attributes)
        if "gen_ai.provider.name" in named:
            provider = str(named["gen_ai.provider.name"])
            named["gen_ai.provider.name"] = _PROVIDERS.get(provider, provider)
        if (seen := _seen.get()) is not None:
            seen.update(named)
        span = trace.get_current_span()
        if span.is_recording():
            span.set_attributes(named)
            if "error.type" in named:
                span.set_status(Status(StatusCode.ERROR))

    def traceparent(self) -> str:
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        return carrier.get("traceparent", "")
