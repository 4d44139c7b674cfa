"""Readings as metrics, made when Prometheus asks."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from auralink.engine.telemetry import catalogue as names
from auralink.engine.telemetry.catalogue import Metric
from auralink.engine.telemetry.readings import Readings, breaker_level

Family = CounterMetricFamily | GaugeMetricFamily


@final
class ReadingsCollector(Collector):
    """
    Args:
        latest: the readings to show; None: none were taken yet.
    """

    def __init__(self, latest: Callable[[], Readings | None]) -> None:
        self._latest = latest

    def collect(self) -> Iterator[Family]:
        found = self._latest()
        if found is None:
            return
        yield _one(names.SAMPLED, found.at)
        yield from _jobs(found)
        yield from _inference(found)
        yield from _breakers(found)
        yield from _stores(found)
        yield from _process(found)

    def describe(self) -> Iterator[Family]:
        """Nothing: the registry would ask for a first scrape when this is registered."""
        return iter(())


def _jobs(found: Readings) -> Iterator[Family]:
    jobs = found.jobs
    if jobs is None:
        return
    yield _several(names.JOBS, [((state,), count) for state, count in jobs.by_state.items()])
    yield _one(names.SESSIONS, jobs.sessions)
    yield _several(names.STREAMS, jobs.streams.items())
    yield _several(names.RUNGS, [((rung,), count) for rung, count in jobs.rungs.items()])
    yield _one(names.LOAD, jobs.load)
    yield _one(names.ROOM_AWAY, jobs.away_s)


def _inference(found: Readings) -> Iterator[Family]:
    if found.inference is not None:
        yield _one(names.QUEUE_DEPTH, found.inference.queue_depth)
        yield _one(names.IN_FLIGHT, found.inference.in_flight)
    if found.workers is not None:
        yield _one(names.WORKERS_READY, found.workers.ready)
        yield _one(names.WORKERS_WANTED, found.workers.wanted)
        yield _one(names.WORKER_RESTARTS, found.workers.lost)
    if found.models is not None:
        yield _one(names.MODEL_READY, found.models.ready > 0)


def _breakers(found: Readings) -> Iterator[Family]:
    every = found.breakers()
    if not every:
        return
    levels = [((name,), breaker_level(one.state)) for name, one in every.items()]
    yield _several(names.BREAKER_STATE, levels)
    yield _several(names.BREAKER_TRIPS, [((name,), one.trips) for name, one in every.items()])
    yield _several(names.BREAKER_REFUSED, [((name,), one.refused) for name, one in every.items()])


def _stores(found: Readings) -> Iterator[Family]:
    records = found.records
    if records is not None:
        yield _one(names.RECORDS_CONNECTED, records.connected)
        yield _one(names.RECORDS_BUFFERED, records.buffered)
        yield _one(names.RECORDS_WRITTEN, records.written)
        yield _one(names.RECORDS_DROPPED, records.dropped)
    if found.redis is not None:
        yield _one(names.REDIS_AVAILABLE, breaker_level(found.redis.state) == 0)


def _process(found: Readings) -> Iterator[Family]:
    process = found.process
    if process.memory_bytes is not None:
        yield _one(names.MEMORY, process.memory_bytes)
    if process.gpu_percent is not None:
        yield _one(names.GPU, process.gpu_percent)
    if process.certificates:
        ends = [((api,), at) for api, at in process.certificates.items()]
        yield _several(names.CERTIFICATE, ends)


def _one(metric: Metric, value: float) -> Family:
    return _several(metric, [((), value)])


def _several(metric: Metric, values: Iterable[tuple[Sequence[str], float]]) -> Family:
    kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = kind(metric.name, metric.help, labels=metric.labels)
    for labels, value in values:
        family.add_metric(labels, float(value))
    return family
