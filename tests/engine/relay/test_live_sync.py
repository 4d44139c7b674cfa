"""Sound and picture of one moment stay together, as a browser would align them."""

import asyncio
import time
from fractions import Fraction

import av
import numpy as np
from aiortc import MediaStreamTrack

from auralink.codecs.frame import Frame
from auralink.engine.relay.options import RelayOptions
from auralink.engine.room.transport import AudioOffer

from ..room.people import camera, member, until
from ..room.server import Server
from .relays import relay

PERIOD_S, FLASH_S = 1.0, 0.2


def flashing(at_s: float) -> bool:
    return at_s % PERIOD_S < FLASH_S


class Beeps(MediaStreamTrack):
    """A tone whenever the picture flashes."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._started = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        at_s = self._started + self._count / 48_000
        await asyncio.sleep(max(0.0, at_s - time.monotonic()))
        times = at_s + np.arange(960) / 48_000
        wave = 12_000 * np.sin(2 * np.pi * 700 * times) * (times % PERIOD_S < FLASH_S)
        frame = av.AudioFrame.from_ndarray(
            wave.astype(np.int16).reshape(1, -1), format="s16", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self._count, Fraction(1, 48_000)
        self._count += 960
        return frame


def picture(_: int) -> Frame:
    level = 220 if flashing(time.monotonic()) else 40
    luma = np.full((120, 160), level, np.uint8)
    chroma = np.full((60, 80), 128, np.uint8)
    return Frame(y=luma, u=chroma, v=chroma, pts_us=0)


async def test_sound_and_picture_stay_within_40_ms(livekit: Server, room: str) -> None:
    near, far = room + "-near", room + "-far"
    flashes: list[int] = []
    beeps: list[int] = []
    bright = loud = False

    def see(frame: av.VideoFrame, captured_us: int | None) -> None:
        nonlocal bright
        now_bright = int(np.frombuffer(memoryview(frame.planes[0]), np.uint8)[:160].mean()) > 130
        if now_bright and not bright and captured_us is not None:
            flashes.append(captured_us)
        bright = now_bright

    def hear(frame: av.AudioFrame, captured_us: int | None) -> None:
        nonlocal loud
        strong = np.abs(frame.to_ndarray().reshape(-1)[::2].astype(int)) > 3_000
        if strong.any() and not loud and captured_us is not None:
            beeps.append(captured_us + int(np.argmax(strong)) * 1_000_000 // 48_000)
        loud = bool(strong.any())

    async with (
        member(livekit, near, "alice") as (alice, _),
        member(livekit, far, "bob") as (bob, seen),
        relay(livekit, near, far, RelayOptions(rate_bps=200_000)),
        camera(alice, picture),
    ):
        alice.publish_audio(AudioOffer(name="mic", make_track=Beeps))
        await until(lambda: seen.track("aic/alice/cam") and seen.track("aic/alice/mic"))
        bob.subscribe_video(seen.track("aic/alice/cam"), see)
        bob.subscribe_audio(seen.track("aic/alice/mic"), hear)
        await until(lambda: len(flashes) > 7 and len(beeps) > 7, "flashes and beeps", 30)

    apart = [min((beep - flash for beep in beeps), key=abs) / 1e3 for flash in flashes[2:-1]]
    assert abs(float(np.median(apart))) <= 40, apart
