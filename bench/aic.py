"""AIC profiles as subjects of measurements: the whole way from frames to packets to pictures."""

import time
from collections.abc import Sequence
from typing import Final, final

from auralink.bench.anchors import AV1_QUANTIZERS, rates_for
from auralink.bench.clips import Clip, Kind
from auralink.bench.subjects import Point, Run, Subject
from auralink.codecs.errors import UnsupportedError
from auralink.codecs.frame import Frame, blank
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import (
    LEARNED_PROFILES,
    PROFILES,
    open_decoder,
    open_encoder,
)
from auralink.codecs.video.protocol import Coded, Wish
from auralink.codecs.video.protocol import Kind as UnitKind
from auralink.codecs.video.receiver import Receiver
from auralink.codecs.video.speed import SpeedControl
from auralink.models.codec_runtime import PRECISION, open_codec
from auralink.models.codec_store import CodecStore
from auralink.models.runtime import open_networks

# The scale of a learned profile ends at 30, see `neural_rate.levels_of`.
LEARNED_QUANTIZERS: Final = (63, 57, 51, 45, 39, 33)
AT_RATE: Final = "@rate"  # suffix: under rate control instead of at constant quality
# AIC needs about this share of VP8's bits for the same quality, so rates are chosen there.
_SHARE_OF_VP8: Final = 0.35
# The claim is about a speed that keeps 30 frames per second at 640x360 on one core, so that
# preset codes every clip, though smaller ones would afford a slower one.
_CLAIM_PIXELS: Final = 640 * 360
_CLAIM_MS: Final = 1000 / 30


def claim_preset(*, screen: bool) -> int:
    """The preset that speed control starts with at 640x360, 30 frames per second, one core."""
    speed = SpeedControl(pinned=None, pixels=_CLAIM_PIXELS, budget_ms=_CLAIM_MS, screen=screen)
    return speed.preset


def open_profile(name: str) -> Subject:
    """
    Raises:
        UnsupportedError: no such profile in this build.
    """
    profile = name.removesuffix(AT_RATE)
    if profile in LEARNED_PROFILES:
        open_codec(profile)  # says at once what is missing
    if profile not in PROFILES:
        raise UnsupportedError(f"no profile {profile!r}: one of {', '.join(PROFILES)}")
    return AicSubject(name, profile=profile, at_rate=name.endswith(AT_RATE))


@final
class AicSubject:
    """A profile without losses, one key at the start."""

    def __init__(self, name: str, *, profile: str, at_rate: bool) -> None:
        self._name = name
        self._profile = profile
        self._at_rate = at_rate

    @property
    def name(self) -> str:
        return self._name

    def settings(self, clip: Clip) -> dict[str, str]:
        options = self._options(clip, 40)
        control = "rate" if self._at_rate else "constant quality"
        if self._profile in LEARNED_PROFILES:
            entry = CodecStore.bundled().find(self._profile, PRECISION)
            weights = f"{entry.version}, tables {entry.tables.sha256[:12]}"
            return {"profile": self._profile, "weights": weights, "control": control}
        return {
            "profile": self._profile,
            "preset": str(options.preset),
            "screen": str(options.screen),
            "control": control,
        }

    def points(self, clip: Clip) -> Sequence[Point]:
        if self._at_rate:
            rates = rates_for(clip, share=_SHARE_OF_VP8)
            return [Point(bitrate_bps=rate) for rate in rates]
        learned = self._profile in LEARNED_PROFILES
        quantizers = LEARNED_QUANTIZERS if learned else AV1_QUANTIZERS
        return [Point(quantizer=quantizer) for quantizer in quantizers]

    def run(self, clip: Clip, point: Point) -> Run:
        encoder = open_encoder(
            self._profile,
            fps=clip.fps,
            options=self._options(clip, point.quantizer),
            neural=open_codec,
        )
        started = time.process_time()
        wish = Wish(bitrate_bps=point.bitrate_bps or None)
        coded = [encoder.encode(frame, wish) for frame in clip.frames]
        encode_s = time.process_time() - started
        encoder.close()
        started = time.process_time()
        frames = _decode(coded, clip)
        return Run(
            sizes=tuple(unit.size for unit in coded),
            frames=frames,
            keys=sum(bool(unit.packets) and unit.kind is UnitKind.KEY for unit in coded),
            encode_s=encode_s,
            decode_s=time.process_time() - started,
        )

    def _options(self, clip: Clip, quantizer: float) -> EncoderOptions:
        screen = clip.kind is Kind.SCREEN
        return EncoderOptions(
            preset=claim_preset(screen=screen), screen=screen, quantizer=quantizer
        )


def _decode(coded: Sequence[Coded], clip: Clip) -> tuple[Frame, ...]:
    """What a viewer sees at each frame's time; what is not sent leaves the picture before."""
    receiver = Receiver(open_decoder(open_networks(), open_codec))
    shown: list[Frame] = []
    picture: Frame | None = None
    for unit, original in zip(coded, clip.frames, strict=True):
        for packet in unit.packets:
            for result in receiver.push(packet):
                picture = result.frame or picture
        shown.append((picture or blank(*original.size)).at(original.pts_us))
    receiver.close()
    return tuple(shown)
