"""What the inference engine answered, as metrics and as rows about its models."""

from collections.abc import Callable
from typing import Any, final

from auralink.engine.inference.backend import Request
from auralink.engine.inference.engine import Answered
from auralink.engine.telemetry.frame_sums import FrameSums
from auralink.engine.telemetry.metrics import Metrics


@final
class InferenceObserver:
    """For `InferenceEngine`'s ``told``.  Counts of outcomes are the sampler's business.

    Args:
        version: of a model that serves; empty: nobody knows any more.
    """

    def __init__(self, metrics: Metrics, sums: FrameSums, version: Callable[[str], str]) -> None:
        self._metrics = metrics
        self._sums = sums
        self._version = version

    def __call__(self, request: Request[Any], answered: Answered[Any]) -> None:
        self._metrics.answered(
            kind=request.media.value,
            latency_ms=answered.total_us / 1000,
            waited_ms=answered.waited_us / 1000,
        )
        if answered.run_us:
            self._sums.ran(request.model, self._version(request.model), answered.run_us / 1000)
