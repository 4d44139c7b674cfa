"""What the record of a call says: what was shown when, and what the bytes went to."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence

from auralink.bench.clips import Clip
from auralink.codecs.frame import Frame, blank
from auralink.codecs.video.protocol import Coded, Kind
from auralink.codecs.video.syntax_packet import Packet, parse_packet
from auralink.engine.link.call import Recording, is_new


def displayed(clip: Clip, made: Recording, *, delay_ms: float) -> list[tuple[int, Frame]]:
    """What a viewer sees ``delay_ms`` after each frame was captured: its index, and the picture."""
    ready = [
        (played.at_us, played.picture.frame)
        for played in made.played
        if is_new(played) and played.picture.frame is not None
    ]
    shown: list[tuple[int, Frame]] = []
    current, index, at = blank(*clip.size), -1, 0
    waiting: list[Frame] = []
    for frame in clip.frames:
        instant_us = frame.pts_us + delay_ms * 1e3
        while at < len(ready) and ready[at][0] <= instant_us:
            waiting.append(ready[at][1])
            at += 1
        half_us = 5e5 / clip.fps
        due = [picture for picture in waiting if picture.pts_us <= frame.pts_us + half_us]
        if due:
            current = due[-1]
            index = round(current.pts_us * clip.fps / 1e6)
            waiting = [picture for picture in waiting if picture.pts_us > current.pts_us]
        shown.append((index, current))
    return shown


def frozen_instants(made: Recording, shown: Sequence[int]) -> list[bool]:
    """Display instants whose picture is older than the newest one sent by then."""
    frozen, newest = [], -1
    for index, (sent, seen) in enumerate(zip(made.sent, shown, strict=True)):
        if sent.coded.packets:
            newest = index
        frozen.append(seen < newest)
    return frozen


def longest(flags: Iterable[bool]) -> int:
    runs = [len(list(group)) for value, group in itertools.groupby(flags) if value]
    return max(runs, default=0)


def bytes_by_kind(coded: Sequence[Coded]) -> dict[str, int]:
    found = Counter({"key": 0, "delta": 0, "skip": 0, "parity": 0})
    for unit in coded:
        found[unit.kind.name.lower()] += unit.payload_bytes + unit.header_bytes
        found["parity"] += unit.parity_bytes
    return dict(found)


def repair_keys(coded: Sequence[Coded]) -> int:
    """Keys after the first that keep the base size: someone asked for them."""
    return sum(
        unit.kind is Kind.KEY and unit.base_size == before.base_size
        for before, unit in itertools.pairwise(coded)
    )


def count_repairs(coded: Sequence[Coded]) -> int:
    """Delta units that pass over the two coded units before them, as no unit else does."""
    recent: list[int] = []
    found = 0
    for unit in coded:
        if unit.kind is Kind.SKIP:
            continue
        if unit.kind is Kind.DELTA and len(recent) == 2:
            found += unit.number - nearest(unit.packets[0]) < recent[0]
        recent = [*recent[-1:], unit.number]
    return found


def nearest(packet: bytes) -> int:
    """The smallest dependency distance of a delta packet."""
    head = parse_packet(packet)
    return head.distances[0] if isinstance(head, Packet) and head.distances else 0
