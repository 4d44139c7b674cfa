"""What the relay adds where there is no network, and how soon pictures are there, or back."""

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from auralink.bench.relay_calls import SETTLE_S, Condition, cast
from auralink.engine.link.netem import LinkSettings
from auralink.engine.rehearsal.pictures import TRACK
from auralink.engine.rehearsal.seen import Shown, Spread, read_seen, spread, within
from auralink.engine.rehearsal.stage import FAR_ROOM, NEAR_ROOM, RESTORED_TRACK, Stage
from auralink.engine.shaping.wire import Shape

WIRE: Final = Shape.same(LinkSettings())
_JOINS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """Viewers of the original and of the restored track, side by side, without a network between.

    Attributes:
        added_ms: of each picture that both got, how much later the second one got it.
        direct_ms: from capture to the viewer of the original.
        stages_ms: what the relay does with a frame; a worker's time is part of its half's stages.
    """

    added_ms: Spread
    direct_ms: Spread
    pictures: int
    fps: float
    kbps: float
    cpu: dict[str, float] = field(default_factory=dict)  # of a core, by process
    stages_ms: dict[str, Spread] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """
    Attributes:
        join_s: of viewers that join a running call, from being in the room to the first picture.
        restart_s: from the far server's being back after a crash to a picture at a viewer that
            joins then; how long that viewer took to be in the room is in it.
    """

    rtt_ms: float
    join_s: tuple[float, ...]
    restart_s: float


def added(stage: Stage, *, rate_bps: int, seconds: float) -> Added:
    stage.link.shape(WIRE)
    traces = [stage.folder / f"trace-{half}.json" for half in ("receive", "send")]
    with cast(stage, "relay", rate_bps, traces=traces) as on_stage:
        direct, direct_log, _ = stage.viewer("near", NEAR_ROOM, TRACK, keep=False)
        try:
            direct.fact("first_us")
            time.sleep(SETTLE_S)
            start_us, before = time.monotonic_ns() // 1000, stage.link.carried
            spent = {person.name: person.cpu_s() for person in on_stage.people}
            time.sleep(seconds)
            end_us, after = time.monotonic_ns() // 1000, stage.link.carried
            cpu = {
                person.name.split("-")[0]: (person.cpu_s() - spent[person.name]) / seconds
                for person in on_stage.people
            }
        finally:
            direct.leave()
        published, restored = on_stage.curtain()
    original = read_seen(direct_log)
    inside = within(restored, start_us, end_us)
    later = later_ms(inside, original)
    return Added(
        added_ms=spread(later),
        direct_ms=spread(
            [
                (one.at_us - published[one.number]) / 1e3
                for one in within(original, start_us, end_us)
                if one.number in published
            ]
        ),
        pictures=len(later),
        fps=len(inside) / seconds,
        kbps=(after.there.sent_bytes - before.there.sent_bytes) * 8 / seconds / 1e3,
        cpu=cpu,
        stages_ms=stages_ms(reversed(traces), start_us, end_us),
    )


def stages_ms(traces: Iterable[Path], start_us: int, end_us: int) -> dict[str, Spread]:
    """How long each stage took, from traces as `auralink relay --trace` writes them."""
    found: dict[str, list[float]] = {}
    for path in traces:
        events = json.loads(path.read_text("utf-8"))["traceEvents"]
        rows = {one["tid"]: one["args"]["name"] for one in events if one["name"] == "thread_name"}
        for one in events:
            if one["ph"] == "X" and start_us <= one["ts"] < end_us:
                stage = f"{rows[one['tid']].split()[0]}: {one['name']}"
                found.setdefault(stage, []).append(one["dur"] / 1e3)
    return {stage: spread(values) for stage, values in found.items()}


def later_ms(restored: Sequence[Shown], original: Sequence[Shown]) -> list[float]:
    """Of pictures that both viewers got."""
    first = {one.number: one.at_us for one in original}
    return [(one.at_us - first[one.number]) / 1e3 for one in restored if one.number in first]


def moments(stage: Stage, condition: Condition, *, rate_bps: int) -> Moments:
    stage.link.shape(condition.shape(rate_bps))
    with cast(stage, "relay", rate_bps):
        time.sleep(1.0)  # the call is under way
        joins = tuple(_join_s(stage) for _ in range(_JOINS))
        stage.far.stop()
        stage.far.start()
        back_us = time.monotonic_ns() // 1000
        viewer, _, _ = stage.viewer("far", FAR_ROOM, RESTORED_TRACK, keep=False)
        try:
            restart_s = (viewer.fact("first_us") - back_us) / 1e6
        finally:
            viewer.leave()
    return Moments(rtt_ms=condition.rtt_ms, join_s=joins, restart_s=restart_s)


def _join_s(stage: Stage) -> float:
    viewer, _, _ = stage.viewer("far", FAR_ROOM, RESTORED_TRACK, keep=False)
    try:
        first_us, joined_us = viewer.fact("first_us"), viewer.fact("joined_us")
    finally:
        viewer.leave()
    return float(first_us - joined_us) / 1e6
