"""Our own telemetry: one W3C trace from the triggering event to the outcome, in OpenTelemetry.

Every span, metric and log line carries the canonical dimensions and the trace id, so that a person who holds any one
of them finds the rest. Nothing leaves the machine unless an OTLP endpoint is set.
"""

import json
import logging
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from random import Random

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, MetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from domain.events import Dimensions
from domain.ids import TenantId

_LOG = logging.getLogger("opsmesh")
_W3C = TraceContextTextMapPropagator()


class SeededIds(IdGenerator):
    """Repeatable trace and span ids for simulation; a server uses random ones."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311  # ids of a simulated run, not secrets

    def generate_span_id(self) -> int:
        """Return a non-zero 64-bit id."""
        return self._random.getrandbits(64) or 1

    def generate_trace_id(self) -> int:
        """Return a non-zero 128-bit id."""
        return self._random.getrandbits(128) or 1


class Telemetry:
    """Spans, counters and log lines with the canonical dimensions."""

    def __init__(self, processor: SpanProcessor, reader: MetricReader, *, seed: int | None = None) -> None:
        ids = RandomIdGenerator() if seed is None else SeededIds(seed)
        resource = Resource.create({"service.name": "opsmesh"})
        provider = TracerProvider(resource=resource, id_generator=ids, shutdown_on_exit=False)
        provider.add_span_processor(processor)
        self._tracer = provider.get_tracer("opsmesh")
        self._meter = MeterProvider([reader], resource=resource, shutdown_on_exit=False).get_meter("opsmesh")
        self._steps = self._meter.create_counter("opsmesh.loop.steps", unit="1", description="steps of the loop")
        self._provider = provider

    @contextmanager
    def span(
        self, name: str, *, tenant: TenantId, dimensions: Dimensions, parent: str | None = None, **attributes: str
    ) -> Generator[str]:
        """Run one step of the loop in a span and yield its traceparent. The parent is a W3C traceparent."""
        labels = canonical(tenant, dimensions) | attributes
        with self._tracer.start_as_current_span(name, context=_context(parent), attributes=labels) as span:
            carrier: dict[str, str] = {}
            _W3C.inject(carrier)
            trace_id = trace.format_trace_id(span.get_span_context().trace_id)
            self._steps.add(1, labels | {"step": name, "trace_id": trace_id})
            _LOG.info(json.dumps({"step": name, "trace_id": trace_id} | labels, sort_keys=True))
            yield carrier["traceparent"]

    def close(self) -> None:
        """Flush what is buffered."""
        self._provider.shutdown()


def canonical(tenant: TenantId, dimensions: Dimensions) -> dict[str, str]:
    """Return the canonical dimensions that are set, the tenant always."""
    named: Mapping[str, str | None] = dimensions.model_dump(mode="json", exclude={"traceparent"})
    labels: dict[str, str] = {"tenantid": tenant}
    return labels | {key: value for key, value in named.items() if value is not None}


def trace_id_of(traceparent: str) -> str:
    """Return the 32 hex digits of a traceparent's trace id."""
    return traceparent.split("-")[1]


def in_memory(*, seed: int | None = None) -> tuple[Telemetry, InMemorySpanExporter, InMemoryMetricReader]:
    """Return telemetry that keeps everything in memory, with where to read it."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    return Telemetry(SimpleSpanProcessor(exporter), reader, seed=seed), exporter, reader


def over_otlp(endpoint: str) -> Telemetry:
    """Return telemetry that sends spans in batches to an OTLP/HTTP endpoint."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # heavy, optional

    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    return Telemetry(BatchSpanProcessor(exporter), InMemoryMetricReader())


def _context(parent: str | None) -> Context:
    return _W3C.extract({} if parent is None else {"traceparent": parent}, context=Context())
