"""The way of each frame through a demo's call, for a timeline."""

from collections.abc import Iterator

from auralink.codecs.video.protocol import Kind
from auralink.engine.demo.live import Log
from auralink.engine.link.call import is_new
from auralink.engine.timeline import Span


def way(log: Log) -> Iterator[Span]:
    """Coding, the link, decoding: from capture to picture, microseconds since the call began."""
    ready: dict[int, int] = {}  # capture times on the wire are in steps of 100 us
    for sent in log.sent:
        frame, coded = sent.frame.pts_us, sent.coded
        began = sent.at_us - round(sent.encode_ms * 1e3)
        facts = {
            "outcome": coded.outcome.value,
            "key": int(coded.kind is Kind.KEY),
            "bytes": coded.size,
        }
        yield Span(row="sender", name="wait", start_us=frame, end_us=began, frame=frame)
        yield Span(
            row="sender",
            name="encode",
            start_us=began,
            end_us=sent.at_us,
            frame=frame,
            facts=facts,
        )
        if coded.packets:
            ready[coded.number] = sent.at_us
    for played in log.played:
        picture = played.picture
        began = played.at_us - round(played.decode_ms * 1e3)
        if not is_new(played) or picture.frame is None:
            yield Span(row="receiver", name="frozen", start_us=began, end_us=played.at_us)
            continue
        frame = picture.frame.pts_us
        if picture.number in ready:
            left = ready.pop(picture.number)
            yield Span(row="link", name="under way", start_us=left, end_us=began, frame=frame)
        yield Span(row="receiver", name="decode", start_us=began, end_us=played.at_us, frame=frame)
