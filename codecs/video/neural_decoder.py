"""Decode units of the learned profiles: what arrived of each, and concealment for the rest.

::

    packets ──► parts ──► the state they build on is held?
                            │ yes                    │ no: the newest one takes its place
                            ▼                        ▼
                        picture code ──► state ──► Picture, and whether the encoder has the same

A cell whose packet is missing moves like its neighbours and gets no residual.  From there on this
end has another picture than the encoder; it goes on with it and says so (`Status.CONCEALED`) until
a unit builds on a state that is the encoder's.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, final

from auralink.codecs.errors import AuraLinkError, BitstreamError
from auralink.codecs.frame import Frame
from auralink.codecs.neural import picture_code
from auralink.codecs.neural.networks import NeuralNetworks
from auralink.codecs.neural.packing import MAX_AREA, cropped, grid_of
from auralink.codecs.neural.picture_code import State
from auralink.codecs.neural.ring import Ring
from auralink.codecs.video.depacketizer_unit import UnitReader
from auralink.codecs.video.packetizer import Unit
from auralink.codecs.video.protocol import Kind, Picture, Status
from auralink.codecs.video.syntax import StreamConfig

OpenNeural: TypeAlias = Callable[[str | int], NeuralNetworks]  # by name or by id


@dataclass(frozen=True, slots=True)
class _Held:
    state: State
    exact: bool  # the encoder has the same


@final
class NeuralDecoder:
    """A ``VideoDecoder`` for the learned profiles.

    Args:
        open_networks: finds the networks that a stream names; `UnsupportedError` if it cannot.
    """

    def __init__(self, open_networks: OpenNeural) -> None:
        self._open = open_networks
        self._networks: NeuralNetworks | None = None
        self._reader = UnitReader()
        self._held: Ring[_Held] = Ring()
        self._shown: Frame | None = None
        self._number = 0

    def decode(self, packets: Sequence[bytes]) -> Picture:
        try:
            unit = self._reader.read_parts(packets)
            self._number = unit.number
            if unit.kind is Kind.SKIP:
                return self._repeat(unit)
            if unit.config is not None:
                self._start(unit.config)
            return self._decode(unit)
        except AuraLinkError as error:
            return self._frozen(str(error))

    def close(self) -> None:
        self._held.clear()

    def _start(self, config: StreamConfig) -> None:
        self._held.clear()
        if config.width * config.height > MAX_AREA:
            raise BitstreamError(
                f"picture of {config.width}x{config.height} by networks: up to {MAX_AREA:,} "
                "samples are decoded"
            )
        if self._networks is None or self._networks.model_id != config.model_id:
            self._networks = None
            self._networks = self._open(config.model_id)

    def _decode(self, unit: Unit) -> Picture:
        config, networks = self._reader.config, self._networks
        if config is None or networks is None:
            raise BitstreamError("no key unit yet")
        before = self._before(unit)
        grid = grid_of(config.width, config.height)
        if unit.kind is Kind.DELTA and before is None:
            raise BitstreamError("no key unit yet")
        state = None if before is None else before.state
        read = picture_code.decode(networks, grid, unit.parts, state)
        exact = read.whole and not unit.lost and (before is None or before.exact)
        self._held.keep(unit.number, _Held(read.state, exact))
        self._shown = cropped(read.state.planes, config.width, config.height, unit.pts_us)
        status = Status.DECODED if exact else Status.CONCEALED
        return Picture(frame=self._shown, status=status, number=unit.number)

    def _before(self, unit: Unit) -> _Held | None:
        """What a delta unit builds on; the newest state, as one of ours alone, if that is lost."""
        if unit.kind is Kind.KEY:
            return None
        held = self._held.get(unit.depends[0])
        newest = self._held.newest
        if held is not None or newest is None:
            return held
        other = self._held.get(newest)
        return None if other is None else _Held(other.state, exact=False)

    def _repeat(self, unit: Unit) -> Picture:
        if self._shown is None:
            raise BitstreamError("nothing to repeat")
        self._shown = self._shown.at(unit.pts_us)
        return Picture(frame=self._shown, status=Status.REPEATED, number=unit.number)

    def _frozen(self, reason: str) -> Picture:
        return Picture(frame=self._shown, status=Status.FROZEN, number=self._number, reason=reason)
