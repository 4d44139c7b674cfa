"""Figures from what was published and what was seen."""

from pathlib import Path

import numpy as np
import pytest

from auralink.codecs.errors import InputError
from auralink.codecs.frame import blank
from auralink.engine.rehearsal import marks
from auralink.engine.rehearsal.pictures import Player, write_script
from auralink.engine.rehearsal.seen import Shown, read_published, read_seen, smoothness, spread

STEP_US = 33_000
PUBLISHED = {number: number * STEP_US for number in range(100)}


def shown(number: int, at_us: int) -> Shown:
    return Shown(number, at_us, (640, 360), -1)


def test_a_smooth_call_has_no_freeze() -> None:
    seen = [shown(n, n * STEP_US + 80_000) for n in range(100)]

    found = smoothness(seen, PUBLISHED, 500_000, 2_500_000)

    assert (found.freezes, found.frozen) == (0, 0.0)
    assert found.longest_ms == pytest.approx(33)
    assert found.fps == pytest.approx(30, abs=0.6)
    assert (found.latency_ms.p50, found.latency_ms.p95) == (80, 80)


def test_a_gap_is_a_freeze_and_late_pictures_after_it_are_late() -> None:
    seen = [
        shown(n, max(n * STEP_US + 80_000, 1_500_000 + n) if n >= 30 else n * STEP_US + 80_000)
        for n in range(100)
    ]

    found = smoothness(seen, PUBLISHED, 500_000, 2_500_000)

    assert found.freezes == 1
    assert found.longest_ms == pytest.approx(1_500 - 29 * 33 - 80, abs=0.1)
    assert found.frozen == pytest.approx(found.longest_ms / 2_000)
    assert found.latency_ms.p95 > 300


def test_nothing_seen_is_one_long_freeze() -> None:
    found = smoothness([], PUBLISHED, 0, 1_000_000)

    assert (found.freezes, found.frozen, found.fps) == (1, 1.0, 0.0)


def test_logs_are_read_and_old_pictures_left_out(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("0 10\n1 20\n")
    (tmp_path / "s").write_text("1 50 640 360 0\n0 60 640 360 10\n2 70 320 180 20\n")

    assert read_published(tmp_path / "p") == {0: 10, 1: 20}
    assert [(one.number, one.size) for one in read_seen(tmp_path / "s")] == [
        (1, (640, 360)),
        (2, (320, 180)),
    ]


def test_spread_of_nothing_is_no_number() -> None:
    assert np.isnan(spread([]).p50)
    assert spread([1, 2, 3]).p50 == 2


def test_a_script_plays_over_and_over_with_numbers_that_go_on(tmp_path: Path) -> None:
    script = write_script(tmp_path / "s", [blank(640, 360, luma=luma) for luma in (50, 90)], 30)
    player = Player(script)

    frame = player.frame(7, 5)

    assert len(player) == 2
    assert marks.read(frame.y, 640) == 7
    assert (frame.y[100, 100], frame.pts_us) == (90, 5)


def test_pictures_too_small_for_a_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="160x120"):
        write_script(tmp_path / "s", [blank(160, 120)], 30)
