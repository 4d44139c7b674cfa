"""Pictures to payloads and back: both ends hold the same state, and a loss costs what it must."""

import numpy as np
import pytest

from auralink.codecs.errors import BitstreamError
from auralink.codecs.neural import packing, picture_code
from auralink.codecs.neural.picture_code import Made, State
from auralink.codecs.neural.tiles import Grid

from ..pictures import moving, psnr
from .networks import LinearNetworks

NETWORKS = LinearNetworks()
SIZE = (150, 90)  # no multiples of 16
GRID = packing.grid_of(*SIZE)
LEVEL = 120


def picture(number: int) -> packing.Planes:
    return packing.padded(moving(number, SIZE))


def coded(count: int, limit: int = 985) -> list[Made]:
    made = [picture_code.encode_key(NETWORKS, picture(0), LEVEL, limit)]
    for number in range(1, count):
        before = made[-1].state
        made.append(picture_code.encode_delta(NETWORKS, picture(number), before, LEVEL, limit))
    return made


def same(a: State, b: State) -> bool:
    planes = zip(
        (a.planes.y, a.planes.u, a.planes.v), (b.planes.y, b.planes.u, b.planes.v), strict=True
    )
    return np.array_equal(a.features, b.features) and all(np.array_equal(*p) for p in planes)


def test_packing_keeps_every_sample_at_its_place() -> None:
    planes = picture(3)
    packed = packing.pack(planes)

    assert packed.shape == (96, 12, 20)
    assert packed[8 * 5 + 2, 1, 3] == planes.y[8 + 5, 24 + 2]
    assert packed[64 + 4 * 1 + 3, 2, 0] == planes.u[8 + 1, 3]
    assert packed[80, 11, 19] == planes.v[44, 76]
    again = packing.unpack(packed)
    for name in ("y", "u", "v"):
        assert np.array_equal(getattr(again, name), getattr(planes, name))


def test_both_ends_hold_the_same_state_frame_after_frame() -> None:
    state = None
    for made in coded(8):
        read = picture_code.decode(NETWORKS, GRID, made.payloads, state)
        state = read.state
        assert read.whole
        assert same(state, made.state)

    assert psnr(state.planes.y, picture(7).y) > 17


def test_finer_levels_are_closer_and_larger() -> None:
    coarse, fine = (picture_code.encode_key(NETWORKS, picture(0), level) for level in (20, 235))

    close, far = (psnr(made.state.planes.y, picture(0).y) for made in (fine, coarse))
    assert close > far + 0.2
    assert sum(map(len, fine.payloads)) > sum(map(len, coarse.payloads))


def test_a_picture_that_stays_need_not_be_sent() -> None:
    still = coded(1)[0].state
    again = picture_code.encode_delta(NETWORKS, still.planes, still, LEVEL, skippable=True)
    must = picture_code.encode_delta(NETWORKS, still.planes, still, LEVEL)

    assert again.silent
    assert again.state is still
    assert not must.silent
    assert same(picture_code.decode(NETWORKS, GRID, must.payloads, still).state, must.state)


def test_a_lost_packet_costs_its_cells_and_not_the_picture() -> None:
    key, delta = coded(2, limit=120)
    assert len(delta.payloads) > 1

    read = picture_code.decode(NETWORKS, GRID, delta.payloads[1:], key.state)

    assert not read.whole
    held, lost = psnr(delta.state.planes.y, picture(1).y), psnr(read.state.planes.y, picture(1).y)
    assert held - 8 < lost < held
    assert (read.state.planes.y == delta.state.planes.y).mean() > 0.4


def test_a_predicted_picture_needs_a_state_of_its_size() -> None:
    key, delta = coded(2)
    for before in (None, State(planes=key.state.planes, features=key.state.features)):
        grid = GRID if before is None else Grid(GRID.rows + 1, GRID.columns)
        with pytest.raises(BitstreamError):
            picture_code.decode(NETWORKS, grid, delta.payloads, before)


def test_nothing_good_is_an_error() -> None:
    with pytest.raises(BitstreamError, match="nothing arrived"):
        picture_code.decode(NETWORKS, GRID, [], None)
