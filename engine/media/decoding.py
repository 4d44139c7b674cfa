"""An ``.aic`` file through an emulated link and a decoder, one value per unit.  Prints nothing."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, final

from auralink.codecs.errors import BitstreamError
from auralink.codecs.frame import Frame
from auralink.codecs.video.container import read_packets
from auralink.codecs.video.depacketizer_unit import UnitReader
from auralink.codecs.video.packetizer import Unit
from auralink.codecs.video.protocol import Picture, Status, VideoDecoder
from auralink.codecs.video.receiver import Receiver
from auralink.codecs.video.syntax import StreamConfig
from auralink.codecs.video.syntax_packet import Packet, parse_packet
from auralink.engine.link.netem import LinkCounts, LinkSettings, Netem
from auralink.engine.media.faults import bad_file

FALLBACK_INTERVAL_US: Final = 33_333  # until the first configuration says


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUnit:
    """One unit as it stands in the file, with the parity that follows it."""

    packets: tuple[bytes, ...] = field(repr=False)
    offset: int
    unit: Unit | None  # None: its bytes are damaged
    pts_us: int  # capture time; a guess if the unit is damaged


def read_units(path: Path) -> Iterator[FileUnit]:
    """The units of a file in order.

    Raises:
        InputError: there is no such file.
        BitstreamError: not an AIC file, or cut off: names file and offset; all whole units were
            given before.
    """
    with _opened(path) as file:
        reader, pts_us = UnitReader(), -FALLBACK_INTERVAL_US
        for offset, packets in _grouped(path, file):
            data = [packet for packet in packets if _number(packet) is not None]
            unit = None
            try:
                unit = reader.read(data)
                pts_us = unit.pts_us
            except BitstreamError:
                pts_us += _interval_us(reader.config)
            yield FileUnit(packets=packets, offset=offset, unit=unit, pts_us=pts_us)


def stream_config(path: Path) -> StreamConfig:
    """The configuration a file opens with.

    Raises:
        InputError: there is no such file.
        BitstreamError: not an AIC file; names it.
    """
    for unit in read_units(path):
        if unit.unit is not None and unit.unit.config is not None:
            return unit.unit.config
    raise BitstreamError(f"{path}: its first unit is damaged, so its size is unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What is on the screen at the capture time of one unit of the file."""

    pts_us: int
    frame: Frame | None = field(repr=False)  # None: nothing could be shown so far
    picture: Picture | None  # what was decoded for it; None: nothing new arrived
    decode_ms: float

    @property
    def fresh(self) -> bool:
        """True if the picture is the one that was meant to be shown."""
        return self.picture is not None and self.picture.status is not Status.FROZEN


@final
class FilePlayer:
    """Send a file's packets over a link and decode what arrives, in the file's own time.

    Without `link` nothing is lost or late.  Nobody answers for a file: what parity cannot repair
    stays lost until the next key unit.
    """

    def __init__(
        self,
        path: Path,
        decoder: VideoDecoder,
        *,
        link: LinkSettings | None = None,
        seed: int = 1,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._path = path
        self._link = Netem(link or LinkSettings(), seed=seed)
        self._receiver = Receiver(decoder)
        self._clock = clock
        self._frame: Frame | None = None

    @property
    def counts(self) -> LinkCounts:
        """What the link did so far."""
        return self._link.counts

    @property
    def recovered(self) -> int:
        """Packets that parity brought back so far."""
        return self._receiver.statistics().recovered

    def __iter__(self) -> Iterator[Shown]:
        """
        Raises:
            BitstreamError: as :func:`read_units`.
        """
        now_us = 0
        for unit in read_units(self._path):
            now_us = max(now_us, unit.pts_us)
            for packet in unit.packets:
                self._link.send(now_us, packet)
            yield self._show(unit.pts_us, now_us)

    def _show(self, pts_us: int, now_us: int) -> Shown:
        start, picture = self._clock(), None
        for _, datagram in self._link.poll(now_us):
            for picture in self._receiver.push(datagram):
                if picture.frame is not None:
                    self._frame = picture.frame
        spent_s = self._clock() - start
        frame = self._frame.at(pts_us) if self._frame is not None else None
        return Shown(pts_us=pts_us, frame=frame, picture=picture, decode_ms=spent_s * 1000)


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise bad_file(path, "no such file", "check the path") from None
    except OSError as refused:
        what = f"cannot be read: {(refused.strerror or 'error').lower()}"
        raise bad_file(path, what, "name an .aic file that you may read") from refused


def _grouped(path: Path, file: BinaryIO) -> Iterator[tuple[int, tuple[bytes, ...]]]:
    """Packets of one unit together, parity with the unit before it."""
    group: list[bytes] = []
    start, number = 0, None
    try:
        for offset, packet in read_packets(file):
            its_number = _number(packet)
            if group and its_number is not None and its_number != number:
                yield start, tuple(group)
                group.clear()
            if not group:
                start = offset
            number = number if its_number is None else its_number
            group.append(packet)
    except BitstreamError as broken:
        if group:
            yield start, tuple(group)
        error = BitstreamError(f"{path}: {broken}")
        raise error from broken
    if group:
        yield start, tuple(group)


def _number(packet: bytes) -> int | None:
    """Unit number of a data packet; None for parity and for bytes that are no packet."""
    try:
        parsed = parse_packet(packet)
    except BitstreamError:
        return None
    return parsed.number if isinstance(parsed, Packet) else None


def _interval_us(config: StreamConfig | None) -> int:
    return FALLBACK_INTERVAL_US if config is None else max(1, config.interval_ns // 1000)
