"""One frame's way through the engine, to be looked at: spans in the format of Chrome and Perfetto.

::

    uplink video 1    [ wait ][ encode        ][ send ]
    worker 4711               [ coding a frame ]
    downlink video 1                                    [ decode ][ hold      ]·
                      └─ one frame's spans are joined by arrows ──────────────┘

Spans lie in a ring: the newest are kept, however long the engine runs.  Times are microseconds of
the clock that all processes of a machine share.  Where nobody looks, `NO_TIMELINE` takes the spans
and costs a call.

Source: Trace Event Format,
https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

import json
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, final

_SAME_US: Final = 200  # capture times cross the link in steps of 100 us
CAPACITY: Final = 65_536  # spans; ten minutes of a stream at 20 frames per second
_PROCESS: Final = 1  # all rows in one group


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """
    Attributes:
        row: what it is drawn on: a stream, a worker.
        frame: capture time of the frame, microseconds; None if it is about none.
        facts: shown when it is clicked on.
    """

    row: str
    name: str
    start_us: int
    end_us: int
    frame: int | None = None
    facts: Mapping[str, str | int | float] = field(default_factory=dict)


class Timeline(Protocol):
    @property
    def on(self) -> bool:
        """Whether anybody looks: for spans that cost something to make."""
        ...

    def add(self, span: Span) -> None:
        """From any thread."""
        ...


@final
class NoTimeline:
    """Nobody looks."""

    on = False

    def add(self, span: Span) -> None:
        pass


NO_TIMELINE: Final[Timeline] = NoTimeline()


@final
class FrameTimeline:
    """
    Args:
        capacity: spans that are kept, the newest.
    """

    on = True

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._spans: deque[Span] = deque(maxlen=capacity)
        self._lock = threading.Lock()
        self._added = 0

    def add(self, span: Span) -> None:
        with self._lock:
            self._spans.append(span)
            self._added += 1

    @property
    def lost(self) -> int:
        """Older spans that are not there any more."""
        return self._added - len(self._spans)

    def spans(self) -> list[Span]:
        with self._lock:
            return list(self._spans)

    def write(self, path: Path) -> None:
        """Write what is there as JSON, whole or not at all.  Open it in ui.perfetto.dev."""
        write_spans(self.spans(), path)


def write_spans(spans: Iterable[Span], path: Path) -> None:
    """Write spans as JSON, whole or not at all."""
    document = {"displayTimeUnit": "ms", "traceEvents": list(events(spans))}
    partial = path.with_name(path.name + ".part")
    partial.write_text(json.dumps(document), "utf-8")
    os.replace(partial, path)


def events(spans: Iterable[Span]) -> Iterator[dict[str, Any]]:
    """Trace events of spans: rows with their names, the spans, and the arrows of frames."""
    ordered = sorted(spans, key=lambda span: span.start_us)
    frames = _frames(span.frame for span in ordered if span.frame is not None)
    rows: dict[str, int] = {}
    ways: dict[int, list[tuple[int, int]]] = {}
    for span in ordered:
        if span.row not in rows:
            rows[span.row] = len(rows) + 1
            yield _event("M", "thread_name", rows[span.row], args={"name": span.row})
        row = rows[span.row]
        facts: dict[str, str | int | float] = dict(span.facts)
        if span.frame is not None:
            frame = facts["frame"] = frames[span.frame]
            ways.setdefault(frame, []).append((row, span.start_us))
        length = max(0, span.end_us - span.start_us)
        yield _event("X", span.name, row, ts=span.start_us, dur=length, args=facts)
    for frame, way in ways.items():
        for at, (row, start_us) in enumerate(way):
            if len(way) > 1:
                phase = "s" if at == 0 else "f" if at == len(way) - 1 else "t"
                # "e": an arrow ends at the span around its time, not at the next one.
                yield _event(phase, "frame", row, ts=start_us, id=frame, bp="e")


def _frames(times: Iterable[int]) -> dict[int, int]:
    """Every capture time, and the one that stands for it and for those next to it."""
    found: dict[int, int] = {}
    first = last = -_SAME_US - 1
    for time_us in sorted(set(times)):
        if time_us - last > _SAME_US:
            first = time_us
        found[time_us], last = first, time_us
    return found


def _event(phase: str, name: str, row: int, **more: object) -> dict[str, Any]:
    return {"ph": phase, "name": name, "cat": "aic", "pid": _PROCESS, "tid": row, **more}
