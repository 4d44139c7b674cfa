"""What happened between two looks at the jobs.  Pure.

Jobs show counts since their relay was put together; a new relay begins at 0, and a job that is over
is forgotten some time.  Here counts become differences, which may be added up for ever.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, final

from auralink.engine.inference.outcome import Fate
from auralink.engine.relay.job_values import JobSnapshot

Direction: TypeAlias = Literal["up", "down"]
_KINDS: Final = frozenset({"video", "audio", "screen"})
_FELL_BACK: Final = f"{Fate.FELL_BACK.value}_"  # begins labels of `FrameOutcome`


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamKey:
    job: str
    run: int
    direction: Direction
    track: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDelta:
    """
    Attributes:
        outcomes: frames by what became of them; sound counts packets.
        fallbacks: frames that were made without what was wished, by reason.
        link_bytes: sent on the link, headers included; 0 for streams that come from it.
        original_bytes: of the original track; None: not measured.
    """

    key: StreamKey
    kind: str
    encoder: str
    outcomes: Mapping[str, int]
    fallbacks: Mapping[str, int]
    link_bytes: int
    original_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsDelta:
    streams: tuple[StreamDelta, ...]
    restarts: int
    losses: int


@dataclass(slots=True)
class _Seen:
    streams: dict[StreamKey, Mapping[str, int]] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)
    losses: dict[tuple[str, int, str], int] = field(default_factory=dict)


@final
class JobDeltas:
    """Remembers the last look."""

    def __init__(self) -> None:
        self._seen = _Seen()

    def take(self, jobs: Sequence[JobSnapshot]) -> JobsDelta:
        before, now = self._seen, _Seen()
        streams: list[StreamDelta] = []
        restarts = losses = 0
        for job in jobs:
            now.restarts[job.id] = job.restarts
            restarts += job.restarts - before.restarts.get(job.id, 0)
            status = job.status or {}
            for room in status.get("rooms", ()):
                key = (job.id, job.restarts, str(room["identity"]))
                now.losses[key] = room["losses"]
                losses += max(0, room["losses"] - before.losses.get(key, 0))
            for stream_key, told in _streams(job, status):
                counts = _counts(stream_key.direction, told)
                now.streams[stream_key] = counts
                delta = _difference(counts, before.streams.get(stream_key, {}))
                if any(delta.values()):
                    streams.append(_delta(stream_key, told, delta))
        self._seen = now
        return JobsDelta(streams=tuple(streams), restarts=restarts, losses=losses)


def _streams(
    job: JobSnapshot, status: Mapping[str, Any]
) -> Iterator[tuple[StreamKey, Mapping[str, Any]]]:
    directions: tuple[Direction, ...] = ("up", "down")
    for direction in directions:
        for told in status.get(direction, {}).get("streams", ()):
            if told.get("kind") in _KINDS:
                key = StreamKey(
                    job=job.id, run=job.restarts, direction=direction, track=told["track"]
                )
                yield key, told


def _counts(direction: Direction, told: Mapping[str, Any]) -> Mapping[str, int]:
    """Flat: outcomes by name, and sizes."""
    if direction == "down":
        names = ("decoded", "frozen", "late") if told["kind"] != "audio" else ("played", "missing")
        return {name: told.get(name, 0) for name in names}
    counts = {"#link": told.get("bytes", 0), "failed": told.get("failed", 0)}
    if told.get("original_bytes") is not None:
        counts["#original"] = told["original_bytes"]
    for answer, count in told.get("answers", {}).items():
        if answer.startswith(_FELL_BACK):
            counts[f"#{answer}"] = count
    outcomes = told.get("outcomes")
    return counts | (outcomes if outcomes is not None else {"coded": told.get("packets", 0)})


def _difference(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    if any(count < before.get(name, 0) for name, count in now.items()):
        before = {}  # the stream was begun anew: after a loss of its room, say
    return {name: count - before.get(name, 0) for name, count in now.items()}


def _delta(key: StreamKey, told: Mapping[str, Any], delta: dict[str, int]) -> StreamDelta:
    start = f"#{_FELL_BACK}"
    answers = {name for name in delta if name.startswith(start)}
    fell_back = {name.removeprefix(start): delta.pop(name) for name in answers}
    return StreamDelta(
        key=key,
        kind=told["kind"],
        encoder=told.get("encoder", ""),
        link_bytes=delta.pop("#link", 0),
        original_bytes=delta.pop("#original", None),
        outcomes={name: count for name, count in delta.items() if count},
        fallbacks={name: count for name, count in fell_back.items() if count},
    )
