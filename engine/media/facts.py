"""What an ``.aic`` file consists of: units, sizes, bytes by section.  Nothing is decoded."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from auralink.codecs.av1.headers import HeaderReader
from auralink.codecs.errors import BitstreamError
from auralink.codecs.video.packetizer import Unit
from auralink.codecs.video.syntax import StreamConfig
from auralink.codecs.video.syntax_packet import Packet, parse_packet
from auralink.engine.media.decoding import FileUnit, read_units


@dataclass(slots=True, kw_only=True)
class Sections:
    """Bytes of a file by what they are for."""

    payload: int = 0  # of the base codec
    configuration: int = 0
    headers: int = 0
    parity: int = 0
    framing: int = 0  # lengths between the packets: in files only, never sent
    damaged: int = 0

    @property
    def wire(self) -> int:
        """What was sent: all but the framing."""
        return self.payload + self.configuration + self.headers + self.parity + self.damaged


@dataclass(slots=True, kw_only=True)
class StreamFacts:
    """Filled while a file is read; complete up to where it broke."""

    path: str
    file_bytes: int = 0
    units: int = 0
    damaged_units: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    bytes_by_kind: dict[str, int] = field(default_factory=dict)
    references: int = 0
    packets: int = 0
    largest_unit: int = 0
    sections: Sections = field(default_factory=Sections)
    configs: list[StreamConfig] = field(default_factory=list)  # each that differs from the last
    first_us: int = 0
    last_us: int = 0
    # AV1 base_q_idx, 0 (finest) to 255, of each unit whose header can be read.
    quantizers: list[int] = field(default_factory=list)
    levels: list[int] = field(default_factory=list)  # quality of a learned codec, 0 to 255 (finest)
    _headers: HeaderReader = field(default_factory=HeaderReader, repr=False)

    @property
    def duration_s(self) -> float:
        """From the first capture time to the last, and one frame."""
        if not self.configs:
            return 0.0
        return (self.last_us - self.first_us) / 1e6 + self.configs[-1].interval_ns / 1e9

    @property
    def bitrate_bps(self) -> float | None:
        return self.sections.wire * 8 / self.duration_s if self.units > 1 else None

    @property
    def fps(self) -> float | None:
        """Units per second of capture time, skips included."""
        return self.units / self.duration_s if self.units > 1 else None

    def add(self, item: FileUnit) -> None:
        size = sum(len(packet) for packet in item.packets)
        if self.units == 0:
            self.first_us = item.pts_us
        self.units += 1
        self.last_us = max(self.last_us, item.pts_us)
        self.packets += len(item.packets)
        self.largest_unit = max(self.largest_unit, size)
        self.sections.framing += sum(1 + (len(packet) > 127) for packet in item.packets)
        if item.unit is None:
            self.damaged_units += 1
            self.sections.damaged += size
            return
        kind = item.unit.kind.name.lower()
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self.bytes_by_kind[kind] = self.bytes_by_kind.get(kind, 0) + size
        self.references += item.unit.reference
        self._add_sections(item, size)
        self._add_quantizer(item.unit)

    def _add_sections(self, item: FileUnit, size: int) -> None:
        unit, parity = item.unit, sum(map(len, _parity(item.packets)))
        assert unit is not None
        # Each packet of a learned codec's key repeats the configuration.
        config = len(unit.config.to_bytes()) * max(1, len(unit.parts)) if unit.config else 0
        payload = len(unit.payload) + sum(map(len, unit.parts))
        self.sections.payload += payload
        self.sections.configuration += config
        self.sections.parity += parity
        self.sections.headers += size - parity - config - payload
        if unit.config and not _same_stream(self.configs, unit.config):
            self.configs.append(unit.config)

    def _add_quantizer(self, unit: Unit) -> None:
        if unit.parts and len(unit.parts[0]) > 1:
            self.levels.append(unit.parts[0][1])
        if not unit.payload or not self.configs or self.configs[-1].profile.base_codec != "av1":
            return
        with suppress(BitstreamError):
            self.quantizers += [header.base_q_idx for header in self._headers.read(unit.payload)]


def examine(path: Path) -> tuple[StreamFacts, BitstreamError | None]:
    """Read a whole file; the error tells where it broke, if it did.

    Raises:
        InputError: there is no such file.
        BitstreamError: it is no AIC file at all.
    """
    facts = StreamFacts(path=str(path))
    broken = None
    try:
        for item in read_units(path):
            facts.add(item)
    except BitstreamError as error:
        if facts.units == 0:
            raise
        broken = error
    facts.file_bytes = path.stat().st_size
    return facts, broken


def _parity(packets: tuple[bytes, ...]) -> Iterator[bytes]:
    for packet in packets:
        try:
            parsed = parse_packet(packet)
        except BitstreamError:
            continue
        if not isinstance(parsed, Packet):
            yield packet


def _same_stream(configs: list[StreamConfig], config: StreamConfig) -> bool:
    if not configs:
        return False
    last = configs[-1]
    return (last.profile, last.width, last.height, last.base_width, last.base_height) == (
        config.profile,
        config.width,
        config.height,
        config.base_width,
        config.base_height,
    )
