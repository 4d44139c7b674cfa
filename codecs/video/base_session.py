"""Keep one base encoder open: choose it, feed it, replace it when it must change or dies."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol, final

from auralink.codecs.base.hierarchy import Hierarchy
from auralink.codecs.base.protocol import BaseEncoder, BaseUnit, Capabilities, Order
from auralink.codecs.errors import EncoderError
from auralink.codecs.frame import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseSettings:
    """What a base encoder is opened with; a change means another encoder and a key unit."""

    codec: str
    engine: str  # "auto", "svt", "aom", "pyav"; natives ignore it
    fps: float
    preset: int
    screen: bool
    quantizer: float | None = None  # constant quality, for codecs without a quantizer per frame


class OpenBase(Protocol):
    def __call__(self, size: tuple[int, int], settings: BaseSettings) -> BaseEncoder: ...


@final
class BaseSession:
    """One base encoder at a time.  What is coded first after any change is a key unit."""

    def __init__(self, open_base: OpenBase, settings: BaseSettings) -> None:
        self._open_base = open_base
        self._settings = settings
        self._encoder: BaseEncoder | None = None
        self._size = (0, 0)
        self.failures = 0  # encoders that died

    @property
    def settings(self) -> BaseSettings:
        return self._settings

    @property
    def name(self) -> str:
        return "" if self._encoder is None else self._encoder.name

    @property
    def must_key(self) -> bool:
        """The next unit is a key whether asked for or not."""
        return self._encoder is None

    def change(self, **changes: object) -> None:
        """Use other settings from the next frame on."""
        settings = replace(self._settings, **changes)  # type: ignore[arg-type]
        if settings != self._settings:
            self._settings = settings
            self.close()

    def open(self, size: tuple[int, int]) -> tuple[Capabilities, Hierarchy]:
        """Make sure an encoder is open that takes frames of ``size`` at its next key.

        Raises:
            EncoderError, UnsupportedError: none can be opened.
        """
        encoder = self._encoder
        if encoder and size != self._size and not encoder.capabilities.size_at_key:
            self.close()
        if self._encoder is None:
            self._encoder = self._open_base(size, self._settings)
        self._size = size
        return self._encoder.capabilities, self._encoder.hierarchy

    def encode(self, frame: Frame, order: Order) -> BaseUnit:
        """Code a frame.  An encoder that dies is replaced once; then the unit is a key.

        Raises:
            EncoderError: the replacement failed as well.
        """
        if self._encoder is None:
            self.open(frame.size)
            order = replace(order, key=True)
        try:
            return self._require().encode(frame, order)
        except EncoderError:
            self.failures += 1
            self.close()
            self.open(frame.size)
            return self._require().encode(frame, replace(order, key=True))

    def close(self) -> None:
        encoder, self._encoder = self._encoder, None
        if encoder is not None:
            encoder.close()

    def _require(self) -> BaseEncoder:
        if self._encoder is None:
            raise EncoderError("no base encoder is open")
        return self._encoder


Clock = Callable[[], float]  # seconds, monotonic
