"""Range variant of asymmetric numeral systems: one stream of bytes for each packet.

Duda, "Asymmetric numeral systems", arXiv:1311.2540; byte-wise renormalisation after Giesen's
``rans_byte``.  Probabilities have 15 bits, the state 31.  The encoder works backwards, so it first
collects what to code, as slots ``(start, frequency)`` in decoding order.

A stream starts with the four bytes of the state.  A decoder that has read every symbol must be back
at the state where the encoder began, with no byte left: 23 bits of proof that nothing was damaged
on the way, at no cost.

`encode` and `Reader` are the codec's.  `encode_plainly` and `PlainReader` say the same without
numba, for tests and for readers.
"""

from typing import Any, Final, TypeAlias, final

import numba
import numpy as np
import numpy.typing as npt

from auralink.codecs.errors import BitstreamError

PRECISION: Final = 15
TOTAL: Final = 1 << PRECISION
LEAST_STATE: Final = 1 << 23
STATE_BYTES: Final = 4

Slots: TypeAlias = npt.NDArray[np.uint32]  # (count, 2): start and frequency
Cumulative: TypeAlias = npt.NDArray[np.uint32]  # (rows, symbols + 1), 0 .. TOTAL
Cursor: TypeAlias = npt.NDArray[np.int64]  # state, position, 1 after an overrun


def cumulative(frequencies: npt.NDArray[Any]) -> Cumulative:
    """Cumulative tables of ``(rows, symbols)`` frequencies that are positive and sum to TOTAL."""
    whole = np.zeros((len(frequencies), frequencies.shape[1] + 1), np.uint32)
    whole[:, 1:] = np.cumsum(frequencies, 1)
    if (np.diff(whole.astype(np.int64)) < 1).any() or (whole[:, -1] != TOTAL).any():
        raise ValueError("every frequency must be positive and every row sum to 32768")
    return whole


def frequencies(probabilities: npt.NDArray[np.float64]) -> npt.NDArray[np.uint16]:
    """Positive integers that sum to TOTAL in each row of ``(rows, symbols)``."""
    count = probabilities.shape[1]
    share = probabilities / probabilities.sum(1, keepdims=True)
    whole = 1 + np.floor(share * (TOTAL - count)).astype(np.int64)
    np.put_along_axis(
        whole,
        whole.argmax(1)[:, None],
        whole.max(1, keepdims=True) + TOTAL - whole.sum(1, keepdims=True),
        1,
    )
    made: npt.NDArray[np.uint16] = whole.astype(np.uint16)
    return made


def encode(slots: Slots) -> bytes:
    """Bytes that decode to these slots in their order."""
    room = np.empty(2 * len(slots) + STATE_BYTES, np.uint8)  # 15 bits per slot at most
    start = _encode(slots, room)
    return room[start:].tobytes()


@final
class Reader:
    """Symbols out of one stream.  ``cursor`` and ``data`` go to numba loops as they are."""

    def __init__(self, stream: bytes) -> None:
        """
        Raises:
            BitstreamError: too short to hold a state, or no state an encoder would write.
        """
        self.data = np.frombuffer(stream, np.uint8)
        self.cursor = np.array([_first_state(stream), STATE_BYTES, 0], np.int64)

    def symbols(self, table: Cumulative, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """One symbol for each of `rows` of the table."""
        out = np.empty(len(rows), np.int64)
        read_symbols(self.data, self.cursor, table, rows, out)
        return out

    def finish(self) -> None:
        """
        Raises:
            BitstreamError: the stream does not end here.
        """
        state, position, overrun = self.cursor.tolist()
        if overrun or state != LEAST_STATE or position != len(self.data):
            raise BitstreamError("entropy-coded data is damaged")


def _first_state(stream: bytes) -> int:
    state = int.from_bytes(stream[:STATE_BYTES], "big")
    if len(stream) < STATE_BYTES or not LEAST_STATE <= state < LEAST_STATE << 8:
        raise BitstreamError("entropy-coded data is cut off or damaged")
    return state


@numba.njit(cache=True, nogil=True)
def _encode(slots, room):  # type: ignore[no-untyped-def]
    state, at = np.int64(LEAST_STATE), len(room)
    for k in range(len(slots) - 1, -1, -1):
        start, frequency = np.int64(slots[k, 0]), np.int64(slots[k, 1])
        limit = ((LEAST_STATE >> PRECISION) << 8) * frequency
        while state >= limit:
            at -= 1
            room[at] = state & 255
            state >>= 8
        state = ((state // frequency) << PRECISION) + state % frequency + start
    for shift in (0, 8, 16, 24):
        at -= 1
        room[at] = (state >> shift) & 255
    return at


@numba.njit(cache=True, nogil=True)
def advance(data, cursor, start, frequency):  # type: ignore[no-untyped-def]
    """Leave a slot.  Past the end of the stream zeros are read and the overrun is noted."""
    state = frequency * (cursor[0] >> PRECISION) + (cursor[0] & (TOTAL - 1)) - start
    while state < LEAST_STATE:
        byte = 0
        if cursor[1] < len(data):
            byte = data[cursor[1]]
            cursor[1] += 1
        else:
            cursor[2] = 1
        state = state << 8 | byte
    cursor[0] = state


@numba.njit(cache=True, nogil=True)
def read_symbol(data, cursor, row):  # type: ignore[no-untyped-def]
    """One symbol of a cumulative row; zero comes first, and is what most symbols are."""
    place = cursor[0] & (TOTAL - 1)
    symbol = 0
    while np.int64(row[symbol + 1]) <= place:
        symbol += 1
    start = np.int64(row[symbol])
    advance(data, cursor, start, np.int64(row[symbol + 1]) - start)
    return symbol


@numba.njit(cache=True, nogil=True)
def read_bits(data, cursor, count):  # type: ignore[no-untyped-def]
    """`count` plain bits, 0 to 15."""
    shift = PRECISION - count
    value = (cursor[0] & (TOTAL - 1)) >> shift
    advance(data, cursor, value << shift, np.int64(1) << shift)
    return value


@numba.njit(cache=True, nogil=True)
def read_symbols(data, cursor, table, rows, out):  # type: ignore[no-untyped-def]
    for k in range(len(rows)):
        out[k] = read_symbol(data, cursor, table[rows[k]])


@numba.njit(cache=True, nogil=True)
def put_symbol(slots, count, row, symbol):  # type: ignore[no-untyped-def]
    """Append a symbol of a cumulative row; the new count."""
    slots[count, 0] = row[symbol]
    slots[count, 1] = row[symbol + 1] - row[symbol]
    return count + 1


@numba.njit(cache=True, nogil=True)
def put_bits(slots, count, value, bits):  # type: ignore[no-untyped-def]
    slots[count, 0] = value << (PRECISION - bits)
    slots[count, 1] = 1 << (PRECISION - bits)
    return count + 1


def encode_plainly(slots: Slots) -> bytes:
    """`encode` in plain Python."""
    state, out = LEAST_STATE, bytearray()
    for start, frequency in reversed(slots.tolist()):
        while state >= ((LEAST_STATE >> PRECISION) << 8) * frequency:
            out.append(state & 255)
            state >>= 8
        state = (state // frequency << PRECISION) + state % frequency + start
    return state.to_bytes(STATE_BYTES, "big") + bytes(reversed(out))


@final
class PlainReader:
    """`Reader` in plain Python and numpy."""

    def __init__(self, stream: bytes) -> None:
        self._stream, self._state, self._at = stream, _first_state(stream), STATE_BYTES

    def symbol(self, row: npt.NDArray[np.uint32]) -> int:
        place = self._state % TOTAL
        symbol = int(np.searchsorted(row, place, side="right")) - 1
        start, end = int(row[symbol]), int(row[symbol + 1])
        self._state = (end - start) * (self._state >> PRECISION) + place - start
        while self._state < LEAST_STATE:
            if self._at == len(self._stream):
                raise BitstreamError("entropy-coded data is cut off")
            self._state = self._state << 8 | self._stream[self._at]
            self._at += 1
        return symbol

    def finish(self) -> None:
        if self._state != LEAST_STATE or self._at != len(self._stream):
            raise BitstreamError("entropy-coded data is damaged")
