"""Frames to packets and back: sizes, independence, loss, damage."""

from dataclasses import replace

import numpy as np
import pytest

from auralink.codecs.errors import BitstreamError, EncoderError
from auralink.codecs.neural import frame_code, packet
from auralink.codecs.neural.tiles import Grid, Tile, coset_of

from .samples import model, symbols

GRID = Grid(9, 11)
FREE = 100_000  # a limit that every frame here keeps


def dealt(frame: frame_code.Symbols, share: float) -> tuple[list[bytes], frame_code.Symbols]:
    """Payloads under a limit that is a share of the frame's size in one packet."""
    (alone,), _ = frame_code.write(model(), frame, FREE)
    return frame_code.write(model(), frame, int(len(alone) * share))


def same(a: frame_code.Symbols, b: frame_code.Symbols) -> bool:
    arrays = ("hyper", "vectors", "latent", "held")
    return a.settings == b.settings and all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in arrays
    )


@pytest.mark.parametrize("intra", [True, False])
@pytest.mark.parametrize(("share", "packets"), [(1.0, 1), (0.75, 2), (0.45, 4)])
def test_a_frame_comes_back_from_its_packets(intra: bool, share: float, packets: int) -> None:
    payloads, seen = dealt(symbols(intra=intra, busy=0.5), share)

    assert len(payloads) == packets
    assert same(frame_code.read(model(), GRID, payloads), seen)


def test_what_is_written_differs_from_what_was_wished_only_in_quiet_places() -> None:
    frame = symbols(busy=0.3)
    _, seen = frame_code.write(model(), frame, FREE)
    changed = seen.latent != frame.latent

    assert changed.any()
    assert not seen.latent[changed].any()


def test_a_frame_too_large_for_four_packets_is_cut_into_tiles() -> None:
    frame = symbols(40, 40, intra=True, busy=0.6)
    payloads, seen = frame_code.write(model(), frame)

    assert len(payloads) > 4
    assert max(map(len, payloads)) <= frame_code.MAX_PAYLOAD
    assert same(frame_code.read(model(), Grid(40, 40), reversed(payloads)), seen)


def test_each_packet_is_read_alone_and_tells_its_own_cells() -> None:
    payloads, seen = dealt(symbols(busy=0.7), 0.45)
    cosets = coset_of(9, 11, 4)
    assert len(payloads) == 4

    for coset, payload in enumerate(payloads):
        alone = frame_code.read(model(), GRID, [payload])
        own = cosets == coset
        assert np.array_equal(alone.held, own)
        assert np.array_equal(alone.latent[:, own], seen.latent[:, own])
        assert not alone.latent[:, ~own].any()
        assert np.array_equal(alone.hyper, seen.hyper)


def test_a_lost_packet_leaves_every_cell_of_the_others_as_it_was() -> None:
    payloads, seen = dealt(symbols(busy=0.7), 0.45)
    kept = frame_code.read(model(), GRID, payloads[1:])

    assert np.array_equal(kept.latent[:, kept.held], seen.latent[:, kept.held])
    assert np.array_equal(kept.held, coset_of(9, 11, 4) != 0)


def test_a_lost_cell_moves_like_its_neighbours() -> None:
    frame = symbols(busy=0.7)
    frame = replace(frame, vectors=np.full_like(frame.vectors, 12))
    payloads, _ = dealt(frame, 0.45)

    kept = frame_code.read(model(), GRID, payloads[1:])

    assert (kept.vectors == 12).all()


def test_a_block_that_fits_no_packet_is_the_encoders_fault() -> None:
    with pytest.raises(EncoderError, match="coarser"):
        frame_code.write(model(), symbols(busy=0.7), limit=40)


def test_packets_of_another_frame_are_passed_over() -> None:
    payloads, seen = dealt(symbols(busy=0.7), 0.45)
    other, _ = frame_code.write(model(), symbols(intra=True, busy=0.01))

    assert same(frame_code.read(model(), GRID, [*payloads, *other]), seen)


def test_damaged_packets_are_passed_over_and_nothing_good_is_an_error() -> None:
    payloads, _ = dealt(symbols(busy=0.7), 0.45)
    broken = bytes([*payloads[0][:-1], payloads[0][-1] ^ 1])

    assert not frame_code.read(model(), GRID, [broken, payloads[1]]).held.all()
    with pytest.raises(BitstreamError, match="damaged"):
        frame_code.read(model(), GRID, [broken])
    with pytest.raises(BitstreamError, match="nothing"):
        frame_code.read(model(), GRID, [])


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b"", "ends inside"),
        (b"\x01\x80\x00", "ends inside"),
        (b"\xc0\x80", "eight"),
        (b"\x10\x80", "packet 1 of 1"),
        (b"\x01\x80\x03\x00\x01\x01", "not inside"),
        (b"\x01\x80\x00\x00\x00\x01", "not inside"),
        (b"\x00\x80\x00\x00", "cut off"),
    ],
)
def test_impossible_headers_are_refused(header: bytes, message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        packet.read(model(), GRID, header)


def test_grids_beyond_the_largest_picture_are_refused() -> None:
    with pytest.raises(BitstreamError, match="cells"):
        Grid(257, 1)


def test_tiles_halve_until_a_single_block_is_left() -> None:
    tiles = [Tile(0, 0, 3, 5)]
    blocks = []
    while tiles:
        tile = tiles.pop()
        halves = tile.halves()
        if halves is None:
            blocks.append((tile.top, tile.left))
        else:
            tiles += halves

    assert sorted(blocks) == [(i, j) for i in range(3) for j in range(5)]
