import json
from pathlib import Path

import numpy as np
import pytest

from auralink.bench import plots, rate
from auralink.codecs.errors import InputError


def test_measures_windows_of_every_target(folder: Path) -> None:
    options = rate.Options(
        clips=folder,
        names=("talk",),
        sizes=((96, 64),),
        patterns=(rate.constant(60), rate.step(100, 30)),
        seconds=5,
        out=folder / "rate.json",
    )

    result = rate.run(options)

    assert [kept.pattern for kept in result.kept] == ["60k", "100k to 30k"]
    for kept in result.kept:
        assert kept.windows.least <= kept.windows.p5 <= kept.windows.p95 <= kept.windows.most
        assert len(kept.keys_budgets) >= 1
        assert len(kept.timeline.kbps) == len(kept.timeline.target_kbps) > 15
    saved = json.loads((folder / "rate.json").read_text())
    assert saved["kept"][0]["size"] == "96x64"
    assert len(rate.table(result).splitlines()) == 4
    plots.timelines(result, folder / "rate.png")
    assert (folder / "rate.png").stat().st_size > 1000


def test_windows_compare_with_the_integral_of_the_target() -> None:
    budgets = np.concatenate([np.full(100, 10.0), np.full(100, 1.0)])

    exact = rate.windows(budgets.copy(), budgets, 20)
    over = rate.windows(budgets * 1.2, budgets, 20)

    assert (exact.least, exact.most, exact.within) == pytest.approx((1, 1, 1))
    assert (over.least, over.most, over.within) == pytest.approx((1.2, 1.2, 0))


def test_the_first_second_does_not_count() -> None:
    budgets = np.full(100, 10.0)
    bits = budgets.copy()
    bits[0] = 500

    assert rate.windows(bits, budgets, 20).most == pytest.approx(1)


def test_too_short_for_a_window() -> None:
    with pytest.raises(InputError, match="3 s are the least"):
        rate.windows(np.ones(40), np.ones(40), 20)


def test_the_backlog_drains_at_the_target() -> None:
    delays = rate.backlog_s(np.array([40.0, 0, 0, 0, 0]), np.full(5, 10.0), 10)

    assert delays == pytest.approx([0.3, 0.2, 0.1, 0, 0])


def test_patterns_are_what_they_say() -> None:
    down, saw = rate.step(600, 60), rate.sawtooth(400)

    assert (down.bps(3.9), down.bps(4.1)) == (600_000, 60_000)
    assert (saw.bps(0), saw.bps(2.999999)) == pytest.approx((100_000, 400_000), rel=1e-4)
