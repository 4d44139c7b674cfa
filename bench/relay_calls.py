"""One call over a shaped link between two real servers, through the relay or as plain VP8.

::

    publisher ─ server ─ relay half ══ link ══ server ─ relay half ─ server ─ viewer      "relay"
    publisher ══════════════════════ link ══════════ server ──────────────── viewer      "vp8"

Publisher and viewer are the official SDK's; what it does about a bad link, congestion control,
retransmission, smaller pictures, is its own.
"""

import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

import numpy as np

from auralink.bench.metrics import psnr, ssim
from auralink.codecs.resample import Resampler
from auralink.engine.link.netem import LinkSettings
from auralink.engine.rehearsal import marks
from auralink.engine.rehearsal.people import Person
from auralink.engine.rehearsal.pictures import TRACK, Player, as_frame
from auralink.engine.rehearsal.seen import (
    Shown,
    Smoothness,
    read_published,
    read_seen,
    smoothness,
    within,
)
from auralink.engine.rehearsal.stage import FAR_ROOM, NEAR_ROOM, RESTORED_TRACK, Stage
from auralink.engine.shaping.thin_link import Side
from auralink.engine.shaping.wire import Shape

Subject: TypeAlias = Literal["relay", "vp8"]
SUBJECTS: Final[tuple[Subject, ...]] = ("relay", "vp8")
SETTLE_S: Final = 3.0  # from the first picture on: estimates find the link, jitter buffers settle
HALVES: Final[tuple[tuple[str, Side], ...]] = (("receive", "far"), ("send", "near"))
QUEUE_MS: Final = 300.0  # in front of the link, as home routers have at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """
    Attributes:
        burst: mean length of a run of lost packets; None: each for itself.
    """

    rtt_ms: float
    loss: float = 0.0
    burst: float | None = None

    @property
    def label(self) -> str:
        how = f" in bursts of {self.burst:g}" if self.burst else ""
        return f"{self.rtt_ms:g} ms, {self.loss:.0%}{how}"

    def shape(self, rate_bps: float) -> Shape:
        """Loss and delay both ways, the rate where the pictures go."""
        return Shape.narrow_there(
            LinkSettings(
                rate_bps=rate_bps,
                queue_ms=QUEUE_MS,
                delay_ms=self.rtt_ms / 2,
                loss=self.loss,
                burst=self.burst,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What one call was like for its viewer."""

    subject: Subject
    condition: Condition
    smooth: Smoothness
    ssim: float  # of luma, of each picture against the source picture of the same number
    ssim_p5: float
    psnr_db: float
    kbps: float  # on the link where the pictures go, every header counted
    kbps_back: float
    lost: float  # share of packets, by the link's own count
    dropped: float  # share of packets, by its full queue
    sizes: tuple[str, ...]  # of the pictures that the viewer got
    cpu: dict[str, float] = field(default_factory=dict)  # of a core, by process


@contextmanager
def cast(
    stage: Stage, subject: Subject, rate_bps: int, *, traces: Sequence[Path] = ()
) -> Iterator["Cast"]:
    """Everybody in place, and a picture at the viewer.

    Args:
        traces: where the relay's halves, receiver first, write how each frame went, at their end.
    """
    with ExitStack() as leaving:

        def enters(person: Person) -> Person:
            leaving.callback(person.leave)
            return person

        people: list[Person] = []
        if subject == "relay":
            for (role, side), trace in itertools.zip_longest(HALVES, traces):
                words = ["--trace", str(trace)] if trace else []
                half = stage.half(role, side, rate_bps, words)
                leaving.callback(half.terminate)
                people.append(half)
        room = NEAR_ROOM if subject == "relay" else FAR_ROOM
        server = stage.near if subject == "relay" else stage.far
        track = RESTORED_TRACK if subject == "relay" else TRACK
        viewer, seen, pictures = stage.viewer("far", FAR_ROOM, track)
        enters(viewer).fact("joined_us")
        leaving.callback(pictures.unlink, missing_ok=True)
        publisher, published = stage.publisher(server, room)
        enters(publisher)
        people += [publisher, viewer]
        viewer.fact("first_us")
        yield Cast(people, viewer, publisher, seen, pictures, published)


@dataclass(frozen=True, slots=True)
class Cast:
    people: list[Person]
    viewer: Person
    publisher: Person
    seen: Path
    pictures: Path
    published: Path

    def curtain(self) -> tuple[dict[int, int], list[Shown]]:
        """Publisher and viewer leave; what they wrote."""
        self.viewer.leave()
        self.publisher.leave()
        return read_published(self.published), read_seen(self.seen)


def call(
    stage: Stage, subject: Subject, condition: Condition, *, rate_bps: int, seconds: float
) -> Seen:
    """
    Raises:
        UnsupportedError: no picture came.
    """
    stage.link.shape(condition.shape(rate_bps))
    with cast(stage, subject, rate_bps) as on_stage:
        time.sleep(SETTLE_S)
        start_us, before = time.monotonic_ns() // 1000, stage.link.carried
        spent = {person.name: person.cpu_s() for person in on_stage.people}
        time.sleep(seconds)
        end_us, after = time.monotonic_ns() // 1000, stage.link.carried
        cpu = {
            person.name: (person.cpu_s() - spent[person.name]) / seconds
            for person in on_stage.people
        }
        published, seen = on_stage.curtain()
        inside = within(seen, start_us, end_us)
        quality = [likeness(stage, on_stage.pictures, one) for one in inside]
    sent = max(1, after.there.sent - before.there.sent)
    return Seen(
        subject=subject,
        condition=condition,
        smooth=smoothness(seen, published, start_us, end_us),
        ssim=statistics.fmean(value for value, _ in quality) if quality else 0.0,
        ssim_p5=float(np.percentile([value for value, _ in quality], 5)) if quality else 0.0,
        psnr_db=statistics.fmean(value for _, value in quality) if quality else 0.0,
        kbps=(after.there.sent_bytes - before.there.sent_bytes) * 8 / seconds / 1e3,
        kbps_back=(after.back.sent_bytes - before.back.sent_bytes) * 8 / seconds / 1e3,
        lost=(after.there.lost - before.there.lost) / sent,
        dropped=(after.there.dropped - before.there.dropped) / sent,
        sizes=tuple(dict.fromkeys("{}x{}".format(*one.size) for one in inside)),
        cpu={_plain(name): value for name, value in cpu.items()},
    )


def likeness(stage: Stage, pictures: Path, shown: Shown) -> tuple[float, float]:
    """SSIM and PSNR of luma without the marks, at the size that was published."""
    width, height = shown.size
    data = np.fromfile(pictures, np.uint8, count=_bytes(width, height), offset=shown.offset)
    frame = as_frame(data, shown.size, 0)
    if shown.size != stage.script.size:
        frame = Resampler().resize(frame, *stage.script.size)
    original = Player(stage.script).frame(shown.number, 0)
    ours, theirs = original.y[marks.ROWS :], np.ascontiguousarray(frame.y[marks.ROWS :])
    return ssim(ours, theirs), psnr(ours, theirs)


def _bytes(width: int, height: int) -> int:
    return width * height + 2 * ((width + 1) // 2) * ((height + 1) // 2)


def _plain(name: str) -> str:
    """Without a viewer's number."""
    return name.split("-")[0]
