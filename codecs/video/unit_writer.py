"""Number what is coded, and write it as packets with their parity."""

from typing import Final, final

from auralink.codecs.av1.obu import strip
from auralink.codecs.base.protocol import BaseUnit
from auralink.codecs.frame import Frame
from auralink.codecs.video.packetizer import Packetizer, Unit
from auralink.codecs.video.parity import ParitySender
from auralink.codecs.video.protocol import Coded, Kind, Outcome
from auralink.codecs.video.syntax import Profile, StreamConfig

RESTORE_MODEL: Final = 1  # the super-resolution weights that hybrid streams ask for


@final
class UnitWriter:
    """The wire end of an encoder.

    Args:
        neural: streams with a base smaller than the picture ask for the network.
        first: number of the first unit.
    """

    def __init__(self, profile: Profile, *, fps: float, neural: bool, first: int = 0) -> None:
        self._profile = profile
        self._interval_ns = round(1e9 / fps)
        self._neural = neural
        self._packetizer = Packetizer()
        self._parity = ParitySender()
        self._number = first
        self._last_coded = first  # number of the newest unit with a picture

    @property
    def number(self) -> int:
        """Of the next unit."""
        return self._number

    def coded(self, frame: Frame, unit: BaseUnit, *, base: tuple[int, int], parity: float) -> Coded:
        """Write a unit that the base encoder made of ``frame``, coded with ``base`` as its size."""
        kind = Kind.KEY if unit.key else Kind.DELTA
        payload = strip(unit.data) if self._profile.base_codec == "av1" else unit.data
        packets = self._packetizer.packetize(
            Unit(
                kind=kind,
                number=self._number,
                reference=unit.reference,
                depends=unit.depends,
                pts_us=frame.pts_us,
                config=self._config(frame, base) if unit.key else None,
                payload=payload,
            )
        )
        repairs = self._parity.protect(packets, reference=unit.reference, strength=parity)
        size = sum(map(len, packets))
        self._last_coded = self._number
        self._number += 1
        return Coded(
            outcome=Outcome.CODED,
            packets=packets + repairs,
            number=self._last_coded,
            kind=kind,
            reference=unit.reference,
            layer=unit.layer,
            quantizer=unit.quantizer,
            base_size=base,
            payload_bytes=len(payload),
            header_bytes=size - len(payload),
            parity_bytes=sum(map(len, repairs)),
        )

    def learned(
        self,
        frame: Frame,
        parts: tuple[bytes, ...],
        *,
        depends: tuple[int, ...],
        level: int,
        model_id: int,
        parity: float,
    ) -> Coded:
        """Write a unit whose parts can be read alone; a key if it depends on nothing."""
        key = not depends
        packets = self._packetizer.packetize(
            Unit(
                kind=Kind.DELTA if depends else Kind.KEY,
                number=self._number,
                reference=True,
                depends=depends,
                pts_us=frame.pts_us,
                config=self._config(frame, frame.size, model_id) if key else None,
                parts=parts,
            )
        )
        repairs = self._parity.protect(packets, reference=True, strength=parity)
        payload_bytes = sum(map(len, parts))
        self._last_coded = self._number
        self._number += 1
        return Coded(
            outcome=Outcome.CODED,
            packets=packets + repairs,
            number=self._last_coded,
            kind=Kind.KEY if key else Kind.DELTA,
            quantizer=level,
            base_size=frame.size,
            payload_bytes=payload_bytes,
            header_bytes=sum(map(len, packets)) - payload_bytes,
            parity_bytes=sum(map(len, repairs)),
            conceals=True,
        )

    def skipped(self, frame: Frame, *, base: tuple[int, int]) -> Coded:
        """Write that the newest coded picture stays for ``frame``."""
        packets = self._packetizer.packetize(
            Unit(
                kind=Kind.SKIP,
                number=self._number,
                reference=False,
                depends=(self._last_coded,),
                pts_us=frame.pts_us,
            )
        )
        self._number += 1
        return Coded(
            outcome=Outcome.SKIPPED,
            packets=packets,
            number=self._number - 1,
            kind=Kind.SKIP,
            reference=False,
            base_size=base,
            header_bytes=sum(map(len, packets)),
        )

    def _config(
        self, frame: Frame, base: tuple[int, int], model_id: int | None = None
    ) -> StreamConfig:
        if model_id is None:
            model_id = RESTORE_MODEL if base != frame.size and self._neural else 0
        return StreamConfig(
            profile=self._profile,
            width=frame.width,
            height=frame.height,
            base_width=base[0],
            base_height=base[1],
            model_id=model_id,
            pts_us=frame.pts_us,
            interval_ns=self._interval_ns,
        )
