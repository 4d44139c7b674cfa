"""Keys and environment variables of the earlier system's configuration, and what became of each.

Every key of ``aic-config.yaml`` is in one of three states: it sets one of ours; it has no meaning
here, and a warning says why; or its value asks for something that this engine will not do, and it
is refused by name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from auralink.engine.service.settings.keys import KEYS


def _same(value: Any) -> Any:
    return value


def _minutes(value: Any) -> Any:
    return value * 60 if isinstance(value, (int, float)) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """
    Attributes:
        key: of ours; empty: it has no meaning here.
        why: it has none, or is refused.
        refused: the value that is.
    """

    key: str = ""
    convert: Callable[[Any], Any] = _same
    why: str = ""
    refused: object = None


def _to(key: str, convert: Callable[[Any], Any] = _same) -> Meaning:
    return Meaning(key=key, convert=convert)


def _idle(why: str) -> Meaning:
    return Meaning(why=why)


def _never(value: object, why: str) -> Meaning:
    return Meaning(why=why, refused=value)


_SFU: Final = _idle("of the media server; this engine joins rooms as a participant")
_MODELS: Final = _idle("models/weights/manifest.json says which networks there are")
_ONE: Final = _idle("one process serves everything; encoders have processes of their own")
_QUEUES: Final = _idle("queues have fixed bounds, see docs/operations.md")
_GPU: Final = _idle("networks run on the processor")
_JOB: Final = _idle("a job says its profile and its bit rate")
_PRIVACY: Final = _idle("media is never stored; database.retention_days bounds the rest")
_ALWAYS: Final = _idle("always on")

# A "*" stands for one name or place in a list.
FILE: Final[Mapping[str, Meaning]] = {
    "aic.enabled": _to("compression.enabled"),
    "aic.version": _idle("the version is the package's"),
    "aic.protocol_version": _idle("the bitstream carries its own"),
    "aic.features.neural_compression": _JOB,
    "aic.features.predictive_compression": _JOB,
    "aic.features.perceptual_optimization": _JOB,
    "aic.features.network_adaptation": _ALWAYS,
    "aic.features.quality_monitoring": _ALWAYS,
    "aic.features.fallback_mechanism": _never(False, "no call may end because a network fails"),
    "ai_core.http_port": _to("http.port"),
    "ai_core.grpc_port": _to("grpc.port"),
    "ai_core.workers": _ONE,
    "ai_core.models.default_model": _to("compression.model_type"),
    "ai_core.models.available_models": _MODELS,
    "ai_core.compression.default_mode": _to("compression.mode"),
    "ai_core.compression.target_ratio": _to("compression.target_ratio"),
    "ai_core.compression.max_inference_latency_ms": _to("compression.max_latency_ms"),
    "ai_core.compression.min_quality_threshold": _to("compression.min_quality"),
    "ai_core.compression.modes.*.*": _JOB,
    "ai_core.resources.max_concurrent_sessions": _to("limits.sessions"),
    "ai_core.resources.max_queue_size": _QUEUES,
    "ai_core.resources.timeout_seconds": _to("http.receive_s"),
    "ai_core.resources.memory_limit_mb": _idle("the container's limit is the one that holds"),
    "ai_core.gpu.enabled": _GPU,
    "ai_core.gpu.device_id": _GPU,
    "ai_core.gpu.memory_fraction": _GPU,
    "webrtc_server.aic_integration.*": _SFU,
    "webrtc_server.rtp_extension.*": _SFU,
    "webrtc_server.pipeline.*": _SFU,
    "dashboard.aic_api.enabled": _ALWAYS,
    "dashboard.aic_api.base_path": _idle("the path is /api/v1/aic"),
    "dashboard.aic_api.rate_limit_per_minute": _to("limits.requests_per_minute"),
    "dashboard.analytics.retention_days": _idle("database.aic_tables.metrics_retention_days holds"),
    "dashboard.analytics.aggregation_interval_minutes": _to("database.interval_s", _minutes),
    "dashboard.analytics.export_enabled": _idle("the API gives JSON"),
    "database.aic_tables.metrics_partition_enabled": _idle("rows are deleted by age"),
    "database.aic_tables.metrics_retention_days": _to("database.retention_days"),
    "database.aic_tables.session_cleanup_hours": _idle("an engine that is gone ends its sessions"),
    "database.connection_pool.min": _idle("connections are opened when they are needed"),
    "database.connection_pool.max": _to("database.pool_max"),
    "database.connection_pool.min_connections": _idle(
        "connections are opened when they are needed"
    ),
    "database.connection_pool.max_connections": _to("database.pool_max"),
    "database.connection_pool.max_lifetime_minutes": _idle(
        "connections are exchanged every half hour"
    ),
    "monitoring.metrics.*": _idle("Prometheus asks when it wants; the metrics are fixed"),
    "monitoring.alerts.thresholds.high_latency_ms": _to("alerts.high_latency_ms"),
    "monitoring.alerts.thresholds.low_quality_score": _to("alerts.low_quality_score"),
    "monitoring.alerts.thresholds.high_fallback_rate_percent": _to(
        "alerts.high_fallback_rate_percent"
    ),
    "monitoring.alerts.thresholds.gpu_memory_percent": _GPU,
    "monitoring.alerts.enabled": _ALWAYS,
    "monitoring.logging.level": _to("log.level", _lower),
    "monitoring.logging.format": _to("log.format", _lower),
    "monitoring.logging.include_trace_id": _ALWAYS,
    "security.encryption.grpc_tls_enabled": _to("grpc.tls"),
    "security.encryption.cert_path": _to("grpc.certificate"),
    "security.encryption.key_path": _to("grpc.key"),
    "security.privacy.frame_logging_enabled": _never(True, "no frame is ever written to a log"),
    "security.privacy.*": _PRIVACY,
    "security.access_control.require_authentication": _to("auth.required"),
    "security.access_control.api_key_required": _idle("auth.required takes tokens and API keys"),
    "security.access_control.rate_limiting_enabled": _to("limits.enabled"),
    "performance.*.*": _QUEUES,
    "development.mock_inference": _never(True, "nothing here is simulated"),
    "development.*": _idle("no such switch; use log.level"),
}

ENVIRONMENT: Final[Mapping[str, str]] = {
    "ENVIRONMENT": "environment",
    "HTTP_PORT": "http.port",
    "AI_CORE_PORT": "http.port",
    "GRPC_PORT": "grpc.port",
    "CORS_ORIGINS": "http.cors_origins",
    "DATABASE_URL": "database.url",
    "REDIS_URL": "redis.url",
    "LOG_LEVEL": "log.level",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "traces.endpoint",
    "LIVEKIT_URL": "livekit.url",
    "LIVEKIT_API_KEY": "livekit.api_key",
    "LIVEKIT_API_SECRET": "livekit.api_secret",
    "LIVEKIT_TO_URL": "livekit_to.url",
    "LIVEKIT_TO_API_KEY": "livekit_to.api_key",
    "LIVEKIT_TO_API_SECRET": "livekit_to.api_secret",
    "MODEL_DIR": "models.folder",
    "AIC_ENABLED": "compression.enabled",
    "AIC_MODE": "compression.mode",
    "AIC_TARGET_COMPRESSION_RATIO": "compression.target_ratio",
    "AIC_MAX_LATENCY_MS": "compression.max_latency_ms",
    "AIC_MODEL_TYPE": "compression.model_type",
    "AIC_MIN_QUALITY_SCORE": "compression.min_quality",
}


def meaning(key: str) -> Meaning | None:
    """What became of a key of ``aic-config.yaml``; None: it never had such a key."""
    if key in FILE:
        return FILE[key]
    names = key.split(".")
    for pattern, found in FILE.items():
        parts = pattern.split(".")
        if "*" not in parts or len(names) < len(parts):
            continue
        if all(part in ("*", name) for part, name in zip(parts, names, strict=False)):
            return found
    return None


def check() -> None:
    """Every target is a key of ours; called by a test."""
    targets = {found.key for found in FILE.values() if found.key} | set(ENVIRONMENT.values())
    unknown = targets - set(KEYS)
    assert not unknown, unknown
