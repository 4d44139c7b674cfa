"""Every metric that the engine exports: the one list that code, rules and dashboards go by.

Names without ``http`` or ``room`` in them are those of the contract where it has one.  Labels are
bounded: enumerations, route templates, names of parts.  Rooms, participants and sessions are never
labels; what happened to one of them is in the records.
"""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

# Around the deadlines that frames have: 20 ms for sound, 33 ms for pictures, 25 ms for the SLO.
LATENCY_MS: Final = (1, 2, 5, 10, 15, 20, 25, 33, 40, 60, 100, 200, 500)
WAIT_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5)
REQUEST_S: Final = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
LAG_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
STEP_S: Final = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.033, 0.05, 0.1, 0.2, 0.5)
QUALITY: Final = (0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """
    Attributes:
        name: as it is exported; counters end in ``_total``.
        help: for people, with the unit if the name does not say it.
        labels: each of few values.
        buckets: of a histogram.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(name=name, kind="counter", help=text, labels=labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(name=name, kind="gauge", help=text, labels=labels)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Metric:
    return Metric(name=name, kind="histogram", help=text, labels=labels, buckets=buckets)


# -- requests
REQUESTS: Final = _counter(
    "aic_requests_total", "Requests answered; api is http or grpc", "api", "method", "code"
)
ERRORS: Final = _counter(
    "aic_errors_total", "Requests that failed by the engine's fault, not the caller's", "api"
)
DURATION: Final = _histogram(
    "aic_request_duration_seconds", "From the request to the end of its answer", REQUEST_S, "api"
)

# -- frames
FRAMES: Final = _counter(
    "aic_frames_total",
    "Frames by what became of them; path: relay (into a link), playout (out of it), rpc, inference",
    "path",
    "kind",
    "outcome",
)
FALLBACK: Final = _counter(
    "aic_fallback_total",
    "Frames made without what was wished: codec, or its network",
    "path",
    "reason",
)
LATENCY: Final = _histogram(
    "aic_inference_latency_ms",
    "Milliseconds from a frame's arrival to its answer",
    LATENCY_MS,
    "kind",
)
QUEUE_WAIT: Final = _histogram(
    "aic_queue_wait_seconds", "How long a frame waited before it was coded", WAIT_S, "kind"
)
STEP: Final = _histogram(
    "aic_picture_step_seconds",
    "Parts of a relayed picture's way; wait, encode: into a link; decode, restore, hold: out of it",
    STEP_S,
    "step",
)
QUALITY_SCORE: Final = _histogram(
    "aic_quality_score", "SSIM of coded pictures, where it was measured", QUALITY, "kind"
)
RATIO: Final = _gauge(
    "aic_compression_ratio",
    "Share of the bytes that was saved since the start, against path relay: the original track, "
    "rpc: the frames as given",
    "path",
    "kind",
)
ORIGINAL: Final = _counter(
    "aic_original_bytes_total", "Bytes of original tracks of which both sizes are known", "kind"
)
LINK: Final = _counter("aic_link_bytes_total", "Bytes sent on links, headers included", "kind")
SAVED: Final = _counter(
    "aic_bandwidth_saved_bytes_total", "Bytes that links carried less than the originals", "kind"
)
OVERSPENT: Final = _counter(
    "aic_bandwidth_overspent_bytes_total",
    "Bytes that links carried more than the originals",
    "kind",
)

# -- jobs and rooms
JOBS: Final = _gauge("aic_jobs", "Jobs of this engine", "state")
SESSIONS: Final = _gauge("aic_sessions", "Rooms that a bot of this engine is connected to")
STREAMS: Final = _gauge("aic_streams", "Tracks that are being relayed", "direction", "kind")
RUNGS: Final = _gauge("aic_streams_on_rung", "Streams of pictures by rung of the ladder", "rung")
LOAD: Final = _gauge("aic_engine_load_ratio", "0 idle, 1 takes no further job; scale by this")
JOB_RESTARTS: Final = _counter("aic_job_restarts_total", "Relays put together anew after a failure")
ROOM_LOSSES: Final = _counter("aic_room_losses_total", "Connections to rooms that were lost")
ROOM_AWAY: Final = _gauge(
    "aic_room_away_seconds", "Longest time for which a running job has been out of one of its rooms"
)

# -- inference
QUEUE_DEPTH: Final = _gauge("aic_queue_depth", "Frames that wait for a worker")
IN_FLIGHT: Final = _gauge("aic_inflight_frames", "Frames without an answer yet")
WORKERS_READY: Final = _gauge("aic_workers_ready", "Worker processes that can be asked")
WORKERS_WANTED: Final = _gauge("aic_workers_wanted", "Worker processes that there should be")
WORKER_RESTARTS: Final = _counter("aic_worker_restarts_total", "Worker processes that were lost")
MODEL_READY: Final = _gauge("aic_model_ready", "1: at least one network is in use")
MODEL_REJECTED: Final = _counter(
    "aic_model_rejections_total",
    "Models that were not taken into use: hash, shape or golden vector",
)
BREAKER_STATE: Final = _gauge(
    "aic_breaker_state", "0 closed, 1 half open, 2 open; name is redis or a model", "name"
)
BREAKER_TRIPS: Final = _counter("aic_breaker_trips_total", "Times a breaker opened", "name")
BREAKER_REFUSED: Final = _counter(
    "aic_breaker_refused_total", "Calls not tried because a breaker was open", "name"
)

# -- stores
RECORDS_CONNECTED: Final = _gauge("aic_records_connected", "1: the database answered last time")
RECORDS_BUFFERED: Final = _gauge("aic_records_buffered_rows", "Rows that wait for the database")
RECORDS_WRITTEN: Final = _counter("aic_records_written_total", "Rows written to the database")
RECORDS_DROPPED: Final = _counter(
    "aic_records_dropped_total", "Rows given up: the buffer was full, or the database refused them"
)
REDIS_AVAILABLE: Final = _gauge("aic_redis_available", "1: shared limits and leases are in force")

# -- process
LOOP_LAG: Final = _histogram(
    "aic_event_loop_lag_seconds", "How late a beat of the event loop came", LAG_S
)
MEMORY: Final = _gauge(
    "aic_memory_usage_bytes", "Resident memory of the engine and its worker processes"
)
GPU: Final = _gauge("aic_gpu_utilization_percent", "Of the accelerator, where there is one")
CERTIFICATE: Final = _gauge(
    "aic_certificate_expiry_timestamp_seconds", "When the TLS certificate ends", "api"
)
STARTED: Final = _gauge("aic_start_time_seconds", "When the engine started, Unix time")
BUILD: Final = _gauge("aic_build_info", "1", "version")
SAMPLED: Final = _gauge(
    "aic_sample_timestamp_seconds", "When jobs, stores and workers were looked at last, Unix time"
)

CATALOGUE: Final = tuple(value for value in tuple(globals().values()) if isinstance(value, Metric))


def exported_names() -> frozenset[str]:
    """What a query may name: histograms are three series."""
    names: set[str] = set()
    for metric in CATALOGUE:
        if metric.kind == "histogram":
            names |= {f"{metric.name}_{part}" for part in ("bucket", "sum", "count")}
        else:
            names.add(metric.name)
    return frozenset(names)
