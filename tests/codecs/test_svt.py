"""SVT-AV1 under per-frame control, on the real library."""

import gc
import os
import subprocess
import sys
from collections.abc import Collection

import numpy as np
import pytest

from auralink.codecs.base import svt_abi as abi
from auralink.codecs.base.dav1d import Dav1dDecoder
from auralink.codecs.base.protocol import BaseUnit, Order, Sharpening
from auralink.codecs.base.svt import CAMERA_HIERARCHY, SvtAv1, find_library
from auralink.codecs.base.svt_instance import SvtInstance
from auralink.codecs.errors import EncoderError

from .pictures import moving, psnr

SIZE = (176, 144)


def code(
    count: int,
    *,
    quantizers: list[int] | None = None,
    keys: Collection[int] = (),
    preset: int = 10,
) -> list[BaseUnit]:
    encoder = SvtAv1(SIZE, 30, preset=preset, realtime=preset >= 7)
    try:
        return [
            encoder.encode(
                moving(i, SIZE),
                Order(
                    number=i,
                    quantizer=quantizers[i] if quantizers else 40,
                    exact=quantizers is not None,
                    key=i in keys,
                ),
            )
            for i in range(count)
        ]
    finally:
        encoder.close()


def decode(units: list[BaseUnit]) -> list[object]:
    decoder = Dav1dDecoder()
    return [decoder.decode(unit.data, 0).y.tobytes() for unit in units]


def test_gives_one_decodable_unit_per_frame() -> None:
    decoder = Dav1dDecoder()

    for number, unit in enumerate(code(20)):
        assert psnr(decoder.decode(unit.data, 0).y, moving(number, SIZE).y) > 28


def test_uses_exactly_the_quantizer_of_each_frame() -> None:
    quantizers = [30, 50, 40, 63, 20, 20, 60, 35, 45]

    units = code(len(quantizers), quantizers=quantizers)

    assert [unit.quantizer for unit in units] == quantizers
    assert len(units[3].data) < len(units[4].data)


def test_sharpens_the_blocks_it_is_told_to_and_pays_for_no_others() -> None:
    """A still picture, coded coarsely; then its left half finer, then nothing special."""
    size = (256, 128)
    left = np.zeros((2, 4), np.bool_)
    left[:, :2] = True

    def halves(sharpen: bool) -> tuple[list[tuple[float, float]], list[int]]:
        encoder, decoder = SvtAv1(size, 30, preset=8, realtime=True), Dav1dDecoder()
        assert encoder.capabilities.sharpens
        picture, quality, sizes = moving(3, size), [], []
        for number in range(16):
            told = Sharpening(blocks=left, quantizer=15) if sharpen and number == 8 else None
            order = Order(
                number=number, quantizer=63 if number == 0 else 58, exact=True, sharpen=told
            )
            unit = encoder.encode(picture, order)
            sizes.append(len(unit.data))
            shown = decoder.decode(unit.data, 0).y
            quality.append(
                (psnr(shown[:, :128], picture.y[:, :128]), psnr(shown[:, 128:], picture.y[:, 128:]))
            )
        encoder.close()
        return quality, sizes

    plain, plain_sizes = halves(False)
    sharpened, sizes = halves(True)

    assert sharpened[:8] == plain[:8]
    assert sharpened[8][0] > plain[8][0] + 6
    assert sharpened[15][0] > plain[15][0] + 6  # and it stays
    assert sharpened[15][1] < plain[15][1] + 3
    # A map would cost 13 bytes in each frame after the one it is for.
    after = zip(sizes[9:], plain_sizes[9:], strict=True)
    assert max(with_map - without for with_map, without in after) < 8


def test_offsets_follow_the_hierarchy_unless_told_exactly() -> None:
    units = code(9)

    assert [unit.layer for unit in units] == [0, 3, 2, 3, 1, 3, 2, 3, 0]
    assert units[1].quantizer == 40
    assert units[0].quantizer < units[8].quantizer < units[4].quantizer < units[2].quantizer < 40


@pytest.mark.parametrize("preset", [4, 5, 6, 7, 8, 9, 10, 11])
def test_what_is_no_reference_may_be_dropped_without_a_trace(preset: int) -> None:
    units = code(18, preset=preset)
    kept = [unit for unit in units if unit.reference]

    assert len(kept) == (9 if preset >= 5 else 18)
    whole = dict(zip((unit.number for unit in units), decode(units), strict=True))
    thinned = dict(zip((unit.number for unit in kept), decode(kept), strict=True))
    assert all(thinned[number] == whole[number] for number in thinned)


def test_depends_on_the_reference_unit_before() -> None:
    units = code(12, keys={6})

    assert units[6].key
    assert units[6].depends == ()
    assert [unit.depends for unit in units[7:]] == [(6,), (6,), (8,), (8,), (10,)]


def test_changes_size_at_a_key_only() -> None:
    encoder = SvtAv1(SIZE, 30, preset=10)
    encoder.encode(moving(0, SIZE), Order(number=0))

    unit = encoder.encode(moving(1, (96, 64)), Order(number=1, key=True))
    assert Dav1dDecoder().decode(unit.data, 0).size == (96, 64)
    with pytest.raises(EncoderError, match="at a key only"):
        encoder.encode(moving(2, SIZE), Order(number=2))
    encoder.close()


def test_is_dead_after_close_and_says_so() -> None:
    encoder = SvtAv1(SIZE, 30, preset=10)
    encoder.close()
    encoder.close()

    with pytest.raises(EncoderError, match="open a new one"):
        encoder.encode(moving(0, SIZE), Order(number=0))


def test_an_instance_that_gives_no_answer_is_left_behind() -> None:
    """Ten microseconds stand for the thirty seconds that nobody wants to wait in a test."""
    library = abi.load(str(find_library()))
    options = {"w": SIZE[0], "h": SIZE[1], "preset": 10, "pred-struct": 1, "lp": 1}
    instance = SvtInstance(library, options, patience_s=1e-5)

    with pytest.raises(EncoderError, match="left behind: open a new one"):
        instance.code(moving(0, SIZE), 40, key=True)
    assert instance.closed


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads in /proc")
def test_an_encoder_that_nobody_closed_gives_its_threads_back() -> None:
    gc.collect()
    before = len(os.listdir("/proc/self/task"))
    encoders = [SvtAv1(SIZE, 30, preset=10) for _ in range(2)]
    encoders[0].encode(moving(0, SIZE), Order(number=0))
    assert len(os.listdir("/proc/self/task")) > before + 10

    del encoders
    gc.collect()

    # The attendants end right after.
    assert len(os.listdir("/proc/self/task")) <= before + 2


SCHEDULING = """
import os, resource, sys
from auralink.codecs.base import svt, svt_instance
from auralink.codecs.base.protocol import Order
from auralink.codecs.base.scheduling import policies
from auralink.codecs.frame import blank
if sys.argv[1] == "unguarded":
    from contextlib import nullcontext
    svt_instance.keep_scheduling = nullcontext
    # Should such a thread spin, it must not take the machine with it.
    resource.setrlimit(resource.RLIMIT_RTTIME, (5_000_000, 5_000_000))
encoder = svt.SvtAv1((64, 64), 30, preset=10)
encoder.encode(blank(64, 64), Order(number=0))
print(sum(policy != os.SCHED_OTHER for policy in policies().values()))
"""


@pytest.mark.parametrize("guard", ["guarded", "unguarded"])
def test_no_thread_becomes_a_real_time_one(guard: str) -> None:
    """Without the guard root's threads do: the test would notice if it stopped working."""
    run = [sys.executable, "-c", SCHEDULING, guard]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=60)
    found = int(done.stdout)

    if guard == "guarded":
        assert found == 0
    elif os.geteuid() == 0 and _may_be_real_time():
        assert found > 0


def _may_be_real_time() -> bool:
    """CAP_SYS_NICE may be missing even for root, in a container."""
    probe = "import os; os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))"
    return (
        subprocess.run(
            [sys.executable, "-c", probe], capture_output=True, check=False, timeout=60
        ).returncode
        == 0
    )


def test_top_layer_is_the_last_of_the_hierarchy() -> None:
    assert CAMERA_HIERARCHY.top == 3
