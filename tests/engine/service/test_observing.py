"""What a scrape of the whole service says, and what it leaves in the database."""

import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from auralink.engine.service.observing import Observing
from auralink.engine.telemetry.catalogue import exported_names
from auralink.engine.telemetry.frame_sums import AnsweredFrame, FrameSums, StreamName
from auralink.engine.telemetry.metrics import Metrics

from .services import Wanted, as_context, service_in


async def test_a_scrape_tells_of_requests_stores_models_and_the_loop(tmp_path: Path) -> None:
    metrics = Metrics(version="1.2.3", started=time.time())
    observing = Observing(metrics=metrics, frames=FrameSums("engine-1"))
    works = {
        "telemetry": lambda: as_context(metrics),
        "loop_lag": metrics.lag,
        "further": (observing,),
    }
    stream = StreamName(owner="blue", session="call", participant="ann", kind="audio")

    async with service_in(tmp_path, Wanted(works=works)) as service:
        await service.ask("GET", "/health")
        observing.frames.add(stream, AnsweredFrame(latency_ms=5.0))
        page = await service.ask("GET", "/metrics")
    async with service_in(tmp_path) as service:  # what the end of the first one wrote
        kept = await service.context.records.get().session("blue.call.ann")

    assert page.status == 200
    assert page.response.headers["Content-Type"].startswith("text/plain")
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page.text)
        for sample in family.samples
    }
    assert found["aic_requests_total", "http", "200", "GET /health"] == 1
    assert found["aic_records_connected",] == 1
    assert found["aic_model_ready",] == 1
    assert found["aic_jobs", "running"] == 0
    assert {name for name, *_ in found} <= exported_names()
    assert ("aic_redis_available",) not in found
    assert kept is not None
    assert (kept.frames, kept.owner) == (1, "blue")
