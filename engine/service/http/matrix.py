"""Who may do what over HTTP.  OpenAPI's operations and these rows are compared at start."""

from types import MappingProxyType
from typing import Final

from auralink.engine.service.auth.matrix import PUBLIC, Matrix, Owned, Rule
from auralink.engine.service.auth.principal import Role

_LOOK: Final = Rule(Role.VIEWER)
_LOOK_AT_OURS: Final = Rule(Role.VIEWER, Owned.BY_TENANT)
_ACT_ON_OURS: Final = Rule(Role.OPERATOR, Owned.BY_TENANT)
_ADMINISTER: Final = Rule(Role.ADMIN)

MATRIX: Final[Matrix] = MappingProxyType(
    {
        "get_root": PUBLIC,
        "get_health": PUBLIC,
        "get_liveness": PUBLIC,
        "get_readiness": PUBLIC,
        "get_startup": PUBLIC,
        # The door asks for a viewer where http.open_metrics is off.
        "get_prometheus_metrics": PUBLIC,
        # Signed by the LiveKit server over the raw body.
        "receive_livekit_webhook": PUBLIC,
        "get_health_detailed": _LOOK,
        "get_openapi": _LOOK,
        "get_config": _LOOK_AT_OURS,
        "set_config": _ACT_ON_OURS,
        "list_metrics": _LOOK_AT_OURS,
        "list_sessions": _LOOK_AT_OURS,
        "get_session": _LOOK_AT_OURS,
        "get_performance_summary": _LOOK_AT_OURS,
        "list_model_performance": _LOOK,
        "list_alerts": _LOOK_AT_OURS,
        "resolve_alert": _ACT_ON_OURS,
        "get_bandwidth_savings": _LOOK_AT_OURS,
        "get_quality_distribution": _LOOK_AT_OURS,
        "list_jobs": _LOOK_AT_OURS,
        "get_job": _LOOK_AT_OURS,
        "start_job": _ACT_ON_OURS,
        "stop_job": _ACT_ON_OURS,
        "request_key_frame": _ACT_ON_OURS,
        "force_rung": _ACT_ON_OURS,
        "stream_events": _LOOK_AT_OURS,
        "list_models": _LOOK,
        "swap_model": _ADMINISTER,
        "drain_engine": _ADMINISTER,
    }
)
