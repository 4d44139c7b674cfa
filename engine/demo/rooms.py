"""A call through real LiveKit rooms over a shaped link, recorded at both ends.

::

    clip ─► publisher ─► near room ─► relay ══ thin link ══► relay ─► far room ─► viewer
            (official SDK)   └─► viewer of the original                      (official SDK)
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from auralink.codecs.frame import Frame
from auralink.engine.demo.settings import DemoSettings
from auralink.engine.link.netem import LinkCounts
from auralink.engine.rehearsal.lines import now_us
from auralink.engine.rehearsal.pictures import TRACK, Player, Script, write_script
from auralink.engine.rehearsal.seen import Shown, read_published, read_seen
from auralink.engine.rehearsal.server import find_server
from auralink.engine.rehearsal.shaped_relay import Order
from auralink.engine.rehearsal.stage import (
    FAR_ROOM,
    NEAR_ROOM,
    RESTORED_TRACK,
    Stage,
    plain_stage,
    stage,
)
from auralink.engine.shaping.wire import Shape

SETTLE_S: Final = 4.0
TICK_S: Final = 0.5
# Of a packet of the original track beside RTP: SRTP's tag, UDP and IP headers.
_BELOW_RTP: Final = 10 + 8 + 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewed:
    """What a viewer got, and where its pictures are."""

    shown: Sequence[Shown] = field(repr=False)
    pictures: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """All that was written down; times are microseconds of one clock.

    Attributes:
        whole: whole networks were shaped, not the relay's packets alone.
        carried: by the link from near to far, in the stretch that counts.
        over_time: bytes that went into the link in each `TICK_S`.
        original_bps: of the publisher's track with all headers.
    """

    whole: bool
    start_us: int
    end_us: int
    published: dict[int, int] = field(repr=False)
    original: Viewed
    restored: Viewed
    carried: LinkCounts
    over_time: Sequence[int] = field(repr=False)
    original_bps: float
    script: Script


@contextmanager
def rehearsal(
    settings: DemoSettings, frames: Sequence[Frame], fps: float, *, root: bool
) -> Iterator[Recorded]:
    """Its files are gone when the block ends.

    Args:
        frames: of one even size.

    Raises:
        InputError: pictures too small to carry their numbers.
        UnsupportedError: no server, no network, no picture.
    """
    find_server()  # before anything is written
    with tempfile.TemporaryDirectory() as folder, ExitStack() as leaving:
        script = write_script(Path(folder) / "script.i420", frames, fps)
        if root:
            on_stage = leaving.enter_context(stage(script, Path(folder), seed=settings.seed))
            on_stage.link.shape(Shape.narrow_there(settings.link))
        else:
            on_stage = leaving.enter_context(plain_stage(script, Path(folder)))
        carried = _relay(on_stage, settings, leaving)
        yield _record(on_stage, settings, carried, leaving)


Carried = Callable[[], LinkCounts]


def _relay(on_stage: Stage, settings: DemoSettings, leaving: ExitStack) -> Carried:
    """Start it; gives what tells of the link."""
    if on_stage.thin is not None:
        link = on_stage.thin
        options = ["--profile", settings.profile]
        for role, side in (("receive", "far"), ("send", "near")):
            half = on_stage.half(role, side, settings.rate_bps, options)  # type: ignore[arg-type]
            leaving.callback(half.terminate)
        return lambda: link.carried.there
    relay = on_stage.shaped_relay(
        Order(
            url=on_stage.near.url,
            near=NEAR_ROOM,
            far=FAR_ROOM,
            rate_bps=settings.rate_bps,
            profile=settings.profile,
            seed=settings.seed,
            link=settings.link,
        )
    )
    leaving.callback(relay.leave)
    return lambda: LinkCounts(**relay.ask("carried", "carried"))


def _record(
    on_stage: Stage, settings: DemoSettings, carried: Carried, leaving: ExitStack
) -> Recorded:
    near, near_log, near_pictures = on_stage.viewer("near", NEAR_ROOM, TRACK)
    far, far_log, far_pictures = on_stage.viewer("far", FAR_ROOM, RESTORED_TRACK)
    publisher, log = on_stage.publisher(on_stage.near, NEAR_ROOM)
    for person in (near, far, publisher):
        leaving.callback(person.leave)
    near.fact("first_us")
    far.fact("first_us")
    time.sleep(SETTLE_S)
    start_us, before, sent = now_us(), carried(), publisher.ask("stats", "stats")
    over_time = _watch(settings.seconds, carried)
    end_us, after, then = now_us(), carried(), publisher.ask("stats", "stats")
    # What was captured at the end is still on its way.
    time.sleep(settings.playout_ms / 1e3 + 0.5)
    for person in (near, far, publisher):
        person.leave()
    return Recorded(
        whole=on_stage.thin is not None,
        start_us=start_us,
        end_us=end_us,
        published=read_published(log),
        original=Viewed(shown=read_seen(near_log), pictures=near_pictures),
        restored=Viewed(shown=read_seen(far_log), pictures=far_pictures),
        carried=_between(before, after),
        over_time=over_time,
        original_bps=_bits(sent, then) * 1e6 / (end_us - start_us),
        script=on_stage.script,
    )


def _watch(seconds: float, carried: Carried) -> list[int]:
    """Bytes sent in each tick of that time."""
    found: list[int] = []
    before, started = carried().sent_bytes, time.monotonic()
    for tick in range(1, round(seconds / TICK_S) + 1):
        time.sleep(max(0.0, started + tick * TICK_S - time.monotonic()))
        after = carried().sent_bytes
        found.append(after - before)
        before = after
    return found


def _between(before: LinkCounts, after: LinkCounts) -> LinkCounts:
    names = ("sent", "sent_bytes", "delivered", "delivered_bytes", "lost", "dropped")
    return LinkCounts(**{name: getattr(after, name) - getattr(before, name) for name in names})


def _bits(before: dict[str, Any], after: dict[str, Any]) -> float:
    packets: int = after["packets"] - before["packets"]
    size: int = after["bytes"] - before["bytes"]
    return 8.0 * (size + packets * _BELOW_RTP)


def source_frames(recorded: Recorded) -> list[Frame]:
    """What was captured in the stretch that counts, marked, with its times."""
    player = Player(recorded.script)
    return [
        player.frame(number, at_us)
        for number, at_us in sorted(recorded.published.items())
        if recorded.start_us <= at_us < recorded.end_us
    ]
