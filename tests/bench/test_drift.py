import json
from pathlib import Path

from auralink.bench import drift


def test_both_precisions_read_every_unit_and_stay_close(folder: Path) -> None:
    out = folder / "drift.json"
    options = drift.Options(clips=folder, names=("talk",), frames=20, out=out)

    result = drift.run(options)

    (one,) = result.drifts
    assert one.whole == one.frames == 20
    assert len(one.segments) == 1
    assert one.segments[0].difference < 6
    assert one.segments[0].exact_psnr - one.segments[0].psnr < 3
    saved = json.loads(out.read_text())
    assert saved["drifts"][0]["segments"][0]["first"] == 0
    assert saved["command"] == options.command
    assert drift.load(out).drifts[0].frames == 20
    assert len(drift.table(drift.load(out)).splitlines()) == 3
