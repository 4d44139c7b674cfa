"""F45: a scrape of an engine that has seen very much, and was told hostile names."""

import random
import time
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from auralink.bench.fault.values import Fault, Trial, expect, nothing
from auralink.engine.stores.records import Kind
from auralink.engine.telemetry.frame_sums import AnsweredFrame, FrameSums, StreamName
from auralink.engine.telemetry.metrics import Metrics

_SESSIONS: Final = 100_000
_WITHIN_MS: Final = 250.0
_MOST_SERIES: Final = 2_000
_KINDS: Final[tuple[Kind, ...]] = ("video", "audio", "screen")
_HOSTILE: Final = ('"} evil 1', "line\nbreak", "\\", "\u202e", "x" * 1000, "", "\x00")


def _crowd(rig: None, seed: int) -> Trial:
    chance = random.Random(seed)
    metrics, sums = Metrics(version="1", started=0.0), FrameSums("engine")
    for number in range(_SESSIONS):
        kind = chance.choice(_KINDS)
        name = StreamName(
            owner=chance.choice(_HOSTILE), session=f"s-{number}", participant="p", kind=kind
        )
        sums.add(name, AnsweredFrame(latency_ms=5.0))
    for _ in range(2_000):
        metrics.frame(
            path="rpc",
            kind=chance.choice(_KINDS),
            outcome=chance.choice(("coded", "fell_back", "skipped")),
            latency_ms=chance.expovariate(0.1),
            waited_ms=1.0,
        )
        metrics.request(method="GET", route="/api/v1/aic/jobs/{id}", status=200, seconds=0.001)
    for hostile in _HOSTILE:
        metrics.request(method="GET", route=hostile, status=200, seconds=0.0)
    began = time.monotonic()
    page = metrics.page()
    took_ms = 1e3 * (time.monotonic() - began)
    families = list(text_string_to_metric_families(page.body.decode()))
    series = sum(len(family.samples) for family in families)
    return Trial(
        wrong=expect(
            too_slow=took_ms > _WITHIN_MS,
            too_many_series=series > _MOST_SERIES,
            sessions_are_labels=b"s-77" in page.body,
        ),
        figures={"scrape, ms": took_ms, "series": series},
    )


FAULTS: Final = (
    Fault(
        number="F45",
        name="100,000 sessions, hostile names",
        expected="a scrape within 250 ms, at most 2,000 series, no session among the labels",
        prepare=nothing,
        inject=_crowd,
    ),
)
