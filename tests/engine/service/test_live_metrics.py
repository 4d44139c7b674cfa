"""Which metrics a running engine with a job feeds: all, but those that it has no figure for."""

import os
import socket
from pathlib import Path
from typing import Any

import aioice.ice
import pytest
from prometheus_client.parser import text_string_to_metric_families

from auralink.engine.telemetry.catalogue import CATALOGUE, Metric

from ...codecs.pictures import noisy
from ..room.people import camera, member
from ..room.server import Server, find_server, free_port
from .services import API
from .test_live_service import SIZE, engine, told

# One engine alone, without TLS and on plain processors.
HAS_NOT = {
    "aic_certificate_expiry_timestamp_seconds",
    "aic_gpu_utilization_percent",
    "aic_redis_available",
    # Needs the decoded picture beside its original: over gRPC.
    "aic_quality_score",
}
# Faults: there are none, and nothing that was to be counted with labels.
HAD_NOT = {"aic_errors_total", "aic_breaker_trips_total", "aic_breaker_refused_total"}
# As the machine is, and as the first second of a stream came out.
MAY_HAVE = {"aic_fallback_total", "aic_bandwidth_overspent_bytes_total"}
ABSENT = HAS_NOT | HAD_NOT | MAY_HAVE
PATHS = {"relay", "playout", "inference"}
STEPS = {"wait", "encode", "decode", "restore", "hold"}


@pytest.mark.skipif(find_server() is None, reason="no livekit-server: make tools")
async def test_a_relayed_call_is_in_every_metric_that_is_about_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *families, **more: ["127.0.0.1"])
    livekit = Server(str(find_server()), tmp_path)
    livekit.start()
    near, far = f"near-{os.getpid()}", f"far-{os.getpid()}"
    try:
        async with (
            engine(tmp_path, free_port(socket.SOCK_STREAM), livekit) as ask,
            member(livekit, near, "alice") as (alice, _),
            camera(alice, lambda number: noisy(number % 60, SIZE)),
        ):
            # So few bits that pictures are coded small, and restored by the network.
            await ask("POST", f"{API}/jobs", id="call", room=near, to_room=far, rate_bps=30_000)
            page = await told(ask, "/metrics", whole)
            models = await told(ask, f"{API}/models/performance", lambda found: found["models"])
    finally:
        livekit.stop()

    assert untouched(page) - MAY_HAVE == HAS_NOT | HAD_NOT
    assert {one["name"]: state for one, state in samples(page, "aic_breaker_state")} == {
        "restore-s": 0
    }
    assert samples(page, "aic_model_rejections_total") == [({}, 0.0)]
    assert models["models"][0]["model"] == "restore-s"
    assert models["models"][0]["version"]
    assert models["models"][0]["p50_ms"] > 0


def whole(page: str) -> bool:
    """Every metric that is about a call has something, for every part of the call's way."""
    paths = {one["path"] for one, count in samples(page, "aic_frames_total") if count}
    steps = {one["step"] for one, count in samples(page, "aic_picture_step_seconds_count") if count}
    return untouched(page) <= ABSENT and paths == PATHS and steps == STEPS


def untouched(page: str) -> set[str]:
    return {metric.name for metric in CATALOGUE if not _touched(metric, page)}


def _touched(metric: Metric, page: str) -> bool:
    """A gauge, or a counter without labels, is there; anything else has counted something."""
    if metric.kind == "histogram":
        return any(count > 0 for _, count in samples(page, f"{metric.name}_count"))
    plain = metric.kind == "gauge" or not metric.labels
    return any(plain or value > 0 for _, value in samples(page, metric.name))


def samples(page: str, name: str) -> list[tuple[dict[str, Any], float]]:
    return [
        (dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name
    ]
