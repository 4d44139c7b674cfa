"""Frames through an encoder, one value per frame, for files and for calls.  Prints nothing."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self, final

from auralink.codecs.frame import Frame
from auralink.codecs.video.container import write_packet
from auralink.codecs.video.protocol import Coded, Kind, Outcome, VideoEncoder, Wish
from auralink.engine.media.faults import bad_file
from auralink.engine.media.writer import Partial


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One frame was answered."""

    index: int  # of the frame, from 0
    frame: Frame = field(repr=False)
    coded: Coded
    encode_ms: float


def encode_frames(
    frames: Iterable[Frame],
    encoder: VideoEncoder,
    wish: Callable[[Frame], Wish],
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[Step]:
    """Give every frame to `encoder` with what `wish` says at that moment."""
    for index, frame in enumerate(frames):
        start = clock()
        coded = encoder.encode(frame, wish(frame))
        yield Step(index=index, frame=frame, coded=coded, encode_ms=(clock() - start) * 1000)


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the frames so far."""

    frames: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    kinds: Counter[Kind] = field(default_factory=Counter)
    wire_bytes: int = 0
    payload_bytes: int = 0
    header_bytes: int = 0
    parity_bytes: int = 0
    packets: int = 0
    encode_ms: list[float] = field(default_factory=list)
    first_us: int = 0
    last_us: int = 0
    last_interval_us: int = 0

    def add(self, step: Step) -> None:
        coded, at_us = step.coded, step.frame.pts_us
        if self.frames == 0:
            self.first_us = self.last_us = at_us
        if at_us > self.last_us:
            self.last_interval_us, self.last_us = at_us - self.last_us, at_us
        self.frames += 1
        self.outcomes[coded.outcome] += 1
        if coded.packets:
            self.kinds[coded.kind] += 1
        self.packets += len(coded.packets)
        self.wire_bytes += coded.size
        self.payload_bytes += coded.payload_bytes
        self.header_bytes += coded.header_bytes
        self.parity_bytes += coded.parity_bytes
        self.encode_ms.append(step.encode_ms)

    @property
    def duration_s(self) -> float:
        """Capture time covered, the last frame included."""
        return (self.last_us - self.first_us + self.last_interval_us) / 1e6

    @property
    def bitrate_bps(self) -> float | None:
        """On the wire; None for a single frame, which has no duration."""
        return self.wire_bytes * 8 / self.duration_s if self.duration_s > 0 else None


@final
class AicWriter:
    """Write packets to an ``.aic`` file that gets its name when it is whole."""

    def __init__(self, path: Path) -> None:
        self._file = Partial(path)
        try:
            self._out = self._file.path.open("wb")
        except OSError as refused:
            raise bad_file(
                path, f"cannot be written: {refused.strerror}", "check space and rights"
            ) from refused
        self.bytes = 0

    @property
    def partial(self) -> Path:
        """Where the packets are until :meth:`close` gives the file its name."""
        return self._file.path

    def write(self, packets: Iterable[bytes]) -> None:
        try:
            for packet in packets:
                self.bytes += write_packet(self._out, packet)
        except OSError as refused:
            raise bad_file(
                self.partial, f"cannot be written: {refused.strerror}", "check space and rights"
            ) from refused

    def close(self, *, whole: bool) -> None:
        """End the file; one without any packet is removed."""
        if self._out.closed:
            return
        self._out.close()
        if self.bytes == 0:
            self._file.discard()
        elif whole:
            self._file.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(whole=kind is None)
