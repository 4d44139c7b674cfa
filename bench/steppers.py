"""What the speed measurement times: things that take one frame and say how long each stage took.

Times are processor time of the whole process, in milliseconds: on a shared machine the wall clock
tells more of the neighbours than of the codec.
"""

import time
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias, final

from auralink.bench.clips import Clip, Kind
from auralink.codecs.base.dav1d import Dav1dDecoder
from auralink.codecs.base.hierarchy import Hierarchy
from auralink.codecs.base.native import (
    NativeCodec,
    h264_recipe,
    open_decoder,
    vp8_recipe,
    vp9_recipe,
)
from auralink.codecs.base.protocol import BaseDecoder, BaseEncoder, BaseUnit, Capabilities, Order
from auralink.codecs.base.pyav_codec import PyavEncoder, Recipe
from auralink.codecs.base.svt import SvtAv1
from auralink.codecs.errors import InputError, UnsupportedError
from auralink.codecs.frame import Frame, Plane
from auralink.codecs.resample import Resampler
from auralink.codecs.video import profiles
from auralink.codecs.video.base_session import BaseSettings
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.protocol import Hidden, Wish
from auralink.codecs.video.receiver import Receiver
from auralink.codecs.video.speed import REALTIME_FROM
from auralink.models.codec_runtime import open_codec
from auralink.models.runtime import open_networks

Stages: TypeAlias = dict[str, float]

# LiveKit's presets for 30 frames per second by height; in between and beyond by area.
_PRESET_BPS: Final = {180: 160_000, 360: 450_000, 720: 1_700_000}
# Gives AV1 about the quality that VP8 has at those rates.
_QUANTIZER: Final = 45
_RESTORED_SCALE: Final = 2 / 3


class Stepper(Protocol):
    def step(self, frame: Frame) -> Stages:
        """Take the next frame of a stream through all stages; milliseconds of each."""
        ...

    def close(self) -> None: ...


MakeStepper: TypeAlias = Callable[[Clip], Stepper]


def open_stepper(name: str, clip: Clip) -> Stepper:
    """
    Raises:
        InputError: nothing of that name.
        UnsupportedError: this machine lacks what it needs.
    """
    if name not in STEPPERS:
        raise InputError(f"nothing called {name!r} to time: there are {', '.join(STEPPERS)}")
    return STEPPERS[name](clip)


def bitrate_for(clip: Clip) -> int:
    """What LiveKit gives a video of that size."""
    width, height = clip.size
    nearest = min(_PRESET_BPS, key=lambda known: abs(known - height))
    return round(_PRESET_BPS[nearest] * width * height / (nearest * nearest * 16 / 9))


@final
class _Stopwatch:
    """Milliseconds since the last look."""

    def __init__(self) -> None:
        self._since = time.process_time()

    def lap_ms(self) -> float:
        before, self._since = self._since, time.process_time()
        return (self._since - before) * 1000


@final
class BaseStepper:
    """A base codec, both ways."""

    def __init__(self, encoder: BaseEncoder, decoder: BaseDecoder, bitrate_bps: int) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._bitrate_bps = bitrate_bps
        self._number = 0

    def step(self, frame: Frame) -> Stages:
        watch = _Stopwatch()
        order = Order(
            number=self._number,
            quantizer=_QUANTIZER,
            bitrate_bps=self._bitrate_bps,
            key=self._number == 0,
        )
        unit = self._encoder.encode(frame, order)
        self._number += 1
        encode_ms = watch.lap_ms()
        self._decoder.decode(unit.data, frame.pts_us)
        return {"encode": encode_ms, "decode": watch.lap_ms()}

    def close(self) -> None:
        self._encoder.close()
        self._decoder.close()


@final
class ProfileStepper:
    """An AIC profile from frame to packets to picture; its base encoder is timed apart."""

    def __init__(self, profile: str, clip: Clip) -> None:
        self._base_ms = 0.0
        self._encoder = profiles.open_encoder(
            profile,
            fps=clip.fps,
            options=EncoderOptions(screen=clip.kind is Kind.SCREEN),
            base=self._open_base,
        )
        self._receiver = Receiver(profiles.open_decoder(open_networks()))
        self._bitrate_bps = bitrate_for(clip) // 3  # hybrid's share for the same quality

    def step(self, frame: Frame) -> Stages:
        watch = _Stopwatch()
        self._base_ms = 0.0
        coded = self._encoder.encode(frame, Wish(bitrate_bps=self._bitrate_bps))
        encode_ms = watch.lap_ms()
        for packet in coded.packets:
            self._receiver.push(packet)
        return {
            "base encode": self._base_ms,
            "rest of encode": encode_ms - self._base_ms,
            "decode": watch.lap_ms(),
        }

    def close(self) -> None:
        self._encoder.close()
        self._receiver.close()

    def _open_base(self, size: tuple[int, int], settings: BaseSettings) -> BaseEncoder:
        return _TimedEncoder(profiles.open_base(size, settings), self._add)

    def _add(self, spent_ms: float) -> None:
        self._base_ms += spent_ms


@final
class LearnedStepper:
    """A learned profile from frame to packets to picture.

    Raises:
        UnsupportedError: no networks of that name in this build.
    """

    def __init__(self, profile: str, clip: Clip) -> None:
        self._encoder = profiles.open_encoder(profile, fps=clip.fps, neural=open_codec)
        self._receiver = Receiver(profiles.open_decoder(neural=open_codec))
        self._bitrate_bps = bitrate_for(clip)

    def step(self, frame: Frame) -> Stages:
        watch = _Stopwatch()
        coded = self._encoder.encode(frame, Wish(bitrate_bps=self._bitrate_bps))
        encode_ms = watch.lap_ms()
        for packet in coded.packets:
            self._receiver.push(packet)
        return {"encode": encode_ms, "decode": watch.lap_ms()}

    def close(self) -> None:
        self._encoder.close()
        self._receiver.close()


@final
class _TimedEncoder:
    """A base encoder that tells what it took."""

    def __init__(self, inner: BaseEncoder, spent: Callable[[float], None]) -> None:
        self._inner = inner
        self._spent = spent

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def codec(self) -> str:
        return self._inner.codec

    @property
    def capabilities(self) -> Capabilities:
        return self._inner.capabilities

    @property
    def hierarchy(self) -> Hierarchy:
        return self._inner.hierarchy

    def encode(self, frame: Frame, order: Order) -> BaseUnit:
        watch = _Stopwatch()
        unit = self._inner.encode(frame, order)
        self._spent(watch.lap_ms())
        return unit

    def close(self) -> None:
        self._inner.close()


@final
class RestoreStepper:
    """What a receiver does to a picture coded at two thirds: scale it up, then sharpen it.

    Raises:
        UnsupportedError: no network in this build.
    """

    def __init__(self, clip: Clip) -> None:
        self._networks = open_networks()
        if self._networks.fault:
            raise UnsupportedError(self._networks.fault)
        self._down, self._up = Resampler("area"), Resampler("lanczos")
        self._small_size = [round(side * _RESTORED_SCALE / 2) * 2 for side in clip.size]
        self._output: Plane | None = None
        self._hidden: Hidden | None = None

    def step(self, frame: Frame) -> Stages:
        small = self._down.resize(frame, *self._small_size)
        watch = _Stopwatch()
        current = self._up.resize(small, *frame.size).y
        scale_ms = watch.lap_ms()
        made = self._networks.restore(
            current,
            current if self._output is None else self._output,
            self._hidden,
            quantizer=200,
            scale=_RESTORED_SCALE,
            reference=True,
        )
        if made is None:
            raise UnsupportedError(f"the network failed: {dict(self._networks.faults)}")
        self._output, self._hidden = made.luma, made.hidden
        return {"scale up": scale_ms, "restore": watch.lap_ms()}

    def close(self) -> None:
        self._hidden = None


def _native(codec: NativeCodec, recipe: Recipe) -> MakeStepper:
    def opened(clip: Clip) -> Stepper:
        encoder = PyavEncoder(recipe, clip.fps)
        return BaseStepper(encoder, open_decoder(codec), bitrate_for(clip))

    return opened


def _svt(preset: int) -> MakeStepper:
    def opened(clip: Clip) -> Stepper:
        encoder = SvtAv1(
            clip.size,
            clip.fps,
            preset=preset,
            screen=clip.kind is Kind.SCREEN,
            realtime=preset >= REALTIME_FROM,
        )
        return BaseStepper(encoder, Dav1dDecoder(), 0)

    return opened


def _aom(speed: int) -> MakeStepper:
    def opened(clip: Clip) -> Stepper:
        from auralink.codecs.base.aom import AomAv1

        encoder = AomAv1(clip.size, speed=speed, screen=clip.kind is Kind.SCREEN)
        return BaseStepper(encoder, Dav1dDecoder(), 0)

    return opened


STEPPERS: Final[dict[str, MakeStepper]] = {
    "vp8": _native("vp8", vp8_recipe()),
    "x264-veryfast": _native("h264", h264_recipe()),
    "vp9-rt8": _native("vp9", vp9_recipe()),
    **{f"svt-p{preset}": _svt(preset) for preset in range(4, 13)},
    **{f"aom-s{speed}": _aom(speed) for speed in (6, 7, 9)},
    "hybrid": lambda clip: ProfileStepper("hybrid", clip),
    "neural-s": lambda clip: LearnedStepper("neural-s", clip),
    "restore": RestoreStepper,
}
