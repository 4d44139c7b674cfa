"""Spans of relayed pictures as metrics: where the time of a picture goes, on the whole."""

from typing import Final, final

from auralink.engine.telemetry.metrics import Metrics
from auralink.engine.timeline import Span

STEPS: Final = frozenset({"wait", "encode", "decode", "restore", "hold"})


@final
class PictureSteps:
    """A `Timeline` that keeps no span."""

    on = True

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def add(self, span: Span) -> None:
        if span.name in STEPS:
            # A capture time is an estimate: it may lie a moment after the picture came.
            self._metrics.step(span.name, max(0, span.end_us - span.start_us) / 1e6)
