"""What a user chooses about a relay."""

from dataclasses import dataclass, field
from typing import Final

from auralink.codecs.audio.opus import MAX_BPS, MIN_BPS
from auralink.codecs.errors import InputError
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.rate.controller import LIVE
from auralink.engine.room.roster import RemoteTrack

# Tracks that a relay published carry this in front of their name; no relay takes them again.
RESTORED: Final = "aic/"
VIDEO_PREFIX: Final = "aic.v."
AUDIO_PREFIX: Final = "aic.a."
MAX_FRAMES_PER_PACKET: Final = 5
# Of a core, for each encoder.  What a frame's time allows is too much here: every millisecond of
# encoding is delay, and slow frames set the playout delay of all.
ENCODER_CORES: Final = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayOptions:
    """
    Attributes:
        rate_bps: what the link may carry in all, packet headers included.
        start_bps: what is tried first.
        profile: of video.
        size: largest picture that is asked of the room and coded.
        fps: nominal frame rate.
        audio_bps: per audio track, before headers.
        frames_per_packet: audio frames of 20 ms in a packet: more save headers and cost delay.
        identities: whose tracks; empty: everybody's.
        sources: "camera", "screen_share", "microphone", "screen_share_audio", "unknown".
        max_streams: tracks beyond are left alone.
        encoder: of video.
    """

    rate_bps: int = 300_000
    start_bps: int = 150_000
    profile: str = "hybrid"
    size: tuple[int, int] = (1280, 720)
    fps: float = 30.0
    audio_bps: int = 16_000
    frames_per_packet: int = 3
    identities: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset(
        {"camera", "screen_share", "microphone", "screen_share_audio", "unknown"}
    )
    max_streams: int = 16
    encoder: EncoderOptions = field(
        default_factory=lambda: EncoderOptions(cores=ENCODER_CORES, rate=LIVE)
    )

    def __post_init__(self) -> None:
        if self.rate_bps < 20_000:
            raise InputError(f"a link of {self.rate_bps} bit/s carries no call: 20000 at least")
        if not MIN_BPS <= self.audio_bps <= MAX_BPS:
            raise InputError(f"audio at {self.audio_bps} bit/s: {MIN_BPS} to {MAX_BPS}")
        if not 1 <= self.frames_per_packet <= MAX_FRAMES_PER_PACKET:
            raise InputError(f"1 to {MAX_FRAMES_PER_PACKET} audio frames fit a packet's delay")

    def takes(self, track: RemoteTrack) -> bool:
        """Whether a track shall go over the link."""
        return (
            track.kind in ("audio", "video")
            and not track.name.startswith(RESTORED)
            and track.source in self.sources
            and (not self.identities or track.identity in self.identities)
        )
