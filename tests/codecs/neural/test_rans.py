"""The entropy coder: its twin in plain Python, constriction as oracle of the length."""

import constriction
import numpy as np
import pytest

from auralink.codecs.errors import BitstreamError
from auralink.codecs.neural import rans

ROWS, SYMBOLS = 5, 17


def draw(seed: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tables, rows and symbols drawn from them."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(SYMBOLS, 0.2), ROWS)
    table = rans.cumulative(rans.frequencies(probabilities))
    rows = rng.integers(0, ROWS, count)
    places = rng.integers(0, rans.TOTAL, count)
    found = np.array(
        [np.searchsorted(table[r], p, side="right") - 1 for r, p in zip(rows, places, strict=True)],
        np.int64,
    ).reshape(count)
    return table, rows, found


def slots_of(table: np.ndarray, rows: np.ndarray, symbols: np.ndarray) -> np.ndarray:
    start, end = table[rows, symbols], table[rows, symbols + 1]
    return np.stack([start, end - start], 1)


@pytest.mark.parametrize("count", [0, 1, 2, 500, 5000])
def test_symbols_come_back_and_the_stream_ends_where_it_should(count: int) -> None:
    table, rows, symbols = draw(count, count)
    reader = rans.Reader(rans.encode(slots_of(table, rows, symbols)))

    assert reader.symbols(table, rows).tolist() == symbols.tolist()
    reader.finish()


def test_both_twins_write_and_read_the_same() -> None:
    table, rows, symbols = draw(1, 3000)
    slots = slots_of(table, rows, symbols)
    stream = rans.encode(slots)

    assert rans.encode_plainly(slots) == stream
    reader = rans.PlainReader(stream)
    assert [reader.symbol(table[row]) for row in rows] == symbols.tolist()
    reader.finish()


def test_length_is_that_of_constriction() -> None:
    table, rows, symbols = draw(2, 20_000)
    ours = len(rans.encode(slots_of(table, rows, symbols)))
    oracle = constriction.stream.stack.AnsCoder()
    for row in reversed(range(ROWS)):
        frequencies = np.diff(table[row].astype(np.int64)) / rans.TOTAL
        model = constriction.stream.model.Categorical(frequencies.astype(np.float32), perfect=True)
        oracle.encode_reverse(symbols[rows == row].astype(np.int32), model)

    theirs = len(oracle.get_compressed()) * 4

    assert abs(ours - theirs) <= 8 + 0.001 * theirs


def test_a_rare_symbol_costs_fifteen_bits_and_a_sure_one_next_to_none() -> None:
    table = rans.cumulative(rans.frequencies(np.array([[1.0, 0.0]])))
    sure, rare = (np.full(1000, s) for s in (0, 1))
    rows = np.zeros(1000, np.int64)

    assert len(rans.encode(slots_of(table, rows, sure))) == rans.STATE_BYTES
    assert len(rans.encode(slots_of(table, rows, rare))) == pytest.approx(1875, abs=5)


def test_any_single_damaged_bit_is_noticed() -> None:
    table, rows, symbols = draw(3, 300)
    stream = rans.encode(slots_of(table, rows, symbols))
    for bit in range(8 * len(stream)):
        damaged = bytearray(stream)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BitstreamError):
            _read_all(bytes(damaged), table, rows)


@pytest.mark.parametrize("cut", [0, 3, 4, 50])
def test_a_cut_stream_is_noticed(cut: int) -> None:
    table, rows, symbols = draw(4, 300)
    stream = rans.encode(slots_of(table, rows, symbols))

    with pytest.raises(BitstreamError, match=r"cut off|damaged"):
        _read_all(stream[:cut], table, rows)


def test_bytes_behind_the_end_are_noticed() -> None:
    table, rows, symbols = draw(5, 300)

    with pytest.raises(BitstreamError, match="damaged"):
        _read_all(rans.encode(slots_of(table, rows, symbols)) + b"\0", table, rows)


def test_frequencies_are_positive_and_whole_whatever_the_probabilities() -> None:
    made = rans.frequencies(np.array([[1.0, 0.0, 0.0], [1e-9, 1.0, 1.0], [1.0, 1.0, 1.0]]))

    assert (made >= 1).all()
    assert (made.sum(1) == rans.TOTAL).all()


def test_tables_that_cannot_be_coded_are_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        rans.cumulative(np.array([[rans.TOTAL, 0]]))
    with pytest.raises(ValueError, match="32768"):
        rans.cumulative(np.array([[1, 2]]))


def _read_all(stream: bytes, table: np.ndarray, rows: np.ndarray) -> None:
    reader = rans.Reader(stream)
    reader.symbols(table, rows)
    reader.finish()
