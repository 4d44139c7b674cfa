"""Bits of an AV1 header, most significant first (AV1 specification 4.10)."""

from typing import Final

from auralink.codecs.errors import BitstreamError

WINDOW_BYTES: Final = 1024  # longer than any header is up to the quantizer


class BitReader:
    """Read unsigned fields; reading past the end raises :class:`BitstreamError`."""

    def __init__(self, data: bytes) -> None:
        window = data[:WINDOW_BYTES]
        self._value = int.from_bytes(window, "big")
        self._left = 8 * len(window)

    def bits(self, count: int) -> int:
        """``f(n)``: an unsigned number of ``count`` bits."""
        self._left -= count
        if self._left < 0:
            raise BitstreamError("AV1 header cut off")
        return self._value >> self._left & (1 << count) - 1

    def flag(self) -> bool:
        return self.bits(1) == 1

    def uvlc(self) -> int:
        """A number after as many zeros as it has bits, less one."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros == 32:
                return (1 << 32) - 1
        return self.bits(zeros) + (1 << zeros) - 1

    def below(self, limit: int) -> int:
        """``ns(n)``: a number below ``limit``, in one bit less where that suffices."""
        width = limit.bit_length()
        short = (1 << width) - limit
        value = self.bits(width - 1)
        if value < short:
            return value
        return (value << 1) - short + self.bits(1)
