"""What a demo is asked for."""

from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from auralink.codecs.errors import InputError
from auralink.engine.link.netem import LinkSettings
from auralink.engine.link.sender import BURST_S, Sending

ENCODER_SHARE: Final = 0.9  # of the link, so that its queue stays short
QUEUE_MS: Final = 300.0
# The viewer shows frames this long after capture, the link's own delay apart: room for a key
# frame's packets on a thin link, and for one repair.
PLAYOUT_MS: Final = 300.0
SAMPLE_CREDIT: Final = (
    "sample: Intel IoT DevKit sample videos, CC BY 4.0, cut and re-encoded; partly known to the "
    "trained networks"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """
    Raises:
        InputError: a value of the link is out of its range.
    """

    clip: str = ""  # path; empty: the sample
    seconds: float = 10.0  # of the clip, at most
    profile: str = "hybrid"
    rate_bps: int = 120_000  # of the link
    loss: float = 0.02
    burst: float | None = None
    delay_ms: float = 50.0  # one way
    jitter_ms: float = 10.0
    parity: float | None = None  # None: by measured loss
    seed: int = 1
    link: LinkSettings = field(init=False)

    def __post_init__(self) -> None:
        if self.seconds <= 0:
            raise InputError(f"a demo of {self.seconds:g} s shows nothing")
        link = LinkSettings(
            rate_bps=self.rate_bps,
            queue_ms=QUEUE_MS,
            delay_ms=self.delay_ms,
            jitter_ms=self.jitter_ms,
            loss=self.loss,
            burst=self.burst,
        )
        object.__setattr__(self, "link", link)

    @property
    def bitrate_bps(self) -> int:
        """What the encoder is asked for: parity and headers are within it."""
        return round(ENCODER_SHARE * self.rate_bps)

    @property
    def sending(self) -> Sending:
        """At the pace of the link: its queue, which is short, would drop the tail of a key."""
        return Sending(parity=self.parity, pacing_bps=self.rate_bps, burst_s=BURST_S)

    @property
    def playout_ms(self) -> float:
        return self.delay_ms + self.jitter_ms + PLAYOUT_MS


def sample() -> Traversable:
    """The clip that comes with the package."""
    return resources.files("auralink.engine.demo").joinpath("assets", "signer.mp4")
