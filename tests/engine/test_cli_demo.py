"""The demo: a call in virtual time, the live loop, and the report that comes out."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from auralink.codecs.frame import Frame
from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import open_decoder, open_encoder
from auralink.codecs.video.protocol import Outcome, Picture, Status
from auralink.engine.cli.main import run
from auralink.engine.demo.anchor import duration_s, vp8, vp8_at_bits
from auralink.engine.demo.live import LiveCall
from auralink.engine.demo.screen import on_screen
from auralink.engine.demo.settings import DemoSettings, sample
from auralink.engine.link.call import Call, Played, Sent, is_new
from auralink.engine.link.netem import LinkSettings
from auralink.engine.report.plot import Axis, Line, plot

MakeVideo = Callable[..., Path]


def moving(count: int, *, fps: int = 30, size: tuple[int, int] = (96, 64)) -> list[Frame]:
    width, height = size
    ramp = np.add.outer(np.arange(height), np.arange(width)) % 64 * 3 + 20
    chroma = np.full(((height + 1) // 2, (width + 1) // 2), 128, np.uint8)
    return [
        Frame(
            y=np.ascontiguousarray(np.roll(ramp, 2 * i, axis=1).astype(np.uint8)),
            u=chroma,
            v=chroma,
            pts_us=round(i * 1e6 / fps),
        )
        for i in range(count)
    ]


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now_us = 0

    def __call__(self) -> int:
        return self.now_us


def virtual_call(
    frames: list[Frame], link: LinkSettings, *, seed: int = 1, parity: float | None = None
) -> tuple[list[Sent], list[Played], Call]:
    """Run a call in virtual time, a millisecond at a time."""
    call = Call(
        open_encoder("hybrid", fps=30, options=EncoderOptions(preset=8)),
        open_decoder(),
        bitrate_bps=100_000,
        there=link,
        seed=seed,
        parity=parity,
    )
    clock = Clock()
    sent: list[Sent] = []
    played: list[Played] = []
    waiting = list(frames)
    while waiting or not call.idle(clock.now_us):
        while waiting and waiting[0].pts_us <= clock.now_us:
            sent.append(call.capture(waiting.pop(0), clock))
        played += call.receive(clock)
        clock.now_us += 1000
    call.close()
    return sent, played, call


def test_a_clean_call_shows_every_frame_after_the_link_delay() -> None:
    frames = moving(30)

    sent, played, _ = virtual_call(frames, LinkSettings(delay_ms=40))

    assert [item.coded.outcome for item in sent] == [Outcome.CODED] * 30
    assert len(played) == 30
    assert all(is_new(item) for item in played)
    assert all(40 <= (item.latency_ms or 0) <= 43 for item in played)


@pytest.mark.parametrize("burst", [None, 3.0])
def test_a_lossy_call_recovers_through_its_reports(burst: float | None) -> None:
    frames = moving(150)
    link = LinkSettings(delay_ms=50, loss=0.1, burst=burst)

    sent, played, call = virtual_call(frames, link, parity=0.0)

    state = call.state()
    fresh = [item for item in played if is_new(item)]
    assert state.there.lost > 5
    assert state.loss > 0.01
    # No freeze outlives the round trip by much: reports ask, the sender repairs.
    times_ms = [item.at_us / 1000 for item in fresh]
    assert max(np.diff(times_ms)) < 600
    assert times_ms[-1] > frames[-1].pts_us / 1000 - 600
    assert not [
        item for item in played if item.picture.status is Status.FROZEN and not item.picture.reason
    ]
    assert len(sent) == 150


def test_parity_follows_the_measured_loss() -> None:
    sent, _, call = virtual_call(moving(120), LinkSettings(delay_ms=20, loss=0.15))
    clean, _, _ = virtual_call(moving(30), LinkSettings(delay_ms=20))

    assert max(item.parity for item in sent) > 0.1
    assert all(item.parity == 0 for item in clean)
    assert call.state().received.recovered > 0


def test_the_live_loop_keeps_the_pace_of_the_clip() -> None:
    frames = moving(20)
    call = Call(
        open_encoder("hybrid", fps=30, options=EncoderOptions(preset=10)),
        open_decoder(),
        bitrate_bps=100_000,
        there=LinkSettings(delay_ms=30),
        seed=1,
    )

    live = LiveCall(call, frames)
    snapshots = list(live)
    call.close()

    assert len(live.log.sent) + live.log.late == 20
    assert all(item.at_us >= item.frame.pts_us for item in live.log.sent)
    assert snapshots[-1].at_s >= frames[-1].pts_us / 1e6
    assert snapshots[-1].keys >= 1


def test_a_failure_in_a_thread_reaches_the_caller() -> None:
    class Broken:
        def encode(self, frame: Frame, wish: object) -> None:
            raise RuntimeError("boom")

        def close(self) -> None: ...

    call = Call(
        Broken(),
        open_decoder(),
        bitrate_bps=1,
        there=LinkSettings(),
        seed=1,
    )

    with pytest.raises(RuntimeError, match="boom"):
        list(LiveCall(call, moving(3)))


def test_the_screen_holds_what_is_late_and_never_runs_ahead() -> None:
    frames = moving(4, fps=10)

    def played(index: int, at_ms: float) -> Played:
        picture = Picture(frame=frames[index], status=Status.DECODED, number=index)
        return Played(at_us=round(at_ms * 1000), picture=picture, decode_ms=0)

    # Frame 1 comes when frame 2 is due, frame 2 a moment after that.
    shown, held = on_screen(frames, [played(0, 20), played(1, 250), played(2, 260)], delay_ms=50)

    assert [next(i for i in range(4) if frames[i].same_pixels(frame)) for frame in shown] == [
        0,
        0,
        1,
        2,
    ]
    assert held == 3
    grey, none = on_screen(frames, [], delay_ms=50)
    assert none == 4
    assert int(grey[0].y[0, 0]) == 128


def test_vp8_is_brought_to_the_wanted_bits() -> None:
    frames = moving(60, size=(160, 96))

    free = vp8(frames, 30, 300_000)
    matched = vp8_at_bits(frames, 30, 150_000)

    assert duration_s(frames) == pytest.approx(2.0, rel=1e-3)
    assert len(free.frames) == len(free.sizes) == 60
    assert abs(matched.bitrate_bps / 150_000 - 1) <= abs(free.bitrate_bps / 150_000 - 1)


def test_the_sample_is_small_and_says_whose_it_is() -> None:
    licence = sample().parent.joinpath("LICENSE.txt").read_text("utf-8")

    assert len(sample().read_bytes()) <= 2_000_000
    assert "CC BY 4.0" in licence
    assert "57978890822836f2b4743852f04f62fc511757e4" in licence


def test_settings_leave_the_encoder_less_than_the_link() -> None:
    settings = DemoSettings(rate_bps=100_000, delay_ms=20, jitter_ms=5)

    assert settings.bitrate_bps == 90_000
    assert settings.link.rate_bps == 100_000


def test_plots_are_well_formed_and_escape_their_words() -> None:
    svg = plot(
        [Line(label="<a&b>", tone="aic", points=[(1, 2), (10, 3)], dots=True)],
        Axis(title="x<y", log=True),
        Axis(title="q"),
        name="<n>",
    )
    flat = plot(
        [Line(label="a", tone="vp8", points=[(0, 1), (1, 1)])],
        Axis(title="x"),
        Axis(title="y"),
        name="n",
    )

    assert "<a&b>" not in svg
    assert svg.count("<svg") == svg.count("</svg>") == 1
    assert "NaN" not in svg + flat
    assert "inf" not in svg + flat


def test_the_demo_writes_a_report_of_computed_figures(
    make_video: MakeVideo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = make_video(frames=24, size=(96, 64), fps=30)
    words = ["--loss", "5%", "--rate", "200k", "--no-open", "--json", "--out", str(tmp_path / "r")]

    code = run(["demo", "--clip", str(clip), *words])

    result = json.loads(capsys.readouterr().out)
    page = (tmp_path / "r" / "report.html").read_text("utf-8")
    assert code == 0
    assert result["frames"] == 24
    assert len(result["curve"]) == 7
    assert result["aic"]["bitrate_bps"] > 0
    assert 0 < result["aic"]["mean_ssim"] <= 1
    assert result["report"].endswith("report.html")
    # The figures on the page are those of the result, and the page is complete in itself.
    assert f"{result['aic']['mean_ssim']:.4f}" in page
    assert f"{result['vp8']['mean_ssim']:.4f}" in page
    assert "%%" not in page
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert len(page) > 20_000
