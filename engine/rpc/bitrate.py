"""From what a caller wishes to bits per second.  Pure.

A compression ratio says little until it says of what: raw pictures shrink to a thousandth under any
codec.  Here it is the share of the *anchor's* bits that is saved, the anchor being what the caller
would send without us: ``metadata.bitrate_kbps``, or where that is not given the estimate of
`engine.service.wishes` for pictures, and 48 kbit/s for sound.
"""

from dataclasses import dataclass
from typing import Final

from auralink.codecs.audio import opus
from auralink.engine.rpc.stubs import aic_compression_pb2 as pb
from auralink.engine.service.wishes import LEAST_BPS, MODES, anchor_bps

AUDIO_ANCHOR_BPS: Final = 48_000

# What the contract's modes save where the caller names no ratio.
SHARES: Final = {
    pb.MODE_CONSERVATIVE: MODES["conservative"].ratio,
    pb.MODE_ADAPTIVE: MODES["adaptive"].ratio,
    pb.MODE_AGGRESSIVE: MODES["aggressive"].ratio,
}
MOST_BPS: Final = 20_000_000
# A tenth of a link is left for headers and for what else goes through it.
_OF_LINK: Final = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    anchor_bps: int
    bitrate_bps: int

    @property
    def saved(self) -> float:
        """Share of the anchor's bits; negative where the least bitrate is above the anchor."""
        return 1 - self.bitrate_bps / self.anchor_bps


def video_budget(
    mode: pb.CompressionMode,
    *,
    ratio: float,
    size: tuple[int, int],
    fps: float,
    native_bps: int,
    available_bps: int,
) -> Budget:
    """
    Args:
        ratio: wished for, 0 if the mode shall decide.
        native_bps: the anchor, 0 if it is not known.
        available_bps: of the link, 0 if it is not known.
    """
    anchor = native_bps or anchor_bps(size, fps)
    wanted = _within(anchor * (1 - (ratio or SHARES[mode])), available_bps)
    return Budget(anchor_bps=anchor, bitrate_bps=round(min(max(wanted, LEAST_BPS), MOST_BPS)))


def audio_budget(
    mode: pb.CompressionMode, *, ratio: float, native_bps: int, available_bps: int
) -> Budget:
    """The same for sound, in steps: a new bit rate is a new encoder."""
    anchor = native_bps or AUDIO_ANCHOR_BPS
    wanted = _within(anchor * (1 - (ratio or SHARES[mode])), available_bps)
    fitting = [step for step in _AUDIO_STEPS if step <= wanted]
    return Budget(anchor_bps=anchor, bitrate_bps=fitting[-1] if fitting else opus.MIN_BPS)


_AUDIO_STEPS: Final = (opus.MIN_BPS, 8_000, 9_600, 12_000, 16_000, 24_000, 32_000, opus.MAX_BPS)


def _within(wanted_bps: float, available_bps: int) -> float:
    return min(wanted_bps, _OF_LINK * available_bps) if available_bps else wanted_bps
