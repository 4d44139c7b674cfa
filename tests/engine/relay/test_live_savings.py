"""What a relay saves is measured: from a real room's packets to metrics and a row."""

import itertools
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from auralink.engine.relay.access import Access
from auralink.engine.relay.job import Place, RelaySettings, Role
from auralink.engine.relay.job_values import JobSpec
from auralink.engine.relay.jobs import Jobs
from auralink.engine.relay.opening import Clocks, relay_opener
from auralink.engine.relay.options import RelayOptions
from auralink.engine.stores.database.records import RecordsSettings, open_records
from auralink.engine.telemetry.alerting import Alerting, Thresholds
from auralink.engine.telemetry.frame_sums import FrameSums
from auralink.engine.telemetry.metrics import Metrics
from auralink.engine.telemetry.sampling import Sampler, Sources

from ...codecs.pictures import moving
from ..room.people import camera, member, until
from ..room.server import KEY, SECRET, Server


async def test_bytes_of_a_track_and_of_the_link_become_savings(
    livekit: Server, room: str, tmp_path: Path
) -> None:
    near, far = room + "-near", room + "-far"
    access = Access(url=livekit.url, key=KEY, secret=SECRET)
    clocks, numbers = Clocks(), itertools.count()
    jobs = Jobs(
        relay_opener(version="0", clocks=clocks), clocks=clocks, new_id=lambda: f"j{next(numbers)}"
    )
    settings = RelaySettings(
        near=Place(access=access, room=near),
        far=Place(access=access, room=far),
        role=Role.SEND,
        options=RelayOptions(rate_bps=120_000, start_bps=120_000),
    )
    metrics = Metrics(version="0", started=0.0)
    url = f"sqlite:///{tmp_path}/aic.db"
    async with (
        open_records(RecordsSettings(url=url, required=True)) as records,
        member(livekit, near, "alice") as (alice, _),
        camera(alice, lambda index: moving(index % 60, (320, 240))),
        jobs,
    ):
        sampler = Sampler(
            metrics,
            Sources(wall=clocks.wall, jobs=lambda: jobs, records=lambda: records),
            engine_id="e",
            frames=FrameSums("e"),
            alerting=Alerting(Thresholds(), lambda: f"a{next(numbers)}"),
        )
        job = jobs.start(JobSpec(settings=settings, tenant="acme"))

        def coded() -> bool:
            sampler.look()
            return sent(metrics, "aic_link_bytes_total") > 30_000

        await until(coded, "two seconds of the link", 30)
        sampler.end_interval()
        await records.flush()
        (row,) = await records.metrics()
        (session,) = [one for one in await records.sessions() if one.frames]
        jobs.stop(job)
        await jobs.wait(job)

    original = sent(metrics, "aic_original_bytes_total")
    assert original > 2 * sent(metrics, "aic_link_bytes_total")  # 600 kbit/s against 120
    saved = sent(metrics, "aic_bandwidth_saved_bytes_total")
    saved -= sent(metrics, "aic_bandwidth_overspent_bytes_total")
    assert saved == original - sent(metrics, "aic_link_bytes_total")
    assert row.original_bytes == original
    assert row.link_bytes == sent(metrics, "aic_link_bytes_total")
    assert (row.owner, row.call_id, row.kind) == ("acme", near, "video")
    assert (session.original_bytes, session.link_bytes) == (row.original_bytes, row.link_bytes)


def sent(metrics: Metrics, name: str) -> float:
    """Of pictures."""
    return sum(
        sample.value
        for family in text_string_to_metric_families(metrics.page().body.decode())
        for sample in family.samples
        if sample.name == name and sample.labels.get("kind") == "video"
    )
