"""What a tenant wants of compression, and what becomes of it.  Pure.

::

    settings ──defaults──►  config of a tenant  ◄──changed── POST /config
                                  │
        request of a job ──applied┴──►  the same, with everything named

A mode is a name for three figures.  A share of saved bytes says little until it says of what: it is
of the *anchor*, what a caller would send without us.  For pictures that is 450 kbit/s for 640x360
at 20 frames a second, what VP8 is run at in the comparison of ``bench/results/thin.json``, times
the ratio of pixels per second to the power of 0.75 (larger pictures hold more that is alike; the
exponent is the streaming trade's rule of thumb).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from auralink.engine.service.errors import Conflict, Unusable
from auralink.engine.service.job_order import JobRequest
from auralink.engine.service.settings.tree import Compression
from auralink.engine.stores.records import Mode, Model, UserConfig

ANCHOR_BPS: Final = 450_000
ANCHOR_PIXELS_PER_S: Final = 640 * 360 * 20
ANCHOR_EXPONENT: Final = 0.75
LEAST_BPS: Final = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Wants:
    """
    Attributes:
        ratio: share of the anchor's bits that is saved.
        max_latency_ms: that coding a picture may take, on average.
        min_quality: SSIM under which a picture that was measured counts as too bad.
    """

    ratio: float
    max_latency_ms: int
    min_quality: float


MODES: Final[Mapping[Mode, Wants]] = MappingProxyType(
    {
        "conservative": Wants(ratio=0.5, max_latency_ms=15, min_quality=0.95),
        "adaptive": Wants(ratio=0.8, max_latency_ms=20, min_quality=0.85),
        "aggressive": Wants(ratio=0.9, max_latency_ms=25, min_quality=0.70),
    }
)
# The contract's other models are not in this engine.
PROFILES: Final[Mapping[Model, str]] = MappingProxyType({"hybrid": "hybrid"})
_USUAL: Final[Model] = "hybrid"


class FieldRefused(Unusable):
    """A field of a config cannot take effect.

    Attributes:
        field: its name.
    """

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field
        self.why = why


def anchor_bps(size: tuple[int, int], fps: float) -> int:
    """What pictures are sent at without us.

    Args:
        size: width, height.
    """
    scale = size[0] * size[1] * fps / ANCHOR_PIXELS_PER_S
    return round(ANCHOR_BPS * math.pow(scale, ANCHOR_EXPONENT))


def defaults(given: Compression, tenant: str, since: datetime) -> UserConfig:
    """Of a tenant that never said anything; what the operator left out is as the mode has it."""
    wants = MODES.get(given.mode)
    named = given.model_fields_set
    ratio, latency_ms, quality = given.target_ratio, given.max_latency_ms, given.min_quality
    if wants is not None:
        ratio = ratio if "target_ratio" in named else wants.ratio
        latency_ms = latency_ms if "max_latency_ms" in named else wants.max_latency_ms
        quality = quality if "min_quality" in named else wants.min_quality
    return UserConfig(
        user_id=tenant,
        updated_at=since,
        enabled=given.enabled,
        mode=given.mode,
        target_compression_ratio=ratio,
        max_latency_ms=latency_ms,
        model_type=given.model_type if given.model_type in PROFILES else _USUAL,
        min_quality_score=quality,
    )


def changed(current: UserConfig, wanted: Mapping[str, Any], now: datetime) -> UserConfig:
    """
    Args:
        wanted: by field, what was given.  With a mode come its figures, where none are given.

    Raises:
        FieldRefused: a field that would have no effect.
    """
    given = dict(wanted)
    model = given.get("model_type", _USUAL)
    if model not in PROFILES and model != current.model_type:
        raise FieldRefused("model_type", f"this engine has {', '.join(PROFILES)}, no {model}")
    wants = MODES.get(given.get("mode", "off"))
    if wants is not None:
        given.setdefault("target_compression_ratio", wants.ratio)
        given.setdefault("max_latency_ms", wants.max_latency_ms)
    _check_quality(current, given)
    if wants is not None:
        given["min_quality_score"] = wants.min_quality
    return replace(current, **given, updated_at=now)


def _check_quality(current: UserConfig, given: Mapping[str, Any]) -> None:
    """Jobs measure no SSIM, and over gRPC the mode says what is too bad."""
    quality = given.get("min_quality_score", current.min_quality_score)
    wants = MODES.get(given.get("mode", current.mode))
    allowed = {current.min_quality_score} | ({wants.min_quality} if wants is not None else set())
    if quality not in allowed:
        by_mode = ", ".join(f"{name} {one.min_quality}" for name, one in MODES.items())
        raise FieldRefused("min_quality_score", f"the mode says it: {by_mode}")


def applied(config: UserConfig, request: JobRequest) -> JobRequest:
    """The request with everything named that it left to its tenant's config.

    Raises:
        Conflict: the tenant switched compression off.
        Unusable: its config wants what this engine has not.
    """
    off = [
        field
        for field, value in (
            ("enabled", not config.enabled),
            ("opt_out", config.opt_out),
            ("mode", config.mode == "off"),
        )
        if value
    ]
    if off:
        error = Conflict(f"compression is switched off for this tenant: {', '.join(off)}")
        error.add_note("POST /api/v1/aic/config changes it: enabled, opt_out, mode")
        raise error
    left: dict[str, Any] = {}
    if "profile" not in request.model_fields_set:
        if config.model_type not in PROFILES:
            refused = Unusable(f"model_type: this engine has no {config.model_type}")
            refused.add_note("POST /api/v1/aic/config changes it, or name a profile")
            raise refused
        left["profile"] = PROFILES[config.model_type]
    if "rate_bps" not in request.model_fields_set:
        left["rate_bps"] = _rate_bps(config, request)
    if request.max_latency_ms is None:
        left["max_latency_ms"] = config.max_latency_ms
    return request.model_copy(update=left)


def _rate_bps(config: UserConfig, request: JobRequest) -> int:
    """Of one stream of pictures and one of sound: a job does not know yet how many there are."""
    anchor = anchor_bps((request.width, request.height), request.fps)
    pictures = anchor * (1 - config.target_compression_ratio)
    return max(LEAST_BPS, round(pictures) + request.audio_bps)
