"""Figures of the relay's measurements: tables, the file, merging, the soak's slope."""

from pathlib import Path

import pytest

from auralink.bench import relay, relay_results, soak
from auralink.bench.relay_breaks import Breaks
from auralink.bench.relay_calls import Condition, Seen
from auralink.bench.relay_moments import Added, Moments, later_ms, stages_ms
from auralink.codecs.errors import InputError
from auralink.engine.rehearsal.seen import Shown, Smoothness, Spread
from auralink.engine.timeline import FrameTimeline, Span


def seen(subject: str, loss: float, ssim: float = 0.9) -> Seen:
    return Seen(
        subject=subject,  # type: ignore[arg-type]
        condition=Condition(rtt_ms=100, loss=loss),
        smooth=Smoothness(
            fps=29.5,
            latency_ms=Spread(p50=120.25, p95=180.5),
            freezes=1,
            longest_ms=250.0,
            frozen=0.025,
        ),
        ssim=ssim,
        ssim_p5=0.85,
        psnr_db=33.5,
        kbps=240.0,
        kbps_back=30.0,
        lost=loss,
        dropped=0.0,
        sizes=("640x360",),
        cpu={"relay send": 0.25},
    )


def smooth(latency_ms: float) -> Smoothness:
    spread = Spread(p50=latency_ms, p95=2 * latency_ms)
    return Smoothness(fps=25.0, latency_ms=spread, freezes=0, longest_ms=80.0, frozen=0.0)


def result(*cells: Seen) -> relay_results.Result:
    return relay_results.Result(
        command="python -m auralink.bench.relay",
        machine={"cpu": "x"},
        settings={"clip": "c"},
        added=Added(
            added_ms=Spread(p50=50.0, p95=58.0),
            direct_ms=Spread(p50=20.0, p95=24.0),
            pictures=240,
            fps=30.0,
            kbps=300.0,
            cpu={"relay send": 0.25},
            stages_ms={"uplink: encode": Spread(p50=6.0, p95=12.0)},
        ),
        moments=Moments(rtt_ms=100, join_s=(0.2, 0.4, 0.3), restart_s=2.0),
        breaks=Breaks(
            resume_s=(0.03, 0.5, 0.02),
            calm=smooth(100),
            cut=smooth(110),
            narrow=smooth(150),
            dropped=0.01,
        ),
        seen=cells,
    )


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    saved = result(seen("vp8", 0.1), seen("relay", 0.1))

    relay_results.save(saved, tmp_path / "r.json")

    loaded = relay_results.load(tmp_path / "r.json")
    assert loaded.seen == tuple(relay_results.ordered(saved))
    assert (loaded.added, loaded.moments) == (saved.added, saved.moments)
    assert loaded.breaks == saved.breaks


def test_tables_have_a_row_for_each_call_and_moment() -> None:
    saved = result(seen("vp8", 0.1), seen("relay", 0.1), seen("relay", 0.0))

    rows = relay_results.loss_table(saved).splitlines()
    moments = relay_results.moments_table(saved)

    assert len(rows) == 2 + 3
    assert rows[2].startswith(
        "| 100 ms, 0% | relay | 240 | 0.900 / 0.850 | 33.5 | 29.5 | 1 | 250 |"
    )
    assert "| picture after a join, median / worst | 0.30 / 0.40 s |" in moments
    assert "| latency added, p50 / p95 | 50 / 58 ms |" in moments
    assert "| signal connections resumed after a cut, median / worst | 0.03 / 0.50 s |" in moments
    assert "after the link got 100 kbit/s | 200, 300 ms |" in moments
    assert "signal connections resumed, worst: at most 2 s | 0.50 s | yes" in (
        relay_results.goals_table(saved)
    )


def test_goals_are_judged_by_what_was_measured() -> None:
    rows = relay_results.goals_table(result(seen("relay", 0.1), seen("vp8", 0.1))).splitlines()

    assert rows[2] == ("| latency added without a network, p95: at most 60 ms | 58 ms | yes |")
    assert rows[3] == "| freeze, 100 ms, 10%: at most 500 ms | 250 ms | yes |"
    assert [row.rsplit("|", 2)[1].strip() for row in rows[2:]] == ["yes"] * 5


def test_nothing_measured_yet_is_an_empty_result(tmp_path: Path) -> None:
    assert relay_results.load(tmp_path / "none.json").seen == ()
    assert len(relay_results.loss_table(relay_results.load(None)).splitlines()) == 2


def test_only_pictures_that_both_got_are_compared() -> None:
    original = [Shown(n, n * 1_000, (640, 360), -1) for n in range(10)]
    restored = [Shown(n, n * 1_000 + 50_000, (640, 360), -1) for n in (2, 4, 12)]

    assert later_ms(restored, original) == [50.0, 50.0]


def test_stages_are_read_from_traces_within_the_time_that_counts(tmp_path: Path) -> None:
    timeline = FrameTimeline()
    for start_us in range(0, 1_000_000, 100_000):
        timeline.add(
            Span(
                row="uplink video 1",
                name="encode",
                start_us=start_us,
                end_us=start_us + (5_000 if start_us < 500_000 else 9_000),
                frame=start_us,
            )
        )
    timeline.write(tmp_path / "t.json")

    found = stages_ms([tmp_path / "t.json"], 500_000, 1_000_000)

    assert found == {"uplink: encode": Spread(p50=9.0, p95=9.0)}


def test_options_name_losses_and_parts() -> None:
    options = relay.parse(["--loss", "10%x3", "--loss", "2%", "--rtt", "50", "--rate", "150k"])

    assert options.losses == ((0.1, 3.0), (0.02, None))
    assert [one.label for one in options.conditions] == ["50 ms, 10% in bursts of 3", "50 ms, 2%"]
    left = relay.parse(["--parts", "loss", "--fill", "--rtt", "100", "--loss", "10%"])
    assert len(relay._steps(left, result(seen("relay", 0.1)))) == 1
    assert options.rate_bps == 150_000
    with pytest.raises(InputError, match="no part"):
        relay._steps(
            relay.parse(["--parts", "everything"]), relay_results.Result(command="", machine={})
        )


def test_a_relay_that_grows_has_a_slope_and_one_that_does_not_has_none() -> None:
    def samples(per_minute: float) -> tuple[soak.Sample, ...]:
        return tuple(
            soak.Sample(
                at_s=at,
                rss_mb=300 + at / 60 * per_minute,
                workers_mb=150.0,
                descriptors=40,
                threads=9,
                tasks=50,
            )
            for at in range(0, 600, 5)
        )

    grows, stays = (
        soak.conclude(samples(rate), minutes=10, asked=10, viewers=(3, 3), republished=3)
        for rate in (4.0, 0.0)
    )

    assert grows.rss_mb_per_min == pytest.approx(4.0)
    assert stays.rss_mb_per_min == pytest.approx(0.0)
    assert stays.tasks == (50, 50)


def test_a_soak_is_saved_and_loaded(tmp_path: Path) -> None:
    sample = soak.Sample(
        at_s=5.0, rss_mb=300.0, workers_mb=150.0, descriptors=40, threads=9, tasks=50
    )
    made = soak.conclude((sample,), minutes=1, asked=1, viewers=(1, 1), republished=1)

    soak.save(made, tmp_path / "s.json")

    assert soak.load(tmp_path / "s.json") == made
