"""`auralink demo --livekit`: the report of what was recorded, and what is said without a server."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from auralink.codecs.frame import Frame
from auralink.engine.cli.main import run
from auralink.engine.demo.rooms import Recorded, Viewed
from auralink.engine.demo.rooms_document import document
from auralink.engine.demo.rooms_results import conclude
from auralink.engine.demo.settings import DemoSettings
from auralink.engine.link.netem import LinkCounts
from auralink.engine.rehearsal.pictures import Player, write_script
from auralink.engine.rehearsal.seen import Shown
from auralink.engine.report.page import render

from ...codecs.pictures import moving

STEP_US = 33_333
START = 10


def viewed(path: Path, player: Player, numbers: Sequence[int], late_us: int) -> Viewed:
    """Pictures just as they were published, some of them."""
    pictures = [player.picture(number) for number in numbers]
    path.write_bytes(b"".join(picture.tobytes() for picture in pictures))
    return Viewed(
        pictures=path,
        shown=[
            Shown(number, number * STEP_US + late_us, (320, 240), index * len(pictures[0]))
            for index, number in enumerate(numbers)
        ],
    )


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    frames: list[Frame] = [moving(n, (320, 240)) for n in range(20)]
    script = write_script(tmp_path / "script", frames, 30)
    player = Player(script)
    return Recorded(
        whole=True,
        start_us=START * STEP_US,
        end_us=(START + 30) * STEP_US,
        published={n: n * STEP_US for n in range(50)},
        original=viewed(tmp_path / "a", player, range(50), 40_000),
        restored=viewed(tmp_path / "b", player, [n for n in range(50) if n % 3], 140_000),
        carried=LinkCounts(
            sent=40, sent_bytes=12_500, delivered=38, delivered_bytes=11_000, lost=2, dropped=0
        ),
        over_time=[6_000, 6_500],
        original_bps=450_000,
        script=script,
    )


def test_figures_are_those_of_what_was_seen(recorded: Recorded) -> None:
    results = conclude(DemoSettings(rate_bps=150_000), "clip", recorded)

    assert len(results.source) == len(results.restored.frames) == 30
    assert results.original.quality.mean_ssim == pytest.approx(1.0, abs=1e-4)
    assert results.original.held == 0
    assert results.restored.held == 10
    assert results.restored.quality.mean_ssim < results.original.quality.mean_ssim
    assert results.original.smooth.latency_ms.p50 == pytest.approx(40)
    assert results.restored.smooth.latency_ms.p50 == pytest.approx(140)
    assert results.restored.bitrate_bps == pytest.approx(12_500 * 8 / (30 * STEP_US / 1e6))
    assert list(results.rate_over_time) == [96_000, 104_000]


def test_the_page_shows_the_same_figures_and_says_how_was_shaped(recorded: Recorded) -> None:
    results = conclude(DemoSettings(rate_bps=150_000), "clip", recorded)

    page = render(document(results, command="auralink demo --livekit"))

    assert f"{results.restored.quality.mean_ssim:.4f}" in page
    assert "namespaces" in page
    assert "%%" not in page
    assert json.loads(json.dumps(results.as_json()))["link"]["lost"] == 2


def test_a_viewer_that_saw_nothing_is_reported_as_such(recorded: Recorded, tmp_path: Path) -> None:
    (tmp_path / "none").write_bytes(b"")
    blind = Recorded(
        **{name: getattr(recorded, name) for name in recorded.__dataclass_fields__}
        | {"restored": Viewed(shown=[], pictures=tmp_path / "none")}
    )

    results = conclude(DemoSettings(), "clip", blind)

    assert results.restored.held == 30
    assert results.restored.smooth.frozen == 1.0
    assert np.isfinite(results.restored.quality.mean_ssim)
    assert "nan" in render(document(results, command="x"))


def test_without_a_server_the_demo_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("LIVEKIT_SERVER", raising=False)
    monkeypatch.setattr("auralink.engine.rehearsal.server._BUILT", Path("nowhere"))

    code = run(["demo", "--livekit", "--seconds", "0.5", "--no-open"])

    told = capsys.readouterr().err
    assert code == 2
    assert "no livekit-server" in told
    assert "make tools" in told
