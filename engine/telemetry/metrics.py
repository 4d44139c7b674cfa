"""The metrics of one application, in a registry of its own.

Two kinds of figures: what happens is counted here at once (`request`, `frame`, `lag`), and what
*is* comes from the last `Readings`, which the sampler takes on the event loop once a second.  So a
scrape touches neither the loop nor the state of other parts, and works while the loop stands still.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from auralink.engine.telemetry import catalogue as names
from auralink.engine.telemetry.catalogue import Metric
from auralink.engine.telemetry.collector import ReadingsCollector
from auralink.engine.telemetry.deltas import StreamDelta
from auralink.engine.telemetry.readings import Readings

_SERVER_ERROR: Final = 500


class _WithoutTimes(Collector):
    """Leaves out when each counter began: half as many series again, which no query here reads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Family]:
        for family in self._registry.collect():
            family.samples = [one for one in family.samples if not one.name.endswith("_created")]
            yield family


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What Prometheus reads."""

    body: bytes
    content_type: str


@final
class Metrics:
    """
    Args:
        started: Unix time.
    """

    def __init__(self, *, version: str, started: float) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._latest: Readings | None = None
        self._ratios: dict[tuple[str, str], tuple[int, int]] = {}
        self._requests = self._counter(names.REQUESTS)
        self._errors = self._counter(names.ERRORS)
        self._duration = self._histogram(names.DURATION)
        self._frames = self._counter(names.FRAMES)
        self._fallback = self._counter(names.FALLBACK)
        self._latency = self._histogram(names.LATENCY)
        self._wait = self._histogram(names.QUEUE_WAIT)
        self._steps = self._histogram(names.STEP)
        self._quality = self._histogram(names.QUALITY_SCORE)
        self._ratio = self._gauge(names.RATIO)
        self._original = self._counter(names.ORIGINAL)
        self._link = self._counter(names.LINK)
        self._saved = self._counter(names.SAVED)
        self._overspent = self._counter(names.OVERSPENT)
        self._restarts = self._counter(names.JOB_RESTARTS)
        self._losses = self._counter(names.ROOM_LOSSES)
        self._rejections = self._counter(names.MODEL_REJECTED)
        self._lag = self._histogram(names.LOOP_LAG)
        self._gauge(names.STARTED).set(started)
        self._gauge(names.BUILD).labels(version).set(1)
        self._errors.labels("http")
        self._errors.labels("grpc")
        self.registry.register(ReadingsCollector(lambda: self._latest))

    # -- what happens ----------------------------------------------------------------------------

    def request(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """An HTTP request was answered.

        Args:
            route: the template.
        """
        self._requests.labels("http", f"{method} {route}", str(status)).inc()
        self._duration.labels("http").observe(seconds)
        if status >= _SERVER_ERROR:
            self._errors.labels("http").inc()

    def call(self, *, method: str, code: str, seconds: float, our_fault: bool) -> None:
        """A gRPC call ended."""
        self._requests.labels("grpc", method, code).inc()
        self._duration.labels("grpc").observe(seconds)
        if our_fault:
            self._errors.labels("grpc").inc()

    def frame(
        self,
        *,
        path: str,
        kind: str,
        outcome: str,
        latency_ms: float,
        waited_ms: float,
        fallback: str = "",
        quality: float | None = None,
        sizes: tuple[int, int] | None = None,
    ) -> None:
        """A frame that somebody waited for was answered.

        Args:
            fallback: why it was not coded.
            quality: SSIM.
            sizes: bytes before and after.
        """
        self._frames.labels(path, kind, outcome).inc()
        self.answered(kind=kind, latency_ms=latency_ms, waited_ms=waited_ms)
        if fallback:
            self._fallback.labels(path, fallback).inc()
        if quality is not None:
            self._quality.labels(kind).observe(quality)
        if sizes is not None:
            self._compressed(path, kind, *sizes)

    def answered(self, *, kind: str, latency_ms: float, waited_ms: float) -> None:
        """How long a frame took that is counted elsewhere."""
        self._latency.labels(kind).observe(latency_ms)
        self._wait.labels(kind).observe(waited_ms / 1000)

    def step(self, name: str, seconds: float) -> None:
        """A relayed picture took a step.  From any thread."""
        self._steps.labels(name).observe(seconds)

    def model_refused(self) -> None:
        """A model was not taken into use.  From any thread."""
        self._rejections.inc()

    def stream(self, delta: StreamDelta) -> None:
        """What a relayed stream did since the last look."""
        path = "relay" if delta.key.direction == "up" else "playout"
        for outcome, count in delta.outcomes.items():
            self._frames.labels(path, delta.kind, outcome).inc(count)
        for reason, count in delta.fallbacks.items():
            self._fallback.labels(path, reason).inc(count)
        if delta.link_bytes:
            self._link.labels(delta.kind).inc(delta.link_bytes)
        if delta.original_bytes is None:
            return
        saved = delta.original_bytes - delta.link_bytes
        self._original.labels(delta.kind).inc(delta.original_bytes)
        (self._saved if saved >= 0 else self._overspent).labels(delta.kind).inc(abs(saved))
        self._compressed("relay", delta.kind, delta.original_bytes, delta.link_bytes)

    def jobs(self, *, restarts: int, losses: int) -> None:
        """How often, since the last look, relays were put together anew and rooms were lost."""
        self._restarts.inc(restarts)
        self._losses.inc(losses)

    def inference(self, *, outcome: str, kind: str, fallback: str, count: int) -> None:
        """Frames that the inference engine answered since the last look."""
        self._frames.labels("inference", kind, outcome).inc(count)
        if fallback:
            self._fallback.labels("inference", fallback).inc(count)

    def lag(self, seconds: float) -> None:
        """A beat of the event loop came so late."""
        self._lag.observe(seconds)

    # -- what is ---------------------------------------------------------------------------------

    def show(self, readings: Readings) -> None:
        self._latest = readings

    def page(self) -> Page:
        """All metrics in the text format of Prometheus.  Thread-safe."""
        body = generate_latest(_WithoutTimes(self.registry))
        return Page(body=body, content_type=CONTENT_TYPE_LATEST)

    def _compressed(self, path: str, kind: str, original: int, left: int) -> None:
        before, after = self._ratios.get((path, kind), (0, 0))
        self._ratios[path, kind] = before, after = before + original, after + left
        if before:
            self._ratio.labels(path, kind).set(1 - after / before)

    def _counter(self, metric: Metric) -> Counter:
        return Counter(metric.name, metric.help, metric.labels, registry=self.registry)

    def _gauge(self, metric: Metric) -> Gauge:
        return Gauge(metric.name, metric.help, metric.labels, registry=self.registry)

    def _histogram(self, metric: Metric) -> Histogram:
        return Histogram(
            metric.name,
            metric.help,
            metric.labels,
            buckets=metric.buckets,
            registry=self.registry,
        )
