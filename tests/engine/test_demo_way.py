"""What a demo draws of each frame's way."""

from auralink.codecs.video.options import EncoderOptions
from auralink.codecs.video.profiles import open_decoder, open_encoder
from auralink.engine.demo.live import Log
from auralink.engine.demo.way import way
from auralink.engine.link.call import Call, simulate
from auralink.engine.link.netem import LinkSettings
from auralink.engine.timeline import events

from ..codecs.pictures import moving

DELAY_MS = 40.0


def test_a_frame_is_followed_from_capture_to_picture() -> None:
    frames = [moving(index, (128, 96)) for index in range(12)]
    call = Call(
        open_encoder("hybrid", fps=30, options=EncoderOptions(preset=12)),
        open_decoder(),
        bitrate_bps=500_000,
        there=LinkSettings(rate_bps=2_000_000, delay_ms=DELAY_MS),
        seed=1,
    )
    recording = simulate(call, frames)

    spans = list(way(Log(sent=list(recording.sent), played=list(recording.played))))

    first = [span for span in spans if span.frame == frames[0].pts_us]
    assert [(span.row, span.name) for span in first] == [
        ("sender", "wait"),
        ("sender", "encode"),
        ("link", "under way"),
        ("receiver", "decode"),
    ]
    assert first[-1].end_us - first[0].start_us >= DELAY_MS * 1000
    assert sum(event["ph"] == "f" for event in events(spans)) == len(frames)
