"""Decode AIC units made by a base codec, with or without the super-resolution network.

::

    packets ──► unit ──► references held? ──► base decoder ──► crop ──► upscale, network ──► Picture
                             │ no                  │ refused       (only where the base is
                             └──► the last good picture stays       smaller than the picture)

Nothing here raises on bad bytes.  A unit whose references are missing never reaches the base
decoder: one such unit makes dav1d refuse nearly all that follow (measured).
"""

from collections.abc import Callable, Sequence
from typing import Final, final

from auralink.codecs.av1.headers import HeaderReader
from auralink.codecs.av1.obu import restore
from auralink.codecs.base.protocol import BaseDecoder
from auralink.codecs.errors import BitstreamError, DecoderError, InputError
from auralink.codecs.frame import Frame, Plane, crop
from auralink.codecs.resample import Resampler
from auralink.codecs.video.depacketizer_unit import UnitReader
from auralink.codecs.video.geometry import coded_size
from auralink.codecs.video.packetizer import Unit
from auralink.codecs.video.protocol import Hidden, Kind, Networks, Picture, Plain, Status
from auralink.codecs.video.syntax import StreamConfig

OpenBaseDecoder = Callable[[str], BaseDecoder]

_REMEMBERED: Final = 256  # decoded units that others may still depend on


@final
class BaseLayerDecoder:
    """A ``VideoDecoder`` for the hybrid and native profiles.

    Args:
        open_base: makes a decoder for ``av1``, ``vp8``, ``vp9`` or ``h264``.
        networks: what restores a picture coded small; None scales it plainly, and says with each
            picture what a network elsewhere must know (`Picture.plain`).
    """

    def __init__(self, open_base: OpenBaseDecoder, networks: Networks | None = None) -> None:
        self._open_base = open_base
        self._upscale = Upscaler(networks)
        self._leaves_restoring = networks is None
        self._reader = UnitReader()
        self._base: BaseDecoder | None = None
        self._codec = ""
        self._headers = HeaderReader()
        self._held: set[int] = set()  # numbers of units decoded since the key
        self._shown: Frame | None = None
        self._number = 0

    def decode(self, packets: Sequence[bytes]) -> Picture:
        try:
            unit = self._reader.read(packets)
        except BitstreamError as error:
            return self._frozen(str(error))
        self._number = unit.number
        try:
            return self._decode(unit)
        except (BitstreamError, DecoderError, InputError) as error:
            if unit.kind is Kind.KEY:
                self._held.clear()
            return self._frozen(str(error))

    def close(self) -> None:
        if self._base is not None:
            self._base.close()
            self._base = None

    def _decode(self, unit: Unit) -> Picture:
        missing = [number for number in unit.depends if number not in self._held]
        if missing:
            return self._frozen(f"unit {unit.number} needs unit {missing[0]}, which is missing")
        if unit.kind is Kind.SKIP:
            if self._shown is None:
                return self._frozen("nothing to repeat")
            self._shown = self._shown.at(unit.pts_us)
            return Picture(frame=self._shown, status=Status.REPEATED, number=unit.number)
        if unit.config is not None:
            self._start(unit.config)
        config = self._reader.config
        if config is None:
            return self._frozen("no key unit yet")
        frame, quantizer = self._decode_base(unit, config)
        key = unit.kind is Kind.KEY
        shown, restored = self._upscale.upscale(
            frame, config, key=key, quantizer=quantizer, reference=unit.reference
        )
        plain = None
        if self._leaves_restoring and config.model_id and shown is not frame:
            plain = Plain(
                model_id=config.model_id,
                quantizer=quantizer,
                scale=frame.height / config.height,
                reference=unit.reference,
                key=key,
            )
        self._held.add(unit.number)
        if len(self._held) > 2 * _REMEMBERED:
            self._held = {number for number in self._held if unit.number - number < _REMEMBERED}
        self._shown = shown
        return Picture(
            frame=shown,
            status=Status.DECODED,
            number=unit.number,
            restored=restored,
            plain=plain,
        )

    def _start(self, config: StreamConfig) -> None:
        codec = config.profile.base_codec
        if codec is None:
            raise DecoderError(f"profile {config.profile.label} needs a newer decoder")
        if codec != self._codec or self._base is None:
            self.close()
            self._base = self._open_base(codec)
            self._codec = codec
        self._held.clear()

    def _decode_base(self, unit: Unit, config: StreamConfig) -> tuple[Frame, int]:
        """The part of the base picture that counts, and its AV1 base_q_idx (0 for others)."""
        if self._base is None:
            raise DecoderError("no key unit yet")
        data, quantizer = unit.payload, 0
        if self._codec == "av1":
            data = restore(unit.payload)
            headers = self._headers.read(data)
            quantizer = headers[-1].base_q_idx if headers else 0
        frame = self._base.decode(data, unit.pts_us)
        if frame.size != coded_size((config.base_width, config.base_height)):
            raise DecoderError(
                f"base picture of {frame.width}x{frame.height} for a base of "
                f"{config.base_width}x{config.base_height}"
            )
        return crop(frame, config.base_width, config.base_height), quantizer

    def _frozen(self, reason: str) -> Picture:
        return Picture(frame=self._shown, status=Status.FROZEN, number=self._number, reason=reason)


class Upscaler:
    """Bring a base picture to picture size: nothing to do, plain Lanczos, or the network."""

    def __init__(self, networks: Networks | None) -> None:
        self._networks = networks
        self._resampler = Resampler("lanczos")
        self._previous_output: Plane | None = None
        self._hidden: Hidden | None = None

    def upscale(
        self, base: Frame, config: StreamConfig, *, key: bool, quantizer: int, reference: bool
    ) -> tuple[Frame, bool]:
        """Return the picture, and whether the network made it."""
        if base.size == (config.width, config.height):
            return base, False
        plain = self._resampler.resize(base, config.width, config.height)
        luma = self._restore(plain.y, base, config, key, quantizer, reference)
        if luma is None:
            return plain, False
        return Frame(y=luma, u=plain.u, v=plain.v, pts_us=plain.pts_us), True

    def _restore(
        self,
        current: Plane,
        base: Frame,
        config: StreamConfig,
        key: bool,
        quantizer: int,
        reference: bool,
    ) -> Plane | None:
        networks = self._networks
        if networks is None or not config.model_id or networks.model_id != config.model_id:
            return None
        before = self._previous_output
        if key or before is None or before.shape != current.shape:
            before, self._hidden = current, None
        result = networks.restore(
            current,
            before,
            self._hidden,
            quantizer=quantizer,
            scale=base.height / config.height,
            reference=reference,
        )
        if result is None:
            # Start anew with the next picture: a recurrent state with a hole is worse than none.
            self._previous_output = None
            return None
        self._previous_output, self._hidden = result.luma, result.hidden
        return result.luma
