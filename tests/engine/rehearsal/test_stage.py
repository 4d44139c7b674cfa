"""A whole call through two real servers and a bad network, watched by the official SDK."""

import time
from pathlib import Path

import pytest

from auralink.codecs.errors import UnsupportedError
from auralink.engine.link.netem import LinkSettings
from auralink.engine.rehearsal.pictures import write_script
from auralink.engine.rehearsal.seen import read_published, read_seen, smoothness
from auralink.engine.rehearsal.server import find_server, settings
from auralink.engine.rehearsal.stage import FAR_ROOM, NEAR_ROOM, RESTORED_TRACK, stage
from auralink.engine.shaping import kernel
from auralink.engine.shaping.wire import Shape

from ...codecs.pictures import moving

BAD = LinkSettings(rate_bps=300_000, delay_ms=25, loss=0.05)


@pytest.fixture
def possible() -> None:
    pytest.importorskip("livekit.rtc")
    try:
        kernel.check()
        find_server()
    except UnsupportedError as reason:
        pytest.skip(f"no rehearsal here: {reason}")


@pytest.mark.usefixtures("possible")
def test_a_plain_viewer_sees_the_call_through_a_bad_network(tmp_path: Path) -> None:
    script = write_script(tmp_path / "script", [moving(n, (320, 240)) for n in range(30)], 30)
    with stage(script, tmp_path) as on_stage:
        on_stage.link.shape(Shape.narrow_there(BAD))
        receive = on_stage.half("receive", "far", 250_000, ["--preset", "11"])
        send = on_stage.half("send", "near", 250_000, ["--preset", "11"])
        viewer, seen, _ = on_stage.viewer("far", FAR_ROOM, RESTORED_TRACK, keep=False)
        publisher, published = on_stage.publisher(on_stage.near, NEAR_ROOM)
        try:
            start_us = viewer.fact("first_us")
            before = on_stage.link.carried.there
            time.sleep(3)  # of the call: this is what is looked at
            end_us, after = time.monotonic_ns() // 1000, on_stage.link.carried.there
        finally:
            for person in (viewer, publisher):
                person.leave()
            for half in (send, receive):
                half.terminate()

    found = smoothness(read_seen(seen), read_published(published), start_us, end_us)
    assert found.fps > 5
    assert found.longest_ms < 2_000
    assert 40 < (after.sent_bytes - before.sent_bytes) * 8 / 3_000 < 330  # kbit/s
    assert after.lost > 0


def test_the_server_offers_one_address_and_asks_nobody_else() -> None:
    told = settings("10.77.0.1", 7880, 7882)

    assert told["bind_addresses"] == ["10.77.0.1"]
    assert isinstance(told["rtc"], dict)
    assert told["rtc"]["stun_servers"] == ["10.77.0.1:3478"]
    assert told["rtc"]["ips"] == {"includes": ["10.77.0.1/32"]}


def test_a_missing_server_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("LIVEKIT_SERVER", raising=False)
    monkeypatch.setattr("auralink.engine.rehearsal.server._BUILT", Path("nowhere"))

    with pytest.raises(UnsupportedError, match="no livekit-server") as missing:
        find_server()

    assert "make tools" in missing.value.__notes__[0]
